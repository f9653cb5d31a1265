"""Preferences of a user: options, ``[keys]`` and ``[console]`` in config.toml, and themes.

It is the user's own file also where the server is the system's, whose configuration not all users
may read: ``$HOOKTUI_HOME/config.toml``, else ``hooktui/config.toml`` in the XDG configuration. A
server that is the user's own reads its settings from the same file, and ignores these tables. No
error in it prevents the start: it is reported, and the rest holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from textual.theme import Theme

from hooktui.console.keymap import Keymap, read_keys
from hooktui.console.shell.desktop_alerts import Notify
from hooktui.domain.errors import Refused
from hooktui.domain.paths import places

DEFAULT_ACCOUNT = 1
"""Every installation has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """How to start: which server, account and role, and how to draw.

    Attributes:
        connect: URL of a remote server; None: the socket that the environment means.
        account: number of the account to show.
        role: role to lower oneself to, such as ``viewer``; None: whatever one is.
        no_mouse: leave the mouse to the terminal.
        theme: a theme's name; None: chosen by the terminal.
        ascii: draw ASCII glyphs only.
    """

    connect: str | None = None
    account: int = DEFAULT_ACCOUNT
    role: str | None = None
    no_mouse: bool = False
    theme: str | None = None
    ascii: bool = False


_SETTINGS: Final[Mapping[str, type]] = {
    "theme": str, "mouse": bool, "ascii": bool, "notify": str,
}  # fmt: skip
_IN_WORDS: Final = {"theme": "a theme's name", "notify": '"off", "bell" or "desktop"'}
_NOTIFY: Final[tuple[Notify, ...]] = ("off", "bell", "desktop")

FEW_SIGNS: Final = ("linux", "vt100", "vt220")
"""Terminals whose fonts hold a few hundred glyphs, and not those of the console."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What was set.

    Attributes:
        keymap: the keys.
        themes: the user's own.
        theme: a theme's name; None: not set.
        mouse: whether the console takes the mouse.
        ascii: whether only ASCII glyphs are drawn; None: decided by the terminal.
        notify: how the terminal announces new alerts while it has no focus.
        problems: what is wrong with it, in sentences.
    """

    keymap: Keymap = field(default_factory=Keymap)
    themes: tuple[Theme, ...] = ()
    theme: str | None = None
    mouse: bool = True
    ascii: bool | None = None
    notify: Notify = "off"
    problems: tuple[str, ...] = ()

    def under(self, options: ConsoleOptions, terminal: str = "") -> ConsoleOptions:
        """Return the options of the command line over what is set here.

        Args:
            options: of the command line.
            terminal: what ``TERM`` says.
        """
        few_signs = terminal in FEW_SIGNS if self.ascii is None else self.ascii
        return replace(
            options,
            theme=options.theme or self.theme,
            ascii=options.ascii or few_signs,
            no_mouse=options.no_mouse or not self.mouse,
        )


def read_preferences(environ: Mapping[str, str]) -> Preferences:
    """Read what an environment's user has set; without a file everything is as built in."""
    try:
        file = places(environ).config
    except Refused:
        return Preferences()  # no home folder: nothing can be set
    written, problems = _read(file)
    folder = file.with_name("themes")
    themes: list[Theme] = []
    if folder.is_dir():
        from hooktui.console.themes import read_themes

        themes, wrong = read_themes(folder)
        problems += wrong
    keymap, wrong = read_keys(_table(written, "keys", problems))
    problems += wrong
    settings = _table(written, "console", problems)
    good: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in _SETTINGS:
            problems.append(f"[console] {name}: unknown; known: {', '.join(_SETTINGS)}")
        elif type(value) is not _SETTINGS[name] or (name == "notify" and value not in _NOTIFY):
            problems.append(f"[console] {name}: write {_IN_WORDS.get(name, 'true or false')}")
        else:
            good[name] = value
    return Preferences(keymap=keymap, themes=tuple(themes), problems=tuple(problems), **good)


def _table(written: Mapping[str, object], name: str, problems: list[str]) -> dict[str, object]:
    table = written.get(name, {})
    if isinstance(table, dict):
        return table
    problems.append(f"{name}: write it as a table, [{name}]")
    return {}


def _read(file: Path) -> tuple[dict[str, object], list[str]]:
    try:
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}, []
    except OSError as error:
        return {}, [f"cannot read {file}: {error.strerror}; the console's settings are as built in"]
    import tomllib

    try:
        return tomllib.loads(content.decode()), []
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return {}, [f"cannot read {file}: {error}; the console's settings are as built in"]


def server_name(environ: Mapping[str, str], connect: str | None) -> str:
    """Return what identifies a server, for the session state; empty: no server."""
    from hooktui.client.address import find_server

    try:
        return str(find_server(environ, connect))
    except (Refused, ValueError):
        return ""  # `run` has refused it before; a test may need no server
