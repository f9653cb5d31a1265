"""Translates filters of deliveries to SQL, as far as SQL can express them."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, false, func, literal_column, not_

from hooktui.domain.deliveries import OPEN, DeliveryStatus, ErrorClass, Outcome
from hooktui.domain.filters.patterns import Pattern
from hooktui.domain.filters.terms import (
    HELD,
    RETRYING,
    UNDELIVERED,
    WAITING,
    CodeRange,
    DurationComparison,
    Filter,
    FilterKey,
    Term,
    TimeBound,
    Value,
)
from hooktui.domain.ids import ceiling_at, decode, floor_at
from hooktui.store.queries.expressions import Condition, all_of, any_of, is_type_or_group
from hooktui.store.tables import DELIVERY, HOOK

_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_WAITING = frozenset({*OPEN, HELD, WAITING, RETRYING})
_OUTSIDE_SQL = (FilterKey.WORD, FilterKey.DATA)


def conditions(parsed: Filter, now_ms: int) -> tuple[list[Condition], Filter | None]:
    """Return the SQL conditions of a filter, and the filter of the remaining terms (None: none)."""
    inside = [_condition(term, now_ms) for term in parsed.terms if term.key not in _OUTSIDE_SQL]
    outside = tuple(term for term in parsed.terms if term.key in _OUTSIDE_SQL)
    return all_of(inside), Filter(outside) if outside else None


def needs_body(parsed: Filter | None) -> bool:
    """Return whether a filter of events has terms that search their bodies."""
    return parsed is not None and any(term.key in _OUTSIDE_SQL for term in parsed.terms)


def only_value(term: Term) -> Value | None:
    """Return the value of a term that has one and is not negated; None: another term."""
    return term.values[0] if len(term.values) == 1 and not term.negated else None


def only_waiting(status: str | None, parsed: Filter) -> bool:
    """Return whether conditions leave only deliveries that have not ended."""
    return status in _WAITING or any(
        term.key is FilterKey.STATUS and all(name in _WAITING for name in term.values)
        for term in parsed.terms
        if not term.negated
    )


def only_undelivered(status: str | None, parsed: Filter) -> bool:
    """Return whether conditions leave only undelivered deliveries."""
    undelivered = (RETRYING, UNDELIVERED)
    return status in undelivered or any(
        term.key is FilterKey.CAUSE
        or (term.key is FilterKey.STATUS and all(name in undelivered for name in term.values))
        for term in parsed.terms
        if not term.negated
    )


def has_status(name: str) -> Condition:
    """Return the condition of ``status:``, with literal statuses so that partial indexes apply."""
    if name == HELD:
        held = and_(not_(HOOK.c.active), HOOK.c.deleted_at.is_(None))
        return and_(is_pending(), held)
    if name == WAITING:
        return and_(is_open(), not_(has_status(HELD)))
    if name == RETRYING:
        return and_(is_open(), has_cause())
    if name == UNDELIVERED:
        return is_undelivered()
    if name == Outcome.INTERRUPTED:
        return DELIVERY.c.last_error == ErrorClass.INTERRUPTED.value
    return _status(DeliveryStatus(name))


def is_open() -> Condition:
    """Return the condition that a delivery has not ended, as in the index of open ones."""
    return has_any_status(*OPEN)


def is_pending() -> Condition:
    """Return the condition that a delivery is pending or held; literal, for partial indexes."""
    return _status(DeliveryStatus.PENDING)


def is_undelivered() -> Condition:
    """Return the condition of ``status:undelivered``, which is that of a partial index."""
    return DELIVERY.c.cause.is_not(None)


def has_cause() -> Condition:
    """Return the same condition for rows that another index finds.

    That of undelivered deliveries may hold many more, most of which have given up.
    """
    return func.coalesce(DELIVERY.c.cause, "") != ""


def has_any_status(*statuses: DeliveryStatus) -> Condition:
    """Return the condition of the statuses of a partial index, written as in the index."""
    return DELIVERY.c.status.in_([literal_column(f"'{status.value}'") for status in statuses])


def since(ms: int) -> Condition:
    """Return the condition that a delivery was created at or after a time, as a range of ids."""
    return DELIVERY.c.id >= floor_at(ms)


def until(ms: int) -> Condition:
    """Return the condition that a delivery was created at or before a time; ids narrow it."""
    return and_(DELIVERY.c.id < ceiling_at(ms), DELIVERY.c.created_at <= ms)


def has_id(public_id: str) -> Condition:
    """Return the condition that a delivery, or its event, has a public id."""
    if public_id.startswith("evt_"):
        return DELIVERY.c.event_id == decode("evt", public_id)
    return DELIVERY.c.id == decode("dlv", public_id)


def _status(status: DeliveryStatus) -> Condition:
    return DELIVERY.c.status == literal_column(f"'{status.value}'")


def _condition(term: Term, now_ms: int) -> Condition:
    values = list(dict.fromkeys(term.values))
    hooks = [value for value in values if isinstance(value, int)]
    if len(hooks) == len(values) > 1:
        fits: Condition = DELIVERY.c.hook_id.in_(hooks)
    else:
        fits = any_of([_fits(term.key, value, now_ms) for value in values])
    # A NULL column matches nothing, so its negation matches.
    return not_(func.coalesce(fits, false())) if term.negated else fits


def _fits(key: FilterKey, value: Value, now_ms: int) -> Condition:
    match value:
        case Pattern() if key is FilterKey.CAUSE:
            return and_(is_undelivered(), _matches(DELIVERY.c.cause, value.parts))
        case Pattern():
            return _fits_event(value.parts)
        case CodeRange(low, high):
            return DELIVERY.c.last_code.between(low, high)
        case DurationComparison():
            compared: Condition = _OPERATORS[value.operator](DELIVERY.c.duration_ms, value.ms)
            return compared
        case TimeBound():
            ms = value.at_ms(now_ms)
            return until(ms) if key is FilterKey.UNTIL else since(ms)
        case int():
            return DELIVERY.c.hook_id == value
        case _:
            return _fits_name(key, value)


def _fits_name(key: FilterKey, name: str) -> Condition:
    if key is FilterKey.STATUS:
        return has_status(name)
    if key is FilterKey.REPLAY:
        return DELIVERY.c.replay_id == decode("rpl", name)
    if key is FilterKey.ID:
        return has_id(name)
    column = DELIVERY.c.last_error if key is FilterKey.ERROR else DELIVERY.c.trigger
    return column == name


def _fits_event(parts: Sequence[str]) -> Condition:
    if len(parts) == 1:
        return is_type_or_group(DELIVERY.c.event_type, parts[0])
    return _matches(DELIVERY.c.event_type, parts)


def _matches(column: ColumnElement[str | None], parts: Sequence[str]) -> Condition:
    if len(parts) == 1:
        return column == parts[0]
    escaped = [part.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") for part in parts]
    return column.like("%".join(escaped), escape="\\")
