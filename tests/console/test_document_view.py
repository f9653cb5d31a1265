"""The document widget as keys move it."""

import json
from dataclasses import replace

import pytest

from hooktui.console.widgets.document_lines import Section
from hooktui.console.widgets.document_view import DocumentView
from tests.console.bare import BareApp
from tests.console.screen_text import rows_of

BODY = '{"id":7,"owner":{"name":"Ann","tags":["a","b"]}}'
SECTIONS = [
    Section("Headers", pairs=(("Content-Type", "application/json"), ("X-Id", "7")), opened=False),
    Section("Body", note="48B", text=BODY),
]


class Viewer(BareApp):
    """Only the document."""

    def __init__(self) -> None:
        self.view = DocumentView()
        super().__init__(self.view)


async def test_headings_and_objects_fold_and_unfold_on_enter() -> None:
    app = Viewer()
    async with app.run_test(size=(60, 20)) as pilot:
        app.view.show(SECTIONS)
        assert rows_of(app.view)[:3] == ["▸ Headers", "▾ Body  48B", "{"]
        await pilot.press("enter", "down", "down", "down", "down", "down", "down")
        assert rows_of(app.view)[:3] == ["▾ Headers", "Content-Type: application/json", "X-Id: 7"]
        assert rows_of(app.view)[app.view.cursor] == '  "owner": {'
        await pilot.press("enter")
        assert rows_of(app.view)[app.view.cursor :] == ['  "owner": { 2 keys }', "}"]


async def test_what_was_folded_by_hand_stays_folded_when_the_document_is_shown_again() -> None:
    app = Viewer()
    async with app.run_test(size=(60, 20)) as pilot:
        app.view.show(SECTIONS)
        await pilot.press("enter")
        app.view.show([*SECTIONS, Section("More", text="x")])
        assert rows_of(app.view)[:2] == ["▾ Headers", "Content-Type: application/json"]


async def test_a_folded_value_stays_folded_when_another_section_changes() -> None:
    """Red when a time that advances in one section unfolds what was folded in another one."""
    app = Viewer()
    async with app.run_test(size=(60, 20)) as pilot:
        times = Section("Next attempts", pairs=(("attempt 2", "in 5m"),))
        app.view.show([times, *SECTIONS])
        await pilot.press("G", *["up"] * 7, "enter")
        assert '  "owner": { 2 keys }' in rows_of(app.view)
        app.view.show([replace(times, pairs=(("attempt 2", "in 4m"),)), *SECTIONS])
        assert '  "owner": { 2 keys }' in rows_of(app.view)
        app.view.show([times, Section("Body", note="48B", text=BODY.replace("7", "8"))])
        assert '  "owner": {' in rows_of(app.view)


async def test_a_copy_takes_the_value_under_the_cursor_and_says_what_it_is() -> None:
    app = Viewer()
    async with app.run_test(size=(60, 20)) as pilot:
        app.view.show(SECTIONS)
        await pilot.press("down")
        assert app.view.under_cursor() == ("body", BODY)
        await pilot.press("down", "down", "down", "down")
        assert app.view.under_cursor() == ("a line of the body", "Ann")
        await pilot.press("up")
        assert app.view.under_cursor() == (
            "a line of the body",
            '{"name":"Ann","tags":["a","b"]}',
        )


async def test_raw_shows_the_bytes_as_sent_and_wraps_them_to_the_width() -> None:
    app = Viewer()
    async with app.run_test(size=(30, 20)) as pilot:
        app.view.show(SECTIONS)
        app.view.next_form()
        await pilot.pause()
        body = rows_of(app.view)[2:]
        assert "".join(body) == BODY
        assert all(len(row) <= 30 for row in body)
        await pilot.resize_terminal(20, 20)
        await pilot.pause()
        assert all(len(row) <= 20 for row in rows_of(app.view)[2:])


