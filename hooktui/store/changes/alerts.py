"""Opening, ending, acknowledging, snoozing and announcing alerts, in the transaction that decides.

An announcement is an ordinary event of the group ``hooktui``: its deliveries are pending, and it is
refused neither for lack of space nor by an idempotency key. Every alert of a hook is decided under
the lock of the hook's state, so that no two servers open the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, case, func, insert, select, update

from hooktui import failpoints
from hooktui.domain.alert_events import EXPIRED, GAVE_UP, PATH, REASON, RETRYING, alert_body
from hooktui.domain.alerts import (
    MAX_PER_MINUTE,
    MINUTE_MS,
    AlertState,
    AlertStatus,
    AlertType,
    Ending,
    HookBatch,
    Opening,
    Resolution,
    after_acknowledging,
    after_announcement,
    after_batch,
    after_ending,
    after_opening,
    after_snooze,
    after_snoozing,
    event_type_of,
    is_alert_path,
    is_reopened,
    key_of,
    wants_announcement,
)
from hooktui.domain.clock import optional_rfc3339
from hooktui.domain.failure_causes import ALL_GROUPS, cause_of, complete_status
from hooktui.domain.ids import AccountId, DeliveryId, HookId, encode
from hooktui.domain.json_text import Steps, finish
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.roles import Actor
from hooktui.domain.wire.alerts import Alert
from hooktui.domain.wire.undelivered import UndeliveredGroup
from hooktui.store.audit import SERVER
from hooktui.store.contract import DeadLetters, NewEvent
from hooktui.store.feed_items import alert_item
from hooktui.store.live_hooks import Subscribers, load_live_hooks
from hooktui.store.planning.accept import Plan, plan_alert
from hooktui.store.planning.record import RecordedHook, alert_batch, dead_letters_of
from hooktui.store.queries.alert_check import CheckResult, gone
from hooktui.store.queries.alerts import (
    AlertRecord,
    AlertSubject,
    alert_of,
    alert_record,
    hook_facts,
    newest_alert,
    unresolved,
)
from hooktui.store.queries.delivery_indexes import is_in_group
from hooktui.store.queries.filter_sql import has_cause
from hooktui.store.queries.undelivered import no_group
from hooktui.store.tables import ALERT, DELIVERY, EVENT, HOOK, HOOK_STATE
from hooktui.store.tx import SideEffects, Tx

_ROWS_PER_STEP: Final = 200
_OF_GROUPS: Final = (AlertType.GAVE_UP, AlertType.EXPIRING)
_OF_HOOK: Final = (AlertType.HOOK_FAILING, AlertType.HOOK_DISABLED)


# Results of attempts


def decide_steps(
    new_tx: Callable[[], Tx],
    notes: SideEffects,
    batches: Iterable[RecordedHook],
    waiting: Mapping[HookId, int],
) -> Steps[None]:
    """Open and end the alerts of hooks whose results were recorded.

    ``new_tx`` begins the change of a hook, and ``notes`` get the side effects. ``waiting`` are
    changes of the numbers of waiting deliveries that are not written yet.
    """
    for recorded in batches:
        tx = new_tx()
        causes = _causes_of(tx.conn, dead_letters_of(recorded.change))
        batch = alert_batch(recorded, causes, waiting.get(recorded.hook.id, 0))
        yield from _decide_steps(tx, recorded.hook, batch)
        notes.merge(tx.notes)


def _decide_steps(tx: Tx, hook: LiveHook, batch: HookBatch) -> Steps[None]:
    state = _lock_state(tx, hook.id)
    failing = state.failing_alert is not None
    query = select(HOOK.c.disabled_reason).where(HOOK.c.id == hook.id)
    disabled = tx.conn.execute(query).scalar()
    changes = after_batch(failing, batch, tx.rules, tx.now_ms, disabled=disabled)
    for change in changes:
        if isinstance(change, Ending):
            keys = [key_of(change.kind, hook.id)]
            yield from _end_steps(tx, keys, change.resolution, SERVER.user)
        else:
            yield from _open_of_hook(tx, hook, batch, state, change)
        yield


class _State(NamedTuple):
    """The columns of a hook's state that an alert mentions."""

    failing_alert: int | None
    waiting: int
    last_code: int | None
    last_error: str | None


def _lock_state(tx: Tx, hook: HookId) -> _State:
    query = select(*(HOOK_STATE.c[name] for name in _State._fields))
    rows = tx.conn.execute(query.where(HOOK_STATE.c.hook_id == hook).with_for_update())
    return _State(*rows.one())


