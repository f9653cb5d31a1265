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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hooktui.domain.errors import Refused
from hooktui.domain.paths import paths_of
from hooktui.domain.roles import restricted

MAX_BYTES: Final = 200_000
MAX_COMMANDS: Final = 50
"""Maximum number of entries in the history of the ``:`` line."""

ScreenState = dict[str, "str | int | bool | None"]
"""The state of one screen: texts, numbers, flags."""


@dataclass(slots=True)
class SessionState:
    """The saved state of the console for one server.

    Attributes:
        file: the file that stores it; None if it is not saved.
        problem: a message if the saved state cannot be used; else empty.
        screen: the name of the last screen.
        theme: the theme that the user selected, and the initial one.
        commands: the history of the ``:`` line, the latest entry last.
    """

    file: Path | None = None
    server: str = ""
    problem: str = ""
    screen: str = ""
    theme: tuple[str, str] | None = None
    commands: list[str] = field(default_factory=list)
    _kept: dict[str, ScreenState] = field(default_factory=dict)

    def of(self, screen: str, account: int) -> ScreenState:
        """Return the state of a screen for an account; empty the first time."""
        return self._kept.get(_key(screen, account), {})

    def keep(self, screen: str, account: int, state: ScreenState) -> None:
        """Store the state of a screen for an account; an empty one is removed."""
        if state:
            self._kept[_key(screen, account)] = state
        else:
            self._kept.pop(_key(screen, account), None)

    def ran(self, command: str) -> None:
        """Add a line of the ``:`` line to the history as the latest entry, without duplicates."""
        self.commands = [earlier for earlier in self.commands if earlier != command][
            1 - MAX_COMMANDS :
        ]
        self.commands.append(command)

    def write(self) -> str:
        """Write the file atomically; return an error message, or "" on success."""
        if self.file is None:
            return ""
        content = {
            "server": self.server,
            "screen": self.screen,
            "theme": self.theme,
            "commands": self.commands,
            "kept": self._kept,
        }
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
    """Load the saved state for a server.

    Args:
        environ: the environment variables, which determine the home or state folder.
        server: the socket or address of the server.
    """
    if restricted(environ):
        return SessionState()
    try:
        folder = paths_of(environ).home / "console"
    except Refused:
        return SessionState()  # no home folder
    from hashlib import sha256

    name = sha256(server.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    state = SessionState(folder / f"{name}.json", server)
    try:
        _fill(state, _read(folder / f"{name}.json"))
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        state.problem = f"the saved console state cannot be used: {_why(error)}"
    return state


def _read(file: Path) -> object:
    with file.open("rb") as opened:
        content = opened.read(MAX_BYTES)  # a larger file is truncated, so it is not valid JSON
    try:
        state: object = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    return state


def _fill(state: SessionState, content: object) -> None:
    """Copy the content of the file into a state, after checking its types.

    Raises:
        ValueError: a value has the wrong type.
    """
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    screen, theme = content.get("screen", ""), content.get("theme")
    commands, states = content.get("commands", []), content.get("kept", {})
    good = (
        isinstance(screen, str)
        and (theme is None or _are_texts(theme, 2))
        and _are_texts(commands)
        and isinstance(states, dict)
        and all(isinstance(entry, dict) for entry in states.values())
    )
    if not good:
        raise ValueError("unexpected content")
    state.screen = screen
    state.theme = None if theme is None else (theme[0], theme[1])
    state.commands = commands[-MAX_COMMANDS:]
    state._kept = {key: _plain(entry) for key, entry in states.items()}


def _plain(state: dict[str, object]) -> ScreenState:
    return {
        key: value for key, value in state.items() if isinstance(value, str | int | bool | None)
    }


def _are_texts(value: object, count: int | None = None) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(text, str) for text in value)
        and (count is None or len(value) == count)
    )


def _key(screen: str, account: int) -> str:
    return f"{screen} {account}"


def _why(error: OSError | ValueError) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else str(error)
