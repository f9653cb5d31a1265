"""Preferences of a user: options, ``[keys]`` and ``[console]`` in config.toml, and themes.

The file is ``$HOOKTUI_HOME/config.toml``, else ``hooktui/config.toml`` in the XDG configuration
folder. It is the user's own file even with the system service, whose configuration not all users
may read. A user's own server loads its settings from the same file and ignores these tables.
Errors do not prevent the start: they are reported, and all valid entries apply.
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
from hooktui.domain.paths import paths_of

DEFAULT_ACCOUNT = 1
"""The account that every installation has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """Options of the console: server, account, role and display.

    Attributes:
        connect: URL of a remote server; None for the socket that the environment determines.
        account: number of the account to show.
        role: a lower role to use, such as ``viewer``; None for the caller's own role.
        no_mouse: whether mouse support is disabled.
        theme: name of a theme; None for the default of the terminal.
        ascii: whether only ASCII glyphs are drawn.
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

FEW_GLYPHS: Final = ("linux", "vt100", "vt220")
"""Terminals whose fonts contain only a few hundred glyphs, without those of the console."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """The settings of a user.

    Attributes:
        keymap: the user's keymap.
        themes: the user's own themes.
        theme: name of a theme; None if it is not set.
        mouse: whether mouse support is enabled.
        ascii: whether only ASCII glyphs are drawn; None if the terminal determines it.
        notify: how the terminal announces new alerts while it has no focus.
        problems: messages about errors in the settings.
    """

    keymap: Keymap = field(default_factory=Keymap)
    themes: tuple[Theme, ...] = ()
    theme: str | None = None
    mouse: bool = True
    ascii: bool | None = None
    notify: Notify = "off"
    problems: tuple[str, ...] = ()

    def under(self, options: ConsoleOptions, terminal: str = "") -> ConsoleOptions:
        """Return the command-line options, completed from these settings and from ``TERM``."""
        few_glyphs = terminal in FEW_GLYPHS if self.ascii is None else self.ascii
        return replace(
            options,
            theme=options.theme or self.theme,
            ascii=options.ascii or few_glyphs,
            no_mouse=options.no_mouse or not self.mouse,
        )


def read_preferences(environ: Mapping[str, str]) -> Preferences:
    """Load the preferences of an environment's user; without a file, return the defaults."""
    try:
        file = paths_of(environ).config
    except Refused:
        return Preferences()  # no home folder, so there are no settings
    written, problems = _read(file)
    folder = file.with_name("themes")
    themes: list[Theme] = []
    if folder.is_dir():
        from hooktui.console.themes import read_themes

        themes, wrong = read_themes(folder)
        problems += wrong
    keymap, wrong = read_keys(_table(written, "keys", problems))
    problems += wrong
    settings, wrong = _read_settings(_table(written, "console", problems))
    problems += wrong
    return Preferences(keymap=keymap, themes=tuple(themes), problems=tuple(problems), **settings)


def _read_settings(table: Mapping[str, object]) -> tuple[dict[str, Any], list[str]]:
    """Return the valid settings of a ``[console]`` table, and messages about the other ones."""
    settings: dict[str, Any] = {}
    problems = []
    for name, value in table.items():
        if name not in _SETTINGS:
            problems.append(f"[console] {name}: unknown; known: {', '.join(_SETTINGS)}")
        elif type(value) is not _SETTINGS[name] or (name == "notify" and value not in _NOTIFY):
            problems.append(f"[console] {name}: expected {_IN_WORDS.get(name, 'true or false')}")
        else:
            settings[name] = value
    return settings, problems


def _table(written: Mapping[str, object], name: str, problems: list[str]) -> dict[str, object]:
    table = written.get(name, {})
    if isinstance(table, dict):
        return table
    problems.append(f"{name} must be a table: [{name}]")
    return {}


def _read(file: Path) -> tuple[dict[str, object], list[str]]:
    try:
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}, []
    except OSError as error:
        return {}, [f"cannot read {file}: {error.strerror}; using the default settings"]
    import tomllib

    try:
        return tomllib.loads(content.decode()), []
    except (ValueError, RecursionError) as error:
        return {}, [f"cannot read {file}: {error}; using the default settings"]


def server_name(environ: Mapping[str, str], connect: str | None) -> str:
    """Return the address that identifies a server in the session state; empty without a server."""
    from hooktui.client.address import find_server

    try:
        return str(find_server(environ, connect))
    except (Refused, ValueError):
        return ""  # `run` has already rejected it; tests may run without a server
