"""The window over a long list: pages by cursor, positions, and what a reload keeps."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hooktui.console.widgets.page_window import MAX_PAGES, PAGE, PageWindow
from hooktui.domain.wire.pages import Page
from tests.console.rows import Row, Rows


def window_over(source: Rows) -> PageWindow[Row]:
    return PageWindow(source, lambda row: row.id)


def seen(window: PageWindow[Row]) -> list[int]:
    return [row.id for row in window.rows()]


async def test_the_first_page_alone_is_fetched_for_a_list_of_any_length():
    source = Rows(10_000)
    window = window_over(source)
    await window.to_start()
    assert source.asked == [(None, False)]
    assert (window.first, window.end, window.total) == (0, PAGE, 10_000)


async def test_walking_down_keeps_positions_and_forgets_the_first_pages():
    window = window_over(Rows(2_000))
    await window.to_start()
    while window.has_more:
        await window.load_next()
        assert seen(window) == list(range(window.first, window.end))
    assert window.end == window.total == 2_000
    assert window.end - window.first == MAX_PAGES * PAGE


async def test_walking_up_from_the_end_arrives_at_position_nought():
    window = window_over(Rows(1_234))
    await window.to_end()
    assert (window.first, window.end) == (1_134, 1_234)
    while window.has_before:
        await window.load_previous()
        assert seen(window) == list(range(window.first, window.end))
    assert window.first == 0


async def test_rows_that_came_before_the_window_are_seen_after_a_reload():
    source = Rows(300)
    window = window_over(source)
    window.descending = True
    await window.to_start()
    source.rows.append(Row(300, "new"))
    await window.load_again(0, 20)
    assert seen(window)[:2] == [300, 299]
    assert window.total == 301


async def test_a_reload_leaves_no_gap_between_pages():
    source = Rows(450)
    window = window_over(source)
    window.descending = True
    await window.to_start()
    await window.load_next()
    source.rows += [Row(number, "new") for number in range(450, 480)]
    await window.load_again(0, 150)
    numbers = seen(window)
    assert numbers == list(range(479, 479 - len(numbers), -1))


async def test_a_reload_in_the_middle_keeps_the_pages_before_it():
    source = Rows(450)
    window = window_over(source)
    await window.to_start()
    await window.load_next()
    await window.load_next()
    source.asked.clear()
    await window.load_again(150, 180)
    assert len(source.asked) == 1
    assert seen(window) == list(range(200))


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 1_500),
    steps=st.lists(
        st.sampled_from(
            ["load_next", "load_previous", "to_start", "to_end", "load_again", "add", "remove"]
        ),
        max_size=14,
    ),
)
async def test_whatever_is_done_the_window_is_one_piece_of_the_list(count: int, steps: list[str]):
    source = Rows(count)
    window = window_over(source)
    await window.to_start()
    following = count
    for step in steps:
        if step == "add":
            source.rows.append(Row(following, "new"))
            following += 1
        elif step == "remove":
            # The last row, so that every cursor still names a row.
            source.rows[-1:] = []
        elif step == "load_again":
            await window.load_again(window.first, window.first + 30)
        else:
            await getattr(window, step)()
    await window.load_again(window.first, window.first + 30)
    numbers = seen(window)
    assert numbers == sorted(set(numbers))
    if numbers:
        start = [row.id for row in source.rows].index(numbers[0])
        assert numbers == [row.id for row in source.rows[start : start + len(numbers)]]


class Searched:
    """A list in which only a few of many pages hold a row that fits, as in a search."""

    def __init__(self, count: int, *fitting: int) -> None:
        self.count = count
        self.fitting = fitting

    async def page(self, query) -> Page[Row]:
        cursor, from_end = query["cursor"], query["from_end"]
        place = self.count - 1 if from_end else int(cursor or 0)
        rows = [Row(place, "fits")] if place in self.fitting else []
        following = str(place + 1) if place + 1 < self.count else None
        before = str(place - 1) if place else None
        return Page(data=rows, next=following, prev=before, total=1, total_is_estimate=True)


@given(st.sets(st.integers(0, 29), max_size=4), st.booleans())
async def test_pages_without_a_row_are_passed_over_to_the_end_and_never_fetched_again(
    fitting, from_end
):
    window = PageWindow(Searched(30, *fitting), lambda row: row.id)
    await (window.to_end() if from_end else window.to_start())
    fetched = 0
    while window.has_more or window.has_before:
        await (window.load_next() if window.has_more else window.load_previous())
        fetched += 1
        assert fetched <= 30
    assert seen(window) == sorted(fitting)
    assert window.total == len(fitting)
