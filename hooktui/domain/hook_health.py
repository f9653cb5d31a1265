"""How a hook has been doing over time, as it goes over the wire, and the steps of that time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOST_HOURS: Final = 31 * 24
"""As far back as counts are kept, unless somebody configures more."""

_STEPS_MIN: Final = (5, 10, 15, 30, 60, 120, 180, 360)
"""All of them multiples of the five minutes in which attempts are counted."""

_MOST_POINTS: Final = 168
"""More than that no terminal shows, and a week in hours are so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPoint:
    """A hook in one step of time.

    ``delivered`` and ``failed`` count attempts, without pings. ``p50_ms`` and ``p95_ms`` say how
    long these took (upper bounds from a histogram; null where there were none). ``backlog`` is how
    many deliveries were not final at the end of the step; null where that was not looked through.
    """

    at: str
    delivered: int
    failed: int
    p50_ms: int | None
    p95_ms: int | None
    backlog: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeCount:
    """Deliveries of one event type that came in the time, and what became of them until now."""

    type: str
    deliveries: int
    delivered: int
    failed: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HookHealth:
    """What ``GET /v1/hooks/{id}/health`` answers.

    The points are ``step_s`` seconds each, the oldest first, and the last one is not over yet.
    ``types`` and ``backlog`` come from the hook's newest deliveries: ``counted_since`` says from
    when on, null where all of them were counted.
    """

    hook: int
    since: str
    until: str
    step_s: int
    points: tuple[HealthPoint, ...]
    types: tuple[TypeCount, ...]
    counted_since: str | None


def step_s(hours: int) -> int:
    """Return the seconds of a step: as many of them in the hours as there is use for."""
    enough = (step for step in _STEPS_MIN if hours * 60 / step <= _MOST_POINTS)
    return next(enough, _STEPS_MIN[-1]) * 60
