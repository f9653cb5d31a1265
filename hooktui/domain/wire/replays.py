"""Replays: selection, plan and progress, and their words for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from hooktui.domain.clock import format_duration
from hooktui.domain.text import counted, number_text

WAITS_IN_WORDS: Final = {
    "disabled": "its hook is disabled",
    "breaker": "its breaker is open",
    "paused": "delivery is paused",
    "live_traffic": "other deliveries go first",
    "disk": "the disk is nearly full",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySelection:
    """The pairs of an event and a hook that a replay sends; times are RFC 3339.

    Attributes:
        hooks: their numbers, or ``all``.
        mode: ``failed``, ``never-sent``, ``sent`` or ``all``.
        since: only events accepted since then; may be None in mode ``failed`` alone.
        until: only events accepted until then; None: until now.
        filter: an expression of the filter language.
        cause: only undelivered events with this cause; in mode ``failed`` alone.
        include_ordered: whether hooks that send in order are included.
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
    """The part of a plan for one hook; ``rate_per_s`` is the most that it takes, if known."""

    hook: int
    name: str
    selected: int
    retrying: int = 0
    duplicates: int = 0
    oldest_at: str | None = None
    newest_at: str | None = None
    waits_for: str | None = None
    rate_per_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSkip:
    """The number of pairs that a replay skips for one reason."""

    hook: int
    reason: str
    count: int
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPlan:
    """The deliveries that a replay would send, counted without a change.

    Attributes:
        selection: normalised, with absolute times and the hooks by number.
        rate_per_s: deliveries a second.
        total: selected pairs; ``retrying`` of them have a pending retry, which is attempted now.
        duplicates: selected pairs that were delivered before.
        oldest_at: when the oldest event was accepted (RFC 3339).
        newest_at: the same of the newest.
        estimate_s: expected duration in seconds.
        kept_s: seconds until retention deletes the oldest event; None: never.
        hooks: the same by hook.
        skipped: pairs that are not sent, by hook and reason.
        warnings: sentences for people.
        complete: whether everything was counted.
        next: continues the count; the parts add up.
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
    kept_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayProgress:
    """The progress of a replay.

    ``sent`` counts new deliveries, ``retried`` pending retries that were attempted early; the
    results are those of both. ``position`` is the time up to which events were handled.
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


def waits_reason(reason: str | None) -> str:
    """Return why a hook of a replay waits, in words; empty: it does not wait."""
    return WAITS_IN_WORDS.get(reason or "", reason or "")


def waits_words(replay: Replay) -> str:
    """Return which hooks of a replay wait, and for what; empty: none does."""
    waiting = [hook for hook in replay.hooks if hook.waits_for]
    if len(waiting) > 1:
        return f"{counted(len(waiting), 'hook')} wait"
    return "".join(f"hook {hook.hook} waits: {waits_reason(hook.waits_for)}" for hook in waiting)


def unsent_words(replay: Replay) -> str:
    """Return how many fewer deliveries a finished replay sent than planned, and why; else empty."""
    progress = replay.progress
    if replay.state != "finished" or replay.state_reason or progress.total is None:
        return ""
    unsent = progress.total - progress.sent - progress.retried
    why = "skipped, delivered, given up or deleted meanwhile"
    return f"{unsent:,} fewer than planned: {why}" if unsent > 0 else ""


def time_left(replay: Replay) -> str:
    """Return how long a replay still takes, ``waits`` if no hook continues; empty: not known."""
    if replay.state != "running":
        return ""
    unfinished = [hook for hook in replay.hooks if hook.state == "walking"]
    if unfinished and all(hook.waits_for for hook in unfinished):
        return "waits"
    estimate_s = replay.progress.estimate_s
    return format_duration(estimate_s) if estimate_s else ""


def hook_state(replay: Replay, hook: ReplayHook) -> str:
    """Return the state of a hook of a replay in words."""
    if hook.state == "walking":
        return "sending" if replay.state == "running" else replay.state
    return hook.state.replace("_", " ")


def retrying_words(count: int) -> str:
    """Return how many planned deliveries are pending retries; empty: none."""
    are = "is a pending retry" if count == 1 else "are pending retries"
    return f"{count:,} of them {are} that the replay sends early" if count else ""


def estimate_words(plan: ReplayPlan) -> str:
    """Return how long a plan takes; no time is claimed while a hook waits."""
    rate = f"at {number_text(plan.rate_per_s)} a second"
    if any(hook.waits_for for hook in plan.hooks):
        return f"{rate}; no estimate while a hook waits"
    return f"about {format_duration(plan.estimate_s)} {rate}"
