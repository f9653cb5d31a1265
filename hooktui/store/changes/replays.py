"""Creating and controlling replays, by people and by the server that runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import starmap

import msgspec
from sqlalchemy import (
    ColumnElement,
    and_,
    exists,
    func,
    insert,
    not_,
    select,
    update,
)

from hooktui import failpoints
from hooktui.domain.deliveries import Trigger
from hooktui.domain.errors import Conflict
from hooktui.domain.ids import AccountId, HookId, encode, floor_at
from hooktui.domain.replays import (
    ABANDONED,
    ABANDONED_MS,
    CANCELLING,
    FAILED_IN_A_ROW,
    HOOK_DELETED,
    LEASE_MS,
    UNFINISHED,
    WAITING_CANCELLED,
    PairSelection,
    ReplayMode,
    ReplaySkip,
    ReplayState,
    WalkState,
    alert_facts,
    check_transition,
    wire_selection,
)
from hooktui.domain.roles import Actor
from hooktui.store.audit import SERVER
from hooktui.store.changes.alerts import replay_continued, replay_finished, replay_paused
from hooktui.store.changes.deliveries import cancel_created
from hooktui.store.feed_items import replay_item
from hooktui.store.queries.access import account_row
from hooktui.store.queries.hooks import no_hook
from hooktui.store.queries.replay_candidates import first_cursor
from hooktui.store.queries.replays import (
    IS_RUNNING,
    IS_WALK_UNFINISHED,
    get_replay,
    is_free,
    no_replay,
    no_start_reason,
    replay_of_request,
    replay_row,
    stored_selection,
)
from hooktui.store.tables import (
    DELIVERY,
    EVENT,
    HOOK,
    HOOK_STATE,
    REPLAY,
    REPLAY_HOOK,
    ReplayRow,
    in_account,
)
from hooktui.store.tx import Tx

_UNFINISHED = [state.value for state in UNFINISHED]


def create_replay(
    tx: Tx,
    actor: Actor,
    account: AccountId,
    selection: PairSelection,
    rate_per_s: float,
    max_deliveries: int | None,
    *,
    key: str | None = None,
    body_sha256: bytes | None = None,
) -> tuple[int, bool]:
    """Create a replay (True), or find the one that the same request created before (False).

    The selection names its hooks. The replay finishes after ``max_deliveries``. ``body_sha256``
    identifies the request with the ``key``.

    Raises:
        NotFound: a hook is not in the account.
        Refused: the key was used with another request.
        Conflict: a hook has an unfinished replay, all hooks are disabled, nothing is selected, or
            there are too many unfinished replays.
    """
    account_row(tx.conn, account)
    known = replay_of_request(tx.conn, account, key, body_sha256)
    if known is not None:
        return known, False
    hooks = selection.hooks or ()
    _check_hooks(tx, account, hooks, selection.mode)
    replay = tx.ids.next(tx.now_ms)
    tx.conn.execute(
        insert(REPLAY).values(
            id=replay,
            account_id=account,
            key=key,
            body_sha256=body_sha256,
            state=ReplayState.RUNNING.value,
            selection=msgspec.json.encode(wire_selection(selection)).decode(),
            rate_per_s=rate_per_s,
            max_deliveries=max_deliveries,
            created_at=tx.now_ms,
            created_by=actor.user,
            changed_at=tx.now_ms,
            changed_by=actor.user,
            lease_until=tx.now_ms,
        )
    )
    walk = {
        "replay_id": replay,
        "state": WalkState.WALKING.value,
        "cursor": first_cursor(selection),
        "sent": 0,
        "retried": 0,
        "skipped": "{}",
    }
    tx.conn.execute(insert(REPLAY_HOOK), [walk | {"hook_id": hook} for hook in hooks])
    tx.feed(replay_item(account, replay))
    after = {
        "selection": msgspec.to_builtins(wire_selection(selection)),
        "rate_per_s": rate_per_s,
        "max_deliveries": max_deliveries,
    }
    tx.audit(actor, "replay.create", _target(replay), account=account, after=after)
    return replay, True


def pause_replay(tx: Tx, actor: Actor, account: AccountId | None, replay: int) -> None:
    """Pause a running replay; deliveries that were created are still sent.

    Raises:
        NotFound: there is no such replay in the account (None: in any).
        Conflict: it is not running.
    """
    row = _find(tx, account, replay)
    _change(tx, row, ReplayState.PAUSED, actor)
    tx.audit(actor, "replay.pause", _target(replay), account=row.account_id)


def resume_replay(tx: Tx, actor: Actor, account: AccountId | None, replay: int) -> None:
    """Resume a paused replay, also at the hooks that were set aside.

    Raises:
        NotFound: there is no such replay in the account (None: in any).
        Conflict: it is not paused.
    """
    row = _find(tx, account, replay)
    _change(tx, row, ReplayState.RUNNING, actor)
    aside = and_(
        REPLAY_HOOK.c.replay_id == replay, REPLAY_HOOK.c.state == WalkState.SET_ASIDE.value
    )
    walking = {"state": WalkState.WALKING.value, "reason": None}
    tx.conn.execute(update(REPLAY_HOOK).where(aside).values(walking))
    replay_continued(tx, replay, actor.user)
    tx.audit(actor, "replay.resume", _target(replay), account=row.account_id)


def change_rate(
    tx: Tx, actor: Actor, account: AccountId | None, replay: int, rate_per_s: float
) -> None:
    """Change the rate of an unfinished replay.

    Raises:
        NotFound: there is no such replay in the account (None: in any).
        Conflict: it has ended.
    """
    row = _find(tx, account, replay)
    if row.state not in _UNFINISHED:
        raise Conflict(f"{encode('rpl', replay)} is {row.state}; its rate cannot be changed")
    values = {"rate_per_s": rate_per_s, "changed_at": tx.now_ms, "changed_by": actor.user}
    tx.conn.execute(update(REPLAY).where(REPLAY.c.id == replay).values(values))
    tx.feed(replay_item(row.account_id, replay))
    tx.audit(
        actor, "replay.rate", _target(replay), account=row.account_id,
        before={"rate_per_s": row.rate_per_s}, after={"rate_per_s": rate_per_s},
    )  # fmt: skip


def abort_replay(
    tx: Tx, actor: Actor, account: AccountId | None, replay: int, *, cancel_waiting: bool = False
) -> None:
    """Abort an unfinished replay; the deliveries that it created stay unless they are cancelled.

    Raises:
        NotFound: there is no such replay in the account (None: in any).
        Conflict: it has ended.
    """
    row = _find(tx, account, replay)
    _change(tx, row, ReplayState.ABORTED, actor)
    _end_walks(tx, replay, "aborted")
    replay_continued(tx, replay, actor.user)
    if cancel_waiting:
        cancel_waiting_of(tx, replay)
    tx.audit(
        actor, "replay.abort", _target(replay), account=row.account_id,
        after={"cancel_waiting": cancel_waiting},
    )  # fmt: skip


def cancel_waiting_of(tx: Tx, replay: int) -> None:
    """Cancel the pending deliveries that an aborted replay created: a part now, the rest later.

    Events that were never delivered are undelivered again, so that a new replay selects them.
    Those that it only attempted early have its id as well, and keep their own schedule.
    """
    row = _find(tx, None, replay)
    created = and_(
        DELIVERY.c.replay_id == replay,
        DELIVERY.c.trigger == Trigger.REPLAY.value,
        DELIVERY.c.id > replay,  # not of an earlier replay
    )
    some_left = cancel_created(tx, created, row.changed_by)
    if some_left:
        tx.follow_up(partial(cancel_waiting_of, replay=replay))
    # Only an unfinished one continues at a start: what is retried after the abort stays.
    reason = CANCELLING if some_left else WAITING_CANCELLED
    tx.conn.execute(update(REPLAY).where(REPLAY.c.id == replay).values(state_reason=reason))
    tx.feed(replay_item(row.account_id, replay))


def end_aside_of(tx: Tx, account: AccountId, hook: HookId) -> None:
    """End the walk of a deleted hook that was set aside; a running one ends with its next step."""
    aside = and_(
        REPLAY_HOOK.c.hook_id == hook,
        REPLAY_HOOK.c.state == WalkState.SET_ASIDE.value,
        IS_WALK_UNFINISHED,
    )
    replays = tx.conn.execute(select(REPLAY_HOOK.c.replay_id).where(aside)).scalars().all()
    ended = {"state": WalkState.DONE.value, "reason": HOOK_DELETED}
    tx.conn.execute(update(REPLAY_HOOK).where(aside).values(ended))
    for replay in replays:
        tx.feed(replay_item(account, replay))


def _check_hooks(tx: Tx, account: AccountId, hooks: Sequence[HookId], mode: ReplayMode) -> None:
    query = select(HOOK.c.id).where(
        HOOK.c.id.in_(list(hooks)), HOOK.c.account_id == account, HOOK.c.deleted_at.is_(None)
    )
    known = set(tx.conn.execute(query).scalars())
    for hook in hooks:
        if hook not in known:
            raise no_hook(hook)
    if not hooks:
        why = "has undelivered deliveries" if mode is ReplayMode.FAILED else "is enabled"
        raise Conflict(f"there is nothing to replay: no hook {why}")
    reason = no_start_reason(tx.conn, account, hooks)
    if reason is not None:
        raise Conflict(reason)


def _find(tx: Tx, account: AccountId | None, replay: int) -> ReplayRow:
    row = _row(tx, REPLAY.c.id == replay, in_account(REPLAY, account))
    if row is None:
        raise no_replay(replay)
    return row


def _row(tx: Tx, *conditions: ColumnElement[bool]) -> ReplayRow | None:
    row = tx.conn.execute(select(REPLAY).where(*conditions)).first()
    return None if row is None else replay_row(*row)


def _change(
    tx: Tx, row: ReplayRow, state: ReplayState, actor: Actor, reason: str | None = None
) -> None:
    """Change the state of a replay; no server owns it afterwards.

    The wait for a server begins now: after an hour without one, a running replay pauses.
    """
    check_transition(encode("rpl", row.id), row.state, state)
    ended = state not in UNFINISHED
    tx.conn.execute(
        update(REPLAY)
        .where(REPLAY.c.id == row.id)
        .values(
            state=state.value,
            state_reason=reason,
            changed_at=tx.now_ms,
            changed_by=actor.user,
            ended_at=tx.now_ms if ended else None,
            owner_token=None,
            server=None,
            lease_until=tx.now_ms if state is ReplayState.RUNNING else None,
        )
    )
    tx.feed(replay_item(row.account_id, row.id))


def _end_walks(tx: Tx, replay: int, reason: str) -> None:
    """End the unfinished walks of a replay; a walk that was set aside keeps its own reason."""
    unfinished = and_(
        REPLAY_HOOK.c.replay_id == replay, REPLAY_HOOK.c.state != WalkState.DONE.value
    )
    ended = {"state": WalkState.DONE.value, "reason": func.coalesce(REPLAY_HOOK.c.reason, reason)}
    tx.conn.execute(update(REPLAY_HOOK).where(unfinished).values(ended))


def _target(replay: int) -> str:
    return f"replay {encode('rpl', replay)}"


# By the server that runs them


def take_replays(tx: Tx, token: int, server: str) -> list[int]:
    """Take the running replays without a live lease; pause those that none ran for an hour.

    Return those that were taken.
    """
    free = is_free(tx.now_ms)
    abandoned = REPLAY.c.lease_until < tx.now_ms - ABANDONED_MS
    rows = tx.conn.execute(select(REPLAY).where(*free, abandoned)).all()
    for row in starmap(replay_row, rows):
        _pause_itself(tx, row, ABANDONED)
    taken = update(REPLAY).where(*free)
    values = {"owner_token": token, "server": server, "lease_until": tx.now_ms + LEASE_MS}
    found = tx.conn.execute(taken.values(values).returning(REPLAY.c.id)).scalars().all()
    failpoints.hit("before_replay_lease_commit")
    return list(found)


def renew_replays(tx: Tx, token: int, replays: Sequence[int]) -> None:
    """Prolong the leases of a server's replays."""
    mine = and_(REPLAY.c.id.in_(list(replays)), REPLAY.c.owner_token == token, IS_RUNNING)
    tx.conn.execute(update(REPLAY).where(mine).values(lease_until=tx.now_ms + LEASE_MS))


