"""The frame of every screen: heading on top, line of keys at the very bottom."""

import pytest

from hooktui.console.access.token_form import NewTokenScreen, TokenForm
from hooktui.console.app import ConsoleApp
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.console.widgets.chrome import Heading, KeyLine, OneLine
from hooktui.domain.wire.access import Token
from tests.console.bare import BareApp
from tests.support.wire_objects import AT

TOKEN = Token(
    id=1, name="ci", role="viewer", account=None, created_at=AT, expires_at=None,
    last_used_at=None, token="hkt_x",
)  # fmt: skip


@pytest.mark.parametrize("make", [TokenForm, lambda: NewTokenScreen(TOKEN)], ids=["form", "token"])
async def test_the_keys_stand_at_the_bottom_however_little_there_is_to_say(tmp_path, make):
    app = ConsoleApp(ConsoleOptions(connect=str(tmp_path / "none.sock")), environ={})
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(make())
        await pilot.pause()
        assert app.screen.query_one(Heading).region.y == 0
        assert app.screen.query_one(KeyLine).region.bottom == 24


@pytest.mark.parametrize(("width", "line"), [(16, "Events   1 hooks"), (15, "Events      1 2")])
async def test_what_a_heading_says_and_where_digits_lead_do_not_read_as_one(width, line):
    heading = OneLine()
    async with BareApp(heading).run_test(size=(width, 3)) as pilot:
        heading.show((("Events", "plain"),), (("1 hooks", "plain"),), (("1 2", "plain"),))
        await pilot.pause()
        assert heading.render_line(0).text == line
