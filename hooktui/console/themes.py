"""The themes of the console: built-in, a user's ``themes/NAME.toml``, and the terminal's default.

The built-in themes use one accent and three state colours. Terminals with 16 colours, and
``NO_COLOR``, get Textual's ANSI theme, which uses the terminal's own palette. A user's theme is
validated completely before Textual uses it, because an invalid colour would crash the console.

Contrast is the contrast ratio of WCAG 2.1 (1 to 21). A colour with too little contrast to its
background is blended towards white or black, only as far as needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Final

from rich.style import Style
from textual.color import BLACK, WHITE, Color, ColorParseError
from textual.theme import Theme

DARK: Final = Theme(
    name="hooktui-dark",
    primary="#6cb6d9",
    secondary="#8aa0ad",
    accent="#6cb6d9",
    success="#7fb685",
    warning="#d9b25f",
    error="#e5707a",
    foreground="#d5dade",
    background="#14181b",
    surface="#1a1f23",
    panel="#222930",
    dark=True,
    variables={
        "block-cursor-background": "#2b4452",
        "block-cursor-foreground": "#f2f5f7",
        "block-cursor-text-style": "none",
        "scrollbar": "#37424b",
        "scrollbar-background": "#14181b",
        "scrollbar-corner-color": "#14181b",
        "quiet": "#84919b",
    },
)

LIGHT: Final = Theme(
    name="hooktui-light",
    primary="#1f6f94",
    secondary="#53636e",
    accent="#1f6f94",
    success="#2c7a39",
    warning="#8f6200",
    error="#b9263b",
    foreground="#20272c",
    background="#fafaf8",
    surface="#f1f2f0",
    panel="#e6e8e6",
    dark=False,
    variables={
        "block-cursor-background": "#cfe3ee",
        "block-cursor-foreground": "#101417",
        "block-cursor-text-style": "none",
        "scrollbar": "#c3cacc",
        "scrollbar-background": "#fafaf8",
        "scrollbar-corner-color": "#fafaf8",
        "quiet": "#66727a",
    },
)

THEMES: Final = (DARK, LIGHT)

_MANY_COLOURS: Final = ("256color", "kitty")
"""Last parts of the names of terminals for which Rich, which draws, uses more than 16 colours."""


def default_theme(environ: Mapping[str, str]) -> str:
    """Return the theme for a terminal: ANSI with ``NO_COLOR`` or 16 colours, else the dark one."""
    term = environ.get("TERM", "")
    few = bool(term) and term.rpartition("-")[2] not in _MANY_COLOURS
    all_colours = environ.get("COLORTERM") in ("truecolor", "24bit")
    if environ.get("NO_COLOR") is not None or (few and not all_colours):
        return "ansi-dark"
    return DARK.name


def quiet_colour(theme: Theme) -> str:
    """Return the colour of quiet text, for themes that do not define it."""
    if theme.ansi:
        return "ansi_bright_black"
    return "#84919b" if theme.dark else "#66727a"


COLOURS: Final = (
    "primary", "secondary", "accent", "warning", "error", "success",
    "foreground", "background", "surface", "panel", "boost",
)  # fmt: skip
_KNOWN: Final = (*COLOURS, "dark", "variables")
_STYLES: Final = ("none", "bold", "dim", "italic", "underline", "reverse", "strike")
_MAX_BYTES: Final = 64_000


def read_themes(folder: Path) -> tuple[list[Theme], list[str]]:
    """Return the valid themes of a folder, sorted by name, and messages about invalid ones.

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
        except (ValueError, RecursionError) as error:
            problems.append(f"themes/{file.name}: {error}; the theme is ignored")
    return themes, problems


def read_theme(file: Path) -> Theme:
    """Load one theme.

    Raises:
        ValueError: the theme is invalid; the message states the entry and the reason.
    """
    import tomllib

    try:
        with file.open("rb") as opened:
            written = tomllib.loads(opened.read(_MAX_BYTES).decode())
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    for name in written:
        if name not in _KNOWN:
            raise ValueError(f"unknown {name!r}; {_near(name, _KNOWN)}")
    if "primary" not in written:
        raise ValueError('primary is missing; write primary = "#rrggbb"')
    dark = written.get("dark", True)
    if not isinstance(dark, bool):
        raise ValueError("dark must be true or false")
    colours: dict[str, Any] = {
        name: _colour(name, written[name]) for name in COLOURS if name in written
    }
    return Theme(
        name=file.stem, dark=dark, variables=_variables(written.get("variables", {})), **colours
    )


