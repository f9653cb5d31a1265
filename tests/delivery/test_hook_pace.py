"""The pace of a hook as its queue shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hooktui.delivery.engine import Engine
from hooktui.delivery.hook_pace import log_cut, pace_of
from hooktui.delivery.hook_queue import HookQueue
from hooktui.delivery.resolver import Resolver
from hooktui.delivery.transport import Transport
from hooktui.domain.adaptive_limit import AdaptiveLimit, Cut
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.limit_history import STEP_MS
from hooktui.domain.observation import Observation, Signal
from hooktui.domain.wire.hooks import HookPace, LimitedBy
from hooktui.store.sqlite.store import SqliteStore
from tests.delivery.driven_queues import DrivenQueues
from tests.domain.simulated_receivers import Receivers, simulate

NOW_MS = 1_800_000_000_000


def queue_of(slots: int | None = None) -> HookQueue:
    return DrivenQueues().put(1, slots=slots, active=True)


def test_a_fixed_limit_is_shown_and_nothing_limits_it() -> None:
    queue = queue_of(5)
    queue.in_flight, queue.starting = 3, 1
    assert pace_of(queue, 0.0, NOW_MS) == HookPace(in_flight=2, in_flight_limit=5)


def test_an_adaptive_limit_starts_without_a_reason() -> None:
    assert pace_of(queue_of(), 0.0, NOW_MS) == HookPace(in_flight=0, in_flight_limit=10)


def test_a_cut_names_the_response_and_its_time() -> None:
    queue = queue_of()
    queue.limit = limit = simulate(Receivers().capped(20, 0.05), 3).limit
    cut = limit.last_cut
    assert cut is not None
    pace = pace_of(queue, cut.at_s + 40, NOW_MS)
    assert pace.overloads == limit.cuts > 0
    assert pace.limited_by == LimitedBy(
        kind="overload", response="503", in_flight=cut.in_flight, at=to_rfc3339(NOW_MS - 40_000)
    )


def test_a_share_of_overloads_at_any_pace_is_named() -> None:
    queue = queue_of()
    queue.limit = AdaptiveLimit()
    queue.limit.tolerated = 0.05
    limited_by = pace_of(queue, 0.0, NOW_MS).limited_by
    assert limited_by == LimitedBy(kind="tolerated", share=0.05)
    queue.limit.tolerated_cause = "503"
    limited_by = pace_of(queue, 0.0, NOW_MS).limited_by
    assert limited_by == LimitedBy(kind="tolerated", response="503", share=0.05)


def test_a_share_of_429_at_any_rate_is_named() -> None:
    queue = queue_of()
    queue.limit = AdaptiveLimit()
    queue.limit.rate.tolerated = 0.03
    limited_by = pace_of(queue, 0.0, NOW_MS).limited_by
    assert limited_by == LimitedBy(kind="tolerated", response="429", share=0.03)
    queue.limit.tolerated, queue.limit.tolerated_cause = 0.05, "503"
    limited_by = pace_of(queue, 0.0, NOW_MS).limited_by
    assert limited_by == LimitedBy(kind="tolerated", share=0.08)


def test_a_429_is_a_rate_that_is_not_known_until_starts_are_allowed_again() -> None:
    queue = queue_of()
    queue.limit = AdaptiveLimit()
    queue.limit.began(0.0, 1)
    refusal = Observation(Signal.RATE_LIMITED, 0.0, 0.1, 0.1)
    queue.limit.ended(refusal, in_flight=1, saturated=True)
    assert pace_of(queue, 0.1, NOW_MS).limited_by == LimitedBy(kind="rate", response="429")
    queue.limit.rate.reopen(1.0)
    limited_by = pace_of(queue, 1.0, NOW_MS).limited_by
    assert limited_by == LimitedBy(kind="rate", response="429", per_s=0.5)


# Red when that rate has the burst of a hook's own rate: five at once, of which four are refused.
def test_starts_at_the_rate_that_429_responses_ask_for_are_spaced() -> None:
    queue = queue_of()
    queue.limit = AdaptiveLimit()
    queue.limit.rate.per_s = 50.0
    queue.change_rate(0)
    assert queue.bucket is not None
    assert queue.bucket.whole(0) == queue.bucket.whole(60_000) == 1
    queue.rate_per_s = 40.0
    queue.change_rate(60_000)
    assert queue.bucket.whole(120_000) == 4


async def test_the_hooks_with_most_in_flight_are_listed_first(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "hooktui.db", key_file=tmp_path / "hooktui.key")
    engine = Engine(store, Transport((), Resolver()))
    for hook, in_flight in ((1, 0), (2, 3), (3, 1), (4, 0)):
        engine._queues.put(hook, slots=None, active=True).in_flight = in_flight
    cut = engine._queues.queue(4)
    assert cut is not None
    cut.limit = simulate(Receivers().capped(20, 0.05), 3).limit
    assert list(await engine.paces(9)) == [2, 3, 4]
    assert list(await engine.paces(1)) == [2]
    await store.close()


def test_the_limit_over_time_begins_with_its_first_change_and_ends_when_it_is_fixed() -> None:
    queue = queue_of()
    queue.limit, queue.slots = AdaptiveLimit(), 10
    for event in range(60):
        at_s = event / 100
        queue.began(at_s)
        overloaded = event >= 40
        observed = Observation(
            Signal.OVERLOADED if overloaded else Signal.KEEPS_UP, at_s, at_s + 0.005, 0.005, "503"
        )
        queue.observe(observed, NOW_MS + event)
        if event == 5:
            assert queue.history is None
    assert queue.history is not None
    assert queue.history.between(NOW_MS, NOW_MS + STEP_MS) == (queue.slots, 10)
    assert queue.slots < 10
    queue.adapt(256, "another URL")
    queue.observe(Observation(Signal.KEEPS_UP, 1.0, 1.005, 0.005), NOW_MS + STEP_MS)
    queue.fix(3)
    assert queue.history is None


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return lines


def test_a_cut_by_half_is_logged_once_a_minute_for_each_hook(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue, other = queue_of(), queue_of()
    other.hook = 2
    for one in (queue, other):
        one.limit = simulate(Receivers().capped(20, 0.05), 3).limit
        one.limit.last_cut = Cut(100.0, 24, "503")
    queue.slots = other.slots = 13
    log_cut(queue, 100.0)
    assert logged(caplog) == []
    queue.slots = other.slots = 12
    for now_s in (100.1, 100.2):
        log_cut(queue, now_s)
    log_cut(other, 100.3)
    words = "its receiver is overloaded (503 with 24 in flight); at most 12 at once now"
    assert logged(caplog) == [f"hook 1: {words}", f"hook 2: {words}"]
    for cut_s, lines in ((150.0, 0), (161.0, 1)):
        assert queue.limit is not None
        queue.limit.last_cut = Cut(cut_s, 24, "503")
        log_cut(queue, cut_s)
        assert len(logged(caplog)) == lines


def test_an_old_cut_and_one_of_a_few_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    queue = queue_of()
    queue.limit = AdaptiveLimit()
    queue.slots = 1
    for cut in (None, Cut(0.0, 24, "503"), Cut(99.0, 3, "503")):
        queue.limit.last_cut = cut
        log_cut(queue, 100.0)
    assert logged(caplog) == []
