"""The live log widget over its ring buffer."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.timer import Timer

from hooktui.console.glyphs import UNICODE
from hooktui.console.log.columns import line_text, log_columns
from hooktui.console.log.live_log import LiveLog
from hooktui.console.log.log_table import INDENT, MAX_ROWS, continuation, rows_from, top_for
from hooktui.console.shell.change_feed import log_lines
from hooktui.console.shell.contract import Shell
from hooktui.console.shell.log_buffer import LogBuffer, LogLine
from hooktui.console.widgets.table import place
from hooktui.console.widgets.text_search import SearchMatch
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.filters.parser import parse
from hooktui.domain.wire.feed import FeedLine
from tests.support.wire_objects import KEY

NOW = 1_800_000_000_000
SIZE = (100, 11)


def line(number: int, *, hook: int = 1, status: str = "delivered", result: str = "200") -> LogLine:
    return LogLine(
        at_ms=NOW + number,
        delivery=f"dlv_{number}",
        hook=hook,
        event_type="job.failed",
        attempt=1,
        status=status,
        outcome="delivered" if status == "delivered" else "failed",
        result=result,
        duration_ms=number,
        detail=f"line {number}",
    )


class LogApp(App[None]):
    glyphs = UNICODE

    def __init__(self, capacity: int = 1000) -> None:
        super().__init__()
        self.buffer = LogBuffer(capacity)
        self.opened: list[str] = []
        names = {1: "billing"}
        shell = SimpleNamespace(
            log_buffer=self.buffer,
            clock=lambda: NOW,
            account=SimpleNamespace(hook_names=names, name_of=names.__getitem__),
            glyphs=UNICODE,
            key=KEY,
        )
        self.log_widget = LiveLog(cast("Shell", shell))

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"quiet": "#888888"}

    def compose(self) -> ComposeResult:
        yield self.log_widget

    def on_live_log_opened(self, message: LiveLog.Opened) -> None:
        self.opened.append(message.delivery)

    def seen(self) -> list[str]:
        lines = [self.log_widget.render_line(y).text for y in range(1, SIZE[1])]
        return [found.split("line ")[1].strip() for found in lines if "line " in found]


def app_of(pilot: Pilot[None]) -> LogApp:
    assert isinstance(pilot.app, LogApp)
    return pilot.app


async def test_a_following_log_shows_the_newest_lines():
    async with LogApp().run_test(size=SIZE) as pilot:
        app = app_of(pilot)
        app.buffer.extend(line(n) for n in range(50))
        app.log_widget.catch_up()
        assert app.seen() == [str(n) for n in range(40, 50)]


async def test_a_paused_log_stands_still_and_counts_what_is_new():
    async with LogApp().run_test(size=SIZE) as pilot:
        app = app_of(pilot)
        app.buffer.extend(line(n) for n in range(50))
        app.log_widget.catch_up()
        await pilot.press("k")
        before = app.seen()
        app.buffer.extend(line(n) for n in range(50, 57))
        app.log_widget.catch_up()
        assert app.seen() == before
        assert app.log_widget.new == 7
        assert "7 new" in "".join(text for text, _ in app.log_widget.state())
        app.log_widget.follow(True)
        assert app.seen()[-1] == "56"


async def test_a_burst_of_lines_makes_one_repaint():
    async with LogApp().run_test(size=SIZE) as pilot:
        app = app_of(pilot)
        await pilot.pause()
        repaints: list[int] = []
        original = app.log_widget.catch_up

        def counting() -> None:
            repaints.append(app.buffer.end)
            original()

        app.log_widget.catch_up = counting  # type: ignore[method-assign]
        for number in range(500):
            app.buffer.extend([line(number)])
        for _ in range(100):
            await pilot.pause(0.02)
            if repaints:
                break
        assert repaints == [500]


async def test_the_cursor_keeps_its_line_when_the_ring_is_full():
    async with LogApp(capacity=30).run_test(size=SIZE) as pilot:
        app = app_of(pilot)
        app.buffer.extend(line(n) for n in range(30))
        app.log_widget.catch_up()
        await pilot.press("k", "k")
        assert app.log_widget.cursor_line == line(27)
        app.buffer.extend(line(n) for n in range(30, 45))
        app.log_widget.catch_up()
        await pilot.pause()
        assert app.log_widget.cursor_line == line(27)
        assert "27" in app.seen()
        app.buffer.extend(line(n) for n in range(45, 100))
        app.log_widget.catch_up()
        assert app.log_widget.cursor_line == line(27)  # kept for as long as the log is paused


async def test_a_filter_narrows_the_lines_that_are_there_and_those_that_come():
    async with LogApp().run_test(size=SIZE) as pilot:
        app = app_of(pilot)
        app.buffer.extend(
            line(n, status="failed" if n % 3 == 0 else "delivered", result="503") for n in range(12)
        )
        app.log_widget.show_only(parse("status:failed code:5xx took:>=6ms"))
        assert app.seen() == ["6", "9"]
        app.buffer.extend(line(n, status="failed", result="503") for n in range(12, 14))
        app.log_widget.catch_up()
        assert app.seen() == ["6", "9", "12", "13"]
        app.log_widget.show_only(parse("billing -line"))
        assert app.seen() == []
        app.log_widget.show_only()
        assert len(app.seen()) == 10


async def test_a_log_of_some_hooks_shows_only_theirs():
    async with LogApp().run_test(size=SIZE) as pilot:
        app = app_of(pilot)
        app.buffer.extend(line(n, hook=n % 2) for n in range(6))
        app.log_widget.show_only(None, frozenset({1}))
        assert app.seen() == ["1", "3", "5"]


async def test_enter_opens_the_delivery_of_the_line():
    async with LogApp().run_test(size=SIZE) as pilot:
        app = app_of(pilot)
        app.buffer.extend(line(n) for n in range(5))
        app.log_widget.catch_up()
        await pilot.press("enter")
        await pilot.press("g", "j", "enter")
        await pilot.pause()
        assert app.opened == ["dlv_4", "dlv_1"]


# Red when a filtered log, or the pane of some hooks, shows the alerts of all others.
async def test_an_alert_shows_only_where_the_filter_and_the_hooks_allow_it():
    at = to_rfc3339(NOW)
    alerts = [
        FeedLine("alert", at, {"change": "opened", "hook": hook, "summary": f"line {number}"})
        for number, hook in enumerate((1, 2, None))
    ]
    async with LogApp().run_test(size=SIZE) as pilot:
        app = app_of(pilot)
        app.buffer.extend(log_lines(alerts))
        app.log_widget.catch_up()
        assert app.seen() == ["0", "1", "2"]
        for parsed, hooks, shown in (
            (parse("hook:2"), None, ["1"]),
            (None, frozenset({2}), ["1"]),
            (parse("hook:2 code:5xx event:job.*"), None, []),
            (parse("code:5xx"), frozenset({2}), []),
        ):
            app.log_widget.show_only(parsed, hooks)
            assert app.seen() == shown


async def test_a_remark_about_a_gap_shows_through_every_filter_and_opens_nothing():
    async with LogApp().run_test(size=SIZE) as pilot:
        app = app_of(pilot)
        app.buffer.extend([line(1), LogLine(at_ms=NOW, note="the log has a gap here")])
        app.log_widget.show_only(parse("nothing-like-it"))
        assert "the log has a gap here" in app.log_widget.render_line(1).text
        await pilot.press("G", "enter")
        assert app.opened == []


def test_the_ring_keeps_the_numbers_of_its_lines():
    buffer = LogBuffer(capacity=3)
    buffer.extend(line(n) for n in range(5))
    assert (buffer.first, buffer.end) == (2, 5)
    assert buffer[2] == line(2)
    assert [number for number, _ in buffer.since(0)] == [2, 3, 4]


async def test_marked_lines_are_copied_and_marks_stay_while_lines_come():
    async with LogApp(capacity=30).run_test(size=SIZE) as pilot:
        log = app_of(pilot).log_widget
        log.buffer.extend(line(n) for n in range(20))
        log.catch_up()
        assert log.chosen_text()[0] == 1
        log.toggle_mark()
        await pilot.press("k", "k")
        log.toggle_mark()
        assert not log.following
        count, text = log.chosen_text()
        assert count == 2
        assert [one.rpartition(" ")[2] for one in text.split("\n")] == ["17", "19"]
        log.buffer.extend(line(n) for n in range(20, 48))
        log.catch_up()
        assert log.chosen_text()[0] == 2  # though 17 has fallen out of the ring
        log.follow(True)
        log.toggle_mark()
        assert log.chosen_text()[0] == 2  # 19, and the newest
        assert log.clear_marks()
        assert not log.clear_marks()


# Red when marks outlive their lines: "2 marked" is shown, and the newest line is copied.
async def test_marks_end_with_their_lines_while_the_log_follows():
    async with LogApp(capacity=30).run_test(size=SIZE) as pilot:
        log = app_of(pilot).log_widget
        log.buffer.extend(line(n) for n in range(20))
        log.catch_up()
        log.toggle_mark()
        await pilot.press("k", "k")
        log.toggle_mark()
        assert len(log.marks) == 2
        log.follow(True)
        log.buffer.extend(line(n) for n in range(20, 60))
        log.catch_up()
        assert not log.marks


def test_what_is_copied_of_a_line_is_one_line_and_holds_no_escape():
    """Red when a receiver's words reach a shell as another command by a paste."""
    text = line_text(replace(line(1), detail="no\r\nrm -rf /\x1b[2J"), {1: "billing\n"})
    assert text.isprintable()
    assert "hook 1 billing" in text
    assert text.count("rm -rf") == 1


