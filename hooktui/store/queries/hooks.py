"""Hooks with their statistics; success and durations come from ``hook_stats`` alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Label,
    Select,
    and_,
    bindparam,
    case,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
)

from hooktui.domain.clock import DAY_MS, HOUR_MS, now_ms, optional_rfc3339, to_rfc3339
from hooktui.domain.deliveries import Trigger
from hooktui.domain.errors import NotFound
from hooktui.domain.failure_causes import last_status
from hooktui.domain.filters.hook_search import HookState, parse_hook_search
from hooktui.domain.hook_failures import Breaker
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.wire.hooks import Hook, HookStats
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.server import Backlog, HookBacklog
from hooktui.store import hook_rows
from hooktui.store.attempt_stats import BUCKET_MS, COUNTS, percentile_ms
from hooktui.store.queries.expressions import all_of, fetch_without_sort
from hooktui.store.queries.filter_sql import is_open, is_pending
from hooktui.store.queries.pages import PagedQuery, PageRequest, page_of
from hooktui.store.tables import DELIVERY, HOOK, HOOK_STATE, HOOK_STATS, in_account


class _Row(NamedTuple):
    """A hook without its encrypted values, and its state; see `hook_rows.SETTINGS`."""

    settings: Sequence[Any]
    id: int
    account_id: int
    active: bool
    disabled_reason: str | None
    disabled_at: int | None
    created_at: int
    updated_at: int
    version: int
    waiting: int
    last_code: int | None
    last_error: str | None
    last_at: int | None
    failing_alert: int | None
    failing_since: int | None
    breaker_until: int | None

    @classmethod
    def of(cls, values: Sequence[Any]) -> _Row:
        """Return a row from the values that `_hooks` selects."""
        return cls(values[len(_COLUMNS) :], *values[: len(_COLUMNS)])


_COLUMNS = [
    HOOK_STATE.c[name] if name in HOOK_STATE.c else HOOK.c[name] for name in _Row._fields[1:]
]
_BACKLOG_HOOKS = 20
_SORTS: dict[str, ColumnElement[Any] | None] = {
    "id": None,
    "name": HOOK.c.name,
    "created_at": HOOK.c.created_at,
    "updated_at": HOOK.c.updated_at,
    "last_at": func.coalesce(HOOK_STATE.c.last_at, 0),
    "waiting": case((HOOK.c.active, HOOK_STATE.c.waiting), else_=0),
}


def list_hooks(
    conn: Connection, account: AccountId, page: PageRequest, words: str | None = None
) -> Page[Hook]:
    """Return a page of an account's hooks that match a search.

    Raises:
        Refused: the page request or the search is not acceptable.
    """
    fitting = _fitting(words or "")
    rows = _hooks().where(HOOK.c.account_id == account, *fitting)
    # Counting 100,000 hooks takes 15 ms without their states, three times as long with them.
    all_of_it = select(HOOK.c.id).where(HOOK.c.account_id == account, HOOK.c.deleted_at.is_(None))
    listing = PagedQuery(
        rows,
        lambda *values: _Row.of(values),
        HOOK.c.id,
        _SORTS,
        counted=rows if fitting else all_of_it,
    )
    return page_of(conn, page, listing, lambda some: _build(conn, some))


def _fitting(search: str) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for term in parse_hook_search(search):
        if term.word:
            folded = "".join([_folds().get(letter, letter) for letter in term.word])
            fields = (HOOK.c.name, HOOK.c.url, HOOK.c.events)
            texts = (_folded(field, folded, ascii=term.word.isascii()) for field in fields)
            found = [text.contains(folded, autoescape=True) for text in texts]
            fits = or_(*found)
        else:
            fits = or_(*(_is_in_state(state) for state in dict.fromkeys(term.states)))
        # A NULL column matches nothing, so its negation matches.
        conditions.append(not_(func.coalesce(fits, false())) if term.negated else fits)
    return all_of(conditions)


def _folded(
    text: ColumnElement[str],
    word: str,
    *,
    ascii: bool,  # noqa: A002 - as in `str.isascii`
) -> ColumnElement[str]:
    """Fold the case of a text, as far as it is to be compared with a folded word.

    Which letters ``lower`` folds beside ASCII depends on the database and its locale.
    """
    if ascii:
        return func.lower(text)
    wanted = set(word)
    folds = [(letter, fold) for letter, fold in _folds().items() if fold in wanted]
    letters, others = zip(*folds, strict=True) if folds else ((), ())
    text = func.translate(text, "".join(letters), "".join(others))
    for sharp_s in "\u00df\u1e9e" if "ss" in word else "":
        text = func.replace(text, sharp_s, "ss")
    return text


@cache
def _folds() -> Mapping[str, str]:
    """Return what each letter with another case is compared as: one letter, or ss for a sharp s."""
    letters = ((letter, letter.casefold()) for letter in map(chr, range(0x20000)))
    folds = {letter: fold for letter, fold in letters if fold != letter and len(fold) == 1}
    return folds | {"\u00df": "ss", "\u1e9e": "ss"}


def _is_in_state(state: HookState) -> ColumnElement[bool]:
    match state:
        case HookState.ACTIVE:
            return HOOK.c.active
        case HookState.DISABLED:
            return not_(HOOK.c.active)
        case HookState.WAITING:
            return and_(HOOK.c.active, HOOK_STATE.c.waiting > 0)
        case HookState.HELD:
            return and_(not_(HOOK.c.active), HOOK_STATE.c.waiting > 0)
        case HookState.FAILING:
            return and_(HOOK.c.active, HOOK_STATE.c.failing_alert.is_not(None))
        case HookState.RETRYING:
            failed = or_(
                HOOK_STATE.c.breaker_until.is_not(None), HOOK_STATE.c.last_error.is_not(None)
            )
            return and_(HOOK.c.active, HOOK_STATE.c.failing_alert.is_(None), failed)


def get_hook(conn: Connection, account: AccountId | None, hook: HookId) -> Hook:
    """Return a hook of an account, or (None) of any.

    Raises:
        NotFound: there is no such hook there.
    """
    rows = _hooks().where(HOOK.c.id == hook, in_account(HOOK, account))
    hooks = _read(conn, rows)
    if not hooks:
        raise no_hook(hook)
    return hooks[0]


def no_hook(hook: int) -> NotFound:
    """Return the error for a hook that does not exist in this account."""
    return NotFound(f"there is no hook {hook} here; see: hooktui hooks list")


def hook_columns(
    conn: Connection, account: AccountId | None, hook: HookId, *columns: ColumnElement[Any]
) -> Sequence[Any]:
    """Return columns of a hook that is not deleted.

    Raises:
        NotFound: there is no such hook in the account (None: in any).
    """
    row = conn.execute(select(*columns).where(is_hook(account, hook))).first()
    if row is None:
        raise no_hook(hook)
    return row


def is_hook(account: AccountId | None, hook: HookId) -> ColumnElement[bool]:
    """Return the condition of a hook of an account (None: of any) that is not deleted."""
    return and_(HOOK.c.id == hook, in_account(HOOK, account), HOOK.c.deleted_at.is_(None))


def hooks_by_id(conn: Connection, hooks: Iterable[int]) -> dict[int, Hook]:
    """Return the existing hooks among ids, by id."""
    rows = _hooks().where(HOOK.c.id.in_(list(hooks)))
    return {hook.id: hook for hook in _read(conn, rows)}


def waiting_of(conn: Connection, hook: HookId) -> int:
    """Return how many deliveries of a hook are not final; 0 for an unknown hook."""
    state = select(HOOK_STATE.c.waiting).where(HOOK_STATE.c.hook_id == hook)
    return conn.execute(state).scalar() or 0


def backlog(conn: Connection, account: AccountId | None, at_ms: int) -> Backlog:
    """Return the backlog of an account, or (None) of all, read from counters without a scan."""
    columns = (HOOK.c.id, HOOK.c.name, HOOK.c.active, HOOK_STATE.c.waiting)
    hooks = select(*columns, *first_due()).join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
    hooks = hooks.where(HOOK.c.deleted_at.is_(None), HOOK_STATE.c.waiting > 0)
    hooks = hooks.where(in_account(HOOK, account))
    rows = fetch_without_sort(conn, hooks.order_by(HOOK_STATE.c.waiting.desc(), HOOK.c.id))
    active = [row for row in rows if row.active]
    due = [time for row in active for time in (row.due_first, row.due_again) if time is not None]
    oldest = min(due, default=None)
    return Backlog(
        count=sum(row.waiting for row in active),
        held=sum(row.waiting for row in rows if not row.active),
        oldest_due_at=to_rfc3339(oldest) if oldest is not None and oldest <= at_ms else None,
        hooks=tuple(
            HookBacklog(hook=row.id, name=row.name, count=row.waiting)
            for row in active[:_BACKLOG_HOOKS]
        ),
    )


def next_due(conn: Connection, hook: int) -> int | None:
    """Return when (ms) the first pending delivery of a hook is due."""
    rows = fetch_without_sort(conn, select(*first_due()).where(HOOK.c.id == hook))
    return min((due_ms for times in rows for due_ms in times if due_ms is not None), default=None)


def first_due() -> list[Label[int | None]]:
    """Return when the first attempts and the retries of a hook are due; each has an index.

    Of an ordered hook only the first in line can be due; while it is being sent, nothing is.
    For `fetch_without_sort`: so not with MIN, which PostgreSQL may compute of all that waits.
    """
    own = DELIVERY.c.hook_id == HOOK.c.id
    due = select(DELIVERY.c.next_attempt_at).where(is_pending(), own)
    earliest = due.order_by(DELIVERY.c.next_attempt_at).limit(1)
    none: ColumnElement[int] = literal_column("0")  # literal, for partial indexes
    in_line = select(case((is_pending(), DELIVERY.c.next_attempt_at), else_=None))
    in_line = in_line.where(is_open(), own, DELIVERY.c.trigger != Trigger.PING.value)
    first_in_line = in_line.order_by(DELIVERY.c.id).limit(1).scalar_subquery()
    first = earliest.where(DELIVERY.c.tries == none).scalar_subquery()
    again = earliest.where(DELIVERY.c.tries > none).scalar_subquery()
    return [
        case((HOOK.c.ordered, first_in_line), else_=first).label("due_first"),
        case((HOOK.c.ordered, None), else_=again).label("due_again"),
    ]


def _hooks() -> Select[Any]:
    joined = HOOK.join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
    hooks = select(*_COLUMNS, *hook_rows.SETTINGS).select_from(joined)
    return hooks.where(HOOK.c.deleted_at.is_(None))


def _read(conn: Connection, hooks: Select[Any]) -> list[Hook]:
    return _build(conn, [_Row.of(row) for row in conn.execute(hooks)])


def _build(conn: Connection, rows: Sequence[_Row]) -> list[Hook]:
    if not rows:
        return []
    now = now_ms()
    counted = _last_day(conn, [row.id for row in rows], now)
    return [_hook(row, _stats(row, counted.get(row.id, {}), now)) for row in rows]


def _sums_by_hour() -> Select[Any]:
    since, until = bindparam("since", type_=BigInteger), bindparam("until", type_=BigInteger)
    # A bucket belongs to the hour of its end, so that the newest one is in the last hour.
    hour = (HOOK_STATS.c.bucket + BUCKET_MS - 1 - since) // HOUR_MS
    sums = [func.sum(HOOK_STATS.c[name]) for name in COUNTS]
    of_hooks = HOOK_STATS.c.hook_id.in_(bindparam("hooks", expanding=True))
    return (
        select(HOOK_STATS.c.hook_id, hour.label("hour"), *sums)
        .where(of_hooks, HOOK_STATS.c.bucket > since - BUCKET_MS, HOOK_STATS.c.bucket < until)
        .group_by(HOOK_STATS.c.hook_id, hour)
    )


_LAST_DAY: Final = _sums_by_hour()


def _last_day(
    conn: Connection, hooks: Sequence[int], now: int
) -> Mapping[int, Mapping[int, Sequence[int]]]:
    """Return delivered, failed, and the histogram per hook and hour (0 is the oldest of 24)."""
    counted: dict[int, dict[int, Sequence[int]]] = {}
    # The clocks of servers differ a little; what is later was counted by a clock that was wrong.
    times = {"since": now - DAY_MS, "until": now + HOUR_MS}
    rows = conn.execute(_LAST_DAY, {"hooks": hooks, **times})
    for hook, hour, *counts in rows:
        hours = counted.setdefault(hook, {})
        hour = min(max(hour, 0), 23)
        hours[hour] = [
            a + int(b) for a, b in zip(hours.get(hour, [0] * len(counts)), counts, strict=True)
        ]
    return counted


def _stats(row: _Row, hours: Mapping[int, Sequence[int]], now: int) -> HookStats:
    totals = [sum(column) for column in zip(*hours.values(), strict=True)] or [0, 0]
    attempts = totals[0] + totals[1]
    return HookStats(
        last_status=last_status(row.last_error, row.last_code),
        last_at=optional_rfc3339(row.last_at),
        success_24h=totals[0] / attempts if attempts else None,
        p95_ms=percentile_ms(totals[2:], 0.95) if attempts else None,
        waiting=row.waiting if row.active else 0,
        held=0 if row.active else row.waiting,
        breaker=Breaker(until_ms=row.breaker_until).state(now).value,
        failing=row.active and row.failing_alert is not None,
        failing_since=None if row.failing_alert is None else optional_rfc3339(row.failing_since),
        hourly=tuple((hours[h][0], hours[h][1]) if h in hours else (0, 0) for h in range(24)),
    )


def _hook(row: _Row, stats: HookStats) -> Hook:
    return Hook(
        **hook_rows.values_of(row.settings),
        id=row.id,
        account=row.account_id,
        disabled_reason=row.disabled_reason,
        disabled_at=optional_rfc3339(row.disabled_at),
        created_at=to_rfc3339(row.created_at),
        updated_at=to_rfc3339(row.updated_at),
        version=row.version,
        stats=stats,
    )
