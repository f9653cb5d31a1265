"""Conditions and searches in a form that every database accepts and plans well.

SQLite rejects an expression of depth over 1,000, which a chain of 1,000 ``OR`` or ``AND`` has. So a
long chain is built of short ones. A short chain stays as it is, so that the planner can use
indexes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Executable, Select, and_, false, func, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType

Condition = ColumnElement[bool]

_SHORT: Final = 50
"""Parts of one chain; two levels hold 2,500, more than a filter has characters."""


class Rare(FunctionElement[Any]):
    """A condition that holds for few rows, which SQLite considers when it chooses an index.

    SQLite 3.53 otherwise estimates an index without the column as equal, and takes it.
    """

    type = NullType()  # with Boolean, SQLite would get "= 1", which no index serves
    inherit_cache = True


@compiles(Rare)
def _rare(element: Rare, compiler: SQLCompiler, **options: object) -> str:
    condition = compiler.process(element.clauses, **options)
    return f"unlikely({condition})" if compiler.dialect.name == "sqlite" else condition


def fetch_without_sort(
    conn: Connection, search: Executable, values: Mapping[str, Any] | None = None
) -> Sequence[Any]:
    """Run a search for the first of what waits, whose order is that of an index.

    PostgreSQL must not sort here: while its statistics are older than a backlog, it expects one
    row, and would read all that waits for a hook by an index with another order and fewer levels.
    """
    postgres = conn.dialect.name == "postgresql"
    if postgres:
        conn.exec_driver_sql("SET LOCAL enable_sort = off")
    rows = conn.execute(search, values).all()
    if postgres:
        conn.exec_driver_sql("SET LOCAL enable_sort = on")
    return rows


def begins_with(column: ColumnElement[str], prefix: str) -> Condition:
    """Return the condition that a text begins with another; LIKE would ignore case on SQLite."""
    return func.substr(column, 1, len(prefix)) == prefix


def is_type_or_group(column: ColumnElement[str], name: str) -> Condition:
    """Return the condition that an event type is a name, or in the group of that name.

    The group is the part before the first dot: ``order`` of ``order.paid.late``.
    """
    if "." in name:
        return column == name
    return or_(column == name, begins_with(column, f"{name}."))


def has_row(query: Select[Any]) -> Condition:
    """Return the condition that a correlated query finds a row.

    Not with EXISTS, for which PostgreSQL may read all rows of the table at once instead.
    """
    return query.limit(1).scalar_subquery().is_not(None)


def any_of(parts: Sequence[Condition]) -> Condition:
    """Return the condition that at least one of many holds."""
    return _chained(or_, parts)


def all_of(parts: Sequence[Condition]) -> list[Condition]:
    """Return equivalent conditions for a ``WHERE``, not many more than `_SHORT`."""
    if len(parts) <= _SHORT:
        return list(parts)
    return [*parts[:_SHORT], _chained(and_, parts[_SHORT:])]


def _chained(join: Callable[..., Condition], parts: Sequence[Condition]) -> Condition:
    if len(parts) <= _SHORT:
        return join(*parts)
    groups = [join(*parts[at : at + _SHORT]) for at in range(0, len(parts), _SHORT)]
    # The call keeps a group from being merged into the chain; a NULL condition does not hold.
    return _chained(join, [func.coalesce(group, false()) for group in groups])