def release_replays(tx: Tx, token: int) -> None:
    """Give up the leases of a server that stops."""
    mine = and_(REPLAY.c.owner_token == token, IS_RUNNING)
    freed = {"owner_token": None, "server": None, "lease_until": tx.now_ms}
    tx.conn.execute(update(REPLAY).where(mine).values(freed))


def set_aside(
    tx: Tx, token: int, replay: int, hook: HookId, results: Mapping[str, int] | None = None
) -> None:
    """Stop the walk of a hook that only fails; the replay pauses when none is left walking.

    ``token`` is that of the server that runs it. ``results`` are those of `queries.replay_results`,
    read just before; None: they are counted here.
    """
    row = _owned(tx, token, replay)
    if row is None:
        return
    walk = and_(
        REPLAY_HOOK.c.replay_id == replay,
        REPLAY_HOOK.c.hook_id == hook,
        REPLAY_HOOK.c.state == WalkState.WALKING.value,
    )
    aside = {"state": WalkState.SET_ASIDE.value, "reason": FAILED_IN_A_ROW}
    tx.conn.execute(update(REPLAY_HOOK).where(walk).values(aside))
    if WalkState.WALKING in _unfinished_walks(tx, replay):
        tx.feed(replay_item(row.account_id, replay))
    else:
        _pause_itself(tx, row, FAILED_IN_A_ROW, results)


