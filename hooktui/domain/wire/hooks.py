"""Hooks with their secrets and statistics, their health over time, and dry runs.

A dry run applies another selection or filter to the latest stored events. It sends nothing and
saves nothing, and does not depend on whether the hook is enabled; pings are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from hooktui.domain.clock import from_rfc3339, to_rfc3339
from hooktui.domain.hook_fields import HookFields
from hooktui.domain.limit_history import LimitHistory
from hooktui.domain.wire import fields_of


@dataclass(frozen=True, slots=True, kw_only=True)
class HookStats:
    """The recent results of a hook.

    ``last_status`` is the HTTP status of the last attempt, or its error class without a complete
    response.
    ``success_24h`` is the share (0 to 1) of attempts of the last 24 hours that were delivered,
    ``p95_ms`` the 95th percentile of their duration (an upper bound from a histogram).
    ``waiting`` counts deliveries that are still to be sent, ``held`` those of a disabled hook.
    ``failing`` says whether an alert says so, and ``failing_since`` since when all attempts failed.
    ``hourly`` holds one ``[delivered, failed]`` pair for each of the last 24 hours, oldest first.
    """

    last_status: int | str | None = None
    last_at: str | None = None
    success_24h: float | None = None
    p95_ms: int | None = None
    waiting: int = 0
    held: int = 0
    breaker: str = "closed"
    failing: bool = False
    failing_since: str | None = None
    hourly: tuple[tuple[int, int], ...] = ()

    @property
    def last_failed(self) -> bool:
        """Whether the last attempt, if there was one, was no success."""
        last = self.last_status
        return isinstance(last, str) or (last is not None and not 200 <= last < 300)


class LimitKind(StrEnum):
    """What limits the pace of a hook whose ``max_in_flight`` is auto.

    ``overload``: the receiver showed that it was overloaded. ``rate``: it responded with 429.
    ``tolerated``: nothing, although a share of the responses shows an overload or is 429 at any
    pace.
    """

    OVERLOAD = "overload"
    RATE = "rate"
    TOLERATED = "tolerated"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitedBy:
    """What limits the pace of a hook; fields that its kind lacks are null.

    ``kind`` is a `LimitKind`. ``response`` is the HTTP status or error class that led to the last
    cut of the limit, with ``in_flight`` deliveries in flight, ``at`` that time. ``per_s`` is the
    rate in deliveries a second that the 429 responses allow, null until it is known. ``share``
    (0 to 1) is that of the responses that show an overload or are 429 at any pace; all of them are
    ``response``, which is null if they differ.
    """

    kind: str
    response: str | None = None
    in_flight: int | None = None
    at: str | None = None
    per_s: float | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HookPace:
    """How many deliveries of a hook one server has in flight, and what limits them.

    ``overloads`` counts the cuts of an adaptive limit.
    """

    in_flight: int
    in_flight_limit: int
    limited_by: LimitedBy | None = None
    overloads: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook(HookFields):
    """A subscription of an account to events, and everything about how they are sent.

    ``in_flight``, ``in_flight_limit`` and ``limited_by`` are those of the server that responds;
    null in the change feed and in the body of a ping.
    """

    id: int  # type: ignore[misc]
    account: int  # type: ignore[misc]
    disabled_reason: str | None
    disabled_at: str | None
    created_at: str
    updated_at: str
    version: int
    stats: HookStats
    in_flight: int | None = None
    in_flight_limit: int | None = None
    limited_by: LimitedBy | None = None

    @property
    def failing(self) -> bool:
        """Whether it is active and an alert says that it is failing."""
        return self.active and self.stats.failing

    @property
    def retrying(self) -> bool:
        """Whether it is active and fails, but no alert says yet that it is failing."""
        stats = self.stats
        fails = stats.breaker != "closed" or stats.last_failed
        return self.active and not stats.failing and fails


def with_pace(hook: Hook, pace: HookPace | None) -> Hook:
    """Return a hook with its present pace; None: not known."""
    if pace is None:
        return hook
    return replace(
        hook,
        in_flight=pace.in_flight,
        in_flight_limit=pace.in_flight_limit,
        limited_by=pace.limited_by,
    )


def for_revision_1(hook: Hook, auto_max: int) -> Hook:
    """Return a hook with a number in ``max_in_flight``, for clients that fail if it is null.

    ``auto_max``, the largest adaptive limit of the server, stands for auto.
    """
    if hook.max_in_flight is not None:
        return hook
    return replace(hook, max_in_flight=min(hook.max_in_flight_cap or auto_max, auto_max))


def pace_in_words(hook: Hook, ago: Callable[[str | None], str]) -> str:
    """Return the pace: ``17 of 20 (auto; receiver responded 503 at 24, 40 s ago)``; "": not known.

    Args:
        hook: as the server shows it.
        ago: returns how long ago a time was.
    """
    if hook.in_flight is None or hook.in_flight_limit is None:
        return ""
    words = f"{hook.in_flight:,} of {hook.in_flight_limit:,}"
    if hook.max_in_flight is not None or hook.ordered:
        return words
    limit = hook.limited_by
    reason = "" if limit is None else f"; {_reason(limit, ago)}"
    return f"{words} (auto{reason})"


def _reason(limit: LimitedBy, ago: Callable[[str | None], str]) -> str:
    match limit.kind:
        case LimitKind.OVERLOAD:
            response = limit.response or ""
            cause = f"receiver responded {response}" if response.isdigit() else response
            return f"{cause.replace('_', ' ')} at {limit.in_flight}, {ago(limit.at)}"
        case LimitKind.RATE:
            if limit.per_s is None:
                return "waiting, as its 429 responses ask for"
            return f"{_two_digits(limit.per_s)} a second, as its 429 responses ask for"
        case LimitKind.TOLERATED:
            share = f"{_two_digits((limit.share or 0) * 100)} %"
            if limit.response is None:
                return f"{share} of the responses show an overload at any pace"
            if limit.response.isdigit():
                return f"{share} of the responses are {limit.response} at any pace"
            return f"{share} of the attempts: {limit.response.replace('_', ' ')}, at any pace"
    return limit.kind  # of a newer server


def _two_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One live secret of a hook."""

    secret: str = field(repr=False)
    created_at: str
    expires_at: str | None
    last_used_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The secrets of a hook; ``secret`` is the newest."""

    secret: str = field(repr=False)
    secrets: tuple[Secret, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedHook(Hook):
    """A new hook with its secret, which other hook objects lack, and warnings."""

    secret: str = field(repr=False)
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, hook: Hook, secret: str, warnings: Sequence[str]) -> CreatedHook:
        """Return a hook with the secret and warnings of its creation."""
        return cls(**fields_of(hook), secret=secret, warnings=tuple(warnings))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedHook(Hook):
    """A hook after a change, and warnings about it."""

    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, hook: Hook, warnings: Sequence[str]) -> ChangedHook:
        """Return a hook with warnings about its change."""
        return cls(**fields_of(hook), warnings=tuple(warnings))


MAX_HOURS: Final = 31 * 24
"""The statistics are kept for as long by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPoint:
    """A hook in one step of time.

    ``delivered`` and ``failed`` count attempts, without pings. ``p50_ms`` and ``p95_ms`` say how
    long these took (upper bounds from a histogram; null where there were none). ``backlog`` is how
    many deliveries were not final at the end of the step; null where that was not looked through.
    ``limit_min`` and ``limit_max`` bound the adaptive limit in the step; null where that is not
    known.
    """

    at: str
    delivered: int
    failed: int
    p50_ms: int | None
    p95_ms: int | None
    backlog: int | None
    limit_min: int | None = None
    limit_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeCount:
    """The deliveries of one event type of the period, by outcome so far."""

    type: str
    deliveries: int
    delivered: int
    failed: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HookHealth:
    """The response of ``GET /v1/hooks/{id}/health``.

    The points are ``step_s`` seconds each, the oldest first, and the last one is not over yet.
    ``types`` and ``backlog`` come from the hook's newest deliveries: ``counted_since`` says from
    when on, null where all of them were counted. The responding server knows the limits from
    ``limits_since`` on: it keeps them in memory, from their first change after its start. Null
    where there was none.
    """

    hook: int
    since: str
    until: str
    step_s: int
    points: tuple[HealthPoint, ...]
    types: tuple[TypeCount, ...]
    counted_since: str | None
    limits_since: str | None = None


