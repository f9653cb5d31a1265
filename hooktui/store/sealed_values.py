"""Binds an encrypted value to its owner and destination, besides its row.

The binding is part of the value's associated data. Database access without the key is therefore not
enough to sign with the secret of another hook, or to send a header or password to another server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import starmap
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Table, bindparam, select, update

from hooktui.domain.addresses import parse_url
from hooktui.domain.errors import Refused
from hooktui.store.tables import HOOK, SECRET
from hooktui.store.vault import ValueMoved, Vault

_OF_SECRETS = select(SECRET.c.id, SECRET.c.sealed, HOOK.c.account_id, HOOK.c.id, HOOK.c.url).join(
    HOOK, HOOK.c.id == SECRET.c.hook_id
)
_OF_HOOKS = select(HOOK.c.id, HOOK.c.sealed, HOOK.c.account_id, HOOK.c.id, HOOK.c.url)


class SealedValue(NamedTuple):
    """A row with an encrypted value, and the hook it belongs to."""

    id: int
    sealed: bytes
    account_id: int
    hook_id: int
    url: str


def bound_to_hook(account: int, hook: int) -> str:
    """Return the binding of a signing secret."""
    return f"account {account}, hook {hook}"


def bound_to_url(account: int, url: str) -> str:
    """Return the binding of a hook's header values and password, which names its URL's origin."""
    try:
        scheme, host, port = parse_url(url).origin
    except Refused:  # nothing is sent there
        return f"account {account}, url {url}"
    return f"account {account}, origin {scheme}://{host}:{port}"


def sealed_values(table: Table) -> Select[Any]:
    """Return the query for `SealedValue` in a table: of secrets or of hooks."""
    query = _OF_SECRETS if table is SECRET else _OF_HOOKS
    return query.where(table.c.sealed.is_not(None))


def binding(table: Table, value: SealedValue) -> str:
    """Return the binding of a value in a table: of secrets or of hooks."""
    if table is SECRET:
        return bound_to_hook(value.account_id, value.hook_id)
    return bound_to_url(value.account_id, value.url)


def bind_values(conn: Connection, open_vault: Callable[[], Vault]) -> Sequence[str]:
    """Encrypt values again that were bound only to their rows (schema 0004 and before).

    A value that cannot be decrypted stays as it is and remains unusable.

    Args:
        conn: in the transaction that also changes the version of the schema.
        open_vault: returns the vault; called only if there is a value.

    Returns:
        Table and row of each value that cannot be decrypted.

    Raises:
        KeyProblem: a key is missing; nothing was changed.
    """
    vault: Vault | None = None
    left: list[str] = []
    for table in (SECRET, HOOK):
        encrypted = []
        for row in starmap(SealedValue, conn.execute(sealed_values(table)).all()):
            vault = vault or open_vault()
            try:
                clear = vault.decrypt(row.sealed, table.name, row.id)
            except ValueMoved:
                left.append(f"{table.name} {row.id}")
                continue
            bound = binding(table, row)
            sealed = vault.encrypt(clear, table.name, row.id, bound)
            encrypted.append({"row": row.id, "value": sealed})
        if encrypted:
            of_row = update(table).where(table.c.id == bindparam("row"))
            conn.execute(of_row.values(sealed=bindparam("value")), encrypted)
    return left
