"""Rules of replays: what may be selected, which pairs of event and hook are sent, and states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil
from typing import Final, TypeVar

import msgspec

from hooktui.domain.alerts import is_operator_event
from hooktui.domain.catalogue import PING
from hooktui.domain.clock import HOUR_MS, optional_rfc3339, parse_moment, to_rfc3339
from hooktui.domain.deliveries import OPEN, DeliveryStatus
from hooktui.domain.errors import Conflict, FieldError, Refused
from hooktui.domain.failure_causes import CAUSES, CAUSES_IN_WORDS
from hooktui.domain.filters.parser import (
    MAX_LENGTH,
    FilterError,
    absolute_filter,
    parse,
    parse_event_filter,
)
from hooktui.domain.filters.terms import Filter
from hooktui.domain.ids import HookId, ceiling_at, floor_at
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.text import number_text
from hooktui.domain.wire.replays import PlannedHook, Replay, ReplayPlan, ReplaySelection

T = TypeVar("T", str, float)
MAX_UNFINISHED, MAX_UNFINISHED_OF_ACCOUNT = 20, 15
"""Unfinished replays of an installation, and of one account if there are several."""
MAX_HOOKS: Final = 1_000
MAX_HOOKS_OF_EVENTS: Final = 20
"""Hooks of a replay that walks all events for each of them."""
_LONGEST_ESTIMATE_S = 100 * 365 * 86_400
MIN_RATE, DEFAULT_RATE, MAX_RATE = 0.1, 50.0, 1_000.0
STEP_DELIVERIES: Final = 100
STEP_BYTES: Final = 4 * 1024 * 1024
LEASE_MS: Final = 15_000
ABANDONED_MS: Final = HOUR_MS
"""A replay that no server ran for this long pauses."""
FAILURES_IN_A_ROW: Final = 20
"""Failed attempts in a row after which a hook is set aside."""

FAILED_IN_A_ROW: Final = f"{FAILURES_IN_A_ROW} attempts in a row failed"
CANCELLING: Final = "its waiting deliveries are being cancelled"
WAITING_CANCELLED: Final = "its waiting deliveries were cancelled"
ABANDONED: Final = "no server ran it for an hour"
MAX_REACHED: Final = "max_deliveries reached"
HOOK_DELETED: Final = "hook deleted"
_EXPIRES: Final = "retention deletes the oldest of these events before the replay ends"


class ReplayMode(StrEnum):
    """Which pairs of event and hook a replay selects."""

    FAILED = "failed"
    NEVER_SENT = "never-sent"
    SENT = "sent"
    ALL = "all"

    @property
    def walks_events(self) -> bool:
        """Whether pairs without a delivery are selected, so that the events are searched."""
        return self in (ReplayMode.NEVER_SENT, ReplayMode.ALL)

    @property
    def max_hooks(self) -> int:
        """How many hooks a replay may have."""
        return MAX_HOOKS_OF_EVENTS if self.walks_events else MAX_HOOKS


class ReplayState(StrEnum):
    """The state of a replay."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    ABORTED = "aborted"


UNFINISHED: Final = (ReplayState.RUNNING, ReplayState.PAUSED)

_TRANSITIONS: Final = {
    ReplayState.RUNNING: (ReplayState.PAUSED, ReplayState.FINISHED, ReplayState.ABORTED),
    ReplayState.PAUSED: (ReplayState.RUNNING, ReplayState.ABORTED),
}


class WalkState(StrEnum):
    """The state of one hook of a replay."""

    WALKING = "walking"
    SET_ASIDE = "set_aside"
    DONE = "done"


class ReplaySkip(StrEnum):
    """Why a selected pair is not sent."""

    PURGED = "purged"
    WAITING = "waiting"
    SUPERSEDED = "superseded"
    FILTER = "filter"
    ORDERED = "ordered"


EXPLANATIONS: Final[Mapping[str, str]] = {
    ReplaySkip.PURGED: "the body was dropped by retention",
    ReplaySkip.WAITING: "a delivery of the event to the hook waits already",
    ReplaySkip.SUPERSEDED: "a newer delivery of the event to the hook exists",
    ReplaySkip.FILTER: "the filter of the replay does not match",
    ReplaySkip.ORDERED: "the hook sends in order; include ordered hooks to select it",
}


