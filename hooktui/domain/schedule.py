"""The retry schedule of deliveries.

The index into a schedule is the number of attempts with a response or an error; attempts that a
crash or a stop cut off do not count. Durations are seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

from hooktui.domain.clock import (
    exact_duration,
    format_duration,
    parse_duration_s,
    parse_http_date_s,
)

DEFAULT_SCHEDULE_S: tuple[float, ...] = (
    5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600,
)  # fmt: skip
"""The Standard Webhooks example schedule without its leading 0: 10 attempts in 75 h 35 min 5 s."""

JITTER = 0.1
"""Waits vary by ±10 %, so that a receiver does not get many retries at the same time."""

MAX_ENTRIES = 50
MAX_WAIT_S = 7 * 86400.0
MIN_RETRY_AFTER_S, MAX_RETRY_AFTER_S = 1, 86400
INTERRUPTIONS_BEFORE_WAIT = 10
INTERRUPTED_WAIT_S = 300.0


def check_schedule(schedule_s: Sequence[float]) -> str | None:
    """Return what is wrong with a schedule, or None. An empty one means no retries."""
    if len(schedule_s) > MAX_ENTRIES:
        return f"a retry schedule has at most {MAX_ENTRIES} waits, this one has {len(schedule_s)}"
    for wait_s in schedule_s:
        if not 0 < wait_s <= MAX_WAIT_S:
            return f"each wait is over 0s and at most 7d; {exact_duration(wait_s)} is not"
    return None


def parse_schedule(text: str) -> tuple[float, ...]:
    """Return the waits of ``5s,5m,2h`` in seconds; an empty text means no retries.

    Raises:
        ValueError: an entry is not a duration, or the schedule is not acceptable.
    """
    schedule_s = tuple(parse_duration_s(part.strip()) for part in text.split(",") if part.strip())
    wrong = check_schedule(schedule_s)
    if wrong:
        raise ValueError(wrong)
    return schedule_s


def format_schedule(schedule_s: Sequence[float]) -> str:
    """Return the waits of a schedule as people write them: ``5s, 5m, 30m``."""
    return ", ".join(exact_duration(wait_s) for wait_s in schedule_s)


def count_attempts(schedule_s: Sequence[float]) -> str:
    """Return how many attempts a schedule makes and in what time."""
    if not schedule_s:
        return "1 attempt, no retries"
    return f"{len(schedule_s) + 1} attempts in {format_duration(sum(schedule_s))}"


def describe_schedule(schedule_s: Sequence[float]) -> str:
    """Return a schedule that is not empty in words: attempts, time and waits."""
    waits = format_schedule(schedule_s)
    return f"{count_attempts(schedule_s)}: after {waits} (each ±{JITTER:.0%})"


def wait_before_next_s(
    schedule_s: Sequence[float], tries: int, chance: float, retry_after_s: int | None
) -> float | None:
    """Return the seconds until the next attempt, or None if the schedule is used up.

    Args:
        schedule_s: the hook's waits.
        tries: attempts with a response or an error so far, at least 1.
        chance: a random number in 0..1 for the jitter.
        retry_after_s: the wait that the receiver asks for, if any; never shortens the wait.
    """
    if tries > len(schedule_s):
        return None
    wait_s = schedule_s[tries - 1] * (1 - JITTER + 2 * JITTER * chance)
    if retry_after_s is not None:
        wait_s = max(wait_s, min(max(retry_after_s, MIN_RETRY_AFTER_S), MAX_RETRY_AFTER_S))
    return wait_s


def parse_retry_after_s(value: str, now_ms: int) -> int | None:
    """Return the seconds of a ``Retry-After`` value (RFC 9110, 10.2.3): a number or a date.

    None if it is neither; the result is clamped to 1 s … 24 h.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        seconds = int(text.lstrip("0")[:9] or 0)
    else:
        moment_s = parse_http_date_s(text)
        if moment_s is None:
            return None
        seconds = round(moment_s - now_ms / 1000)
    return min(max(seconds, MIN_RETRY_AFTER_S), MAX_RETRY_AFTER_S)
