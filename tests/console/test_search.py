"""Searching: places and their look, in a document and in the log."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.segment import Segment
from textual.strip import Strip

from hooktui.console.widgets.document_lines import Section
from hooktui.console.widgets.document_view import DocumentView
from hooktui.console.widgets.prompt_bars import PromptBar
from hooktui.console.widgets.text_search import (
    MATCH,
    SearchMatch,
    folded,
    highlighted,
    places_in,
    step,
)
from tests.console.bare import BareApp
from tests.console.screen_text import rows_of
from tests.support.waiting import wait_for


@example(text="İstanbul disk", needle="disk")
@given(text=st.text(), needle=st.text(min_size=1, max_size=3))
def test_places_are_where_the_needle_is(text: str, needle: str):
    """Red when folding changes the number of characters, as lower() does with İ."""
    assert len(folded(text)) == len(text)
    needle = folded(needle)
    for at in places_in(text, needle):
        assert folded(text)[at : at + len(needle)] == needle


@given(places=st.lists(st.integers(0, 20), min_size=1, unique=True).map(sorted))
def test_going_on_visits_each_place_once_a_round_in_both_directions(places: list[int]):
    for forward in (True, False):
        here, visited, wraps = -1 if forward else 21, [], 0
        for _ in range(2 * len(places)):
            at, wrapped = step(places, here, forward=forward)
            here = places[at]
            visited.append(here)
            wraps += wrapped
        once = places if forward else places[::-1]
        assert visited == once * 2
        assert wraps == 1


def test_a_match_at_the_cursor_itself_is_found_while_typing():
    assert step([3, 7], 3, forward=True, stay=True) == (0, False)
    assert step([3, 7], 6, forward=False, stay=True) == (0, False)
    assert step([3, 7], 2, forward=False, stay=True) == (1, True)


@pytest.mark.parametrize(
    ("text", "needle", "marked"),
    [
        ("one two one", "one", ["one", "one"]),
        ("日本 Disk 日本", "disk", ["Disk"]),
        ("日本日", "日", ["日", "日"]),
        ("nothing", "x", []),
        ("nothing", "", []),
    ],
)
def test_every_match_of_a_line_is_marked_and_the_line_stays_as_it_is(text, needle, marked):
    strip = highlighted(Strip([Segment(text)]), needle)
    assert strip.text == text
    assert [s.text for s in strip if s.style is not None and s.style.reverse] == marked
    assert MATCH.underline


BODY = '{"id":7,"owner":{"name":"Disk","tags":["a","disk"]},"error":"DISK full, no disk"}'


class Viewer(BareApp):
    """Only the document."""

    def __init__(self) -> None:
        self.view = DocumentView()
        super().__init__(self.view)

    def at_cursor(self) -> str:
        return rows_of(self.view)[self.view.cursor].strip()


async def test_a_document_is_searched_from_match_to_match_and_round_the_end():
    app = Viewer()
    async with app.run_test(size=(60, 20)):
        app.view.show([Section("Body", text=BODY)])
        assert app.view.search("disk") == SearchMatch(1, 4)
        assert app.at_cursor() == '"name": "Disk",'
        steps = [app.view.search_on(forward=True) for _ in range(4)]
        assert steps == [
            SearchMatch(2, 4),
            SearchMatch(3, 4),
            SearchMatch(4, 4),
            SearchMatch(1, 4, wrapped=True),
        ]
        assert app.view.search_on(forward=False) == SearchMatch(4, 4, wrapped=True)
        assert app.view.search("nowhere") == SearchMatch(0, 0)
        assert app.view.search("") is None
        assert app.view.search_on(forward=True) is None


# Red while a document that is still loading is said to have no match.
async def test_a_document_without_text_yet_is_searched_once_it_has_one():
    app = Viewer()
    async with app.run_test(size=(60, 20)):
        assert app.view.search("disk") is None
        app.view.show([Section("Body", text=BODY)])
        assert app.view.search_on(forward=True) == SearchMatch(1, 4)


async def test_a_match_that_is_folded_away_is_unfolded():
    app = Viewer()
    async with app.run_test(size=(60, 20)) as pilot:
        app.view.show([Section("Headers", pairs=(("X", "disk"),), opened=False),
                       Section("Body", text=BODY)])  # fmt: skip
        assert app.view.search("disk") == SearchMatch(1, 5)
        assert app.at_cursor() == "X: disk"
        await pilot.press("home", "enter")
        assert "X: disk" not in rows_of(app.view)
        assert app.view.search_on(forward=False) == SearchMatch(5, 5, wrapped=True)
        assert app.view.search_on(forward=True) == SearchMatch(1, 5, wrapped=True)
        assert app.at_cursor() == "X: disk"


@pytest.mark.parametrize("raw", [False, True])
async def test_a_match_far_to_the_right_is_brought_into_sight(raw: bool):
    """Red when the cursor goes to the line and the match stays out of the window."""
    app = Viewer()
    async with app.run_test(size=(40, 10)) as pilot:
        if raw:
            app.view.next_form()
        app.view.show([Section("Body", text='{"a":"' + "x" * 500 + 'needle"}')])
        assert app.view.search("needle") == SearchMatch(1, 1)
        await pilot.pause()
        assert any("needle" in app.view.render_line(y).text for y in range(10))


async def test_a_long_body_is_searched_to_its_end():
    app = Viewer()
    async with app.run_test(size=(60, 20)):
        app.view.show([Section("Body", text="[" + ",".join(["1"] * 9_000 + ["42"]) + "]")])
        assert app.view.search("42") == SearchMatch(1, 1)
        assert app.at_cursor() == "42"


async def test_ctrl_f_searches_in_the_texts_of_events_and_deliveries(
    open_console, make_hook, client
):
    """Red when ``n`` makes a hook while a search is on, or Esc leaves before it ends the search."""
    hook = make_hook(name="billing")
    sent = client.emit(body=b'{"a":"needle","b":["x","needle"]}')
    wait_for(lambda: client.deliveries(hook["id"], "delivered"))
    (delivery,) = client.deliveries(hook["id"])
    async with open_console(role="viewer") as console:
        await console.shows("billing")
        console.app.navigation.open_event(sent.id)
        await console.shows("needle")
        await console.press("N")
        await console.shows("no search text")
        await console.press("ctrl+f", *"needlex")
        await console.shows("no match for needlex")
        await console.press("backspace", "enter")
        await console.shows("match 1 of 2", "n next match")
        await console.press("n")
        await console.shows("match 2 of 2")
        await console.press("n")
        await console.shows("match 1 of 2; search wrapped to the top")
        await console.press("escape")
        await console.hides("next match")
        await console.press("n")
        await console.shows("is not available on this screen")
        console.app.navigation.open_delivery(delivery.id)
        await console.shows("delivered", "Request body")
        await console.press("ctrl+f", *"NEEDLE", "escape")
        await console.until(lambda: not console.app.screen.query(PromptBar))
        assert not console.app.screen.search.text
