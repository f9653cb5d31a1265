"""The console's own themes, dark and light, and which one a terminal gets.

Quiet: one accent, three state colours. Terminals of 16 colours, and ``NO_COLOR``, get Textual's
ANSI theme, which uses the terminal's own palette.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

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

_FEW_COLOURS = ("linux", "xterm", "screen", "vt100", "vt220", "ansi", "dumb")


def default_theme(environ: Mapping[str, str]) -> str:
    """Return the theme for a terminal: ANSI with ``NO_COLOR`` or 16 colours, else ours."""
    term = environ.get("TERM", "")
    many = environ.get("COLORTERM") in ("truecolor", "24bit") or "256color" in term
    if environ.get("NO_COLOR") is not None or (term in _FEW_COLOURS and not many):
        return "ansi-dark"
    return DARK.name


def quiet_colour(theme: Theme) -> str:
    """Return the colour of what stands back, for themes that do not define it."""
    if theme.ansi:
        return "ansi_bright_black"
    return "#84919b" if theme.dark else "#66727a"
