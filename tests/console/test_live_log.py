"""The live log widget over its ring buffer."""

from textual.app import App, ComposeResult
from textual.pilot import Pilot

from hooktui.console.log_buffer import LogBuffer, LogLine
from hooktui.console.signs import UNICODE
from hooktui.console.widgets.live_log import LiveLog
from hooktui.domain.filters import parse

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
    def __init__(self, capacity: int = 1000) -> None:
        super().__init__()
        self.buffer = LogBuffer(capacity)
        self.opened: list[str] = []
        self.log_widget = LiveLog(self.buffer, lambda: NOW, {1: "billing"}, UNICODE)

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
        assert app.log_widget.cursor_line == line(70)


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
    assert (buffer.first, buffer.end, len(buffer)) == (2, 5, 3)
    assert buffer[2] == line(2)
    assert [number for number, _ in buffer.since(0)] == [2, 3, 4]
