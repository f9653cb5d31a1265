"""The list widget: moving, marks, opening, columns, and staying on a row over a reload."""

import asyncio

from textual.pilot import Pilot

from hooktui.console.widgets.table import Column, place
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.wire.pages import Page
from tests.console.rows import ListApp, Row, Rows

SIZE = (40, 12)


async def settled(pilot: Pilot[None]) -> None:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def test_a_list_of_a_hundred_thousand_rows_draws_only_what_is_seen():
    source = Rows(100_000)
    async with ListApp(source).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        assert app.text(1).split() == ["0", "row", "0"]
        assert len(source.asked) == 1
        assert app.listing.virtual_size.height == 100_001


async def test_end_shows_the_last_row_and_home_the_first_without_walking_through():
    source = Rows(100_000)
    async with ListApp(source).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        await pilot.press("G")
        await settled(pilot)
        assert app.listing.cursor_row == Row(99_999, "row 99999")
        assert app.text(11).split()[0] == "99999"
        await pilot.press("g")
        await settled(pilot)
        assert app.listing.cursor_row == Row(0, "row 0")
        assert len(source.asked) < 8


async def test_paging_down_arrives_at_every_page_of_the_list():
    async with ListApp(Rows(260)).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        for _ in range(24):
            await pilot.press("pagedown")
            await settled(pilot)
        assert app.listing.cursor_row == Row(259, "row 259")


async def test_the_cursor_repaints_two_lines():
    async with ListApp(Rows(50)).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        await pilot.pause()
        drawn: list[int] = []
        original = app.listing.render_line

        def counting(y: int) -> object:
            drawn.append(y)
            return original(y)

        app.listing.render_line = counting  # type: ignore[method-assign,assignment]
        await pilot.press("j")
        await pilot.pause()
        assert sorted(set(drawn)) == [1, 2]


async def test_the_cursor_stays_on_its_row_when_rows_come_before_it():
    source = Rows(50)
    async with ListApp(source, descending=True).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        await pilot.press("j", "j", "j")
        assert app.listing.cursor_row == Row(46, "row 46")
        source.rows += [Row(50, "new"), Row(51, "new")]
        await app.listing.reload()
        assert app.listing.cursor_row == Row(46, "row 46")
        assert app.text(1).split()[0] == "51"


async def test_the_line_of_the_cursor_stays_in_place_when_the_list_was_scrolled():
    source = Rows(90)
    async with ListApp(source, descending=True).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        await pilot.press("pagedown", "pagedown")
        before = app.text(5)
        source.rows += [Row(90, "new"), Row(91, "new")]
        await app.listing.reload()
        assert app.text(5) == before


async def test_a_row_that_is_gone_leaves_the_cursor_at_its_place():
    source = Rows(5)
    async with ListApp(source).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        await pilot.press("G")
        del source.rows[4]
        await app.listing.reload()
        assert app.listing.cursor_row == Row(3, "row 3")


async def test_marks_are_what_a_command_acts_on_and_survive_a_reload():
    source = Rows(20)
    async with ListApp(source).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        listing = app.listing
        assert [row.id for row in listing.selected] == [0]
        listing.toggle_mark()
        listing.toggle_mark()
        source.rows[1] = Row(1, "renamed")
        await listing.reload()
        assert [row.name for row in listing.selected] == ["row 0", "renamed"]
        assert listing.mark_all() == 20
        assert listing.clear_marks()
        assert not listing.clear_marks()


async def test_a_move_while_rows_are_on_their_way_holds():
    """Red when the cursor goes back to where it was when they were asked for.

    Two presses of space, and a reload between them, then marked a row and unmarked it again.
    """
    source = Rows(50)
    async with ListApp(source).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        await settled(pilot)
        arrives, page = asyncio.Event(), source.page

        async def slow(wanted) -> Page[Row]:
            await arrives.wait()
            return await page(wanted)

        source.page = slow  # type: ignore[method-assign]
        reload = asyncio.create_task(app.listing.reload())
        await pilot.pause()
        app.listing.toggle_mark()
        arrives.set()
        await reload
        app.listing.toggle_mark()
        assert list(app.listing.marks) == [0, 1]


