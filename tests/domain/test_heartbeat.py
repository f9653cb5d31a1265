"""The heartbeat of a loop: the duration of its steps."""

from __future__ import annotations

from hooktui.domain.heartbeat import Heartbeat
from tests.support.clocks import Clock


def test_the_longest_step_is_of_the_last_minute_and_includes_the_current_one() -> None:
    clock = Clock()
    heartbeat = Heartbeat("writer", clock.steady_s)
    assert heartbeat.longest_s() == 0
    for took_s in (3, 1, 2):
        heartbeat.start()
        clock.advance(took_s)
        heartbeat.finish()
    heartbeat.idle()
    assert heartbeat.longest_s() == 3
    clock.advance(58)
    assert heartbeat.longest_s() == 2
    heartbeat.start()
    clock.advance(5)
    assert heartbeat.longest_s() == 5
    heartbeat.idle()
    assert heartbeat.longest_s() == 0
    assert (heartbeat.finished_count, heartbeat.finished_s) == (3, 6)
