"""The measured cases: each opens the console, and the floor to compare with, and returns rows."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from hooktui.console.glyphs import UNICODE
from tests.system.terminal import floor
from tests.system.terminal.report import Row
from tests.system.terminal.session import WAIT_S, Answered, Session, Spent
from tests.system.terminal.stand import CAUSES, LINES_PER_S, Stand, failed, stand

STARTS, KEYS, IDLE_S, STREAM_S = 9, 60, 20.0, 10.0
FEW, MANY, OLD = 10, 100_000, 1_000_000
SLOW = 256_000 / 8
"""A line of 256 kbit/s, in bytes a second."""

_FIRST, _SECOND = "Hook 000001", "Hook 000002"
_LIVE_LOG, _DELIVERIES = "2", "8"
_SEARCH = "\x06"


def start() -> Iterator[Row]:
    """Time from the start to the first row, memory, and the cost of an idle console."""
    with stand(hooks=FEW) as ready:
        shown, empty = [], []
        for _ in range(STARTS):  # alternating, so that other programs slow both down equally
            with ready.console() as session:
                shown.append(_first_row(session, _FIRST))
            with _floor(ready, "10") as session:
                empty.append(_first_row(session, floor.FIRST_ROW))
        yield Row("start to content", "ms", median(shown), median(empty), 450, 300)
        with ready.console() as console, _floor(ready, "10") as bare:
            _settle(console, _FIRST)
            _settle(bare, floor.FIRST_ROW)
            own, least = console.spend(IDLE_S), bare.spend(IDLE_S)
            (rss, uss), (bare_rss, bare_uss) = console.memory_mb(), bare.memory_mb()
        yield Row("memory, resident", "MB", rss, bare_rss, 70, 55)
        yield Row("memory, of its own (USS)", "MB", uss, bare_uss)
        yield Row("idle CPU", "%", own.cpu_percent, least.cpu_percent, 0.3, 0.1)
        yield Row("idle bytes in 20 s", "B", own.size, least.size, 0, 0)


def keys_few() -> Iterator[Row]:
    """Cursor and page keys in a list of 10 hooks; the log pane is hidden, the list is long."""
    yield from _keys(FEW, "10 hooks")


def keys_many() -> Iterator[Row]:
    """The same in a list of 100,000."""
    yield from _keys(MANY, "100,000 hooks")


def log() -> Iterator[Row]:
    """The live log at 1,000 lines a second: following, paused, and below the hooks."""
    with stand(hooks=FEW) as ready:
        with _floor(ready, "log") as session:
            session.wait_for("Data warehouse")
            session.pump_for(2)
            least = session.spend(STREAM_S)
        with ready.console() as session, _streamed(ready, session):
            session.press(_LIVE_LOG)
            session.pump_for(2)
            shown = session.spend(STREAM_S)
        yield Row("log at 1,000 lines/s, CPU", "%", shown.cpu_percent, least.cpu_percent, 15, 10)
        yield Row(
            "log at 1,000 lines/s",
            "kB/s",
            shown.bytes_per_s / 1000,
            least.bytes_per_s / 1000,
            80,
            40,
        )
        with ready.console() as session, _streamed(ready, session):
            session.press(_LIVE_LOG)
            session.pump_for(2)
            session.press("f")
            session.pump_for(2)
            paused = session.spend(STREAM_S)
        yield Row("paused log, CPU", "%", paused.cpu_percent, None, 10, 5)
        yield _kilobytes("paused log", paused, None, 1, 0.5)
        with ready.console() as session, _streamed(ready, session):
            session.press("down")
            session.pump_for(2)
            # Hooks without events: their names are written only in response to a key.
            names = [f"Hook {number:06}" for number in (3, 4, 5, 6)]
            pressed = [*["down"] * 4, *["up"] * 4] * 6
            wanted = [*names, *names[2::-1], _SECOND] * 6
            waited = []
            for key, name in zip(pressed, wanted, strict=True):
                waited.append(session.do([key], name))
                session.pump_for(0.05)
        yield Row("key while the log runs, p50", "ms", median(waited))
        yield Row("key while the log runs, p95", "ms", _p95(waited), None, 30, 20)


def slow() -> Iterator[Row]:
    """The log at 1,000 lines a second over a line of 256 kbit/s."""
    with stand(hooks=FEW) as ready:
        yield from over_slow_line(ready, lines=LINES_PER_S * 4)


def over_slow_line(ready: Stand, lines: int, rate: float = SLOW) -> Iterator[Row]:
    """Follow and pause the log over a slow line, count its lines, and quit.

    Args:
        ready: a server that has delivered nothing yet.
        lines: the number of events.
        rate: of the line, in bytes a second.
    """
    with ready.console() as session:
        session.wait_for(_FIRST)
        session.do([_LIVE_LOG], "following")
        session.rate = rate  # not earlier: the first screen alone would take seconds
        with ready.streaming(lines) as stream:
            session.pump_for(lines / 2 / LINES_PER_S)
            paused_ms = session.do(["f"], "paused")
            follow_ms = session.do(["f"], "following")
            while stream.poll() is None:
                session.pump(0.2)
        assert stream.returncode == 0, "the server has taken all events"
        session.rate = None
        session.do(["f"], "paused")
        lost = lines - _in_log(session, _FIRST, lines)
        session.do(["f"], "following")
        session.rate = rate
        with ready.streaming(lines * 3):
            session.pump_for(2.5)
            since = len(session.raw)
            quit_s = session.quit()
    yield Row("256 kbit/s: pausing the log", "ms", paused_ms, None, 1000, 500)
    yield Row("256 kbit/s: following again", "ms", follow_ms, None, 1000, 500)
    yield Row("256 kbit/s: lines lost", "", lost, None, 0, 0)
    yield Row("256 kbit/s: quitting", "s", quit_s, None, 1, 0.5)
    yield Row("256 kbit/s: bytes after the key that quits", "B", len(session.raw) - since)


def hooks() -> Iterator[Row]:
    """Keys in a list of 100,000 hooks with a million deliveries, compared with 100 of each."""
    few, many = ([*_in_hooks(count, old)] for count, old in ((100, 100), (MANY, OLD)))
    for (what, few_ms), (_, many_ms) in zip(few, many, strict=True):
        yield Row(f"100,000 hooks (100): {what}", "ms", many_ms, few_ms, 500, 200)


def deliveries() -> Iterator[Row]:
    """Keys in a list of a million deliveries of a hook, compared with 100."""
    few, many = ([*_in_deliveries(count)] for count in (100, OLD))
    for (what, few_ms), (_, many_ms) in zip(few, many, strict=True):
        yield Row(f"1,000,000 deliveries (100): {what}", "ms", many_ms, few_ms, 500, 200)


def recovery() -> Iterator[Row]:
    """The screens Deliveries and Undelivered, with 100,000 of 1,100,000 undelivered, or few."""
    few, many = ([*_in_recovery(*counts)] for counts in ((100, 70), (OLD, 99_995)))
    for (what, few_ms), (_, many_ms) in zip(few, many, strict=True):
        yield Row(f"100,000 undelivered (70): {what}", "ms", many_ms, few_ms, 500, 200)


CASES: dict[str, Callable[[], Iterator[Row]]] = {
    "start": start,
    "keys-10": keys_few,
    "keys-100000": keys_many,
    "log": log,
    "slow": slow,
    "hooks": hooks,
    "deliveries": deliveries,
    "recovery": recovery,
}


def _floor(ready: Stand, body: str) -> Session:
    return Session([sys.executable, str(Path(floor.__file__)), body], ready.environ)


def _first_row(session: Session, text: str) -> float:
    return (session.wait_for(text) - session.started) * 1000


def _settle(session: Session, text: str) -> None:
    session.wait_for(text)
    session.pump_until_quiet(1.5)


def _keys(count: int, what: str) -> Iterator[Row]:
    with stand(hooks=count) as ready:
        with ready.console() as session:
            _settle(session, _FIRST)
            session.press("l")
            session.pump_until_quiet()
            moved, paged = _moves(session)
        with _floor(ready, str(count)) as session:
            _settle(session, floor.FIRST_ROW)
            bare, bare_paged = _moves(session)
    own, least = [one.size for one in moved], [one.size for one in bare]
    ms, least_ms = [one.first_ms for one in moved], [one.first_ms for one in bare]
    yield Row(f"{what}: bytes per cursor key", "B", median(own), median(least), 1600, 1000)
    yield Row(f"{what}: cursor key, p50", "ms", median(ms), median(least_ms), 5, 2.5)
    yield Row(f"{what}: cursor key, p95", "ms", _p95(ms), _p95(least_ms), 10, 5)
    if paged and bare_paged:
        own, least = [one.size for one in paged], [one.size for one in bare_paged]
        ms, least_ms = [one.first_ms for one in paged], [one.first_ms for one in bare_paged]
        yield Row(f"{what}: page key, p50", "ms", median(ms), median(least_ms), 10, 5)
        yield Row(f"{what}: page key, p95", "ms", _p95(ms), _p95(least_ms))
        yield Row(f"{what}: page key", "kB", median(own) / 1000, median(least) / 1000, 14, None)


def _moves(session: Session) -> tuple[list[Answered], list[Answered]]:
    """Return the responses to cursor keys and to page keys."""
    moved = [session.key(key) for key in ["down", "down", "up", "up"] * (KEYS // 4)]
    paged = [session.key(key) for key in ["page down"] * 8 + ["page up"] * 8]
    answered = [one for one in moved if one is not None]
    assert len(answered) > KEYS / 2, "most cursor keys move the cursor"
    return answered, [one for one in paged if one is not None]


@contextmanager
def _streamed(ready: Stand, session: Session) -> Iterator[None]:
    """Stream events while the block runs."""
    _settle(session, _FIRST)
    with ready.streaming(LINES_PER_S * 60):
        yield


def _in_log(session: Session, text: str, least: int) -> int:
    """Search a paused log until ``least`` lines match; return the number of matches."""
    deadline = time.monotonic() + WAIT_S
    session.do([_SEARCH], "earch text")  # the first letter stands under the cursor
    since = len(session.raw)
    session.press(f"{text}\r")
    while True:
        session.pump_until_quiet(1.0)
        counts = re.findall(rb"match [\d,]+ of ([\d,]+)", bytes(session.raw[since:]))
        count = int(counts[-1].replace(b",", b"")) if counts else 0
        if count >= least or time.monotonic() > deadline:
            return count
        session.press("n")


def _in_hooks(count: int, old: int) -> Iterator[tuple[str, float]]:
    last, some, after = f"Hook {count:06}", "Hook 000050", "Hook 000051"
    with stand(hooks=count, deliveries=old) as ready, ready.console() as session:
        yield "opens", _first_row(session, _FIRST)
        session.pump_until_quiet(1.5)
        yield "to the end", session.do(["end"], last)
        session.pump_until_quiet()
        yield "to the start", session.do(["home"], _FIRST)
        session.pump_until_quiet()
        # Wait for the count: the filter bar shows the text itself at once.
        yield "filter", session.do(["/", some], "  1 hook")
        session.pump_until_quiet()
        yield "filter removed", session.do(["escape"], after)
        session.pump_until_quiet()
        session.do(["home"], _FIRST)
        session.pump_until_quiet()
        session.do(["o"], f"name{UNICODE.up}")
        session.pump_until_quiet()
        # The cursor stays on its row, which is now at the end.
        yield "sort reversed", session.do(["O"], _SECOND)


def _in_deliveries(count: int) -> Iterator[tuple[str, float]]:
    with stand(hooks=1, deliveries=count) as ready, ready.console() as session:
        _settle(session, _FIRST)
        yield "hook opens", session.do(["enter"], "job.failed")
        session.pump_until_quiet(1.0)
        yield "to the end", session.do(["end"], "job.failed")
        session.pump_until_quiet()
        yield "to the start", session.do(["home"], "job.failed")
        session.pump_until_quiet()
        all_of_them = f"{count:,} deliveries"
        yield "filter", session.do(["/", "status:failed"], f"{failed(count):,} deliveries")
        session.pump_until_quiet()
        yield "filter removed", session.do(["escape"], all_of_them)
        session.pump_until_quiet()
        yield "filter without an index", session.do(["/", "took:>2s"], "No delivery matches")
        session.pump_until_quiet()
        session.do(["escape"], all_of_them)
        session.pump_until_quiet()
        yield "sort reversed", session.do(["O"], f"created{UNICODE.up}")


def _in_recovery(delivered: int, undelivered: int) -> Iterator[tuple[str, float]]:
    with (
        stand(hooks=8, deliveries=delivered, undelivered=undelivered) as ready,
        ready.console() as session,
    ):
        _settle(session, _FIRST)
        yield "Deliveries opens", session.do([_DELIVERIES], "job.failed")
        session.pump_until_quiet(1.0)
        # The newest deliveries, which are in sight, are the undelivered ones.
        yield "filter", session.do(["/", "status:delivered"], f"{UNICODE.delivered} ")
        session.pump_until_quiet(1.0)
        session.press("escape")
        session.pump_until_quiet(1.0)
        yield "Undelivered opens", session.do(["]"], CAUSES[-1])
        session.pump_until_quiet(1.0)
        yield "a group opens", session.do(["enter"], "job.failed")


def _kilobytes(what: str, own: Spent, least: Spent | None, must: float, aim: float) -> Row:
    bare = None if least is None else least.bytes_per_s / 1000
    return Row(what, "kB/s", own.bytes_per_s / 1000, bare, must, aim)


def _p95(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[round(0.95 * (len(ordered) - 1))]
