"""Undelivered events: groups by hook and cause, and the results of changing them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.failure_causes import cause_of
from hooktui.domain.wire.hooks import HookPace, LimitedBy, LimitKind
from hooktui.domain.wire.pages import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeliveredExample:
    """One delivery of a group, with its ``last_status``."""

    delivery: str
    event_type: str
    last_status: int | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeliveredGroup:
    """The undelivered events of one hook with one cause.

    Attributes:
        hook: the hook's number.
        name: the hook's name.
        cause: an error class, ``http_400`` to ``http_499``, ``http_5xx``, ``http_other``, ``held``
            or ``skipped``.
        count: events; ``gave_up`` of them have no next attempt, ``retrying`` have one.
        count_is_estimate: whether the counts are estimates.
        oldest_at: when the oldest delivery was created (RFC 3339); for ``skipped``, when the oldest
            event was accepted.
        newest_at: the same of the newest.
        waits_for: why nothing is sent now: ``disabled``, ``breaker`` or ``paused``.
        example: the newest delivery; None for ``skipped``.
        state: ``open``, ``acknowledged`` or ``snoozed``.
        state_by: who changed the state last.
        state_until: when a snooze ends.
        alert: the alert whose state this is.
        limited_by: the last cut of the hook's limit, if responses with this cause led to it.
    """

    hook: int
    name: str
    cause: str
    count: int
    gave_up: int
    retrying: int
    count_is_estimate: bool = False
    oldest_at: str
    newest_at: str
    waits_for: str | None = None
    example: UndeliveredExample | None = None
    state: str = "open"
    state_by: str | None = None
    state_until: str | None = None
    alert: str | None = None
    limited_by: LimitedBy | None = None

    @property
    def waits_or_limit(self) -> str | None:
        """What it waits for; else that the limit of its hook was cut because of it."""
        limit = self.limited_by
        return self.waits_for or (f"limit cut at {limit.in_flight}" if limit else None)


def with_limit(group: UndeliveredGroup, pace: HookPace | None) -> UndeliveredGroup:
    """Return a group with the cut of its hook's limit, if it has the cause of that."""
    limit = None if pace is None else pace.limited_by
    if limit is None or limit.kind != LimitKind.OVERLOAD or limit.response is None:
        return group
    is_status = limit.response.isdigit()
    error = ErrorClass.STATUS.value if is_status else limit.response
    cause = cause_of(error, int(limit.response) if is_status else None)
    return replace(group, limited_by=limit) if cause == group.cause else group


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedGroup(UndeliveredGroup):
    """A group that was acknowledged or snoozed, and how many alerts that changed."""

    alerts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeliveredTotals:
    """The sums over all groups of an account, also those that are not on the page."""

    count: int = 0
    gave_up: int = 0
    retrying: int = 0
    held: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeliveredPage(Page[UndeliveredGroup]):
    """One page of groups with the totals.

    After an upgrade, older deliveries are counted in parts: those created after ``counting_until``
    are not counted yet; None: all are counted.
    """

    # Again, because pydantic does not see what an inherited T stands for.
    data: list[UndeliveredGroup] = field(default_factory=list)
    totals: UndeliveredTotals
    counting_until: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GaveUp:
    """The counts of one call of give-up; ``next`` continues, None: nothing is left."""

    given_up: int
    cancelled: int
    next: str | None = None


NOT_GIVEN_UP: Final = "its events are being sent or have changed since; list the group again"
"""Why a call gave nothing up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledMany:
    """The counts of one call; ``sending`` matched and could no longer be cancelled."""

    cancelled: int
    sending: int
    next: str | None = None
