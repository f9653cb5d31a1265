"""What the console costs its terminal and its line, as far as a busy machine does not change it.

The times are measured on demand: ``python -m tests.system.terminal``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.terminal.cases import SLOW, over_slow_line
from tests.system.terminal.screen import UPDATE_ENDS
from tests.system.terminal.session import Session
from tests.system.terminal.stand import Stand, stand

ON_THE_WAY = 45_000
"""Bytes that may be on the way when a key quits: 15,400 stand in a pseudo-terminal of Linux that
says it takes more, and a full screen of the log is up to 18,000. Frames that queue are 85,000."""


@pytest.fixture(scope="module")
def ready() -> Iterator[Stand]:
    with stand(hooks=40) as one:
        yield one


@pytest.fixture
def session(ready: Stand) -> Iterator[Session]:
    with ready.console() as one:
        one.wait_for("Hook 000001")
        one.pump_until_quiet(2.0, 30)
        yield one


# Red when anything polls, blinks or draws itself again while nothing happens.
def test_a_console_that_nobody_touches_writes_nothing(session):
    # On a busy machine the first seconds may still hold what it drew last.
    assert any(session.spend(5.0).size == 0 for _ in range(6))


# Red when a key repaints more than the two rows that change: a full screen is over 8,000 bytes.
def test_a_cursor_key_writes_two_rows_and_no_more(session):
    sizes = []
    for key in ("down", "down", "up", "down"):
        since = len(session.raw)
        session.press(key)
        session.wait_for(UPDATE_ENDS.decode(), since)
        session.pump_until_quiet(0.5)
        sizes.append(len(session.raw) - since)
    assert all(0 < size < 2500 for size in sizes), sizes


# Red when frames queue up (`PacedScreen`): quitting then waits until the line has taken them all.
# Red when the log holds fewer or more lines than were sent.
def test_over_a_slow_line_frames_are_dropped_and_lines_are_not(ready):
    rows = {row.what: row.reached for row in over_slow_line(ready, lines=1000, rate=SLOW / 2)}
    assert rows["256 kbit/s: lines lost"] == 0
    assert rows["256 kbit/s: bytes after the key that quits"] < ON_THE_WAY
