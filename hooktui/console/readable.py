"""Colours that can be read on what is behind them, in every theme.

Contrast is that of WCAG 2.1 (1 to 21). Many themes are made for large letters, or for a cursor of a
loud colour; where a colour of theirs is too near to what is behind it, it is moved towards white or
black, as far as it takes and no further. Terminals of 16 colours choose theirs themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from rich.style import Style
from textual.color import BLACK, WHITE, Color, ColorParseError

TEXT: Final = 4.5
"""What WCAG asks of text (1.4.3)."""

QUIET: Final = 3.0
"""What it asks of signs and large letters; what stands back need not have more."""

_STEPS: Final = 20
_CALM: Final = 0.8
"""Share of the contrast on the background that letters have on a panel at least."""

_LEAST: Final = {
    "foreground": TEXT, "accent": TEXT, "success": TEXT, "warning": TEXT, "error": TEXT,
    "quiet": QUIET,
}  # fmt: skip


def contrast(one: Color, other: Color) -> float:
    """Return the contrast of two opaque colours, 1 (the same) to 21 (black on white)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def readable(colour: Color, behind: Iterable[Color], least: float = TEXT) -> Color:
    """Return a colour with a contrast on all that may be behind it, as near as that goes."""
    grounds = tuple(behind)
    if _lowest(colour, grounds) >= least:
        return colour
    end = max((WHITE, BLACK), key=lambda one: _lowest(one, grounds))
    for step in range(1, _STEPS):
        moved = colour.blend(end, step / _STEPS)
        if _lowest(moved, grounds) >= least:
            return moved
    return end


def readable_variables(theme: Mapping[str, str]) -> dict[str, str]:
    """Return those variables of a theme that the console draws with, made readable.

    Args:
        theme: all variables by their names, as Textual generates them.
    """
    background, letters = Color.parse(theme["background"]), Color.parse(theme["foreground"])
    surface = background + Color.parse(theme["surface"])
    panel = _calm(background + Color.parse(theme["panel"]), background, letters)
    made = {"panel": panel}
    for name, least in _LEAST.items():
        made[name] = readable(Color.parse(theme[name]), (background, surface, panel), least)
    cursor = background + Color.parse(theme["block-cursor-background"])
    try:
        on_cursor = Color.parse(theme["block-cursor-foreground"])
    except ColorParseError:  # "auto": Textual chooses black or white, and thins it
        on_cursor = letters
    made["block-cursor-foreground"] = readable(on_cursor, (cursor,))
    return {name: colour.hex6 for name, colour in made.items()}


def readable_style(style: Style) -> Style:
    """Return a style whose letters can be read on its background."""
    if style.color is None or style.bgcolor is None:
        return style
    letters, behind = (Color.from_rich_color(one) for one in (style.color, style.bgcolor))
    moved = readable(letters, (behind,))
    return style if moved is letters else style + Style(color=moved.rich_color)


def _calm(panel: Color, background: Color, letters: Color) -> Color:
    """Return a panel that takes little of the letters' contrast; the frame is made of panels."""
    least = _CALM * contrast(letters, background)
    steps = (panel.blend(background, step / _STEPS) for step in range(_STEPS))
    return next((one for one in steps if contrast(letters, one) >= least), background)


def _lowest(colour: Color, grounds: Iterable[Color]) -> float:
    return min(contrast(colour, ground) for ground in grounds)


def _luminance(colour: Color) -> float:
    red, green, blue = (_linear(part) for part in colour.normalized)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
