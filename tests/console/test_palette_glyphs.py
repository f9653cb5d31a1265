"""The palette is drawn with glyphs that every terminal has."""

import asyncio

from textual.color import BLACK
from textual.pilot import Pilot
from textual.widgets import Input

from hooktui.console.app import ConsoleApp
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.console.shell.terminal import AsciiFilter
from tests.console.screen_text import drawn


def shown(pilot: Pilot[None]) -> str:
    glyphs = AsciiFilter()
    return "\n".join(
        "".join(segment.text for segment in glyphs.apply(list(strip), BLACK))
        for strip in drawn(pilot.app)
    )


async def test_the_palette_needs_no_sign_that_a_terminal_may_lack(tmp_path):
    options = ConsoleOptions(connect=str(tmp_path / "none.sock"), ascii=True)
    app = ConsoleApp(options, environ={})
    async with app.run_test() as pilot, asyncio.timeout(20):
        await pilot.press("ctrl+p", "h", "o", "o", "k")
        while "Go to the hooks" not in shown(pilot):
            await pilot.pause(0.05)
        assert [sign for sign in shown(pilot) if not sign.isascii()] == []
        # Nothing is written while nobody types.
        assert not app.screen.query_one(Input).cursor_blink
