"""Reads that are about one account: whether it is there is looked at too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from hooktui.api.service import Service
from hooktui.domain.ids import AccountId
from hooktui.store import queries

if TYPE_CHECKING:
    from sqlalchemy import Connection

P = ParamSpec("P")
R = TypeVar("R")


async def check_account(service: Service, account: AccountId) -> None:
    """Refuse an account that is not there.

    Raises:
        NotFound: there is no such account.
    """
    await service.store.read(queries.get_account, account)


async def read_in(
    service: Service,
    account: AccountId,
    query: Callable[Concatenate[Connection, P], R],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """Run a query about an account; whether it is there is asked in the same transaction.

    Raises:
        NotFound: there is no such account.
    """

    def run(connection: Connection) -> R:
        queries.get_account(connection, account)
        return query(connection, *args, **kwargs)

    return await service.store.read(run)