def with_limits(health: HookHealth, history: LimitHistory | None) -> HookHealth:
    """Return a hook's health with its limit over time; None: not known."""
    if history is None:
        return health
    points = []
    for point in health.points:
        start_ms = from_rfc3339(point.at)
        known = history.between(start_ms, start_ms + health.step_s * 1000)
        lowest, highest = known or (None, None)
        points.append(replace(point, limit_min=lowest, limit_max=highest))
    since = to_rfc3339(history.since_ms)
    return replace(health, points=tuple(points), limits_since=since)


class Change(StrEnum):
    """What the tried settings mean for an event that the hook gets: as now, more, or no longer."""

    SAME = "same"
    MORE = "more"
    FEWER = "fewer"


CHANGE_WORDS: Final[dict[str, str]] = {
    Change.SAME: "sent",
    Change.MORE: "newly sent",
    Change.FEWER: "no longer sent",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedEvent:
    """One event of a dry run; ``change`` is one of `Change`."""

    id: str
    type: str
    created_at: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """The result of a dry run; all but ``since`` and ``data`` are counts of events.

    ``looked`` of them were assessed, back to ``since``. ``sent`` would have gone to the hook;
    ``sent_now`` as the hook is (None for a new one), ``more`` only with the tried settings,
    ``fewer`` only as it is. ``unknown`` could not be assessed: their bodies are purged. ``data``
    names the latest of each kind, changes first.
    """

    looked: int
    since: str | None
    sent: int
    sent_now: int | None
    more: int
    fewer: int
    unknown: int
    data: tuple[TriedEvent, ...] = ()


def dry_run_words(run: DryRun) -> str:
    """Return what would have been received: ``214 of the last 1,000 events, 3 fewer than now``."""
    unknown = ""
    if run.unknown:
        bodies = "its body is" if run.unknown == 1 else "their bodies are"
        unknown = f"; {run.unknown:,} unknown, {bodies} purged"
    if not run.looked:
        return f"nothing: there are no events yet{unknown}"
    of = "1 event" if run.looked == 1 else f"the last {run.looked:,} events"
    return f"{run.sent:,} of {of}{_against_now(run)}{unknown}"


def _against_now(run: DryRun) -> str:
    if run.sent_now is None:
        return ""
    parts = []
    if run.more:
        parts.append(f"{run.more:,} more")
    if run.fewer:
        parts.append(f"{run.fewer:,} fewer")
    return f", {' and '.join(parts)} than now" if parts else ", the same as now"
