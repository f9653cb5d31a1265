"""The chosen row of a list: the cursor stays on it, and what takes its place is not acted on."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.pilot import Pilot

from hooktui.console.widgets.list_choice import RowChoice
from hooktui.console.widgets.page_window import PAGE, SEARCH_PAGES, PageWindow
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.wire.pages import MAX_LIMIT, Page
from tests.console.rows import ListApp, Row, Rows

SIZE = (40, 12)


async def settled(pilot: Pilot[None]) -> WindowedList[Row]:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    return pilot.app.query_one(WindowedList)


def cursor_in_sight(listing: WindowedList[Row]) -> bool:
    return listing.top <= listing.cursor < listing.top + listing.rows_high


# Red when a sort puts the cursor on the row that was first, or leaves it out of sight.
@pytest.mark.parametrize("count", [5, 90, 350, 2_000])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
async def test_the_cursor_stays_on_its_row_when_the_order_is_turned_round(count: int, share: float):
    async with ListApp(Rows(count), sort="id").run_test(size=SIZE) as pilot:
        listing = await settled(pilot)
        wanted = round(share * (count - 1))
        listing.select(wanted)
        await settled(pilot)
        for descending in (True, False, True):
            await listing.sort_by("id", descending=descending)
            listing = await settled(pilot)
            assert listing.cursor_row == Row(wanted, f"row {wanted}")
            assert listing.stale_reason is None
            assert cursor_in_sight(listing)


# Red when a row that is not found leaves the cursor on another one that commands act on.
async def test_a_row_too_far_away_to_be_found_leaves_a_cursor_that_no_command_acts_on():
    far = MAX_LIMIT * SEARCH_PAGES + 2 * PAGE
    source = Rows(2 * far)
    async with ListApp(source, sort="id").run_test(size=SIZE) as pilot:
        listing = await settled(pilot)
        listing.choice.choose(far, awaited=True)
        source.asked.clear()
        await listing.sort_by("id", descending=True)
        assert len(source.asked) <= 2 * SEARCH_PAGES + 2
        assert (listing.cursor, listing.stale_reason) == (0, "replaced")
        listing.show_cursor()
        assert listing.stale_reason is None


# Red when a command hits the neighbour of a row that has just gone.
async def test_the_neighbour_of_a_row_that_is_gone_is_not_chosen_until_somebody_has_looked():
    source = Rows(5)
    async with ListApp(source).run_test(size=SIZE) as pilot:
        listing = await settled(pilot)
        await pilot.press("j", "j")
        assert listing.stale_reason is None
        del source.rows[2]
        await listing.reload()
        assert (listing.cursor_row, listing.stale_reason) == (Row(3, "row 3"), "replaced")
        # A move that was meant from the row before, typed before the change was drawn, is no look.
        listing.action_move("down")
        assert listing.stale_reason == "replaced"
        await pilot.pause()
        await pilot.press("k")
        assert (listing.cursor_row, listing.stale_reason) == (Row(3, "row 3"), None)


async def test_the_neighbour_of_a_row_that_was_deleted_here_can_be_acted_on_at_once():
    source = Rows(5)
    async with ListApp(source).run_test(size=SIZE) as pilot:
        listing = await settled(pilot)
        listing.choice.remove([0])
        del source.rows[0]
        await listing.reload()
        await settled(pilot)
        assert (listing.cursor_row, listing.stale_reason) == (Row(1, "row 1"), None)


# Red when a group that was given up, and has got events since, is taken for one deleted here.
async def test_a_row_that_is_still_listed_after_its_deletion_was_not_deleted():
    source = Rows(20)
    async with ListApp(source, sort="id").run_test(size=SIZE) as pilot:
        listing = await settled(pilot)
        listing.select(5)
        listing = await settled(pilot)
        listing.choice.remove([5])
        await listing.reload()
        del source.rows[5]
        await listing.reload()
        assert listing.stale_reason == "replaced"


# Red when many new rows push the chosen one out of the page that is loaded again.
async def test_a_burst_of_new_rows_before_it_does_not_take_the_cursor_from_its_row():
    source = Rows(50)
    async with ListApp(source, descending=True).run_test(size=SIZE) as pilot:
        listing = await settled(pilot)
        await pilot.press("j", "j", "j")
        for _ in range(3):
            following = len(source.rows)
            source.rows += [Row(following + number, "new") for number in range(PAGE + 50)]
            await listing.reload()
            assert (listing.cursor_row, listing.stale_reason) == (Row(46, "row 46"), None)
            assert cursor_in_sight(listing)


# Red when a list of which nothing has arrived yet says that there is no row.
async def test_before_its_first_rows_a_list_is_loading_and_not_empty():
    source, reasons = Rows(50), []
    app, page = ListApp(source), source.page

    async def asked(wanted) -> Page[Row]:
        reasons.append(app.query_one(WindowedList).stale_reason)
        return await page(wanted)

    source.page = asked  # type: ignore[method-assign]
    async with app.run_test(size=SIZE) as pilot:
        assert (await settled(pilot)).stale_reason is None
        assert reasons[0] == "loading"


# Red when a command acts on the list before while the one that was asked for is on its way.
@pytest.mark.parametrize("load", ["filter", "sort"])
async def test_while_another_list_is_on_its_way_nothing_is_chosen(load: str):
    source = Rows(50)
    async with ListApp(source).run_test(size=SIZE) as pilot:
        listing = await settled(pilot)
        arrives, page = asyncio.Event(), source.page

        async def slow(wanted) -> Page[Row]:
            await arrives.wait()
            return await page(wanted)

        source.page = slow  # type: ignore[method-assign]
        if load == "filter":
            listing.load_anew()
        else:
            listing.run_worker(listing.sort_by("id", descending=True))
        await pilot.pause()
        reload = asyncio.create_task(listing.reload())  # such as a live change
        await pilot.pause()
        assert listing.stale_reason == "loading"
        arrives.set()
        await reload
        await settled(pilot)
        assert (listing.cursor_row, listing.stale_reason) == (Row(0, "row 0"), None)


# Red when rows that were asked for before the sort are shown after it, with their order.
async def test_a_reload_that_arrives_after_a_sort_was_asked_for_does_not_undo_it():
    source = Rows(50)
    async with ListApp(source, sort="id").run_test(size=SIZE) as pilot:
        listing = await settled(pilot)
        arrives, page = asyncio.Event(), source.page

        async def slow(wanted) -> Page[Row]:
            await arrives.wait()
            return await page(wanted)

        source.page = slow  # type: ignore[method-assign]
        reload = asyncio.create_task(listing.reload())
        await pilot.pause()
        listing.run_worker(listing.sort_by("id", descending=True))
        await pilot.pause()
        arrives.set()
        await reload
        await settled(pilot)
        assert [row.id for row in listing.window.rows()][:2] == [49, 48]
        assert (listing.window.descending, listing.cursor_row) == (True, Row(0, "row 0"))


# Red when the cursor stays on the first row after a filter that hid its row was taken away.
async def test_without_the_filter_that_hid_it_a_row_is_chosen_again():
    source = Rows(300)
    everything = source.rows
    async with ListApp(source).run_test(size=SIZE) as pilot:
        listing = await settled(pilot)
        await pilot.press("j", "j")
        for rows in ([Row(7, "row 7"), Row(8, "row 8")], [Row(8, "row 8")], [], everything):
            source.rows = rows
            listing.load_anew()
            await settled(pilot)
            assert listing.stale_reason is None
        assert listing.cursor_row == Row(2, "row 2")
        source.rows = everything[7:9]
        listing.load_anew()
        await settled(pilot)
        await pilot.press("j")  # now another row is chosen
        source.rows = everything
        listing.load_anew()
        await settled(pilot)
        assert listing.cursor_row == Row(8, "row 8")


async def test_a_row_that_the_wheel_has_left_behind_is_not_acted_on():
    async with ListApp(Rows(400)).run_test(size=SIZE) as pilot:
        listing = await settled(pilot)
        listing.scroll_top(50)
        await settled(pilot)
        assert listing.stale_reason == "hidden"
        listing.show_cursor()
        assert listing.stale_reason is None
        assert cursor_in_sight(listing)


# Red when a row that is created is looked for in what is loaded only.
async def test_what_was_created_is_chosen_wherever_it_stands():
    source = Rows(1_200)
    async with ListApp(source).run_test(size=SIZE) as pilot:
        listing = await settled(pilot)
        source.rows.append(Row(1_200, "new"))
        listing.select(1_200)
        assert listing.stale_reason == "replaced"  # not the row before it
        await settled(pilot)
        assert (listing.cursor_row, listing.stale_reason) == (Row(1_200, "new"), None)


# Red when a key that was meant for a disabled hook disables it, because it was enabled just then.
async def test_a_command_gets_the_row_as_it_was_drawn():
    source = Rows(5)
    async with ListApp(source).run_test(size=SIZE) as pilot:
        listing = await settled(pilot)
        source.rows[0] = Row(0, "changed")
        await listing.reload()  # awaits nothing that lets a frame be drawn
        assert listing.selected == [Row(0, "row 0")]
        await pilot.pause()
        assert listing.selected == [Row(0, "changed")]


async def test_the_first_row_of_a_list_is_chosen_once_it_is_drawn():
    source = Rows(5)
    async with ListApp(source).run_test(size=SIZE) as pilot:
        listing = await settled(pilot)
        source.rows = source.rows[2:]
        await listing.load()  # as a filter does
        assert (listing.undrawn, listing.cursor_row) == (True, Row(2, "row 2"))
        await pilot.pause()
        assert (listing.undrawn, listing.choice.row) == (False, 2)


# Red when a click takes what stands at its line by now, and not what was drawn there.
async def test_a_click_chooses_the_row_that_was_drawn():
    source = Rows(50)
    async with ListApp(source, descending=True).run_test(size=SIZE) as pilot:
        listing = await settled(pilot)
        wanted = listing.window.row(3)
        source.rows += [Row(50, "new"), Row(51, "new")]
        await listing.reload()  # awaits nothing that lets a frame be drawn
        listing.on_click(click(5, 4))
        assert listing.cursor_row == wanted


def click(x: int, y: int) -> events.Click:
    return events.Click(None, x, y, 0, 0, 1, shift=False, meta=False, ctrl=False)


@given(
    st.integers(0, 3_000),
    st.integers(0, 3_000),
    st.booleans(),
)
async def test_a_row_is_found_from_either_end(count: int, wanted: int, descending: bool):
    window = PageWindow(Rows(count), lambda row: row.id)
    window.sort, window.descending = "id", descending
    await window.to_start()
    found = await window.to_row(wanted)
    assert found == (wanted < count)
    if found:
        position = window.find(wanted)
        assert position == (count - 1 - wanted if descending else wanted)
        # Loading again what is seen there keeps it, wherever its page was entered from.
        await window.load_again(position, position + 10)
        assert window.find(wanted) == position


@given(st.lists(st.integers(0, 9), max_size=8, unique=True), st.booleans(), st.booleans())
def test_a_list_without_the_chosen_row_has_none_chosen(rows, filtered, awaited):
    choice = RowChoice()
    choice.choose(4, awaited=awaited)
    position = choice.settle({row: at for at, row in enumerate(rows)}.get, filtered=filtered)
    if 4 in rows:
        assert (position, choice.row) == (rows.index(4), 4)
    else:
        assert position is None
        assert choice.row == (None if filtered and not awaited else 4)