def _variables(written: object) -> dict[str, str]:
    if not isinstance(written, dict):
        raise ValueError('[variables] must be a table, such as quiet = "#888888"')
    for name, value in written.items():
        if name not in _variable_names():
            raise ValueError(f"unknown variable {name!r}; {_near(name, _variable_names())}")
        if name.endswith("-style"):
            if not isinstance(value, str) or not set(value.split()) <= set(_STYLES):
                raise ValueError(f"{name} must be one or more of {', '.join(_STYLES)}")
        else:
            _colour(name, value)
    return dict(written)


@cache
def _variable_names() -> frozenset[str]:
    return frozenset({*DARK.to_color_system().generate(), *DARK.variables})


def _colour(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f'{name} must be a colour, such as "#6cb6d9"')
    try:
        Color.parse(value)
    except ColorParseError:
        raise ValueError(f"{name}: {value!r} is not a colour; write one such as #6cb6d9") from None
    return value


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, sorted(known), 1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"


TEXT: Final = 4.5
"""Minimum contrast of text in WCAG (1.4.3)."""

QUIET: Final = 3.0
"""Minimum contrast of glyphs and large text in WCAG; it is sufficient for quiet text."""

_STEPS: Final = 20
_CALM: Final = 0.8
"""Minimum contrast of text on a panel, as a share of its contrast on the background."""

_MIN_CONTRAST: Final = {
    "foreground": TEXT, "accent": TEXT, "success": TEXT, "warning": TEXT, "error": TEXT,
    "quiet": QUIET,
}  # fmt: skip


def contrast(color: Color, other: Color) -> float:
    """Return the contrast of two opaque colours, from 1 (equal) to 21 (black on white)."""
    light, dark = sorted((_luminance(color), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def readable(colour: Color, behind: Iterable[Color], least: float = TEXT) -> Color:
    """Return the nearest colour with a minimum contrast to all backgrounds, else white or black."""
    grounds = tuple(behind)
    if _lowest(colour, grounds) >= least:
        return colour
    end = max((WHITE, BLACK), key=lambda color: _lowest(color, grounds))
    for step in range(1, _STEPS):
        moved = colour.blend(end, step / _STEPS)
        if _lowest(moved, grounds) >= least:
            return moved
    return end


def readable_variables(theme: Mapping[str, str]) -> dict[str, str]:
    """Return the theme variables that the console draws with, adjusted for readability."""
    background, letters = Color.parse(theme["background"]), Color.parse(theme["foreground"])
    surface = background + Color.parse(theme["surface"])
    panel = _calm(background + Color.parse(theme["panel"]), background, letters)
    made = {"panel": panel}
    for name, least in _MIN_CONTRAST.items():
        made[name] = readable(Color.parse(theme[name]), (background, surface, panel), least)
    cursor = background + Color.parse(theme["block-cursor-background"])
    try:
        on_cursor = Color.parse(theme["block-cursor-foreground"])
    except ColorParseError:  # "auto": Textual uses translucent black or white
        on_cursor = letters
    made["block-cursor-foreground"] = readable(on_cursor, (cursor,))
    return {name: colour.hex6 for name, colour in made.items()}


def readable_style(style: Style) -> Style:
    """Return a style with a text colour that is readable on its background."""
    if style.color is None or style.bgcolor is None:
        return style
    letters, behind = (Color.from_rich_color(color) for color in (style.color, style.bgcolor))
    moved = readable(letters, (behind,))
    return style if moved is letters else style + Style(color=moved.rich_color)


def _calm(panel: Color, background: Color, letters: Color) -> Color:
    """Return a panel colour that preserves the contrast of text; the frame consists of panels."""
    least = _CALM * contrast(letters, background)
    steps = (panel.blend(background, step / _STEPS) for step in range(_STEPS))
    return next((color for color in steps if contrast(letters, color) >= least), background)


def _lowest(colour: Color, grounds: Iterable[Color]) -> float:
    return min(contrast(colour, ground) for ground in grounds)


def _luminance(colour: Color) -> float:
    red, green, blue = (_linear(part) for part in colour.normalized)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
