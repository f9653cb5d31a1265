"""The log pane takes its share of the terminal, small or large."""

import pytest

from hooktui.console.app import ConsoleApp
from hooktui.console.log.live_log import LiveLog
from hooktui.console.shell.preferences import ConsoleOptions


@pytest.mark.parametrize(
    ("size", "lines"), [((60, 15), 5), ((80, 24), 9), ((120, 36), 13), ((250, 70), 23)]
)
async def test_the_log_grows_with_the_terminal(tmp_path, size, lines):
    app = ConsoleApp(ConsoleOptions(connect=str(tmp_path / "none.sock")), environ={})
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert app.screen.query_one(LiveLog).size.height == lines
