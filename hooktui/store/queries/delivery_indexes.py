"""Chooses the index that serves a list of deliveries, so that its cost is independent of the store.

Every list reads keys from one index in their order: of ids, of an event, of a hook, of a replay, of
failed, waiting or undelivered deliveries, or of the account. The other conditions of a filter are
checked row by row, for a bounded number of rows per page (``queries.pages.WINDOW``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    and_,
    func,
    literal,
    literal_column,
    select,
)

from hooktui.domain.deliveries import DeliveryStatus, Trigger
from hooktui.domain.filters.terms import (
    UNDELIVERED,
    Filter,
    FilterKey,
    Subject,
    Term,
    TimeBound,
)
from hooktui.domain.ids import AccountId, EventId, HookId, decode
from hooktui.store.queries import filter_sql
from hooktui.store.queries.expressions import Condition, Rare, any_of
from hooktui.store.tables import DELIVERY, HOOK, HOOK_STATE, Big

_FEW = 20_000  # sorted in some 10 ms
_MAX_HOOKS, _MAX_PARTS = 1_000, 50  # looked up in some milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryQuery:
    """Conditions on deliveries that all must hold. ``status`` may also be ``held``."""

    hook: HookId | None = None
    event: EventId | None = None
    event_type: str | None = None
    status: str | None = None
    trigger: Trigger | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    q: Filter | None = None


@dataclass(frozen=True, slots=True)
class KeyScan:
    """The scan of an index for a list.

    Attributes:
        conditions: selects the keys; the index holds all their columns.
        keys: the keys to count; None if they are few enough to skip counting.
        query: the remaining conditions on each row.
        filter: the remaining filter on each row.
        parts: further conditions, one for each range of keys; see `PagedQuery`.
    """

    conditions: Sequence[Condition]
    keys: Select[Any] | None
    query: DeliveryQuery
    filter: Filter
    parts: Sequence[Condition] = ()


def key_scan(conn: Connection, account: AccountId, query: DeliveryQuery, now_ms: int) -> KeyScan:
    """Choose the index for a query and its filter."""
    query, parsed = _split_filter(query, now_ms)
    if query.event is not None:
        chosen = [DELIVERY.c.event_id == query.event, _plus_account(account), *_times(query)]
        return KeyScan(chosen, None, query, parsed)
    ids = parsed.required(FilterKey.ID)
    if ids:
        of_ids = any_of([filter_sql.has_id(str(value)) for value in ids[0].values])
        return KeyScan([of_ids, _plus_account(account), *_times(query)], None, query, parsed)
    if filter_sql.only_waiting(query.status, parsed) and _few_wait(conn, account):
        of_hooks = DELIVERY.c.hook_id.in_(_hooks(account, query.hook))
        chosen = [_plus_account(account), filter_sql.is_open(), of_hooks, *_times(query)]
        return KeyScan(chosen, None, query, parsed)
    replays = (filter_sql.only_value(term) for term in parsed.terms if term.key is FilterKey.REPLAY)
    replay = next(filter(None, replays), None)
    if replay is not None:
        of_replay = DELIVERY.c.replay_id == decode("rpl", str(replay))
        if _are_few(conn, [of_replay]):
            chosen = [of_replay, _plus_account(account), *_times(query)]
            return KeyScan(chosen, None, query, parsed)
    if filter_sql.only_undelivered(query.status, parsed):
        undelivered = _undelivered(conn, account, query, parsed, now_ms)
        if undelivered is not None:
            return undelivered
    left = replace(query, since_ms=None, until_ms=None)
    if query.status == DeliveryStatus.FAILED:  # few, so the hook is checked row by row
        chosen = [DELIVERY.c.account_id == account, filter_sql.has_status(DeliveryStatus.FAILED)]
        left = replace(left, status=None)
    elif query.hook is not None:
        chosen = [DELIVERY.c.hook_id == _hooks(account, query.hook).scalar_subquery()]
        left = replace(left, hook=None)
    else:
        chosen = [DELIVERY.c.account_id == account]
    chosen += _times(query)
    return KeyScan(chosen, select(DELIVERY.c.id).where(*chosen), left, parsed)


def _split_filter(query: DeliveryQuery, now_ms: int) -> tuple[DeliveryQuery, Filter]:
    """Return a query extended by the parts of its filter that an index can serve, and the rest."""
    rest: list[Term] = []
    for term in query.q.terms if query.q is not None else ():
        value = filter_sql.only_value(term)
        if term.key is FilterKey.HOOK and isinstance(value, int) and query.hook is None:
            query = replace(query, hook=HookId(value))
        elif term.key is FilterKey.STATUS and isinstance(value, str) and query.status is None:
            query = replace(query, status=value)
        elif isinstance(value, TimeBound):
            ms = value.at_ms(now_ms)
            if term.key is FilterKey.SINCE:
                query = replace(query, since_ms=max(ms, query.since_ms or 0))
            else:
                until_ms = ms if query.until_ms is None else min(ms, query.until_ms)
                query = replace(query, until_ms=until_ms)
        else:
            rest.append(term)
    return query, Filter(tuple(rest))


def _times(query: DeliveryQuery) -> list[Condition]:
    conditions = []
    if query.since_ms is not None:
        conditions.append(filter_sql.since(query.since_ms))
    if query.until_ms is not None:
        conditions.append(filter_sql.until(query.until_ms))
    return conditions


def _hooks(account: AccountId, hook: HookId | None) -> Select[Any]:
    """Select the hooks of an account, or one hook if it belongs to that account."""
    hooks = HOOK.alias("of_account")
    query = select(hooks.c.id).where(hooks.c.account_id == account)
    return query if hook is None else query.where(hooks.c.id == hook)


def _undelivered(
    conn: Connection, account: AccountId, query: DeliveryQuery, parsed: Filter, now_ms: int
) -> KeyScan | None:
    """Return the scan of undelivered deliveries, by group; None: there are too many groups."""
    times = _times(query)
    left = replace(query, since_ms=None, until_ms=None)
    if left.status == UNDELIVERED:
        left = replace(left, status=None)
    hooks = _hooks(account, query.hook)
    pairs = None
    if _count(conn, hooks, _MAX_HOOKS + 1) <= _MAX_HOOKS:
        pairs = undelivered_pairs(conn, hooks, _MAX_PARTS + 1)
    if pairs is None or len(pairs) > _MAX_PARTS:
        of_hooks = DELIVERY.c.hook_id.in_(hooks)
        chosen = [filter_sql.is_undelivered(), of_hooks, *times]
        if not _are_few(conn, chosen):
            return None
        return KeyScan([_plus_account(account), *chosen], None, left, parsed)
    # The groups are those that the terms match, so no row is checked for them again.
    causes = Filter(tuple(term for term in parsed.terms if term.key is FilterKey.CAUSE))
    rest = Filter(tuple(term for term in parsed.terms if term.key is not FilterKey.CAUSE))
    parts = [
        is_in_group(hook, cause)
        for hook, cause in pairs
        if causes.matches(Subject(at_ms=0, cause=cause), now_ms)
    ] or [is_in_group(HookId(0), "")]  # no hook has this number
    keys = select(DELIVERY.c.id).where(*times)
    left = replace(left, hook=None)
    if len(parts) > 1:
        return KeyScan(times, keys, left, rest, parts)
    return KeyScan([*parts, *times], keys.where(*parts), left, rest)


def is_in_group(hook: HookId, cause: str) -> Condition:
    """Return the condition that a delivery is undelivered at a hook with a cause."""
    of_group = and_(DELIVERY.c.hook_id == hook, Rare(DELIVERY.c.cause == cause))
    return and_(filter_sql.is_undelivered(), of_group)


def undelivered_pairs(
    conn: Connection, chosen: Select[Any], max_rows: int | None = None
) -> list[tuple[HookId, str]]:
    """Return each of some hooks with each cause of its deliveries, by a look-up for each."""
    hooks = chosen.subquery()
    cause = select(func.min(DELIVERY.c.cause)).where(filter_sql.is_undelivered())
    first = cause.where(DELIVERY.c.hook_id == hooks.c.id).scalar_subquery()
    pairs = select(hooks.c.id, first.label("cause")).cte(recursive=True)
    more = cause.where(DELIVERY.c.hook_id == pairs.c.id, DELIVERY.c.cause > pairs.c.cause)
    pairs = pairs.union_all(
        select(pairs.c.id, more.scalar_subquery()).where(pairs.c.cause.is_not(None))
    )
    found = conn.execute(select(pairs).where(pairs.c.cause.is_not(None)).limit(max_rows))
    return [(HookId(hook), str(name)) for hook, name in found]


def _are_few(conn: Connection, conditions: Sequence[Condition]) -> bool:
    return _count(conn, select(DELIVERY.c.id).where(*conditions), _FEW) < _FEW


def _count(conn: Connection, rows: Select[Any], max_rows: int) -> int:
    """Return how many rows there are; no more are read than a maximum."""
    counted = select(func.count()).select_from(rows.limit(max_rows).subquery())
    return conn.execute(counted).scalar_one()


def _few_wait(conn: Connection, account: AccountId) -> bool:
    waiting = select(func.sum(HOOK_STATE.c.waiting)).where(
        and_(HOOK.c.id == HOOK_STATE.c.hook_id, HOOK.c.account_id == account)
    )
    return (conn.execute(waiting).scalar() or 0) < _FEW


def _plus_account(account: AccountId) -> Condition:
    """Return the condition that a delivery belongs to an account.

    The plus keeps SQLite from scanning the account's whole history instead of the few rows that are
    requested (280 ms with a million rows, 1 ms with the plus).
    """
    return literal_column("+delivery.account_id", Big) == literal(account)