def _open_of_hook(
    tx: Tx, hook: LiveHook, batch: HookBatch, state: _State, change: Opening
) -> Steps[None]:
    cause, code = batch.cause, batch.code
    if change.cause is not None:
        cause, code = change.cause, code if change.cause == batch.cause else None
    elif cause is None:
        cause = cause_of(state.last_error, state.last_code)
        code = complete_status(state.last_error, state.last_code)
    facts: dict[str, Any] = {
        "hook": hook_facts(hook.id, hook.settings.name, hook),
        "cause": cause,
        "code": code,
    }
    key = key_of(change.kind, hook.id)
    if change.kind is AlertType.GAVE_UP:
        key = key_of(change.kind, hook.id, cause)
        facts[REASON] = GAVE_UP
    else:
        facts["failures_in_a_row"] = batch.streak.failed
        facts["failing_since"] = optional_rfc3339(batch.streak.since_ms)
        facts[PATH] = is_alert_path(hook.subscriptions)
    facts["waiting"] = state.waiting + batch.waiting_change
    facts["example"] = _example(tx, hook.id, cause)
    if batch.disabled is not None:
        facts[REASON] = batch.disabled
    subject = AlertSubject(change.kind, key, hook.account, hook.id, change.cause)
    alert = yield from _open_steps(tx, subject, facts, change.count)
    if change.kind is AlertType.HOOK_FAILING:
        _note_failing(tx, hook.id, alert)


def _example(tx: Tx, hook: HookId, cause: str | None) -> str | None:
    """Return the newest undelivered delivery of a group."""
    if cause is None:
        return None
    newest = select(func.max(DELIVERY.c.id)).where(is_in_group(hook, cause))
    found = tx.conn.execute(newest).scalar()
    return None if found is None else encode("dlv", found)


def _causes_of(conn: Connection, deliveries: Sequence[DeliveryId]) -> list[str]:
    """Return the causes of deliveries that have one: of the others a newer one was made."""
    if not deliveries:
        return []
    rows = select(DELIVERY.c.cause).where(DELIVERY.c.id.in_(deliveries), has_cause())
    return list(conn.execute(rows).scalars())


# Changes of people


def hook_was_edited(tx: Tx, hook: HookId, actor: Actor, resolution: Resolution) -> None:
    """End the alerts of a hook that was enabled, disabled, or got another URL."""
    kinds = _OF_HOOK if resolution is Resolution.ENABLED else (AlertType.HOOK_FAILING,)
    finish(_end_steps(tx, [key_of(kind, hook) for kind in kinds], resolution, actor.user))


def hook_was_deleted(tx: Tx, hook: HookId, actor: Actor) -> None:
    """End all alerts of a deleted hook."""
    of_hook = [key_of(kind, hook) for kind in _OF_HOOK]
    of_groups = [key_of(kind, hook, cause) for kind in _OF_GROUPS for cause in ALL_GROUPS]
    finish(_end_steps(tx, of_hook + of_groups, Resolution.DELETED, actor.user))


def groups_were_emptied(tx: Tx, groups: Collection[tuple[int, str]], by: str) -> None:
    """End the alerts of those groups that a person has just emptied: these are not delivered."""
    for alert in gone(tx.conn, {hook for hook, _ in groups}):
        if (alert.hook, alert.cause) in groups:
            record = alert_record(tx.conn, None, alert.id)
            finish(_resolve_steps(tx, record, Resolution.CLEARED, by))


def acknowledge_alert(tx: Tx, actor: Actor, account: AccountId | None, alert: int) -> Alert:
    """Acknowledge an alert: only its end is announced.

    Raises:
        NotFound: there is no such alert in the account (None: in any).
        Conflict: it is resolved.
    """
    return alert_of(_acknowledge(tx, actor, alert_record(tx.conn, account, alert)))


def snooze_alert(
    tx: Tx, actor: Actor, account: AccountId | None, alert: int, for_s: float
) -> Alert:
    """Snooze an alert: it is open, and announced, again after a time.

    Raises:
        NotFound: there is no such alert in the account (None: in any).
        Conflict: it is resolved.
    """
    return alert_of(_snooze(tx, actor, alert_record(tx.conn, account, alert), for_s))


def acknowledge_group(tx: Tx, actor: Actor, group: UndeliveredGroup) -> int:
    """Acknowledge the alert of an undelivered group, and those of its hook.

    ``group`` is as it was read just before: to count it here would keep all others waiting.

    Returns:
        The number of alerts that were acknowledged.

    Raises:
        NotFound: the hook was deleted.
    """
    return _change_group(tx, group, partial(_acknowledge, tx, actor))