async def test_a_search_goes_to_the_newest_match_and_from_match_to_match():
    """Red when n goes on from where the search began, not from the cursor."""
    async with LogApp().run_test(size=SIZE) as pilot:
        app = app_of(pilot)
        log = app.log_widget
        app.buffer.extend(line(n, result="503" if n % 10 == 3 else "200") for n in range(50))
        log.catch_up()
        assert log.search("503 HOOK 1 BILL") == SearchMatch(5, 5)
        assert log.cursor_line == line(43, result="503")
        assert not log.following
        assert log.search_on(forward=False) == SearchMatch(4, 5)
        assert log.search_on(forward=True) == SearchMatch(5, 5)
        assert log.search_on(forward=True) == SearchMatch(1, 5, wrapped=True)
        assert log.cursor_line == line(3, result="503")
        assert "3" in app.seen()
        await pilot.press("G")
        assert log.search_on(forward=False) == SearchMatch(5, 5)
        assert log.search("no such line") == SearchMatch(0, 0)
        assert log.search("") is None
        assert log.search_on(forward=True) is None


async def test_a_search_finds_lines_that_come_and_forgets_those_that_go():
    async with LogApp(capacity=30).run_test(size=SIZE) as pilot:
        app = app_of(pilot)
        log = app.log_widget
        app.buffer.extend(line(n) for n in range(30))
        log.catch_up()
        assert log.search("line 2") == SearchMatch(11, 11)  # 2, 20 to 29
        app.buffer.extend(line(n) for n in range(200, 203))
        log.catch_up()
        assert log.new == 3
        assert log.search_on(forward=True) == SearchMatch(12, 14)  # 200 is let in; 2 goes for it
        assert log.cursor_line == line(200)
        assert log.new == 0
        log.show_only(parse("-dlv_200"))
        assert log.search_on(forward=False) == SearchMatch(11, 12)


