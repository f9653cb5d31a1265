"""Undelivered events in groups of a hook and a cause, counted from one index.

Two causes have no entries there: ``held`` and ``skipped`` are counted from the state of a hook.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    func,
    literal_column,
    not_,
    or_,
    select,
)

from hooktui.domain.alerts import AlertType, key_of
from hooktui.domain.clock import optional_rfc3339, to_rfc3339
from hooktui.domain.deliveries import DisabledReason
from hooktui.domain.errors import NotFound
from hooktui.domain.failure_causes import ALL_GROUPS, HELD, SKIPPED
from hooktui.domain.hook_failures import waits_for
from hooktui.domain.ids import AccountId, HookId, encode, time_of
from hooktui.domain.json_text import Steps, finish
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.undelivered import (
    UndeliveredExample,
    UndeliveredGroup,
    UndeliveredPage,
    UndeliveredTotals,
)
from hooktui.store.queries.alerts import UNRESOLVED
from hooktui.store.queries.deliveries import deliveries_by_id
from hooktui.store.queries.delivery_indexes import is_in_group, undelivered_pairs
from hooktui.store.queries.engine import is_paused
from hooktui.store.queries.filter_sql import is_open, is_pending, is_undelivered
from hooktui.store.queries.pace import Pace
from hooktui.store.queries.pages import PageRequest, page_in_memory
from hooktui.store.tables import (
    ALERT,
    AUDIT,
    CAUSE_BACKFILL,
    DELIVERY,
    EVENT,
    HOOK,
    HOOK_STATE,
    SHORT_TARGET,
    in_account,
)

_CAUSES: Final = {cause: number for number, cause in enumerate(ALL_GROUPS)}
_MAX_COUNTED = 1_000_000
"""Entries of the index that are counted one by one; beyond, counts are estimates."""
_FEW_HOOKS = 1_000
_MIN_COUNTED = 1_000
"""Entries of each group that are counted in any case."""
_GROUPS_PER_STEP = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeliveredQuery:
    """Conditions on groups that all must hold; ``hooks``: one of them."""

    hooks: Sequence[HookId] = ()
    cause: str | None = None
    state: str | None = None


class _Counted(NamedTuple):
    """A group: ``oldest`` and ``newest`` are ids of deliveries, of events if it was skipped."""

    hook: HookId
    cause: str
    events: int
    gave_up: int
    oldest: int
    newest: int
    is_estimate: bool = False

    @property
    def retrying(self) -> int:
        """How many have not given up; held and skipped events are counted apart."""
        return 0 if self.cause in (HELD, SKIPPED) else self.events - self.gave_up


class _State(NamedTuple):
    """The state of a group: that of its alert, or of a hook that a user disabled at a time."""

    name: str = "open"
    by: str | None = None
    until_ms: int | None = None
    alert: int | None = None
    disabled_ms: int | None = None


_States = Mapping[str, _State]
"""The states of groups that are not simply open, by the keys of their alerts."""
_OPEN: Final = _State()


class _Hook(NamedTuple):
    """A hook, as far as it concerns its groups."""

    id: HookId
    name: str
    active: bool
    breaker_until: int | None


def list_undelivered(
    conn: Connection,
    account: AccountId,
    page: PageRequest,
    query: UndeliveredQuery,
    *,
    now_ms: int,
    kept_since_ms: int = 0,
) -> UndeliveredPage:
    """Return a page of an account's groups, the newest first, and the totals of all of them.

    A page is sorted by ``newest_at``, ``oldest_at``, ``count`` or ``hook``. Events older than
    ``kept_since_ms`` are deleted, so that counts of skipped events are estimates.

    Raises:
        Refused: the page request is not acceptable.
    """
    pace = Pace(conn)
    groups = _groups(conn, _hooks_of(account), kept_since_ms)
    totals = pace.run(_total_steps(groups))
    states = _states(conn, account)

    def wanted() -> Iterator[_Counted]:
        for number, group in enumerate(groups):
            if number % _GROUPS_PER_STEP == _GROUPS_PER_STEP - 1:
                pace.rest_when_due()
            if (
                group.hook in (query.hooks or (group.hook,))
                and query.cause in (None, group.cause)
                and query.state in (None, _state(group, states).name)
            ):
                yield group

    found = page_in_memory(
        page,
        wanted(),
        {
            "newest_at": lambda group: group.newest,
            "oldest_at": lambda group: group.oldest,
            "count": lambda group: group.events,
            "hook": lambda group: group.hook,
        },
        lambda group: group.hook * 1000 + _CAUSES.get(group.cause, len(_CAUSES)),
        "undelivered",
    )
    return UndeliveredPage(
        data=_shown(conn, found.data, states, now_ms),
        next=found.next,
        prev=found.prev,
        total=found.total,
        total_is_estimate=False,
        totals=totals,
        counting_until=_counting_until(conn),
    )


def get_undelivered(
    conn: Connection, account: AccountId | None, hook: HookId, cause: str, *, now_ms: int
) -> UndeliveredGroup:
    """Return a group of a hook in an account, or (None) in any.

    Raises:
        NotFound: there is no such hook or group.
    """
    hooks = _hooks_of(account).where(HOOK.c.id == hook)
    owner = conn.execute(hooks.with_only_columns(HOOK.c.account_id)).scalar()
    groups = [] if owner is None else [g for g in _groups(conn, hooks) if g.cause == cause]
    if owner is None or not groups:
        raise no_group(hook, cause)
    return _shown(conn, groups, _states(conn, AccountId(owner)), now_ms)[0]


def no_group(hook: int, cause: str) -> NotFound:
    """Return the error for a group that does not exist in this account."""
    return NotFound(
        f"hook {hook} has no undelivered events with cause {cause}; see: hooktui undelivered list"
    )


def undelivered_totals(conn: Connection) -> UndeliveredTotals:
    """Return the totals of all accounts."""
    return finish(_total_steps(_groups(conn, _hooks_of(None))))


def _hooks_of(account: AccountId | None) -> Select[Any]:
    return select(HOOK.c.id).where(HOOK.c.deleted_at.is_(None), in_account(HOOK, account))


def _groups(conn: Connection, hooks: Select[Any], kept_since_ms: int = 0) -> list[_Counted]:
    counted = _counted(conn, hooks)
    retrying = Counter[HookId]()
    for group in counted:
        retrying[group.hook] += group.retrying
    return [*counted, *_without_entries(conn, hooks, retrying, kept_since_ms)]


def _counted(conn: Connection, hooks: Select[Any]) -> list[_Counted]:
    few = conn.execute(hooks.limit(_FEW_HOOKS + 1)).scalars().all()
    # A list lets PostgreSQL count in the order of the index, without a sort.
    in_hooks = DELIVERY.c.hook_id.in_(few if len(few) <= _FEW_HOOKS else hooks)
    entries = select(DELIVERY.c.id).where(is_undelivered(), in_hooks)
    if conn.execute(entries.limit(1).offset(_MAX_COUNTED)).first() is not None:
        return _estimated(conn, hooks)
    groups = entries.with_only_columns(
        DELIVERY.c.hook_id,
        DELIVERY.c.cause,
        func.count(),
        func.count(DELIVERY.c.finished_at),
        func.min(DELIVERY.c.id),
        func.max(DELIVERY.c.id),
    ).group_by(DELIVERY.c.hook_id, DELIVERY.c.cause)
    return list(starmap(_Counted, conn.execute(groups)))


def _estimated(conn: Connection, hooks: Select[Any]) -> list[_Counted]:
    """Return groups by their oldest entries, extrapolated to the time of the newest one."""
    pairs = undelivered_pairs(conn, hooks)
    max_rows = max(_MAX_COUNTED // max(len(pairs), 1), _MIN_COUNTED)
    pace = Pace(conn)
    return [group for pair in pairs for group in _estimate(conn, pace, *pair, max_rows)]


def _estimate(
    conn: Connection, pace: Pace, hook: HookId, cause: str, max_rows: int
) -> Iterable[_Counted]:
    keys = select(DELIVERY.c.id, DELIVERY.c.finished_at).where(is_in_group(hook, cause))
    newest = conn.execute(keys.order_by(DELIVERY.c.id.desc()).limit(1)).scalar()
    part = keys.order_by(DELIVERY.c.id).limit(max_rows).subquery()
    ids = (func.min(part.c.id), func.max(part.c.id))
    found = conn.execute(select(func.count(), func.count(part.c.finished_at), *ids)).one()
    count, gave_up, oldest, last = found
    pace.rest_when_due()
    if not count or newest is None:
        return  # sent meanwhile
    share = max((newest - oldest) / max(last - oldest, 1), 1.0)
    yield _Counted(
        hook, cause, round(count * share), round(gave_up * share), oldest, newest, count == max_rows
    )


def _without_entries(
    conn: Connection, hooks: Select[Any], retrying: Counter[HookId], kept_since_ms: int
) -> Iterator[_Counted]:
    """Yield the groups that are counted in the state of their hooks."""
    is_held = and_(not_(HOOK.c.active), HOOK_STATE.c.waiting > 0)
    columns = (HOOK_STATE.c.waiting, HOOK_STATE.c.skipped)
    events = (HOOK_STATE.c.skipped_first, HOOK_STATE.c.skipped_last)
    rows = (
        select(HOOK.c.id, *columns, *events, _held(is_held), _held(is_held, newest=True))
        .join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
        .where(HOOK.c.id.in_(hooks), or_(is_held, HOOK_STATE.c.skipped > 0))
        .order_by(HOOK.c.id)
    )
    for hook, waiting, skipped, first, last, oldest, newest in conn.execute(rows):
        held = waiting - retrying[hook]
        if held > 0 and oldest is not None:
            yield _Counted(hook, HELD, held, 0, oldest, newest)
        if skipped:
            yield _Counted(hook, SKIPPED, skipped, 0, first, last, time_of(first) < kept_since_ms)


def _held(is_held: ColumnElement[bool], *, newest: bool = False) -> ColumnElement[int | None]:
    """Return the oldest (or newest) held delivery of a hook, along the index of open ones."""
    held = and_(
        is_open(), is_pending(), DELIVERY.c.hook_id == HOOK.c.id, DELIVERY.c.cause.is_(None)
    )
    order = DELIVERY.c.id.desc() if newest else DELIVERY.c.id
    first = select(DELIVERY.c.id).where(held).order_by(order).limit(1)
    return case((is_held, first.scalar_subquery()), else_=None)


def _states(conn: Connection, account: AccountId) -> _States:
    """Return the states of groups with an alert, and of those that a user disabled."""
    hooks = (
        select(HOOK.c.id, HOOK.c.disabled_at)
        .join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
        .where(
            HOOK.c.account_id == account,
            not_(HOOK.c.active),
            HOOK.c.disabled_reason == DisabledReason.BY_HAND.value,
            HOOK_STATE.c.skipped > 0,
        )
    )
    states = {
        key_of(AlertType.GAVE_UP, hook, SKIPPED): _State("acknowledged", disabled_ms=at_ms or 0)
        for hook, at_ms in conn.execute(hooks)
    }
    alerts = select(
        ALERT.c.key, ALERT.c.state, ALERT.c.changed_by, ALERT.c.snoozed_until, ALERT.c.id
    ).where(
        UNRESOLVED,
        ALERT.c.type == AlertType.GAVE_UP.value,
        ALERT.c.account_id == account,
    )
    for key, state, by, until_ms, alert in conn.execute(alerts):
        states[key] = _State(state, by if state != "open" else None, until_ms, alert)
    return states


def _state(group: _Counted, states: _States) -> _State:
    return states.get(key_of(AlertType.GAVE_UP, group.hook, group.cause), _OPEN)


def _total_steps(groups: Sequence[_Counted]) -> Steps[UndeliveredTotals]:
    count = gave_up = retrying = held = skipped = 0
    for number, group in enumerate(groups):
        if number % _GROUPS_PER_STEP == _GROUPS_PER_STEP - 1:
            yield
        count += group.events
        gave_up += group.gave_up
        retrying += group.retrying
        if group.cause == HELD:
            held += group.events
        elif group.cause == SKIPPED:
            skipped += group.events
    return UndeliveredTotals(
        count=count, gave_up=gave_up, retrying=retrying, held=held, skipped=skipped
    )


def _shown(
    conn: Connection, groups: Sequence[_Counted], states: _States, now_ms: int
) -> list[UndeliveredGroup]:
    ids = [group.hook for group in groups]
    columns = (HOOK.c.id, HOOK.c.name, HOOK.c.active, HOOK_STATE.c.breaker_until)
    rows = select(*columns).join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
    hooks = {row.id: row for row in starmap(_Hook, conn.execute(rows.where(HOOK.c.id.in_(ids))))}
    entries = [group for group in groups if group.cause != SKIPPED]
    ends = [end for group in entries for end in (group.oldest, group.newest)]
    deliveries = deliveries_by_id(conn, ends)
    paused = is_paused(conn)
    shown = []
    for group in groups:
        hook = hooks[group.hook]
        state = _state(group, states)
        if state.disabled_ms is not None:
            state = state._replace(by=_user_at(conn, group.hook, state.disabled_ms))
        example = deliveries.get(group.newest) if group.cause != SKIPPED else None
        shown.append(
            UndeliveredGroup(
                hook=group.hook,
                name=hook.name,
                cause=group.cause,
                count=group.events,
                gave_up=group.gave_up,
                retrying=group.retrying,
                count_is_estimate=group.is_estimate,
                oldest_at=_created(conn, deliveries, group.oldest),
                newest_at=_created(conn, deliveries, group.newest),
                waits_for=waits_for(
                    active=hook.active,
                    breaker_until_ms=hook.breaker_until,
                    paused=paused,
                    now_ms=now_ms,
                ),
                example=None if example is None else _example(example),
                state=state.name,
                state_by=state.by,
                state_until=optional_rfc3339(state.until_ms),
                alert=None if state.alert is None else encode("alr", state.alert),
            )
        )
    return shown


def _created(conn: Connection, deliveries: dict[int, Delivery], identity: int) -> str:
    """Return when a delivery was created, else an event; that of a purged one is in its id."""
    delivery = deliveries.get(identity)
    if delivery is not None:
        return delivery.created_at
    event = conn.execute(select(EVENT.c.created_at).where(EVENT.c.id == identity)).scalar()
    return to_rfc3339(time_of(identity) if event is None else event)


def _example(delivery: Delivery) -> UndeliveredExample:
    return UndeliveredExample(
        delivery=delivery.id, event_type=delivery.event_type, last_status=delivery.last_status
    )


def _user_at(conn: Connection, hook: HookId, at_ms: int) -> str | None:
    """Return the user who changed a hook at a time, from the audit trail."""
    entry = select(AUDIT.c.user).where(
        AUDIT.c.target == f"hook {hook}", literal_column(SHORT_TARGET), AUDIT.c.at_ms == at_ms
    )
    return conn.execute(entry.order_by(AUDIT.c.id.desc()).limit(1)).scalar()


def _counting_until(conn: Connection) -> str | None:
    after = conn.execute(select(CAUSE_BACKFILL.c.after)).scalar()
    return None if after is None else to_rfc3339(time_of(after))
