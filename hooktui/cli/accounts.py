"""``hooktui accounts``: the owners of hooks, events and tokens."""

from __future__ import annotations

from cyclopts import App

from hooktui.cli.context import Context, Text
from hooktui.cli.listing import All, Limit, Listing, show_list
from hooktui.cli.output import Column, Piece
from hooktui.cli.times import ago
from hooktui.client import calls
from hooktui.client.sync_client import decoded
from hooktui.domain.wire.access import Account

app = App(name="accounts", help="List and create accounts.")

_ACCOUNTS = Listing(
    (
        Column("ID", right=True),
        Column("NAME"),
        Column("HOOKS", right=True),
        Column("WAITING", right=True),
        Column("CREATED"),
    ),
    "no accounts; make one: hooktui accounts create NAME",
)


@app.command(name="list")
def list_accounts(*, limit: Limit = 50, everything: All = False, context: Context) -> None:
    """List accounts; --account N of any command chooses one.

    Args:
        limit: how many at most.
        everything: all of them.
        context: the run.
    """
    show_list(
        context,
        lambda window: calls.list_accounts(**window),
        _ACCOUNTS,
        _row,
        None if everything else limit,
    )


def _row(account: Account) -> list[Piece]:
    counts = [f"{account.hooks:,}", f"{account.waiting:,}"]
    return [str(account.id), account.name, *counts, ago(account.created_at)]


@app.command
def create(name: Text, *, context: Context) -> None:
    """Make an account; prints its number.

    Args:
        name: for people.
        context: the run.
    """
    call = calls.create_account(name)
    answer = context.client.answer(call)
    if context.json:
        context.out.json(answer)
        return
    account = decoded(call, context.address, answer)
    context.out.line(str(account.id))
    context.out.note(f"use it with: --account {account.id}")
