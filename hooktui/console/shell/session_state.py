"""State that the next session restores: last screen, panes, filters, sort orders, theme.

There is one small file for each server in the user's state folder; only the user can read it, and
it contains no secret. A broken file is reported once and replaced; if two consoles run, the one
that ends last determines the state. In restricted mode no file is read or written.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from hooktui.domain.errors import Refused
from hooktui.domain.paths import paths_of
from hooktui.domain.roles import restricted

MAX_BYTES: Final = 200_000
MAX_COMMANDS: Final = 50
"""Maximum number of entries in the history of the ``:`` line."""

ScreenState = dict[str, "str | int | bool | None"]
"""The state of one screen: texts, numbers, flags."""


class _Saved(msgspec.Struct):
    """The content of the file.

    Attributes:
        screen: the name of the last screen.
        theme: the theme that the user selected, and the initial one.
        commands: the history of the ``:`` line, the latest entry last.
        kept: the states of the screens, by screen and account.
    """

    screen: str = ""
    theme: tuple[str, str] | None = None
    commands: list[str] = []
    kept: dict[str, dict[str, Any]] = {}


class SessionState(_Saved):
    """The saved state of the console for one server.

    Attributes:
        file: the file that stores it; None if it is not saved.
        server: the socket or address of the server, for people who read the file.
        problem: a message if the saved state cannot be used; else empty.
    """

    file: Path | None = None
    server: str = ""
    problem: str = ""

    def of(self, screen: str, account: int) -> ScreenState:
        """Return the state of a screen for an account; empty the first time."""
        return self.kept.get(_key(screen, account), {})

    def keep(self, screen: str, account: int, state: ScreenState) -> None:
        """Store the state of a screen for an account; an empty one is removed."""
        if state:
            self.kept[_key(screen, account)] = state
        else:
            self.kept.pop(_key(screen, account), None)

    def ran(self, command: str) -> None:
        """Add a line of the ``:`` line to the history as the latest entry, without duplicates."""
        others = [earlier for earlier in self.commands if earlier != command]
        self.commands = [*others[1 - MAX_COMMANDS :], command]

    def write(self) -> str:
        """Write the file atomically; return an error message, or "" on success."""
        if self.file is None:
            return ""
        saved = {name: getattr(self, name) for name in _Saved.__struct_fields__}
        content = {"server": self.server, **saved}
        new = self.file.with_name(f"{self.file.name}.{os.getpid()}")
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                json.dump(content, opened, indent=1)
            new.replace(self.file)
        except OSError as error:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            return f"cannot save the console's state in {self.file}: {error.strerror}"
        return ""


def load_state(environ: Mapping[str, str], server: str) -> SessionState:
    """Load the saved state for a server, given by its socket or address."""
    if restricted(environ):
        return SessionState()
    try:
        folder = paths_of(environ).home / "console"
    except Refused:
        return SessionState()  # no home folder
    from hashlib import sha256

    name = sha256(server.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    file = folder / f"{name}.json"
    state = SessionState(file=file, server=server)
    try:
        _fill(state, file)
    except FileNotFoundError:
        pass
    except OSError as error:
        state.problem = f"the saved console state cannot be used: {error.strerror or ''}"
    except (msgspec.ValidationError, ValueError, RecursionError):
        state.problem = "the saved console state cannot be used: unexpected content"
    return state


def _fill(state: SessionState, file: Path) -> None:
    with file.open("rb") as opened:
        content = opened.read(MAX_BYTES)  # a larger file is truncated, so it is not valid JSON
    # msgspec itself reads no lone surrogates, which a typed text may have.
    saved = msgspec.convert(json.loads(content), _Saved)
    state.screen, state.theme = saved.screen, saved.theme
    state.commands = saved.commands[-MAX_COMMANDS:]
    state.kept = {screen: _plain(values) for screen, values in saved.kept.items()}


def _plain(state: dict[str, Any]) -> ScreenState:
    return {
        key: value for key, value in state.items() if isinstance(value, str | int | bool | None)
    }


def _key(screen: str, account: int) -> str:
    return f"{screen} {account}"
