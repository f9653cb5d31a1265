"""Replays: their progress, and which of them a server may run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, func, literal_column, or_, select

from hooktui.domain.clock import now_ms, optional_rfc3339, to_rfc3339
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.errors import NotFound, Refused
from hooktui.domain.hook_failures import waits_for
from hooktui.domain.ids import AccountId, DeliveryId, HookId, ceiling_at, encode, time_of
from hooktui.domain.replays import (
    CANCELLING,
    MAX_HOOKS,
    MAX_UNFINISHED,
    MAX_UNFINISHED_OF_ACCOUNT,
    UNFINISHED,
    PairSelection,
    ReplayMode,
    ReplayState,
    WalkState,
    check_selection,
)
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.replays import Replay, ReplayHook, ReplayProgress, ReplaySelection
from hooktui.store.queries.engine import is_paused
from hooktui.store.queries.expressions import has_row
from hooktui.store.queries.pace import Pace
from hooktui.store.queries.pages import PagedQuery, PageRequest, page_of
from hooktui.store.queries.replay_candidates import first_cursor
from hooktui.store.tables import (
    ACCOUNT,
    DELIVERY,
    HOOK,
    HOOK_STATE,
    REPLAY,
    REPLAY_HOOK,
    ReplayRow,
    in_account,
    maker_of,
)


class _HookRow(NamedTuple):
    replay_id: int
    hook_id: int
    state: str
    reason: str | None
    cursor: int
    sent: int
    retried: int
    skipped: str
    name: str
    active: bool
    rate_per_s: float | None
    breaker_until: int | None


replay_row = maker_of(ReplayRow)
_WALK_COLUMNS = [REPLAY_HOOK.c[name] for name in _HookRow._fields[:8]]
_HOOK_BYTES = 500
IS_RUNNING: Final = REPLAY.c.state == literal_column("'running'")  # literal, for the partial index
IS_WALK_UNFINISHED: Final = REPLAY_HOOK.c.state != literal_column("'done'")  # literal, too
_UNFINISHED: Final = [state.value for state in UNFINISHED]
_RESULTS = {
    DeliveryStatus.DELIVERED.value: "delivered",
    DeliveryStatus.FAILED.value: "failed",
    DeliveryStatus.CANCELLED.value: "cancelled",
    DeliveryStatus.PENDING.value: "waiting",
    DeliveryStatus.SENDING.value: "waiting",
}


def stored_selection(text: str) -> PairSelection:
    """Return the selection of a replay from its column."""
    return check_selection(msgspec.json.decode(text, type=ReplaySelection), 0)


def list_replays(
    conn: Connection,
    account: AccountId,
    page: PageRequest,
    state: str | None = None,
    hook: HookId | None = None,
) -> Page[Replay]:
    """Return a page of an account's replays, newest first.

    Raises:
        Refused: the page request is not acceptable.
    """
    rows = select(REPLAY).where(REPLAY.c.account_id == account)
    if state is not None:
        rows = rows.where(REPLAY.c.state == state)
    if hook is not None:
        of_hook = select(REPLAY_HOOK.c.replay_id).where(REPLAY_HOOK.c.hook_id == hook)
        rows = rows.where(REPLAY.c.id.in_(of_hook))
    sorts = {"id": None, "created_at": None}
    listing = PagedQuery(
        rows, replay_row, REPLAY.c.id, sorts, counted=rows, more_bytes=_hooks_bytes
    )
    return page_of(conn, page, listing, lambda some: _build(conn, some))


def _hooks_bytes(row: ReplayRow) -> int:
    """Return the approximate size of the hooks of a replay."""
    hooks = msgspec.json.decode(row.selection, type=ReplaySelection).hooks
    return len(hooks) * _HOOK_BYTES


def get_replay(
    conn: Connection,
    account: AccountId | None,
    replay: int,
    results: Mapping[str, int] | None = None,
) -> Replay:
    """Return a replay of an account, or (None) of any.

    ``results`` are those of `replay_results`; None: they are counted.

    Raises:
        NotFound: there is no such replay there.
    """
    query = select(REPLAY).where(REPLAY.c.id == replay, in_account(REPLAY, account))
    row = conn.execute(query).first()
    if row is None:
        raise no_replay(replay)
    counted = None if results is None else {replay: results}
    return _build(conn, [replay_row(*row)], counted)[0]


def replay_results(conn: Connection, replay: int) -> Mapping[str, int]:
    """Return the deliveries of a replay by result: for many it takes longer than a change may."""
    return _results(conn, [replay]).get(replay, {})


def no_replay(replay: int) -> NotFound:
    """Return the error for a replay that does not exist in this account."""
    return NotFound(f"there is no replay {encode('rpl', replay)} here; see: hooktui replay list")


def replays_by_id(conn: Connection, replays: Iterable[int]) -> dict[int, Replay]:
    """Return the existing replays among ids, by id."""
    query = select(REPLAY).where(REPLAY.c.id.in_(list(replays)))
    rows = list(starmap(replay_row, conn.execute(query)))
    return {row.id: replay for row, replay in zip(rows, _build(conn, rows), strict=True)}


def _build(
    conn: Connection,
    rows: Sequence[ReplayRow],
    results: Mapping[int, Mapping[str, int]] | None = None,
) -> list[Replay]:
    if not rows:
        return []
    ids = [row.id for row in rows]
    walks = _walks(conn, ids)
    if results is None:
        results = _results(conn, ids)
    paused = is_paused(conn)
    now, pace, replays = now_ms(), Pace(conn), []
    for row in rows:
        of_replay = results.get(row.id, {})
        replays.append(_replay(row, walks.get(row.id, []), of_replay, paused=paused, now=now))
        pace.rest_when_due()
    return replays


def _walks(conn: Connection, replays: Sequence[int]) -> dict[int, list[_HookRow]]:
    query = (
        select(
            *_WALK_COLUMNS, HOOK.c.name, HOOK.c.active, HOOK.c.rate_per_s,
            HOOK_STATE.c.breaker_until,
        )
        .join(HOOK, HOOK.c.id == REPLAY_HOOK.c.hook_id)
        .outerjoin(HOOK_STATE, HOOK_STATE.c.hook_id == REPLAY_HOOK.c.hook_id)
        .where(REPLAY_HOOK.c.replay_id.in_(replays))
        .order_by(REPLAY_HOOK.c.hook_id)
    )  # fmt: skip
    walks: dict[int, list[_HookRow]] = {}
    for row in starmap(_HookRow, conn.execute(query)):
        walks.setdefault(row.replay_id, []).append(row)
    return walks


def _results(conn: Connection, replays: Sequence[int]) -> dict[int, Counter[str]]:
    """Return the deliveries of replays by result."""
    counted = (
        select(DELIVERY.c.replay_id, DELIVERY.c.status, func.count())
        .where(DELIVERY.c.replay_id.in_(replays))
        .group_by(DELIVERY.c.replay_id, DELIVERY.c.status)
    )
    results: dict[int, Counter[str]] = {}
    for replay, status, count in conn.execute(counted):
        results.setdefault(replay, Counter())[_RESULTS[status]] += count
    return results


def _replay(
    row: ReplayRow, walks: Sequence[_HookRow], results: Mapping[str, int], *, paused: bool, now: int
) -> Replay:
    selection = msgspec.json.decode(row.selection, type=ReplaySelection)
    hooks = tuple(_hook(row, walk, paused=paused, now=now) for walk in walks)
    skipped = Counter[str]()
    for hook in hooks:
        skipped.update(hook.skipped)
    sent, retried = sum(hook.sent for hook in hooks), sum(hook.retried for hook in hooks)
    total = row.max_deliveries
    ended = row.state not in UNFINISHED
    left = None if total is None or ended else max(total - sent - retried, 0)
    own = [walk.rate_per_s or row.rate_per_s for walk in walks if walk.state != WalkState.DONE]
    pace = min(sum(own) or row.rate_per_s, row.rate_per_s)
    return Replay(
        id=encode("rpl", row.id),
        account=row.account_id,
        state=row.state,
        state_reason=row.state_reason,
        selection=selection,
        rate_per_s=row.rate_per_s,
        max_deliveries=total,
        server=row.server if row.state == ReplayState.RUNNING else None,
        created_at=to_rfc3339(row.created_at),
        created_by=row.created_by,
        changed_at=to_rfc3339(row.changed_at),
        changed_by=row.changed_by,
        ended_at=optional_rfc3339(row.ended_at),
        progress=ReplayProgress(
            total=total,
            sent=sent,
            retried=retried,
            delivered=results.get("delivered", 0),
            failed=results.get("failed", 0),
            waiting=results.get("waiting", 0),
            cancelled=results.get("cancelled", 0),
            skipped=skipped,
            position=_position(row, walks),
            estimate_s=None if left is None else round(left / pace),
        ),
        hooks=hooks,
    )


def _hook(row: ReplayRow, walk: _HookRow, *, paused: bool, now: int) -> ReplayHook:
    waits = None
    if row.state == ReplayState.RUNNING and walk.state == WalkState.WALKING:
        waits = waits_for(
            active=walk.active, breaker_until_ms=walk.breaker_until, paused=paused, now_ms=now
        )
    return ReplayHook(
        hook=walk.hook_id,
        name=walk.name,
        state=walk.state,
        reason=walk.reason,
        waits_for=waits,
        sent=walk.sent,
        retried=walk.retried,
        skipped=msgspec.json.decode(walk.skipped, type=dict[str, int]),
    )


def _position(row: ReplayRow, walks: Sequence[_HookRow]) -> str | None:
    """Return up to which time events were handled; a cursor at its end is after the range."""
    selection = stored_selection(row.selection)
    begin = first_cursor(selection)
    newest = max((walk.cursor for walk in walks if walk.cursor > begin), default=None)
    return None if newest is None else to_rfc3339(min(time_of(newest), selection.until_ms))


# For the server that runs them


@dataclass(frozen=True, slots=True)
class RunningReplay:
    """A replay that a server runs.

    Attributes:
        cursors: of the hooks that are walking.
        ids_ahead: see `ReplayWalk`.
    """

    id: int
    selection: PairSelection
    rate_per_s: float
    cursors: Mapping[HookId, int]
    any_aside: bool
    ids_ahead: bool


def may_be_taken(conn: Connection, now: int) -> bool:
    """Return whether a running replay has no live lease."""
    free = select(REPLAY.c.id).where(*is_free(now))
    return conn.execute(free.limit(1)).first() is not None


def is_free(now_ms: int) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a running replay without a live lease."""
    until = REPLAY.c.lease_until
    return IS_RUNNING, or_(until.is_(None), until <= now_ms)