def snooze_group(tx: Tx, actor: Actor, group: UndeliveredGroup, for_s: float) -> int:
    """Snooze the alert of an undelivered group, and those of its hook; see `acknowledge_group`."""
    return _change_group(tx, group, partial(_snooze, tx, actor, for_s=for_s))


def _change_group(tx: Tx, group: UndeliveredGroup, change: Callable[[AlertRecord], object]) -> int:
    """Change the alert of a group, created if there is none, and the open ones of its hook."""
    hook = HookId(group.hook)
    owned = select(HOOK.c.account_id).where(HOOK.c.id == hook, HOOK.c.deleted_at.is_(None))
    owner = tx.conn.execute(owned).scalar()
    if owner is None:
        raise no_group(hook, group.cause)
    of_group = unresolved(tx.conn, [key_of(AlertType.GAVE_UP, hook, group.cause)])
    of_hook = unresolved(tx.conn, [key_of(kind, hook) for kind in _OF_HOOK])
    alerts = of_group or [_create_for_group(tx, AccountId(owner), hook, group)]
    alerts += [alert for alert in of_hook if alert.status.state is AlertState.OPEN]
    for alert in alerts:
        change(alert)
    return len(alerts)


def _create_for_group(
    tx: Tx, owner: AccountId, hook: HookId, group: UndeliveredGroup
) -> AlertRecord:
    facts = {
        "hook": hook_facts(hook, group.name, tx.live.view.get(hook)),
        "cause": group.cause,
        "code": None,
        "waiting": _lock_state(tx, hook).waiting,
        "example": None if group.example is None else group.example.delivery,
        REASON: GAVE_UP if group.gave_up else RETRYING,
    }
    key = key_of(AlertType.GAVE_UP, hook, group.cause)
    subject = AlertSubject(AlertType.GAVE_UP, key, owner, hook, group.cause)
    count = group.gave_up or group.count
    status = after_opening(None, count, tx.rules, tx.now_ms, SERVER.user)
    return _insert(tx, subject, status, facts)


def _acknowledge(tx: Tx, actor: Actor, record: AlertRecord) -> AlertRecord:
    after = after_acknowledging(record.status, tx.now_ms, actor.user)
    _audit(tx, actor, "alert.acknowledge", record, {"state": after.state.value})
    return _save(tx, record, after)


def _snooze(tx: Tx, actor: Actor, record: AlertRecord, for_s: float) -> AlertRecord:
    until_ms = tx.now_ms + round(for_s * 1000)
    after = after_snoozing(record.status, until_ms, tx.now_ms, actor.user)
    changed = {"state": after.state.value, "until": optional_rfc3339(until_ms)}
    _audit(tx, actor, "alert.snooze", record, changed)
    return _save(tx, record, after)


def _audit(
    tx: Tx, actor: Actor, action: str, record: AlertRecord, after: Mapping[str, object]
) -> None:
    tx.audit(
        actor,
        action,
        f"alert {encode('alr', record.id)}",
        account=record.account,
        before={"state": record.status.state.value},
        after={"key": record.key, **after},
    )


# Replays


def replay_paused(
    tx: Tx, account: AccountId, replay: int, reason: str, facts: Mapping[str, object]
) -> None:
    """Open the alert of a replay that paused itself.

    ``facts`` is the field ``replay`` of the event.
    """
    key = key_of(AlertType.REPLAY_PAUSED, encode("rpl", replay))
    subject = AlertSubject(AlertType.REPLAY_PAUSED, key, account, replay=replay)
    finish(_open_steps(tx, subject, {"replay": dict(facts), REASON: reason}, 1))


def replay_continued(tx: Tx, replay: int, by: str) -> None:
    """End the alert of a replay that paused itself: it was resumed or has ended."""
    key = key_of(AlertType.REPLAY_PAUSED, encode("rpl", replay))
    finish(_end_steps(tx, [key], Resolution.ENDED, by))


def replay_finished(tx: Tx, account: AccountId, replay: int, facts: Mapping[str, object]) -> None:
    """Announce a replay that has finished; the alert is resolved from the start."""
    key = key_of(AlertType.REPLAY_FINISHED, encode("rpl", replay))
    subject = AlertSubject(AlertType.REPLAY_FINISHED, key, account, replay=replay)
    opened = after_opening(None, 1, tx.rules, tx.now_ms, SERVER.user)
    status = after_ending(opened, Resolution.ENDED, tx.now_ms, SERVER.user)
    record = _insert(tx, subject, status, {"replay": dict(facts)})
    finish(_send_steps(tx, record))


# Retention and the check of alerts