def _unfinished_walks(tx: Tx, replay: int) -> set[str]:
    """Return the states of the hooks that are not done."""
    states = select(REPLAY_HOOK.c.state).where(
        REPLAY_HOOK.c.replay_id == replay, REPLAY_HOOK.c.state != WalkState.DONE.value
    )
    return set(tx.conn.execute(states.distinct()).scalars())


def _pause_itself(
    tx: Tx, row: ReplayRow, reason: str, results: Mapping[str, int] | None = None
) -> None:
    """Pause a replay that cannot continue, and open its alert."""
    _change(tx, row, ReplayState.PAUSED, SERVER, reason)
    tx.audit(
        SERVER, "replay.pause", _target(row.id), account=row.account_id, after={"reason": reason}
    )
    facts = alert_facts(get_replay(tx.conn, row.account_id, row.id, results))
    replay_paused(tx, row.account_id, row.id, reason, facts)


def finish_replay(
    tx: Tx,
    token: int,
    replay: int,
    reason: str | None = None,
    results: Mapping[str, int] | None = None,
) -> bool:
    """Finish a replay; return whether it is finished.

    Without a reason all of its hooks must be done: if one was set aside, it pauses instead. See
    `set_aside` for the results.
    """
    row = _owned(tx, token, replay)
    if row is None:
        return False
    left = _unfinished_walks(tx, replay) if reason is None else set()
    if left == {WalkState.SET_ASIDE}:
        _pause_itself(tx, row, FAILED_IN_A_ROW, results)
    if left:
        return False
    _change(tx, row, ReplayState.FINISHED, SERVER, reason)
    if reason is not None:
        _end_walks(tx, replay, reason)
    _forget_skips(tx, row)
    tx.audit(
        SERVER, "replay.finish", _target(replay), account=row.account_id,
        after=None if reason is None else {"reason": reason},
    )  # fmt: skip
    replay_continued(tx, replay, SERVER.user)
    facts = alert_facts(get_replay(tx.conn, row.account_id, replay, results))
    replay_finished(tx, row.account_id, replay, facts)
    failpoints.hit("before_replay_end_commit")
    return True