def replays_of(conn: Connection, token: int, known: Collection[int] = ()) -> list[RunningReplay]:
    """Return the running replays whose lease has a token; known ones without their hooks."""
    query = select(REPLAY).where(IS_RUNNING, REPLAY.c.owner_token == token)
    rows = list(starmap(replay_row, conn.execute(query.order_by(REPLAY.c.id))))
    walks = _walks(conn, [row.id for row in rows if row.id not in known])
    return [_running(row, walks.get(row.id, [])) for row in rows]


def _running(row: ReplayRow, walks: Sequence[_HookRow]) -> RunningReplay:
    return RunningReplay(
        id=row.id,
        selection=stored_selection(row.selection),
        rate_per_s=row.rate_per_s,
        cursors={
            HookId(walk.hook_id): walk.cursor for walk in walks if walk.state == WalkState.WALKING
        },
        any_aside=any(walk.state == WalkState.SET_ASIDE for walk in walks),
        ids_ahead=row.id > ceiling_at(row.created_at),
    )


def count_running(conn: Connection) -> int:
    """Return how many replays run."""
    return conn.execute(select(func.count()).select_from(REPLAY).where(IS_RUNNING)).scalar_one()


def unfinished_cancels(conn: Connection) -> list[int]:
    """Return the aborted replays whose waiting deliveries are not all cancelled yet."""
    left = select(REPLAY.c.id).where(REPLAY.c.state_reason == CANCELLING)
    return list(conn.execute(left).scalars())


