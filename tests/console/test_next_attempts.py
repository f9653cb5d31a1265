"""Which attempts come next, and why then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from hooktui.console.deliveries.columns import delivery_columns, step_columns, steps_of
from hooktui.console.deliveries.text import (
    next_step,
    remaining_attempts,
    remaining_pairs,
    wait_reason,
)
from hooktui.console.glyphs import UNICODE
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.wire.deliveries import DeliveryDetail
from hooktui.domain.wire.hooks import HookStats
from hooktui.domain.wire.server import (
    Backlog,
    DatabaseInfo,
    OpenBreaker,
    Pause,
    Rates,
    ServerStatus,
)
from tests.support.wire_objects import AT, AT_MS, KEY, attempt, delivery, detail, hook

SCHEDULE_S = (5.0, 300.0, 1800.0)
LATER = to_rfc3339(AT_MS + 60_000)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def server(**fields: Any) -> ServerStatus:
    made: dict[str, Any] = {
        "version": "1", "database": DatabaseInfo(kind="sqlite", version="3", location="x"),
        "role": "admin", "user": "ada", "servers": (), "disk": None,
        "backlog": Backlog(count=0, held=0, oldest_due_at=None, hooks=()),
        "rates": Rates(accepted_per_s=0, delivered_per_s=0, failed_per_s=0, in_flight=0),
    }  # fmt: skip
    return ServerStatus(**{**made, **fields})


def test_the_rest_of_the_schedule_follows_the_next_attempt() -> None:
    # Red when an attempt that was cut off uses up the schedule.
    attempts = (attempt(), attempt(number=2, outcome="interrupted", status_code=None))
    one = detail(attempts=attempts, next_attempt_at=LATER)
    at_ms = AT_MS + 60_000
    assert remaining_attempts(one, SCHEDULE_S, AT_MS) == [
        (3, at_ms),
        (4, at_ms + 300_000),
        (5, at_ms + 2_100_000),
    ]
    assert remaining_pairs(remaining_attempts(one, SCHEDULE_S, AT_MS), AT_MS, KEY) == (
        ("attempt 3", "12:01:00"),
        ("attempt 4", "12:06:00, 5m later"),
        ("attempt 5", "12:36:00, 30m later"),
        ("after that", "failed; r sends it again"),
    )


PROBE_AT = to_rfc3339(AT_MS + 300_000)
RECENT = to_rfc3339(AT_MS - 59_000)
OVERDUE = to_rfc3339(AT_MS - 420_000)
THEN = [column for column in delivery_columns(UNICODE, lambda: AT_MS) if column.name == "next"]


def time_line(one: DeliveryDetail) -> str:
    """Return the time of the next attempt in the time line of a delivery."""
    at = next(c for c in step_columns(UNICODE, lambda: AT_MS, lambda: one) if c.name == "at")
    return at.text(steps_of(one)[-1])


# Red when a delivery is "due now" minutes after it was due, or its next attempt is in the past,
# although the open breaker of its hook, a pause or the end of its hook keeps it from being sent.
@pytest.mark.parametrize(
    ("fields", "then", "step", "last"),
    [
        ({"next_attempt_at": OVERDUE}, "due 7m ago", "next attempt due 7m ago", "12:35:00"),
        ({"next_attempt_at": RECENT}, "due now", "next attempt due now", "12:35:00"),
        ({"next_attempt_at": OVERDUE, "probe_at": PROBE_AT}, "at 12:05:00",
         "next attempt at 12:05:00, in 5m", "12:40:00"),
        ({"next_attempt_at": LATER, "probe_at": PROBE_AT}, "at 12:05:00",
         "next attempt at 12:05:00, in 5m", "12:40:00"),
        ({"next_attempt_at": PROBE_AT, "probe_at": LATER}, "at 12:05:00",
         "next attempt at 12:05:00, in 5m", "12:40:00"),
        ({"next_attempt_at": OVERDUE, "probe_at": AT}, "due now", "next attempt due now",
         "12:35:00"),
        # The clock was set back: the engine sends the probe at once.
        ({"probe_at": to_rfc3339(AT_MS + 86_400_000)}, "due now", "next attempt due now",
         "12:35:00"),
        ({"next_attempt_at": OVERDUE, "paused": True}, "paused", "next attempt paused", ""),
        ({"probe_at": PROBE_AT, "paused": True}, "paused", "next attempt paused", ""),
        ({"held": True, "paused": True, "probe_at": PROBE_AT}, "", "until hook 12 is enabled", ""),
    ],
)  # fmt: skip
def test_the_next_attempt_is_the_earliest_that_can_be(
    fields: dict[str, Any], then: str, step: str, last: str
) -> None:
    one = detail(**fields)
    assert [c.text(delivery(**fields)) for c in THEN] == [then]
    assert step in next_step(one, AT_MS, KEY)
    assert time_line(one) == (then.removeprefix("at ") or "…")
    pairs = remaining_pairs(remaining_attempts(one, SCHEDULE_S, AT_MS), AT_MS, KEY)
    assert [text.partition(",")[0] for _, text in pairs[-2:-1]] == ([last] if last else [])


@pytest.mark.parametrize("fields", [{"held": True}, {"status": "delivered"}, {"status": "sending"}])
def test_nothing_is_planned_for_what_does_not_wait_for_a_time(fields: dict[str, Any]) -> None:
    assert remaining_attempts(detail(**fields), SCHEDULE_S, AT_MS) == []


@pytest.mark.parametrize(
    ("fields", "of_hook", "of_server", "words"),
    [
        ({"status": "failed"}, {}, {}, ""),
        ({}, {}, {"paused": Pause(at=AT, by="ada")},
         "all sending has been paused since 12:00:00, by ada"),
        ({"held": True}, {"active": False, "disabled_at": AT, "disabled_reason": "gone"}, {},
         "hook 12 has been disabled since 12:00:00 (gone)"),
        ({}, {"stats": HookStats(breaker="open")},
         {"breakers": (OpenBreaker(hook=12, name="n", probe_at=LATER, failures=10),)},
         "its breaker is open (10 failures in a row); probe attempt at 12:01:00"),
        ({}, {"stats": HookStats(breaker="open")}, {}, "its breaker is open: the last"),
        # The schedule is later than the probe.
        ({"next_attempt_at": to_rfc3339(AT_MS + 90_000)}, {"stats": HookStats(breaker="open")},
         {"breakers": (OpenBreaker(hook=12, name="n", probe_at=LATER, failures=10),)},
         "retry schedule:"),
        ({"attempts": ()}, {"rate_per_s": 2.0, "ordered": True}, {},
         "queued: at most 10 at once, at most 2 a second, in order"),
        ({"next_attempt_at": LATER}, {}, {}, "retry schedule: 5s after attempt 1 (±10%)"),
        ({"next_attempt_at": LATER, "attempts": (attempt(status_code=429, retry_after_s=90),)},
         {}, {}, "the receiver asked for 1m 30s (Retry-After)"),
        # The schedule is later, or the status is none whose Retry-After counts.
        ({"next_attempt_at": LATER, "attempts": (attempt(status_code=429, retry_after_s=2),)},
         {}, {}, "retry schedule:"),
        ({"next_attempt_at": LATER, "attempts": (attempt(status_code=500, retry_after_s=90),)},
         {}, {}, "retry schedule:"),
        ({"next_attempt_at": LATER, "attempts": (attempt(outcome="interrupted"),)}, {}, {},
         "the last attempt was interrupted"),
    ],
)  # fmt: skip
def test_why_the_next_attempt_comes_when_it_comes(
    fields: dict[str, Any], of_hook: dict[str, Any], of_server: dict[str, Any], words: str
) -> None:
    said = wait_reason(detail(**fields), hook(**of_hook), server(**of_server), AT_MS)
    assert said.startswith(words)
    assert bool(said) == bool(words)


def test_without_the_hook_nothing_is_claimed() -> None:
    assert wait_reason(detail(next_attempt_at=LATER), None, None, AT_MS) == ""
