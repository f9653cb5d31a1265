"""Deliveries that are stored behind a server's back, and the parts of a plan of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.clocks import START_MS

HOUR_MS = 3_600_000
_EVENTS = """
INSERT INTO event (id, account_id, type, created_at, size, deliveries, skipped, body)
SELECT n, 1, 'job.failed', {at}, 2, 1, 0, '{{}}' FROM {numbers}"""
_DELIVERIES = """
INSERT INTO delivery (id, account_id, hook_id, event_id, event_type, created_at, "trigger", status,
    attempts, next_attempt_at, tries, interruptions)
SELECT n, 1, {hook} + n % {hooks}, n, 'job.failed', {at}, 'event', 'pending',
    {tries}, {at}, {tries}, 0
FROM {numbers}"""
SERIES = "generate_series({first}, {last}) AS n"
RECURSIVE = """(WITH RECURSIVE counted (n) AS (
    SELECT {first} UNION ALL SELECT n + 1 FROM counted WHERE n < {last}) SELECT n FROM counted)"""


def inserts(
    numbers: str, first: int, count: int, hook: int, hooks: int = 1, tries: int = 0
) -> list[str]:
    """Return the statements that store deliveries which are all due at the same time."""
    values = {
        "numbers": numbers.format(first=first, last=first + count - 1),
        "at": START_MS - HOUR_MS, "hook": hook, "hooks": hooks, "tries": tries,
    }  # fmt: skip
    return [_EVENTS.format(**values), _DELIVERIES.format(**values)]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)
