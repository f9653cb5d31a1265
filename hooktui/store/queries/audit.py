"""Lists of the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from sqlalchemy import Column, ColumnElement, Connection, literal_column, select

from hooktui.domain.clock import to_rfc3339
from hooktui.domain.ids import AccountId
from hooktui.domain.wire.access import AuditEntry
from hooktui.domain.wire.pages import Page
from hooktui.store.audit import ROW_COLUMNS, Row
from hooktui.store.queries.expressions import begins_with
from hooktui.store.queries.pages import PagedQuery, PageRequest, page_of
from hooktui.store.tables import AUDIT, LONGEST_SHORT_TARGET, SHORT_TARGET

_JSON = msgspec.json.Decoder(dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Conditions that all must hold; a trailing ``*`` in a text matches any rest.

    ``since_ms`` (inclusive) and ``until_ms`` (exclusive) bound the time of an entry.
    """

    user: str | None = None
    role: str | None = None
    action: str | None = None
    target: str | None = None
    result: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


def list_audit(
    conn: Connection, account: AccountId | None, page: PageRequest, query: AuditQuery
) -> Page[AuditEntry]:
    """Return a page of the audit trail: the entries about an account, or (None) all.

    Raises:
        Refused: the page request is not acceptable.
    """
    about, conditions = _about(query.target), _conditions(account, query)
    listing = PagedQuery(
        select(AUDIT.c.id, *ROW_COLUMNS).where(*about, *conditions),
        lambda entry, *values: (int(entry), Row(*values)),
        AUDIT.c.id,
        {"id": None},
        walk=select(AUDIT.c.id).where(*about),
        narrowed=bool(conditions),
    )
    return page_of(conn, page, listing, lambda rows: [_entry(*row) for row in rows])


def _about(target: str | None) -> list[ColumnElement[bool]]:
    """Return conditions that use the index of targets; a target may be too long for it."""
    if target is None or _is_pattern(target):
        return []
    conditions: list[ColumnElement[bool]] = [AUDIT.c.target == target]
    if len(target) <= LONGEST_SHORT_TARGET:
        conditions.append(literal_column(SHORT_TARGET))
    return conditions


def _conditions(account: AccountId | None, query: AuditQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if account is not None:
        conditions.append(AUDIT.c.account_id == account)
    for name in ("user", "role", "action", "target", "result"):
        text: str | None = getattr(query, name)
        if text is not None and (name != "target" or _is_pattern(text)):
            conditions.append(_like(AUDIT.c[name], text))
    if query.since_ms is not None:
        conditions.append(AUDIT.c.at_ms >= query.since_ms)
    if query.until_ms is not None:
        conditions.append(AUDIT.c.at_ms < query.until_ms)
    return conditions


def _is_pattern(text: str) -> bool:
    return text.endswith("*")


def _like(column: Column[str], text: str) -> ColumnElement[bool]:
    if _is_pattern(text):
        return begins_with(column, text[:-1])
    return column == text


def _entry(entry: int, row: Row) -> AuditEntry:
    return AuditEntry(
        id=entry,
        at=_time(row.at_ms),
        account=row.account_id,
        user=row.user,
        role=row.role,
        origin=row.origin,
        action=row.action,
        target=row.target,
        before=_values(row.before),
        after=_values(row.after),
        result=row.result,
        hash=row.hash.hex(),
    )


def _time(at_ms: int) -> str:
    try:
        return to_rfc3339(at_ms)
    except (ValueError, TypeError):  # changed in the database; shown nevertheless
        return to_rfc3339(0)


def _values(text: str | None) -> Mapping[str, object] | None:
    try:
        return None if text is None else _JSON.decode(text)
    except msgspec.DecodeError:  # changed in the database; shown nevertheless
        return {"unreadable": text}
