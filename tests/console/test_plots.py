"""The widget that draws plots: its size, its mark, and how little it repaints."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from hooktui.console.glyphs import UNICODE
from hooktui.console.widgets.plot import GUTTER, Axis, Plot, Plots
from hooktui.console.widgets.styled import StyledLine
from tests.console.screen_text import lines_of

STEP_MS = 600_000
AXIS = Axis(1_795_608_000_000, STEP_MS, 144)


def plots(*, last: float = 3) -> list[Plot]:
    values = [*range(143), last]
    return [Plot(((f" plot {n}", "strong"),), values, lambda v: f"{v:g}") for n in range(3)]


def words(step: int) -> StyledLine:
    return ((f"step {step}", "plain"),)


class PlotApp(App[None]):
    """Nothing but plots; notes which lines are painted."""

    def __init__(self) -> None:
        super().__init__()
        self.plots = Plots(UNICODE)
        self.drawn: list[int] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"quiet": "#888888"}

    def compose(self) -> ComposeResult:
        yield self.plots

    def on_mount(self) -> None:
        self.plots.focus()
        original = self.plots.render_line

        def noting(y: int) -> object:
            self.drawn.append(y)
            return original(y)

        self.plots.render_line = noting  # type: ignore[method-assign,assignment]
        self.plots.show(((" caption", "plain"),), plots(), AXIS, words)


# Red when a line is wider than the widget, or a plot stands below its lower end.
@pytest.mark.parametrize("size", [(30, 6), (80, 18), (120, 30), (250, 70)])
async def test_plots_fill_what_there_is_and_no_more(size):
    app = PlotApp()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        lines = lines_of(app.plots)
        assert len(lines) <= size[1]
        assert all(cell_len(line) <= size[0] for line in lines)
        assert lines[1] == "step 143"
        assert lines[-1].endswith(UNICODE.up)
        assert " plot 0" in lines


async def test_few_lines_show_fewer_plots_not_flat_ones():
    app = PlotApp()
    async with app.run_test(size=(80, 7)) as pilot:
        await pilot.pause()
        titles = [line for line in lines_of(app.plots) if line.startswith(" plot")]
        assert titles == [" plot 0", " plot 1"]


async def test_a_move_of_the_mark_repaints_two_lines():
    app = PlotApp()
    async with app.run_test(size=(80, 20)) as pilot:
        await pilot.pause()
        app.drawn.clear()
        await pilot.press("left")
        await pilot.press("left")
        await pilot.pause()
        assert sorted(set(app.drawn)) == [1, len(lines_of(app.plots)) - 1]
        assert lines_of(app.plots)[1] == "step 141"


async def test_the_same_again_writes_nothing():
    app = PlotApp()
    async with app.run_test(size=(80, 20)) as pilot:
        await pilot.pause()
        app.drawn.clear()
        app.plots.show(((" caption", "plain"),), plots(), AXIS, words)
        await pilot.pause()
        assert app.drawn == []
        app.plots.show(((" caption", "plain"),), plots(last=999), AXIS, words)
        await pilot.pause()
        assert app.drawn


async def test_the_mark_stays_on_its_moment_while_time_goes_on():
    app = PlotApp()
    async with app.run_test(size=(160, 20)) as pilot:
        await pilot.press("home", "pagedown")
        assert lines_of(app.plots)[1] == "step 12"
        later = Axis(AXIS.since_ms + 2 * STEP_MS, STEP_MS, 144)
        app.plots.show((), plots(), later, words)
        assert lines_of(app.plots)[1] == "step 10"
        # At its end it goes on with the time.
        await pilot.press("end", "left", "right")
        app.plots.show((), plots(), Axis(later.since_ms + STEP_MS, STEP_MS, 144), words)
        assert lines_of(app.plots)[1] == "step 143"


async def test_a_click_puts_the_mark_on_the_step_below():
    app = PlotApp()
    async with app.run_test(size=(GUTTER + 144, 20)) as pilot:
        await pilot.click(app.plots, offset=(GUTTER + 77, 5))
        assert lines_of(app.plots)[1] == "step 77"
        await pilot.click(app.plots, offset=(2, 5))
        assert lines_of(app.plots)[1] == "step 77"


async def test_without_plots_there_is_the_caption_alone_and_no_key_fails():
    app = PlotApp()
    async with app.run_test(size=(80, 20)) as pilot:
        app.plots.show(((" reading", "plain"),))
        await pilot.press("left", "home", "pageup")
        assert lines_of(app.plots) == [" reading"]
