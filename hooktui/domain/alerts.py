"""Operator alerts: types, keys, states, and the rules that open, end and announce them.

An alert has one key. It is open until its cause ends; an operator may acknowledge or snooze it
meanwhile. Hooks that subscribe to the group ``hooktui`` are notified when it opens and when it
ends: each announced opening has exactly one announced end. The rules are pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from hooktui.domain.catalogue import OPERATOR_GROUP, group_of
from hooktui.domain.deliveries import DisabledReason
from hooktui.domain.errors import Conflict
from hooktui.domain.hook_failures import FailureStreak

MAX_PER_MINUTE: Final = 20
"""Openings that are announced to the hooks of one account within a minute."""
MINUTE_MS: Final = 60_000
MIN_SNOOZE_S: Final = 60
MAX_SNOOZE_S: Final = 30 * 24 * 3600
LONGEST_SNOOZE_MS: Final = (MAX_SNOOZE_S + 24 * 3600) * 1000
"""A snooze that ends later was made by a clock that was ahead."""
LATE_MS: Final = 300_000
"""A queue is behind when its oldest due delivery is later than this."""
CAUGHT_UP_MS: Final = 60_000
LOW_DISK, ENOUGH_DISK = 4, 6
"""Multiples of the reserve: less is low, more ends the alert."""
EXPIRES_WITHIN_MS: Final = 3 * 24 * 3600 * 1000
"""Dead letters that retention deletes within this time are announced."""
_WITH_GIVING_UP: Final = 2
"""Failures in a row, the last of which gave up, after which a hook is failing."""
GONE_CAUSE: Final = "http_410"
"""Its dead letters open no alert of their own where it disabled the hook, which opens one."""


class AlertType(StrEnum):
    """The types of alerts; each key begins with its type."""

    HOOK_FAILING = "hook.failing"
    HOOK_DISABLED = "hook.disabled"
    GAVE_UP = "delivery.gave_up"
    QUEUE_BEHIND = "queue.behind"
    DISK_LOW = "disk.low"
    REPLAY_PAUSED = "replay.paused"
    REPLAY_FINISHED = "replay.finished"
    EXPIRING = "undelivered.expiring"


class AlertState(StrEnum):
    """The state of an alert; a snoozed one is open again at a time."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """How an alert ended."""

    DELIVERED = "delivered"
    ENABLED = "enabled"
    DISABLED = "disabled"
    DELETED = "deleted"
    CHANGED = "changed"
    CLEARED = "cleared"
    RECOVERED = "recovered"
    ENDED = "ended"
    EXPIRED = "expired"


_CLOSED: Final = "alert.closed"
_ENDS: Final[Mapping[tuple[AlertType, Resolution], str]] = {
    (AlertType.HOOK_FAILING, Resolution.DELIVERED): "hook.recovered",
    (AlertType.HOOK_DISABLED, Resolution.ENABLED): "hook.enabled",
    (AlertType.GAVE_UP, Resolution.DELIVERED): "delivery.cleared",
    (AlertType.GAVE_UP, Resolution.CLEARED): "delivery.cleared",
    (AlertType.GAVE_UP, Resolution.EXPIRED): "delivery.cleared",
    (AlertType.EXPIRING, Resolution.DELIVERED): "delivery.cleared",
    (AlertType.EXPIRING, Resolution.CLEARED): "delivery.cleared",
    (AlertType.EXPIRING, Resolution.EXPIRED): "delivery.cleared",
    (AlertType.QUEUE_BEHIND, Resolution.RECOVERED): "queue.caught_up",
    (AlertType.DISK_LOW, Resolution.RECOVERED): "disk.recovered",
}


def key_of(kind: AlertType, *subject: object) -> str:
    """Return the key of an alert: its type and its subject, as ``hook.failing:3``."""
    return ":".join((kind.value, *map(str, subject)))


def event_type_of(kind: AlertType, state: AlertState, resolution: Resolution | None = None) -> str:
    """Return the event type that announces an alert.

    The expiry of dead letters is announced as the group's ``delivery.gave_up``: it is a reminder.
    """
    if state is AlertState.RESOLVED and kind is not AlertType.REPLAY_FINISHED:
        name = _CLOSED if resolution is None else _ENDS.get((kind, resolution), _CLOSED)
    else:
        name = AlertType.GAVE_UP if kind is AlertType.EXPIRING else kind
    return f"{OPERATOR_GROUP}.{name}"


def is_operator_event(event_type: str) -> bool:
    """Return whether the server itself sends events of a type."""
    return group_of(event_type) == OPERATOR_GROUP


def is_alert_path(subscriptions: frozenset[str]) -> bool:
    """Return whether a subscription covers any operator event."""
    return any(group_of(name) == OPERATOR_GROUP for name in subscriptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """When a hook is failing, and how often an alert of one key is announced."""

    after_failures: int = 3
    after_s: float = 60
    quiet_s: float = 600

    @property
    def quiet_ms(self) -> int:
        """The least time between two announced openings of a key."""
        return round(self.quiet_s * 1000)


# The decision of a batch of results


@dataclass(frozen=True, slots=True)
class HookBatch:
    """The results of one hook in one transaction, as far as they concern alerts.

    Attributes:
        streak: the failures since the last success, after the batch.
        delivered: whether an attempt was delivered.
        gave_up: whether a delivery gave up after the last success.
        dead_letters: new dead letters by cause, without those of alerts' own events.
        disabled: why the server disables the hook, if it does.
        cause: of the last failure; None: none of these results is one.
        code: its HTTP status.
        waiting_change: the part of the change of waiting deliveries that is not stored yet.
    """

    streak: FailureStreak
    delivered: bool = False
    gave_up: bool = False
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    disabled: str | None = None
    cause: str | None = None
    code: int | None = None
    waiting_change: int = 0


@dataclass(frozen=True, slots=True)
class Opening:
    """An alert opens, or is open already and grows by ``count``."""

    kind: AlertType
    cause: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Ending:
    """An alert ends, if it is open."""

    kind: AlertType
    resolution: Resolution


AlertChange = Opening | Ending


def is_failing(streak: FailureStreak, *, gave_up: bool, rules: AlertRules, now_ms: int) -> bool:
    """Return whether failures in a row open the alert that a hook is failing.

    One delivery that gives up among successes is a dead letter, not a failing hook.
    """
    if gave_up and streak.failed >= _WITH_GIVING_UP:
        return True
    return (
        streak.failed >= rules.after_failures
        and streak.since_ms is not None
        and now_ms - streak.since_ms >= rules.after_s * 1000
    )


def after_batch(
    failing: bool,
    batch: HookBatch,
    rules: AlertRules,
    now_ms: int,
    *,
    disabled: str | None = None,
) -> list[AlertChange]:
    """Return the alerts of a hook that a batch of results opens and ends.

    ``failing``: the alert that it is failing is open before the batch. ``disabled`` is why the hook
    is disabled now, if it is: attempts in flight may end after that.
    """
    changes: list[AlertChange] = []
    if batch.disabled is not None:
        if failing:
            changes.append(Ending(AlertType.HOOK_FAILING, Resolution.DISABLED))
        changes.append(Opening(AlertType.HOOK_DISABLED))
    elif batch.cause is not None and is_failing(
        batch.streak, gave_up=batch.gave_up, rules=rules, now_ms=now_ms
    ):
        if disabled is None and not failing:
            changes.append(Opening(AlertType.HOOK_FAILING))
    elif failing and batch.delivered:
        changes.append(Ending(AlertType.HOOK_FAILING, Resolution.DELIVERED))
    changes += [
        Opening(AlertType.GAVE_UP, cause, count)
        for cause, count in sorted(batch.dead_letters.items())
        if (cause, disabled) != (GONE_CAUSE, DisabledReason.GONE)
    ]
    return changes


# The life of an alert


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStatus:
    """The changing part of an alert.

    Attributes:
        count: how often it happened.
        opened_at: times are milliseconds since the epoch.
        changed_at: when its state changed last, ``changed_by`` who did that.
        snoozed_until: when it is open again.
        resolved_at: when it ended, ``resolution`` how.
        announced: the state of its last event, `AlertState.OPEN` or `AlertState.RESOLVED`.
        announced_at: when it was last announced as open.
        announced_count: the count that was announced; None: it is to be announced again.
    """

    state: AlertState = AlertState.OPEN
    count: int = 1
    opened_at: int
    changed_at: int
    changed_by: str
    snoozed_until: int | None = None
    resolved_at: int | None = None
    resolution: Resolution | None = None
    announced: AlertState | None = None
    announced_at: int | None = None
    announced_count: int | None = None


def after_opening(
    before: AlertStatus | None, count: int, rules: AlertRules, now_ms: int, by: str
) -> AlertStatus:
    """Return an alert after something opened it or made it grow.

    ``before`` is the newest alert of its key, if there is one; ``count`` how often it happened now;
    ``by`` the name of the server.
    """
    if before is not None and before.state is not AlertState.RESOLVED:
        return replace(before, count=before.count + count)
    if before is not None and is_reopened(before, rules, now_ms):
        again = replace(before, count=count, resolved_at=None, resolution=None)
        return _in_state(again, AlertState.OPEN, now_ms, by)
    return AlertStatus(count=count, opened_at=now_ms, changed_at=now_ms, changed_by=by)


def is_reopened(before: AlertStatus, rules: AlertRules, now_ms: int) -> bool:
    """Return whether an opening now continues an alert that has just ended."""
    ended_ms = before.resolved_at
    return ended_ms is not None and 0 <= now_ms - ended_ms < rules.quiet_ms


def after_ending(before: AlertStatus, resolution: Resolution, now_ms: int, by: str) -> AlertStatus:
    """Return an alert after its end; an ended one stays as it is."""
    if before.state is AlertState.RESOLVED:
        return before
    ended = replace(before, resolved_at=now_ms, resolution=resolution)
    return _in_state(ended, AlertState.RESOLVED, now_ms, by)


def after_acknowledging(before: AlertStatus, now_ms: int, by: str) -> AlertStatus:
    """Return an alert after an operator acknowledged it.

    Raises:
        Conflict: it has ended.
    """
    _check_unresolved(before)
    return _in_state(before, AlertState.ACKNOWLEDGED, now_ms, by)


def after_snoozing(before: AlertStatus, until_ms: int, now_ms: int, by: str) -> AlertStatus:
    """Return an alert after an operator snoozed it.

    Raises:
        Conflict: it has ended.
    """
    _check_unresolved(before)
    return replace(_in_state(before, AlertState.SNOOZED, now_ms, by), snoozed_until=until_ms)


def _check_unresolved(alert: AlertStatus) -> None:
    if alert.state is AlertState.RESOLVED:
        raise Conflict("the alert is resolved already; there is nothing to do")


def snooze_is_over(alert: AlertStatus, now_ms: int) -> bool:
    """Return whether a snooze has ended, or was made by a clock that was over a day ahead."""
    until_ms = alert.snoozed_until
    over = until_ms is not None and not now_ms < until_ms <= now_ms + LONGEST_SNOOZE_MS
    return alert.state is AlertState.SNOOZED and over


def after_snooze(before: AlertStatus, now_ms: int, by: str) -> AlertStatus:
    """Return an alert whose snooze may have ended: then it is open and announced again."""
    if not snooze_is_over(before, now_ms):
        return before
    return replace(_in_state(before, AlertState.OPEN, now_ms, by), announced_count=None)


def _in_state(before: AlertStatus, state: AlertState, now_ms: int, by: str) -> AlertStatus:
    return replace(before, state=state, changed_at=now_ms, changed_by=by, snoozed_until=None)


# Announcing


def wants_announcement(alert: AlertStatus, rules: AlertRules, now_ms: int) -> bool:
    """Return whether an event about an alert is due, apart from the limit per minute."""
    if alert.state is AlertState.RESOLVED:
        return alert.announced is AlertState.OPEN
    if alert.state is not AlertState.OPEN:
        return False
    quiet = alert.announced_at is not None and 0 <= now_ms - alert.announced_at < rules.quiet_ms
    return not quiet and (alert.announced is not AlertState.OPEN or _has_news(alert))


def _has_news(alert: AlertStatus) -> bool:
    """Return whether its count has passed 10, 100, 1,000, … since the last event."""
    announced = alert.announced_count
    return announced is None or len(str(alert.count)) > len(str(announced))


def after_announcement(alert: AlertStatus, now_ms: int) -> AlertStatus:
    """Return an alert after its event was written."""
    if alert.state is AlertState.RESOLVED:
        return replace(alert, announced=AlertState.RESOLVED)
    return replace(
        alert, announced=AlertState.OPEN, announced_at=now_ms, announced_count=alert.count
    )