def is_sending(conn: Connection, replay: int) -> bool:
    """Return whether a delivery of a replay is being sent."""
    sending = select(DELIVERY.c.id).where(
        DELIVERY.c.replay_id == replay, DELIVERY.c.status == DeliveryStatus.SENDING.value
    )
    return conn.execute(sending.limit(1)).first() is not None


def status_of(conn: Connection, delivery: DeliveryId) -> str | None:
    """Return the status of a delivery; None: it was deleted."""
    return conn.execute(select(DELIVERY.c.status).where(DELIVERY.c.id == delivery)).scalar()


def hooks_to_replay(
    conn: Connection, account: AccountId, mode: ReplayMode, cause: str | None
) -> list[HookId]:
    """Return the hooks that "all" stands for: those with undelivered events, or the active ones.

    With a ``cause``, those with events that are undelivered for it. One more than a replay may have
    is the most.
    """
    hooks = select(HOOK.c.id).where(HOOK.c.account_id == account, HOOK.c.deleted_at.is_(None))
    if mode is ReplayMode.FAILED:
        has_cause = DELIVERY.c.cause.is_not(None) if cause is None else DELIVERY.c.cause == cause
        undelivered = select(DELIVERY.c.id).where(DELIVERY.c.hook_id == HOOK.c.id, has_cause)
        hooks = hooks.where(has_row(undelivered))
    else:
        hooks = hooks.where(HOOK.c.active)
    hooks = hooks.order_by(HOOK.c.id).limit(MAX_HOOKS + 1)
    return [HookId(hook) for hook in conn.execute(hooks).scalars()]