def count_expired(conn: Connection, dead_letters: DeadLetters) -> None:
    """Count dead letters in the alerts of their groups, in the transaction that deletes them."""
    for (hook, cause), count in dead_letters.items():
        keys = [key_of(kind, hook, cause) for kind in _OF_GROUPS]
        for record in unresolved(conn, keys):
            facts = {**record.facts, EXPIRED: record.facts.get(EXPIRED, 0) + count}
            counted = replace(record, facts=facts)
            conn.execute(update(ALERT).where(ALERT.c.id == record.id).values(**_columns(counted)))


def apply_alert_check(tx: Tx, result: CheckResult) -> None:
    """Open, end and announce the alerts that a check found.

    Those that end, or are announced again, are read again: since the check, a group may have got a
    dead letter, and a hook may have failed.
    """
    for alert_id in result.snoozed:
        record = alert_record(tx.conn, None, alert_id)
        after = after_snooze(record.status, tx.now_ms, SERVER.user)
        if after is not record.status:
            finish(_announce_steps(tx, _save(tx, record, after)))
    for alert in sorted(gone(tx.conn, alerts=result.empty)) if result.empty else ():
        record = alert_record(tx.conn, None, alert.id)
        finish(_resolve_steps(tx, record, alert.resolution, SERVER.user))
    for alert_id, resolution in result.ended:
        record = alert_record(tx.conn, None, alert_id)
        if record.status.state is not AlertState.RESOLVED:
            finish(_resolve_steps(tx, record, resolution, SERVER.user))
    for opening in result.opened:
        finish(_open_steps(tx, opening.subject, opening.facts, opening.count))
    for alert_id in result.announced:
        finish(_announce_steps(tx, alert_record(tx.conn, None, alert_id)))
    failpoints.hit("before_alert_check_commit")


# One alert


def _open_steps(
    tx: Tx, subject: AlertSubject, facts: Mapping[str, object], count: int
) -> Steps[int]:
    """Open an alert, or let an open one grow; announce it if that is due; return its id."""
    before = newest_alert(tx.conn, subject.key)
    if before is not None and before.facts.get(REASON) == RETRYING:
        # Those that now give up were counted.
        before = replace(before, status=replace(before.status, count=0))
    status = None if before is None else before.status
    after = after_opening(status, count, tx.rules, tx.now_ms, SERVER.user)
    was_open = before is not None and before.status.state is not AlertState.RESOLVED
    if before is not None and (was_open or is_reopened(before.status, tx.rules, tx.now_ms)):
        record = _save(tx, replace(before, facts={**before.facts, **facts}), after)
    else:
        record = _insert(tx, subject, after, facts)
    if not was_open:
        record = yield from _announce_steps(tx, record)
    return record.id


def _insert(
    tx: Tx, subject: AlertSubject, status: AlertStatus, facts: Mapping[str, object]
) -> AlertRecord:
    alert = tx.ids.next(tx.now_ms)
    record = AlertRecord(**asdict(subject), id=alert, hooks_notified=0, facts=facts, status=status)
    tx.conn.execute(
        insert(ALERT).values(
            id=record.id,
            account_id=record.account,
            type=record.kind.value,
            key=record.key,
            hook_id=record.hook,
            cause=record.cause,
            replay_id=record.replay,
            **_columns(record),
        )
    )
    tx.feed(alert_item(record.account, record.id, status.state.value))
    return record


def _save(tx: Tx, record: AlertRecord, status: AlertStatus) -> AlertRecord:
    """Store a changed alert; a new state is a line of the change feed."""
    changed = replace(record, status=status)
    tx.conn.execute(update(ALERT).where(ALERT.c.id == record.id).values(**_columns(changed)))
    if status.state is not record.status.state:
        tx.feed(alert_item(record.account, record.id, status.state.value))
    return changed


def _columns(record: AlertRecord) -> dict[str, object]:
    return {
        **msgspec.to_builtins(record.status),
        "hooks_notified": record.hooks_notified,
        "facts": msgspec.json.encode(record.facts).decode(),
    }


def _end_steps(tx: Tx, keys: Sequence[str], resolution: Resolution, by: str) -> Steps[None]:
    for record in unresolved(tx.conn, keys):
        yield from _resolve_steps(tx, record, resolution, by)


def _resolve_steps(tx: Tx, record: AlertRecord, resolution: Resolution, by: str) -> Steps[None]:
    facts, status = dict(record.facts), record.status
    expired = facts.pop(EXPIRED, 0)
    if expired and resolution in (Resolution.DELIVERED, Resolution.CLEARED):
        resolution, status = Resolution.EXPIRED, replace(status, count=expired)
    status = after_ending(status, resolution, tx.now_ms, by)
    ended = _save(tx, replace(record, facts=facts), status)
    if record.kind is AlertType.HOOK_FAILING and record.hook is not None:
        _note_failing(tx, record.hook, None)
    yield from _announce_steps(tx, ended)