class Act(StrEnum):
    """What a replay does with a selected pair: create a delivery, or retry the waiting one now."""

    SEND = "send"
    RETRY = "retry"


def check_transition(name: str, before: str, after: ReplayState) -> None:
    """Check that a replay may change its state.

    Raises:
        Conflict: it may not.
    """
    if after not in _TRANSITIONS.get(ReplayState(before), ()):
        verbs = {ReplayState.PAUSED: "paused", ReplayState.RUNNING: "resumed"}
        raise Conflict(f"{name} is {before}; it cannot be {verbs.get(after, after.value)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSelection:
    """A checked selection: times in ms since the epoch, hooks by number (None: all)."""

    hooks: tuple[HookId, ...] | None
    mode: ReplayMode
    since_ms: int | None
    until_ms: int
    filter: str | None
    cause: str | None
    include_ordered: bool

    @property
    def first_event(self) -> int:
        """The lowest event id in its range."""
        return floor_at(self.since_ms or 0)

    @property
    def last_event(self) -> int:
        """An id after all events in its range."""
        return ceiling_at(self.until_ms)

    @property
    def parsed_filter(self) -> Filter | None:
        """The filter; None without one."""
        return None if self.filter is None else parse(self.filter)

    def contains(self, accepted_ms: int) -> bool:
        """Return whether an event that was accepted at a time is in its range."""
        return (self.since_ms or 0) <= accepted_ms <= self.until_ms

    def includes_type(self, event_type: str) -> bool:
        """Return whether events of a type may be selected.

        Pings never are, and the server's own events only in mode ``failed``.
        """
        if event_type == PING:
            return False
        return self.mode is ReplayMode.FAILED or not is_operator_event(event_type)


def check_selection(given: ReplaySelection, now_ms: int) -> PairSelection:
    """Return a selection with absolute times; relative ones count from now.

    Raises:
        Refused: names each bad field.
    """
    errors: list[FieldError] = []

    def refuse(name: str, detail: str) -> None:
        errors.append(FieldError(f"/selection/{name}", detail))

    mode = ReplayMode.FAILED
    try:
        mode = ReplayMode(given.mode)
    except ValueError:
        refuse("mode", f"unknown mode {given.mode[:40]!r}; known: {', '.join(ReplayMode)}")
    hooks = None if isinstance(given.hooks, str) else tuple(dict.fromkeys(given.hooks))
    if hooks is not None and not 1 <= len(hooks) <= mode.max_hooks:
        allowed = f"1 to {mode.max_hooks:,} hooks"
        refuse("hooks", f"a replay in mode {mode} has {allowed}, not {len(hooks):,}")
    since_ms = _time("since", given.since, now_ms, errors)
    until_ms = _time("until", given.until, now_ms, errors)
    until_ms = now_ms if until_ms is None else until_ms
    if given.since is None and mode is not ReplayMode.FAILED:
        refuse("since", f"since is needed in mode {mode}, as in 24h or 2026-11-25T03:04:05Z")
    elif since_ms is not None and since_ms > until_ms:
        refuse("since", "since is after until")
    if given.cause is not None:
        if mode is not ReplayMode.FAILED:
            refuse("cause", f"cause goes with mode failed, not with {mode}")
        elif given.cause not in CAUSES:
            refuse(
                "cause", f"{given.cause[:40]!r} is not a cause; expected one of {CAUSES_IN_WORDS}"
            )
    text = _absolute_filter(given.filter, mode, now_ms, errors)
    if errors:
        raise Refused.fields(errors)
    return PairSelection(
        hooks=None if hooks is None else tuple(map(HookId, hooks)),
        mode=mode,
        since_ms=since_ms,
        until_ms=until_ms,
        filter=text,
        cause=given.cause,
        include_ordered=given.include_ordered,
    )


def check_rate(rate_per_s: float) -> float:
    """Return a rate that a replay may have.

    Raises:
        Refused: it may not.
    """
    if not MIN_RATE <= rate_per_s <= MAX_RATE:
        rates = f"{MIN_RATE:g} to {MAX_RATE:,.0f}"
        detail = f"rate_per_s must be from {rates}, not {number_text(rate_per_s)}"
        raise Refused.field("/rate_per_s", detail)
    return float(rate_per_s)


def fastest_rate(hook: LiveHook, rate_per_s: float, slots: int, median_ms: int | None) -> float:
    """Return how many deliveries of a replay a hook takes a second, at most.

    ``slots`` are those of the hook; ``median_ms`` is the duration of its attempts, if known.
    """
    rates = [rate_per_s]
    if hook.settings.rate_per_s is not None:
        rates.append(hook.settings.rate_per_s)
    if median_ms:
        rates.append(slots * 1000 / median_ms)
    return min(rates)


def holds_line(hook: LiveHook, selection: PairSelection) -> bool:
    """Return whether a delivery of the replay that fails holds those behind it."""
    return hook.settings.ordered and selection.include_ordered


def with_hooks(selection: PairSelection, hooks: Sequence[HookId]) -> PairSelection:
    """Return a selection of all hooks with their numbers.

    Raises:
        Refused: there are too many.
    """
    mode = selection.mode
    if len(hooks) > mode.max_hooks:
        detail = (
            f"a replay in mode {mode} has at most {mode.max_hooks:,} hooks, and this account has"
            " more of them; name some"
        )
        raise Refused.field("/selection/hooks", detail)
    return replace(selection, hooks=tuple(hooks))


def wire_selection(selection: PairSelection) -> ReplaySelection:
    """Return the wire form of a selection."""
    return ReplaySelection(
        hooks="all" if selection.hooks is None else selection.hooks,
        mode=selection.mode.value,
        since=optional_rfc3339(selection.since_ms),
        until=to_rfc3339(selection.until_ms),
        filter=selection.filter,
        cause=selection.cause,
        include_ordered=selection.include_ordered,
    )


def _time(name: str, text: str | None, now_ms: int, errors: list[FieldError]) -> int | None:
    if text is None:
        return None
    try:
        return parse_moment(text, now_ms)
    except ValueError as error:
        errors.append(FieldError(f"/selection/{name}", f"{name}: {error}"))
        return None


def _absolute_filter(
    text: str | None, mode: ReplayMode, now_ms: int, errors: list[FieldError]
) -> str | None:
    if text is None or not text.strip():
        return None
    try:
        # The events of pairs without a delivery have no terms of deliveries.
        parsed = parse_event_filter(text) if mode is ReplayMode.NEVER_SENT else parse(text)
    except FilterError as error:
        errors.append(FieldError("/selection/filter", error.detail))
        return None
    absolute = absolute_filter(parsed, now_ms)
    if len(absolute) > MAX_LENGTH:  # it is parsed again whenever the replay is read
        wrong = f"with times for its ages it has more than {MAX_LENGTH:,} characters; shorten it"
        errors.append(FieldError("/selection/filter", wrong))
    return absolute


class Newest(msgspec.Struct, frozen=True, gc=False):
    """The newest delivery of an event to a hook."""

    id: int
    status: str
    cause: str | None
    replay: int | None


def assess_pair(
    selection: PairSelection,
    newest: Newest | None,
    *,
    candidate: int | None,
    replay: int | None,
    bound: int,
) -> Act | ReplaySkip | None:
    """Return what a replay does with a pair of event and hook; None: it is not selected.

    Args:
        selection: of the replay.
        newest: the newest delivery of the pair, if there is one.
        candidate: the delivery by which the pair was found; None: by its event.
        replay: the replay, whose own deliveries are not selected; None: it does not exist yet.
        bound: deliveries with a higher id are newer than the replay.
    """
    mode = selection.mode
    if newest is None:
        return Act.SEND if mode.walks_events else None
    own = replay is not None and newest.replay == replay
    if mode is ReplayMode.NEVER_SENT or own:
        return None
    if newest.id > bound:
        return ReplaySkip.SUPERSEDED
    if candidate is not None and newest.id != candidate:
        return None
    undelivered = newest.cause is not None and selection.cause in (None, newest.cause)
    if mode is ReplayMode.FAILED and not undelivered:
        return None
    if newest.status not in OPEN:
        return Act.SEND
    if newest.cause is not None and newest.status == DeliveryStatus.PENDING:
        return Act.RETRY
    return ReplaySkip.WAITING


def after_filters(
    verdict: Act | ReplaySkip | None,
    selection: PairSelection,
    *,
    fits: bool,
    purged: bool,
    ordered: bool,
) -> Act | ReplaySkip | None:
    """Return what a replay does with a pair after the checks that do not depend on deliveries.

    ``verdict`` is that of `assess_pair`; ``fits`` says whether the filter of the replay matches,
    ``purged`` whether the event's body was deleted, ``ordered`` whether the hook sends in order.
    """
    if not isinstance(verdict, Act):
        return verdict
    if not fits:
        return ReplaySkip.FILTER
    if purged:
        return ReplaySkip.PURGED
    return ReplaySkip.ORDERED if ordered and not selection.include_ordered else verdict


def alert_facts(replay: Replay) -> dict[str, object]:
    """Return the field ``replay`` of the events about a replay."""
    progress = replay.progress
    return {
        "id": replay.id,
        "mode": replay.selection.mode,
        "hooks": [hook.hook for hook in replay.hooks],
        "sent": progress.sent,
        "retried": progress.retried,
        "delivered": progress.delivered,
        "failed": progress.failed,
        "waiting": progress.waiting,
        "skipped": dict(progress.skipped),
        "started_at": replay.created_at,
        "ended_at": replay.ended_at,
    }


def add_plans(first: ReplayPlan, second: ReplayPlan) -> ReplayPlan:
    """Return the sum of a page of a plan and the next one."""
    hooks = {hook.hook: hook for hook in first.hooks}
    for hook in second.hooks:
        hooks[hook.hook] = _add_hooks(hooks[hook.hook], hook) if hook.hook in hooks else hook
    skips = {(skip.hook, skip.reason): skip for skip in first.skipped}
    for skip in second.skipped:
        known = skips.get((skip.hook, skip.reason))
        count = skip.count + (0 if known is None else known.count)
        skips[skip.hook, skip.reason] = replace(skip, count=count)
    return with_estimate(
        replace(
            second,
            total=first.total + second.total,
            retrying=first.retrying + second.retrying,
            duplicates=first.duplicates + second.duplicates,
            oldest_at=_first([first.oldest_at, second.oldest_at]),
            newest_at=_last([first.newest_at, second.newest_at]),
            hooks=tuple(hooks.values()),
            skipped=tuple(skips.values()),
            warnings=(*first.warnings, *second.warnings),
            kept_s=_first([first.kept_s, second.kept_s]),
        )
    )


def with_estimate(plan: ReplayPlan) -> ReplayPlan:
    """Return a plan with its duration, and a warning if retention deletes events before its end."""
    # Hooks are sent to side by side, so the slowest decides.
    seconds = [hook.selected / (hook.rate_per_s or plan.rate_per_s) for hook in plan.hooks]
    estimate_s = ceil(min(max([*seconds, plan.total / plan.rate_per_s]), _LONGEST_ESTIMATE_S))
    expires = plan.kept_s is not None and plan.kept_s < estimate_s
    warnings = dict.fromkeys((*plan.warnings, _EXPIRES) if expires else plan.warnings)
    return replace(plan, estimate_s=estimate_s, warnings=tuple(warnings))


def _add_hooks(first: PlannedHook, second: PlannedHook) -> PlannedHook:
    return replace(
        second,
        selected=first.selected + second.selected,
        retrying=first.retrying + second.retrying,
        duplicates=first.duplicates + second.duplicates,
        oldest_at=_first([first.oldest_at, second.oldest_at]),
        newest_at=_last([first.newest_at, second.newest_at]),
    )


def _first(times: Iterable[T | None]) -> T | None:
    return min((time for time in times if time is not None), default=None)


def _last(times: Iterable[str | None]) -> str | None:
    return max((time for time in times if time is not None), default=None)
