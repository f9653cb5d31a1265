"""The log pane takes its share of the terminal, small or large."""

import pytest

from hooktui.console.app import ConsoleApp
from hooktui.console.hooks.hooks_screen import SMALLEST_PANE
from hooktui.console.log.live_log import LiveLog
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.console.widgets.chrome import StatusLine
from hooktui.console.widgets.windowed_list import WindowedList


@pytest.mark.parametrize(
    ("size", "lines"), [((60, 15), 5), ((80, 24), 9), ((120, 36), 13), ((250, 70), 23)]
)
async def test_the_log_grows_with_the_terminal(tmp_path, size, lines):
    app = ConsoleApp(ConsoleOptions(connect=str(tmp_path / "none.sock")), environ={})
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert app.screen.query_one(LiveLog).size.height == lines


async def test_a_pane_leaves_room_for_the_list_in_a_terminal_that_became_smaller(tmp_path):
    # Red when a height that the user chose stays: the hooks and all notices were off the screen.
    app = ConsoleApp(ConsoleOptions(connect=str(tmp_path / "none.sock")), environ={})
    async with app.run_test(size=(120, 50)) as pilot:
        await pilot.pause()
        await pilot.press(*["plus"] * 15)
        log = app.screen.query_one(LiveLog)
        chosen = log.size.height
        assert chosen > 30
        for size, lines in (((80, 24), 16), ((120, 50), chosen)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert log.size.height == lines
            assert app.screen.query_one(StatusLine).region.bottom <= size[1]
            assert app.screen.query_one(WindowedList).size.height >= 3


# Red when the smallest height of a high terminal outdoes the user's choice.
async def test_a_pane_can_be_made_smaller_in_a_high_terminal(tmp_path):
    app = ConsoleApp(ConsoleOptions(connect=str(tmp_path / "none.sock")), environ={})
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        log = app.screen.query_one(LiveLog)
        before = log.size.height
        await pilot.press("minus")
        await pilot.pause()
        assert log.size.height == before - 2
        await pilot.press(*["minus"] * 20)
        await pilot.pause()
        assert log.size.height == SMALLEST_PANE
        await pilot.press("plus")
        await pilot.pause()
        assert log.size.height == SMALLEST_PANE + 2
