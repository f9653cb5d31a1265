"""Themes that somebody wrote: ``themes/NAME.toml`` beside the configuration.

A theme is judged here, whole, before Textual sees it: a colour that is none would end the console
in the middle of drawing.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Final

from textual.color import Color, ColorParseError
from textual.theme import Theme

from hooktui.console.theme import DARK

COLOURS: Final = (
    "primary", "secondary", "accent", "warning", "error", "success",
    "foreground", "background", "surface", "panel", "boost",
)  # fmt: skip
_KNOWN: Final = (*COLOURS, "dark", "variables")
_STYLES: Final = ("none", "bold", "dim", "italic", "underline", "reverse", "strike")
_MOST_BYTES: Final = 64_000


def read_themes(folder: Path) -> tuple[list[Theme], list[str]]:
    """Return the themes of a folder by their names, and what is wrong with others, in sentences.

    The folder need not exist.
    """
    themes, problems = [], []
    try:
        files = sorted(folder.glob("*.toml"))
    except OSError as error:
        return [], [f"cannot read {folder}: {error.strerror}"]
    for file in files:
        try:
            themes.append(read_theme(file))
        except ValueError as error:
            problems.append(f"themes/{file.name}: {error}; the theme is left out")
    return themes, problems


def read_theme(file: Path) -> Theme:
    """Read one theme.

    Raises:
        ValueError: says what is wrong, and where.
    """
    import tomllib

    try:
        with file.open("rb") as opened:
            written = tomllib.loads(opened.read(_MOST_BYTES).decode())
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("is no UTF-8 text") from None
    for name in written:
        if name not in _KNOWN:
            raise ValueError(f"unknown {name!r}; {_near(name, _KNOWN)}")
    if "primary" not in written:
        raise ValueError('needs primary = "#rrggbb" at least')
    dark = written.get("dark", True)
    if not isinstance(dark, bool):
        raise ValueError("dark is true or false")
    colours: dict[str, Any] = {
        name: _colour(name, written[name]) for name in COLOURS if name in written
    }
    return Theme(
        name=file.stem, dark=dark, variables=_variables(written.get("variables", {})), **colours
    )


def _variables(written: object) -> dict[str, str]:
    if not isinstance(written, dict):
        raise ValueError('[variables] is a table, such as quiet = "#888888"')
    for name, value in written.items():
        if name not in _variable_names():
            raise ValueError(f"unknown variable {name!r}; {_near(name, _variable_names())}")
        if name.endswith("-style"):
            _style(name, value)
        else:
            _colour(name, value)
    return dict(written)


@cache
def _variable_names() -> frozenset[str]:
    return frozenset({*DARK.to_color_system().generate(), *DARK.variables})


def _colour(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f'{name} is a colour, such as "#6cb6d9"')
    try:
        Color.parse(value)
    except ColorParseError:
        raise ValueError(f"{name}: {value!r} is no colour; write one such as #6cb6d9") from None
    return value


def _style(name: str, value: object) -> None:
    if not isinstance(value, str) or not set(value.split()) <= set(_STYLES):
        raise ValueError(f"{name} is one or more of {', '.join(_STYLES)}")


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, sorted(known), 1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