def _note_failing(tx: Tx, hook: HookId, alert: int | None) -> None:
    of_hook = update(HOOK_STATE).where(HOOK_STATE.c.hook_id == hook)
    tx.conn.execute(of_hook.values(failing_alert=alert))
    tx.hook_changed(hook)


# Announcing


def _announce_steps(tx: Tx, record: AlertRecord) -> Steps[AlertRecord]:
    """Write the event of an alert if it is due and some hook subscribes to it."""
    if not wants_announcement(record.status, tx.rules, tx.now_ms):
        return record
    if record.status.state is not AlertState.RESOLVED and not _may_announce(tx, record.account):
        return record
    return (yield from _send_steps(tx, record))


def _may_announce(tx: Tx, account: AccountId) -> bool:
    """Return whether the limit per minute allows another opening of an account.

    Another server's transaction may have begun a little later than this one. What is later by a
    minute was announced before the clock was set back.
    """
    lately = select(ALERT.c.id).where(
        ALERT.c.account_id == account,
        ALERT.c.announced_at > tx.now_ms - MINUTE_MS,
        ALERT.c.announced_at < tx.now_ms + MINUTE_MS,
    )
    counted = select(func.count()).select_from(lately.limit(MAX_PER_MINUTE).subquery())
    return tx.conn.execute(counted).scalar_one() < MAX_PER_MINUTE


def _send_steps(tx: Tx, record: AlertRecord) -> Steps[AlertRecord]:
    """Write the event of an alert; without a subscriber an end counts as announced."""
    status = record.status
    event_type = event_type_of(record.kind, status.state, status.resolution)
    subscribers = _subscribers(tx, record.account, event_type)
    if subscribers.hooks:
        body = alert_body(record.id, record.account, record.kind, record.key, status, record.facts)
        event = NewEvent(record.account, event_type, body)
        plan = yield from plan_alert(event, subscribers, record.hook, tx.ids, tx.now_ms)
        yield from _insert_steps(tx, plan)
        record = replace(record, hooks_notified=len(plan.pending))
    elif status.state is not AlertState.RESOLVED:
        return record
    return _save(tx, record, after_announcement(status, tx.now_ms))


def _subscribers(tx: Tx, account: AccountId, event_type: str) -> Subscribers:
    """Return the subscribers of a type, with hooks as changed by this transaction."""
    subscribers = tx.live.subscribers(account, event_type)
    changed = {*tx.changed_before, *tx.notes.hooks_changed}
    stale = [hook.id for hook in subscribers.hooks if hook.id in changed]
    if not stale:
        return subscribers
    fresh = load_live_hooks(tx.conn, tx.vault, tx.now_ms, stale)
    now = (fresh.get(hook.id, hook) for hook in subscribers.hooks)
    hooks = tuple(hook for hook in now if hook is not None)
    return Subscribers(hooks, sum(hook.filter_weight for hook in hooks))


def _insert_steps(tx: Tx, plan: Plan) -> Steps[None]:
    names = EVENT.columns.keys()
    rows = [dict(zip(names, row, strict=True)) for row in plan.events]
    tx.conn.execute(insert(EVENT), rows)
    pending = [{**dict(zip(_PENDING, row, strict=True)), **_NEW} for row in plan.pending]
    for start in range(0, len(pending), _ROWS_PER_STEP):
        tx.conn.execute(insert(DELIVERY), pending[start : start + _ROWS_PER_STEP])
        yield
    for hook, skipped in plan.skipped.items():
        of_hook = update(HOOK_STATE).where(HOOK_STATE.c.hook_id == hook)
        # The ids of several servers do not come in their order.
        known_first, known_last = HOOK_STATE.c.skipped_first, HOOK_STATE.c.skipped_last
        first = case((known_first < skipped.first, known_first), else_=skipped.first)
        last = case((known_last > skipped.last, known_last), else_=skipped.last)
        counted = HOOK_STATE.c.skipped + skipped.count
        changed = {"skipped": counted, "skipped_first": first, "skipped_last": last}
        tx.conn.execute(of_hook.values(**changed))
    tx.notes.merge(plan.notes)


_PENDING: Final = (
    "id", "account_id", "hook_id", "event_id", "event_type", "created_at", "next_attempt_at",
)  # fmt: skip
_NEW: Final[Mapping[str, object]] = {
    "trigger": "event", "status": "pending", "attempts": 0, "tries": 0, "interruptions": 0,
}  # fmt: skip
