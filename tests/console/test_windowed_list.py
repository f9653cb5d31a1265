"""The list widget: moving, marks, opening, columns, and staying on a row over a reload."""

import asyncio
from dataclasses import replace
from unittest.mock import Mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from hooktui.console.deliveries.columns import delivery_columns
from hooktui.console.deliveries.undelivered_text import group_columns
from hooktui.console.engine.text import EngineHook, engine_columns
from hooktui.console.glyphs import UNICODE
from hooktui.console.hooks.columns import columns as hook_columns
from hooktui.console.log.columns import log_columns
from hooktui.console.shell.log_buffer import LogLine
from hooktui.console.widgets.table import GAP, Column, needs_of, place
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.clock import from_rfc3339
from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.server import OpenBreaker
from hooktui.domain.wire.undelivered import UndeliveredGroup
from tests.cli.test_undelivered import GROUP
from tests.console.rows import ListApp, Row, Rows
from tests.support.scripted_server import DELIVERY, HOOK

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
        assert listing.mark_all(100) == 20
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


# Red when the rows of one filter stay below the name of another one that the server refused.
async def test_another_list_that_cannot_be_loaded_leaves_no_rows_of_the_old_one():
    source = Rows(50)
    async with ListApp(source).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        listing = app.listing
        await settled(pilot)
        await pilot.press("j")
        listing.toggle_mark()
        source.broken = True
        listing.explain([(("why not", "plain"),)])
        for _ in range(2):
            listing.load_anew()
            await settled(pilot)
            assert (app.text(1), listing.cursor_row) == ("why not", None)
            assert listing.counted("row") == ""
            assert listing.marks.unseen == 1  # no command acts on a mark that is not shown
        assert app.failures == ["no server responds"] * 2
        source.broken, source.rows = False, source.rows[7:9]
        await listing.reload()
        assert (listing.counted("row"), listing.cursor_row) == ("2 rows", Row(7, "row 7"))
        assert listing.stale_reason is None


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


# Red when a failed load moves the cursor as far as there are rows: a command would act on another.
async def test_a_jump_that_fails_leaves_the_cursor():
    source = Rows(1_000)
    async with ListApp(source).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        await pilot.press("down")
        source.broken = True
        await pilot.press("G")
        await settled(pilot)
        assert app.failures == ["no server responds"]
        assert app.listing.cursor_row == Row(1, "row 1")


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
        Column(name=name, cell=str, width=width, grow=grow, priority=priority)
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
    host = Column[str](name="host", cell=str, width=10, least=6, priority=2)
    wanted = [*columns(("name", 10, 0, 0)), host, *columns(("last", 4, 0, 2), ("p95", 4, 0, 5))]
    assert [(p.column.name, p.width) for p in place(wanted, 26)] == [
        ("name", 10), ("host", 8), ("last", 4),
    ]  # fmt: skip
    assert [p.column.name for p in place(wanted, 24)] == ["name", "host", "last"]
    assert [(p.column.name, p.width) for p in place(wanted, 23)] == [("name", 10), ("host", 10)]


def test_one_column_is_always_left():
    assert len(place(columns(("a", 30, 0, 0), ("b", 30, 0, 1)), 5)) == 1


NAMES = "abcdefgh"
_SIZES = st.integers(1, 20)