def _forget_skips(tx: Tx, row: ReplayRow) -> None:
    """Reset the skipped events of hooks to which the replay sent all of them."""
    selection = stored_selection(row.selection)
    if not selection.mode.walks_events or selection.filter is not None:
        return
    walks = select(REPLAY_HOOK.c.hook_id, REPLAY_HOOK.c.skipped, REPLAY_HOOK.c.cursor).where(
        REPLAY_HOOK.c.replay_id == row.id
    )
    first, last = HOOK_STATE.c.skipped_first, HOOK_STATE.c.skipped_last
    until_ms = min(selection.until_ms, row.created_at)  # it sends nothing that came later
    some_are_later = exists().where(
        EVENT.c.account_id == row.account_id,
        EVENT.c.id.between(first, last),
        EVENT.c.id >= floor_at(until_ms + 1),
        EVENT.c.created_at > until_ms,
    )
    for hook, skipped, cursor in tx.conn.execute(walks).all():
        left_out = ReplaySkip.ORDERED in msgspec.json.decode(skipped, type=dict[str, int])
        if left_out or cursor < min(row.id, selection.last_event):
            continue
        if hook in tx.live.alert_hooks:
            continue  # it may have skipped alerts, which no such replay sends
        covered = and_(
            HOOK_STATE.c.hook_id == hook,
            first >= selection.first_event,
            last < selection.last_event,
            not_(some_are_later),
        )
        reset = {"skipped": 0, "skipped_first": None, "skipped_last": None}
        tx.conn.execute(update(HOOK_STATE).where(covered).values(reset))


def _owned(tx: Tx, token: int, replay: int) -> ReplayRow | None:
    return _row(tx, REPLAY.c.id == replay, REPLAY.c.owner_token == token, IS_RUNNING)
