"""Every theme can be read: in the frame, in lists, in dialogs, and on the cursor's line."""

import pytest
from rich.console import Console
from rich.style import Style
from textual.app import ComposeResult
from textual.color import Color
from textual.screen import Screen
from textual.theme import BUILTIN_THEMES, Theme

from hooktui.console.app import ConsoleApp
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.console.themes import (
    DARK,
    LIGHT,
    QUIET,
    TEXT,
    contrast,
    default_theme,
    quiet_colour,
    readable,
    readable_style,
    readable_variables,
)
from hooktui.console.widgets.styled import LineWidget, StyleName

THEMES = {theme.name: theme for theme in (DARK, LIGHT, *BUILTIN_THEMES.values()) if not theme.ansi}
LOUD = Theme(
    name="loud",
    primary="#ff0000",
    background="#444444",
    foreground="#606060",
    panel="#6a6a6a",
    success="#00ff00",
    error="#ff0000",
    variables={"block-cursor-background": "#ff2020", "block-cursor-foreground": "#ff0000"},
)
"""Nobody's, but somebody may write it: letters and what is behind them nearly the same."""
TONES: tuple[StyleName, ...] = ("plain", "quiet", "strong", "accent", "good", "warn", "bad")


# Red when the dark theme is drawn in 16 colours: green, yellow and red are then mostly grey.
@pytest.mark.parametrize("color_term", ["", "truecolor"])
@pytest.mark.parametrize(
    "term",
    ["linux", "xterm", "xterm-16color", "alacritty", "xterm-ghostty", "xterm-256color",
     "screen.xterm-256color", "xterm-kitty"],
)  # fmt: skip
def test_the_default_theme_is_ansi_where_16_colours_are_drawn(term, color_term):
    environ = {"TERM": term, "COLORTERM": color_term}
    drawn = Console(force_terminal=True, _environ=environ).color_system
    assert (default_theme(environ) == "ansi-dark") == (drawn == "standard")


def test_contrast_is_that_of_wcag():
    black, white, grey = Color.parse("#000"), Color.parse("#fff"), Color.parse("#767676")
    assert contrast(black, white) == contrast(white, black) == pytest.approx(21)
    assert contrast(grey, grey) == 1
    # The lightest grey that WCAG lets stand on white.
    assert 4.5 < contrast(grey, white) < 4.6


def test_a_colour_that_can_be_read_stays_and_another_goes_no_further_than_it_must():
    white = (Color.parse("#ffffff"),)
    assert readable(Color.parse("#b9263b"), white) == Color.parse("#b9263b")
    moved = readable(Color.parse("#e0707a"), white)
    assert TEXT <= contrast(moved, white[0]) < TEXT + 0.8
    assert moved.r > moved.g  # still a red one


def test_on_a_ground_of_middling_lightness_black_or_white_can_still_be_read():
    middle = (Color.parse("#777777"),)
    assert contrast(readable(Color.parse("#808080"), middle), middle[0]) >= TEXT


def test_a_style_without_a_background_stays_as_it_is():
    style = Style(color="#777777")
    assert readable_style(style) is style


@pytest.mark.parametrize("theme", [*THEMES.values(), LOUD], ids=lambda theme: theme.name)
def test_what_a_theme_draws_with_can_be_read_on_all_that_is_behind_it(theme: Theme):
    given = {"quiet": quiet_colour(theme), **theme.to_color_system().generate(), **theme.variables}
    colours = {name: Color.parse(value) for name, value in readable_variables(given).items()}
    grounds = [Color.parse(given["background"]), Color.parse(given["surface"]), colours["panel"]]
    for name in ("foreground", "accent", "success", "warning", "error"):
        assert min(contrast(colours[name], ground) for ground in grounds) >= TEXT, name
    assert min(contrast(colours["quiet"], ground) for ground in grounds) >= QUIET


class _Lines(Screen[None]):
    def compose(self) -> ComposeResult:
        yield LineWidget()


async def test_state_colours_can_be_read_on_the_cursor_of_every_theme(tmp_path):
    """Red when a tone keeps its colour on a cursor of the same lightness (it was 1.0 in nord)."""
    app = ConsoleApp(ConsoleOptions(connect=str(tmp_path / "none.sock")), environ={})
    app.register_theme(LOUD)
    async with app.run_test() as pilot:
        await app.push_screen(_Lines())
        painted = app.screen.query_one(LineWidget)
        for name in (*THEMES, LOUD.name):
            app.theme = name
            await pilot.pause()
            for cursor in ("cursor", "blurred"):
                over = painted.tone(cursor)
                for segment in painted.segments([("x", tone) for tone in TONES], over):
                    style = segment.style
                    assert style is not None
                    assert style.color is not None
                    assert style.bgcolor is not None
                    letters, ground = map(Color.from_rich_color, (style.color, style.bgcolor))
                    assert contrast(letters, ground) >= TEXT, f"{name}: {style} on a {cursor} line"