async def test_a_match_is_marked_where_it_is_seen():
    async with LogApp().run_test(size=SIZE) as pilot:
        app = app_of(pilot)
        app.buffer.extend([line(1, result="503"), line(2)])
        app.log_widget.catch_up()
        app.log_widget.search("503")
        marked = [[s.text for s in app.log_widget.render_line(y) if s.style and s.style.reverse]
                  for y in (1, 2)]  # fmt: skip
        assert marked == [["503"], []]


def long_line(number: int, words: int) -> LogLine:
    return replace(line(number), detail=" ".join([f"line {number}", *["word"] * words]))


async def test_wrapped_lines_show_all_of_their_reason_and_the_log_still_ends_at_its_end():
    async with LogApp().run_test(size=SIZE) as pilot:
        app = app_of(pilot)
        log = app.log_widget
        app.buffer.extend(long_line(n, 40 if n % 2 else 0) for n in range(50))
        log.catch_up()
        log.toggle_wrap()
        assert log.wrapped
        await pilot.pause()
        lines = [log.render_line(y).text.rstrip() for y in range(1, SIZE[1])]
        assert sum(one.count("word") for one in lines[-3:]) >= 30
        assert lines[-1].startswith("    ")
        assert "line 49" in "".join(lines[-4:])
        await pilot.press("g")
        assert log.render_line(1).text.rstrip().endswith("line 0")
        for _ in range(12):
            await pilot.press("j")
        assert log.cursor_line == long_line(12, 0)
        assert any("line 12" in log.render_line(y).text for y in range(1, SIZE[1]))
        await pilot.press("G")
        await pilot.pause()
        assert log.cursor_line == long_line(49, 40)
        assert log.render_line(SIZE[1] - 1).text.startswith("    ")
        log.toggle_wrap()
        assert not log.wrapped
        assert len(app.seen()) == 10


