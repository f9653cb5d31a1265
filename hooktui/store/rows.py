"""Single rows that changes start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import CursorResult, RowMapping, select

from hooktui.domain.ids import AccountId, HookId
from hooktui.store.hook_queries import no_hook
from hooktui.store.tables import HOOK, in_account

if TYPE_CHECKING:
    from hooktui.store.transaction import Tx


def find_hook(tx: Tx, account: AccountId | None, hook: HookId) -> RowMapping:
    """Return the row of a hook that is not deleted.

    Raises:
        NotFound: there is none in the account (None: in any).
    """
    wanted = select(HOOK).where(
        HOOK.c.id == hook, in_account(HOOK, account), HOOK.c.deleted_at.is_(None)
    )
    row = tx.conn.execute(wanted).mappings().first()
    if row is None:
        raise no_hook(hook)
    return row


def inserted_id(made: CursorResult[Any]) -> int:
    """Return the id that the database gave to the row of an insert."""
    key = made.inserted_primary_key
    if key is None or not isinstance(key[0], int):
        raise TypeError(f"expected one integer key from the database, got {key!r}")
    return key[0]