def replay_of_request(
    conn: Connection, account: AccountId, key: str | None, body_sha256: bytes | None
) -> int | None:
    """Return the replay that a request with this key and body created, or None.

    Raises:
        Refused: the key was used with another body.
    """
    if key is None:
        return None
    query = select(REPLAY.c.id, REPLAY.c.body_sha256).where(
        REPLAY.c.account_id == account, REPLAY.c.key == key
    )
    row = conn.execute(query).first()
    if row is None:
        return None
    replay, known_sha256 = row
    if known_sha256 != body_sha256:
        detail = f"idempotency key {key[:100]!r} was used before with another request"
        raise Refused.field("/key", f"{detail}; use a new key for a new replay")
    return int(replay)


def no_start_reason(conn: Connection, account: AccountId, hooks: Collection[HookId]) -> str | None:
    """Return why a replay of some hooks of an account cannot be started now, or None."""
    active = select(HOOK.c.id).where(HOOK.c.id.in_(list(hooks)), HOOK.c.active)
    if hooks and conn.execute(active.limit(1)).first() is None:
        return "all hooks of this replay are disabled; enable one first"
    unfinished = REPLAY.c.state.in_(_UNFINISHED)
    accounts = conn.execute(select(REPLAY.c.account_id).where(unfinished)).scalars().all()
    others = select(ACCOUNT.c.id).where(ACCOUNT.c.id != account).limit(1)
    is_alone = conn.execute(others).first() is None
    most_of_account = MAX_UNFINISHED if is_alone else MAX_UNFINISHED_OF_ACCOUNT
    for whose, count, most in (
        ("this account", accounts.count(account), most_of_account),
        ("all accounts", len(accounts), MAX_UNFINISHED),
    ):
        if count >= most:
            return (
                f"{count} replays of {whose} are unfinished, the limit; wait until one has"
                " finished, or abort one"
            )
    busy = select(REPLAY_HOOK.c.hook_id, REPLAY_HOOK.c.replay_id).where(
        REPLAY_HOOK.c.hook_id.in_(list(hooks)), IS_WALK_UNFINISHED
    )
    first = conn.execute(busy.order_by(REPLAY_HOOK.c.hook_id).limit(1)).first()
    if first is None:
        return None
    hook, replay = first
    return (
        f"hook {hook} has the unfinished replay {encode('rpl', replay)}; wait until it has"
        " finished, or abort it"
    )
