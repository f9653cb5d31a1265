"""Replays: what is selected, what a plan counts, and how far a replay is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySelection:
    """The pairs of event and hook that a replay sends; times are RFC 3339.

    Attributes:
        hooks: their numbers, or ``all``.
        mode: ``failed``, ``never-sent``, ``sent`` or ``all``.
        since: events accepted from here on; None only in mode ``failed``.
        until: events accepted up to here; None: up to now.
        filter: a filter expression.
        cause: only this cause; only in mode ``failed``.
        include_ordered: also hooks that send in order.
    """

    hooks: tuple[int, ...] | Literal["all"]
    mode: str = "failed"
    since: str | None = None
    until: str | None = None
    filter: str | None = None
    cause: str | None = None
    include_ordered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedHook:
    """The part of a plan for one hook."""

    hook: int
    name: str
    selected: int
    retrying: int = 0
    duplicates: int = 0
    oldest_at: str | None = None
    newest_at: str | None = None
    waits_for: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSkip:
    """Candidates that a replay skips, and why."""

    hook: int
    reason: str
    count: int
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPlan:
    """What a replay would send; nothing is changed by it.

    Attributes:
        selection: normalised, with absolute times and the hooks by number.
        rate_per_s: deliveries a second.
        total: pairs, ``retrying`` of them are tried earlier instead.
        duplicates: pairs that the receiver answered with 2xx before.
        oldest_at: when the oldest event was accepted (RFC 3339).
        newest_at: the newest.
        estimate_s: expected duration in seconds.
        hooks: the same by hook.
        skipped: what is skipped.
        warnings: sentences for the reader.
        complete: whether everything was counted.
        next: continues the count; the pages add up.
    """

    selection: ReplaySelection
    rate_per_s: float
    total: int
    retrying: int
    duplicates: int
    oldest_at: str | None
    newest_at: str | None
    estimate_s: int
    hooks: tuple[PlannedHook, ...] = ()
    skipped: tuple[PlannedSkip, ...] = ()
    warnings: tuple[str, ...] = ()
    complete: bool = True
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayProgress:
    """How far a replay is.

    ``sent`` are new deliveries, ``retried`` are earlier tries; the results are those of both.
    ``position`` is the time of the last event that was handled.
    """

    total: int | None
    sent: int
    retried: int
    delivered: int
    failed: int
    waiting: int
    cancelled: int
    skipped: Mapping[str, int] = field(default_factory=dict)
    position: str | None = None
    estimate_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayHook:
    """One hook of a replay: ``state`` is ``walking``, ``set_aside`` or ``done``."""

    hook: int
    name: str
    state: str
    reason: str | None
    waits_for: str | None
    sent: int
    retried: int
    skipped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A replay: ``state`` is ``running``, ``paused``, ``finished`` or ``aborted``."""

    id: str
    account: int
    state: str
    state_reason: str | None
    selection: ReplaySelection
    rate_per_s: float
    max_deliveries: int | None
    server: str | None
    created_at: str
    created_by: str
    changed_at: str
    changed_by: str
    ended_at: str | None
    progress: ReplayProgress
    hooks: tuple[ReplayHook, ...] = ()
