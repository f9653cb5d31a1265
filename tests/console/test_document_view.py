"""The document widget as keys move it."""

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