async def test_wrapping_a_paused_log_keeps_the_line_under_the_cursor_in_view():
    """Red when the rows of wrapped lines push it off the screen."""
    async with LogApp().run_test(size=SIZE) as pilot:
        app = app_of(pilot)
        log = app.log_widget
        app.buffer.extend(long_line(n, 40) for n in range(50))
        log.catch_up()
        await pilot.press("g", *["j"] * (SIZE[1] - 2))
        for _ in range(4):
            log.toggle_wrap()
            await pilot.pause()
            drawn = "\n".join(log.render_line(y).text for y in range(1, SIZE[1]))
            assert f"line {SIZE[1] - 2}" in drawn


@given(
    heights=st.lists(st.integers(1, 8), min_size=1, max_size=30),
    high=st.integers(1, 12),
    data=st.data(),
)
def test_a_line_that_is_scrolled_to_ends_on_the_screen(heights, high, data):
    """Red when a wrapped line at the end is cut off, or the screen is not filled."""
    last = data.draw(st.integers(0, len(heights) - 1))
    top = top_for(last, high, heights.__getitem__)
    rows = rows_from(top, high, len(heights), heights.__getitem__)
    assert len(rows) <= high
    if heights[last] <= high:
        assert (last, heights[last] - 1) in rows
        # One line more above, and its end would be out of sight.
        assert top == 0 or sum(heights[top - 1 : last + 1]) > high
    else:
        assert rows[0] == (last, 0)


def test_what_fits_into_its_columns_is_not_told_twice():
    columns = log_columns(lambda _: "billing", UNICODE)
    placed = place(columns, 98)
    assert continuation(columns, placed, line(1), 100) == []
    rest = continuation(columns, placed, long_line(1, 500), 100)
    assert len(rest) == MAX_ROWS - 1
    assert all(len(one) <= 100 - INDENT for one in rest)


async def test_a_paused_log_draws_nothing_while_its_ring_moves_on():
    """Red when lines that fall out of the ring have the same picture painted anew each second."""
    async with LogApp(capacity=100).run_test(size=SIZE) as pilot:
        app = app_of(pilot)
        log = app.log_widget
        app.buffer.extend(line(n) for n in range(100))
        log.catch_up()
        await pilot.press("k")
        await pilot.pause()
        before = app.seen()
        drawn: list[int] = []
        original = log.render_line
        log.render_line = lambda y: (drawn.append(y), original(y))[1]  # type: ignore[method-assign]
        app.buffer.extend(line(n) for n in range(100, 120))
        log.catch_up()
        await pilot.pause()
        assert not drawn  # the count of what is new stands in the heading of the screen
        assert app.seen() == before
        app.buffer.extend(line(n) for n in range(120, 200))
        log.catch_up()
        await pilot.pause()
        assert app.seen() == before  # also when the ring has let all of it go
        assert log.new == 100
        assert log.cursor_line is not None
        assert log.search("line 98") == SearchMatch(1, 1)
        await pilot.press("G")
        await pilot.pause()
        assert app.seen()[-1] == "199"
        assert log.new == 0
        app.buffer.extend(line(n) for n in range(200, 350))
        log.catch_up()
        assert log.new == 150
        app.buffer.clear()
        app.buffer.extend([line(350)])
        log.catch_up()
        await pilot.pause()
        assert app.seen() == ["350"]  # of another account: nothing of what was before
        assert log.new == 0


async def test_a_paused_log_counts_once_a_second_however_often_it_was_looked_at():
    """Red when a look while a count is due begins a second row of counts, for ever."""
    async with LogApp().run_test(size=SIZE) as pilot:
        log = app_of(pilot).log_widget
        log.buffer.extend(line(n) for n in range(20))
        log.follow(False)
        started: list[Timer] = []
        original = log.set_timer

        def started_timer(*args: object, **more: object) -> Timer:
            started.append(original(*args, **more))  # type: ignore[arg-type]
            return started[-1]

        log.set_timer = started_timer  # type: ignore[method-assign]
        for number in range(20, 25):
            log.buffer.extend([line(number)])
            log.catch_up()
        log.buffer.extend([line(25)])
        await pilot.pause()
        assert len([timer for timer in started if timer._task and not timer._task.done()]) == 1