async def test_long_lines_scroll_sideways_or_wrap() -> None:
    app = Viewer()
    async with app.run_test(size=(20, 8)) as pilot:
        app.view.show([Section("Body", text='{"a":"' + "x" * 30 + 'end"}')])
        await pilot.pause()
        assert "end" not in app.view.render_line(2).text
        await pilot.press("right", "right", "right", "right")
        await pilot.pause()
        assert "end" in app.view.render_line(2).text
        app.view.toggle_wrap()
        await pilot.pause()
        assert "".join(rows_of(app.view)[2:5]).endswith('end"')


async def test_the_cursor_stays_on_the_screen_in_a_long_document() -> None:
    app = Viewer()
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.show([Section("Body", text="\n".join(f"line {n}" for n in range(500)))])
        await pilot.press("G")
        await pilot.pause()
        assert app.view.scroll_offset.y == 501 - 10
        await pilot.press("pageup", "g")
        await pilot.pause()
        assert app.view.scroll_offset.y == 0


async def test_wide_characters_are_wrapped_whole() -> None:
    app = Viewer()
    async with app.run_test(size=(11, 20)) as pilot:
        text = "日本語" * 9
        app.view.show([Section("Body", text=text)])
        app.view.next_form()
        await pilot.pause()
        rows = rows_of(app.view)[1:]
        assert "".join(rows) == text
        assert all(len(row) <= 5 for row in rows)


async def test_a_line_that_goes_on_beyond_the_edge_says_so() -> None:
    app = Viewer()
    async with app.run_test(size=(20, 8)) as pilot:
        app.view.show([Section("Body", text="0123456789" * 5)])
        await pilot.pause()
        assert app.view.render_line(1).text.rstrip().endswith("…")
        await pilot.press("right", "right", "right", "right")
        await pilot.pause()
        assert "…" not in app.view.render_line(1).text


async def test_bodies_are_shown_in_each_form_in_turn() -> None:
    app = Viewer()
    async with app.run_test(size=(80, 20)) as pilot:
        app.view.show([Section("Body", text='{"a":1}')])
        assert rows_of(app.view)[1:] == ["{", '  "a": 1', "}"]
        assert app.view.next_form() == "raw"
        assert rows_of(app.view)[1:] == ['{"a":1}']
        assert app.view.next_form() == "hex"
        assert rows_of(app.view)[1].startswith("000000  7b 22 61 22 3a 31 7d")
        assert app.view.next_form() == "tree"
        await pilot.pause()


LONG = json.dumps([{"number": number, "text": f"text {number} " * 20} for number in range(2000)])


def _in_view(view: DocumentView, text: str) -> bool:
    return any(text in view.render_line(y).text for y in range(view.size.height))


# Red when the cursor or the visible part stays at a row number, which is another line then.
@pytest.mark.parametrize("searched", ['"number": 1998', '1998 text 1998 "', "text 17 text"])
async def test_wrapping_keeps_the_match_in_view_and_the_cursor_on_its_line(searched: str) -> None:
    app = Viewer()
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.show([Section("Headers", pairs=(("X", "y" * 400),)), Section("Body", text=LONG)])
        assert app.view.search(searched)
        await pilot.pause()
        copied = app.view.under_cursor()
        for _ in range(4):
            assert _in_view(app.view, searched.partition(" text")[0])
            assert app.view.under_cursor() == copied
            app.view.toggle_wrap()
            await pilot.pause()
        for columns in (40, 80):
            app.view.toggle_wrap()
            await pilot.resize_terminal(columns, 12)
            await pilot.pause()
            assert app.view.under_cursor() == copied
            assert app.view.scroll_offset.y <= app.view.cursor < app.view.scroll_offset.y + 12


async def test_wrapping_keeps_the_top_line_if_the_cursor_is_out_of_view() -> None:
    """Red when the visible part jumps to other lines."""
    app = Viewer()
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.show([Section("Body", text=LONG)])
        await pilot.pause()
        app.view.scroll_to(y=4003, animate=False, force=True)
        await pilot.pause()
        assert '"number": 1000' in app.view.render_line(0).text
        for _ in range(4):
            app.view.toggle_wrap()
            await pilot.pause()
            assert '"number": 1000' in app.view.render_line(0).text
            assert app.view.cursor == 0