async def test_the_number_of_rows_is_not_told_while_another_list_is_on_its_way():
    """Red when the heading names a new filter beside the number of the old one."""
    source = Rows(50)
    async with ListApp(source).run_test(size=SIZE) as pilot:
        listing = pilot.app.query_one(WindowedList)
        await settled(pilot)
        assert listing.counted("delivery") == "50 deliveries"
        arrives, page = asyncio.Event(), source.page

        async def slow(wanted) -> Page[Row]:
            await arrives.wait()
            return await page(wanted)

        source.page = slow  # type: ignore[method-assign]
        source.rows = source.rows[:1]
        listing.load_anew()
        await pilot.pause()
        assert listing.counted("delivery") == listing.glyphs.ellipsis
        arrives.set()
        await settled(pilot)
        assert listing.counted("delivery") == "1 delivery"
        source.broken = True
        listing.load_anew()
        await settled(pilot)
        assert listing.counted("delivery") == "1 delivery"  # the old rows stay, and so does this


async def test_enter_and_a_double_click_open_the_row():
    async with ListApp(Rows(20)).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        await pilot.press("j", "enter")
        await pilot.double_click(app.listing, offset=(5, 4))
        await pilot.pause()
        assert [row.id for row in app.opened] == [1, 3]


async def test_an_empty_list_teaches():
    empty = ((("nothing here; n makes one", "plain"),),)
    async with ListApp(Rows(0), empty=empty).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        await pilot.press("j", "G", "enter", "pageup")
        assert app.text(2) == "nothing here; n makes one"
        assert app.opened == []


async def test_keys_typed_before_the_rows_are_there_count():
    app = ListApp(Rows(20))
    app.listing.action_move("down")
    app.listing.action_move("down")
    async with app.run_test(size=SIZE):
        assert app.listing.cursor == 2


async def test_rows_stay_when_the_source_fails_and_the_list_says_why():
    source = Rows(20)
    async with ListApp(source).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        source.broken = True
        await app.listing.reload()
        await pilot.pause()
        assert app.failures == ["no server responds"]
        assert app.text(1).split()[0] == "0"


async def test_what_somebody_typed_is_shown_and_never_acts():
    source = Rows(1)
    source.rows = [Row(0, "\x1b]52;c;eA==\x07[@click=app.quit]x[/nope]")]
    async with ListApp(source).run_test(size=(80, 12)) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        assert app.text(1).strip() == "0  ␛]52;c;eA==␇[@click=app.quit]x[/nope]"


async def test_a_resize_lays_out_the_columns_again():
    async with ListApp(Rows(3)).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        await pilot.resize_terminal(14, 12)
        await pilot.pause()
        assert app.text(1).strip() == "0"


def columns(*specs: tuple[str, int, int, int]) -> list[Column[str]]:
    return [
        Column(name=name, title=name, cell=str, width=width, grow=grow, priority=priority)
        for name, width, grow, priority in specs
    ]


def test_columns_drop_by_priority_and_the_rest_grow():
    wanted = columns(("state", 8, 0, 0), ("name", 10, 2, 0), ("host", 10, 1, 2), ("p95", 6, 0, 5))
    assert [(p.column.name, p.width) for p in place(wanted, 40)] == [
        ("state", 8), ("name", 10), ("host", 10), ("p95", 6),
    ]  # fmt: skip
    assert [p.column.name for p in place(wanted, 39)] == ["state", "name", "host"]
    assert [p.column.name for p in place(wanted, 20)] == ["state", "name"]
    wide = place(wanted, 70)
    assert sum(p.width for p in wide) + 3 * 2 == 70
    assert [p.width for p in wide] == [8, 30, 20, 6]


def test_a_column_is_cut_to_its_least_before_one_like_it_is_dropped():
    host = Column[str](name="host", title="host", cell=str, width=10, least=6, priority=2)
    wanted = [*columns(("name", 10, 0, 0)), host, *columns(("last", 4, 0, 2), ("p95", 4, 0, 5))]
    assert [(p.column.name, p.width) for p in place(wanted, 26)] == [
        ("name", 10), ("host", 8), ("last", 4),
    ]  # fmt: skip
    assert [p.column.name for p in place(wanted, 24)] == ["name", "host", "last"]
    assert [(p.column.name, p.width) for p in place(wanted, 23)] == [("name", 10), ("host", 10)]


def test_one_column_is_always_left():
    assert len(place(columns(("a", 30, 0, 0), ("b", 30, 0, 1)), 5)) == 1