@st.composite
def tables(draw):
    """Draw columns, rows of texts, and the cells that there are."""
    shown = [
        Column(name=name, title=name * draw(st.integers(1, 4)),
               cell=lambda row, at=at: row[at], width=width,
               least=draw(st.sampled_from([0, 0, width // 2])), grow=draw(st.integers(0, 3)),
               max_width=width + draw(st.integers(0, 30)), whole=draw(st.booleans()),
               priority=draw(st.integers(0, 4)), sort=draw(st.sampled_from([None, name])))
        for at, name in enumerate(NAMES[: draw(st.integers(1, 8))])
        for width in [draw(st.integers(5, 20))]
    ]  # fmt: skip
    texts = st.tuples(*[st.text("x漢", max_size=draw(st.sampled_from([4, 60]))) for _ in shown])
    return shown, draw(st.lists(texts, min_size=1, max_size=4)), draw(st.integers(20, 130))


# Red when columns keep cells that no row needs while a text is cut, or do not fit.
@given(tables())
def test_no_cell_is_cut_while_the_rows_have_unused_cells(table):
    shown, rows, room = table
    needs: dict[str, int] = {}
    needs_of(shown, rows, needs)
    placed = place(shown, room, needs)
    used = sum(cell.width for cell in placed) + GAP * (len(placed) - 1)
    assert used <= room or len(placed) == 1
    if any(needs[cell.column.name] > cell.width for cell in placed) and len(placed) > 1:
        unused = room - used
        for cell in placed:
            title = len(cell.column.heading) + (cell.column.sort is not None)
            unused += max(cell.width - max(needs[cell.column.name], title), 0)
        assert unused == 0


# Red when one long name takes all cells, and the host beside it is cut.
@given(tables())
def test_no_cell_is_cut_beside_one_that_is_wider_than_its_maximum(table):
    shown, rows, room = table
    needs: dict[str, int] = {}
    needs_of(shown, rows, needs)
    placed = place(shown, room, needs)
    if any(cell.width > max(cell.column.max_width, cell.column.width) for cell in placed):
        for cell in placed:
            assert cell.width >= min(needs[cell.column.name], cell.column.max_width)


# Red when a text that is to be shown whole is cut beside a column of less value.
@given(tables())
def test_columns_of_less_value_give_way_to_a_text_that_is_shown_whole(table):
    shown, rows, room = table
    needs: dict[str, int] = {}
    needs_of(shown, rows, needs)
    placed = place(shown, room, needs)
    for cell in placed:
        wanted = min(needs[cell.column.name], cell.column.max_width)
        if cell.column.whole and not cell.column.least and cell.width < wanted:
            assert len(placed) == 1


# Red when rows that all fit are placed in another way than before they were known.
@given(tables())
def test_short_texts_change_no_width(table):
    shown, _, room = table
    shown = [replace(column, title="", whole=False, least=0) for column in shown]
    assert place(shown, room, dict.fromkeys(NAMES, 1)) == place(shown, room)


AT = "2026-11-25T00:00:00.000Z"
LONG = {"name": "Slack relay of the ops team"}
FAILED_HOOKS = [
    msgspec.convert(HOOK | {"id": at, "stats": {**HOOK["stats"], "last_status": error}}, Hook)
    for at, error in enumerate(ErrorClass)
]
FAILED_DELIVERIES = [
    msgspec.convert(DELIVERY | {"last_status": error, "reason": "gave up"}, Delivery)
    for error in ErrorClass
]
FAILED_GROUPS = [
    msgspec.convert(GROUP | LONG | {"cause": error}, UndeliveredGroup) for error in ErrorClass
]
FAILED_LINES = [
    LogLine(at_ms=1, delivery="dlv_1", hook=1, event_type="hooktui.replay.finished", attempt=1,
            status="failed", outcome="failed", result=error, duration_ms=1, detail="why " * 40)
    for error in ErrorClass
]  # fmt: skip


def clock() -> int:
    return from_rfc3339(AT)


# Red when a class of error is cut on a terminal of 80 or more columns.
@pytest.mark.parametrize("room", [77, 97, 117])
@pytest.mark.parametrize(
    ("shown", "rows", "name"),
    [
        (hook_columns(UNICODE, clock, Mock()), FAILED_HOOKS, "last"),
        (delivery_columns(UNICODE, clock, lambda _: "Slack relay"), FAILED_DELIVERIES, "result"),
        (group_columns(clock), FAILED_GROUPS, "cause"),
        (log_columns(lambda _: "Slack relay", UNICODE), FAILED_LINES, "result"),
    ],
)
def test_an_error_class_is_shown_whole(monkeypatch, shown, rows, name, room):
    monkeypatch.setattr("hooktui.console.hooks.columns.summary", lambda *_: "job")
    needs: dict[str, int] = {}
    needs_of(shown, rows, needs)
    widths = {cell.column.name: cell.width for cell in place(shown, room, needs)}
    assert widths[name] >= needs[name]
    if room == 117 and "hook" in widths:
        assert widths["hook"] >= min(needs["hook"], 26)


# Red when the column is dropped: nothing else says that nobody will send the events.
def test_the_smallest_terminal_shows_what_undelivered_events_wait_for():
    groups = [
        msgspec.convert(GROUP | {"waits_for": word}, UndeliveredGroup)
        for word in ("disabled", "breaker", "paused")
    ]
    needs: dict[str, int] = {}
    columns = group_columns(clock)
    needs_of(columns, groups, needs)
    widths = {cell.column.name: cell.width for cell in place(columns, 77, needs)}
    assert widths["waits"] >= len("disabled")
    assert widths.keys() >= {"hook", "cause", "count", "gave_up", "oldest", "state"}


# Red when a column of short names keeps cells that the words of a breaker need.
def test_the_words_of_a_breaker_are_whole_where_names_are_short():
    at = "2026-11-25T00:03:15.000Z"
    breaker = OpenBreaker(hook=3, name="Slack", probe_at=at, failures=12)
    row = EngineHook(hook=3, name="Slack", waiting=4, breaker=breaker)
    needs: dict[str, int] = {}
    columns = engine_columns(UNICODE, clock, lambda: True)
    needs_of(columns, [row], needs)
    widths = {cell.column.name: cell.width for cell in place(columns, 77, needs)}
    assert widths["breaker"] >= needs["breaker"] > 40


async def test_a_list_gives_the_cells_that_no_row_needs_to_a_text_that_would_be_cut():
    source = Rows(3)
    source.rows[1] = Row(1, "a name that needs all of 33 cells")
    async with ListApp(source).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, ListApp)
        assert app.text(2).endswith("a name that needs all of 33 cells")
        assert app.text(0).split() == ["id", "name"]
