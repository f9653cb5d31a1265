"""The frame of every screen: heading on top, line of keys at the very bottom."""

import pytest

from hooktui.console.access.token_form import NewTokenScreen, TokenForm
from hooktui.console.app import ConsoleApp
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.console.widgets.chrome import Heading, KeyLine, Lines, OneLine, StatusLine
from hooktui.console.widgets.controls import Choice, Note
from hooktui.console.widgets.styled import wrapped
from hooktui.domain.wire.access import Token
from tests.console.bare import BareApp
from tests.support.waiting import until
from tests.support.wire_objects import AT

ROLES = ("viewer", "operator", "producer", "admin")

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


# Red while such a notice was dropped, as that of a command whose screen was closed before its end.
async def test_a_notice_that_comes_before_its_screen_is_drawn_is_shown(open_console):
    async with open_console() as console:
        await console.shows("No hooks yet")
        console.app.push_screen(TokenForm())
        console.app.notice("1 of 3 deliveries cancelled", "warn")
        await console.shows("New token", "1 of 3 deliveries cancelled")


# Red while the notes of wrong fields pushed the status and the keys out.
async def test_the_form_of_a_token_shows_wrong_fields_on_the_smallest_terminal(tmp_path):
    app = ConsoleApp(ConsoleOptions(connect=str(tmp_path / "none.sock")), environ={})
    async with app.run_test(size=(60, 15)) as pilot:
        await app.push_screen(TokenForm())
        await pilot.pause()
        await pilot.press("ctrl+s")
        note = app.screen.query_one("#note-name")
        await until(lambda: note.region.bottom <= 12)
        await pilot.press("x", "tab", "tab", "tab", *"30x", "ctrl+s")
        note = app.screen.query_one("#note-expires")
        await until(lambda: note.size.height == 2 and note.region.bottom <= 13)
        assert app.screen.query_one(KeyLine).region.bottom == 15


# Red while "admin" was cut: the gaps between the words took its room.
@pytest.mark.parametrize(
    ("width", "line"),
    [
        (60, "(x) viewer   ( ) operator   ( ) producer   ( ) admin"),
        (46, "(x) viewer ( ) operator ( ) producer ( ) admin"),
    ],
)
async def test_all_words_of_a_choice_fit_the_smallest_terminal(width, line):
    role = Choice(ROLES)
    async with BareApp(role).run_test(size=(width, 3)):
        assert role.render_line(0).text.rstrip() == line


# Red while the base class, which handles the click too, chose the word after it.
@pytest.mark.parametrize("width", [60, 46])
async def test_a_click_chooses_the_word_under_it(width):
    role = Choice(ROLES)
    async with BareApp(role).run_test(size=(width, 3)) as pilot:
        for word in ("operator", "viewer", "admin", "producer"):
            await pilot.click(role, offset=(role.render_line(0).text.index(word), 0))
            assert role.value == word


@pytest.mark.parametrize(("width", "line"), [(16, "Events   1 hooks"), (15, "Events      1 2")])
async def test_what_a_heading_says_and_where_digits_lead_do_not_read_as_one(width, line):
    heading = OneLine()
    async with BareApp(heading).run_test(size=(width, 3)) as pilot:
        heading.show((("Events", "plain"),), (("1 hooks", "plain"),), (("1 2", "plain"),))
        await pilot.pause()
        assert heading.render_line(0).text == line


WIDE = "hook 18 (日本 語の 名前 日本 語の 名前 \u200d x): given up, dns is acknowledged"


def notice():
    line = StatusLine()
    return line, lambda text: line.notify_line(text, "good")


def hanging():
    lines = Lines(hang=4)
    return lines, lambda text: lines.show([((" a  ", "quiet"), (text, "plain"))])


def note():
    line = Note(id="note")
    return line, line.show


# Red when a notice keeps the lines of the width that the terminal had when it came.
async def test_a_notice_wraps_again_when_the_terminal_gets_another_width():
    line = StatusLine()
    async with BareApp(line).run_test(size=(80, 24)) as pilot:
        line.notify_line(
            "hook 2 (On call) disabled; its new events are skipped; u undoes it", "good"
        )
        for width, height in ((80, 1), (60, 2), (30, 3), (120, 1)):
            await pilot.resize_terminal(width, 24)
            await pilot.pause()
            assert line.size.height == height
            drawn = " ".join(line.render_line(y).text.strip() for y in range(height))
            assert drawn == "hook 2 (On call) disabled; its new events are skipped; u undoes it"


# Red while textwrap counted characters: what was drawn wider lost its end.
@pytest.mark.parametrize("make", [notice, hanging, note])
async def test_a_text_that_wraps_keeps_its_words_also_if_its_characters_are_wide(make):
    widget, show = make()
    async with BareApp(widget).run_test(size=(44, 10)) as pilot:
        show(WIDE)
        await pilot.pause()
        drawn = " ".join(widget.render_line(y).text for y in range(widget.size.height))
    assert "…" not in drawn
    assert drawn.split()[-3:] == ["dns", "is", "acknowledged"]


@pytest.mark.parametrize(
    ("text", "width", "most", "lines"),
    [
        ("", 10, None, []),
        ("名前 x", 5, None, ["名前", "x"]),
        ("名前 x", 6, None, ["名前 x"]),
        ("日本語の名前", 4, None, ["日本", "語の", "名前"]),
        ("日本語の名前", 5, 2, ["日本", "語 …"]),
        ("a 日本語の名前 b", 8, None, ["a", "日本語の", "名前 b"]),
        ("plain words", 6, None, ["plain", "words"]),
    ],
)
def test_a_line_that_wraps_is_measured_in_cells(text, width, most, lines):
    assert wrapped(text, width, most=most) == lines
