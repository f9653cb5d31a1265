"""Reads that are about one account: whether it exists, and which account a thing is in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from hooktui.api.access import Caller
from hooktui.api.service import Service
from hooktui.domain.ids import AccountId, DeliveryId, EventId, HookId
from hooktui.store import owners, queries
from hooktui.store.hook_queries import no_hook

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


def owner_of_hook(service: Service, caller: Caller, hook: HookId, asked: int | None) -> AccountId:
    """Return the account in which a caller may look for a hook.

    Raises:
        NotFound: there is no such hook.
        NotAllowed: the token is bound to another account than the one that was asked for.
    """
    owner = caller.account_or_any(asked)
    if owner is not None:
        return owner
    live = service.store.hooks().get(hook)
    if live is None:
        raise no_hook(hook)
    return live.account


async def owner_of_event(
    service: Service, caller: Caller, event: EventId, asked: int | None
) -> AccountId:
    """Return the account in which a caller may look for an event; raises as `owner_of_hook`."""
    owner = caller.account_or_any(asked)
    if owner is not None:
        return owner
    return await service.store.read(owners.owner_of_event, event)


async def owner_of_delivery(
    service: Service, caller: Caller, delivery: DeliveryId, asked: int | None
) -> AccountId:
    """Return the account in which a caller may look for a delivery, as `owner_of_hook`."""
    owner = caller.account_or_any(asked)
    if owner is not None:
        return owner
    return await service.store.read(owners.owner_of_delivery, delivery)
