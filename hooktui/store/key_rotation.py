"""Key rotation: a new key encrypts, every value is encrypted again, unused old keys are removed.

Each step leaves a working installation, and the next rotation completes one that was killed: the
new key is on disk before it encrypts; old keys decrypt until no value uses them. Batches are
ordinary changes, so the server keeps working.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import starmap
from pathlib import Path
from typing import Final

from sqlalchemy import ColumnElement, Connection, LargeBinary, Table, func, select, text, update

from hooktui import failpoints
from hooktui.domain.roles import Actor
from hooktui.domain.wire.server import KeyRotation, Keys, KeyUse
from hooktui.store.audit_key import encrypt_key_again
from hooktui.store.base import Store
from hooktui.store.key_ring import KeyRing, find_keys
from hooktui.store.postgres.shared_key import (
    INSTALLATION,
    is_shared,
    key_of_installation,
    switch_installation,
)
from hooktui.store.sealed_values import SealedValue, binding, sealed_values
from hooktui.store.tables import AUDIT_CHAIN, HOOK, SECRET
from hooktui.store.tx import Tx
from hooktui.store.vault import ID_BYTES, KeyProblem

SEALED: Final = (SECRET, HOOK)
"""The tables with encrypted values of hooks; each installation has one or two values more."""
_AT_ONCE: Final = 200
"""Values per transaction: about 10 ms in which nothing else is written."""


async def keys_in_use(store: Store, key_file: Path) -> Keys:
    """Return the keys and how many values each has encrypted.

    Raises:
        KeyProblem: they cannot be read.
    """
    ring = find_keys(key_file)
    counts = await store.scan(count_by_key)
    here = [key.id for key in ring.keys]
    gone = sorted(set(counts) - set(here))
    return Keys(
        place=ring.source,
        keys=tuple(
            KeyUse(
                id=key.hex(),
                seals=key == store.vault.sealer,
                present=key in here,
                values=counts.get(key, 0),
            )
            for key in (*here, *gone)
        ),
    )


async def rotate_keys(
    store: Store, key_file: Path, actor: Actor, *, keep_old: bool, within_s: float
) -> KeyRotation:
    """Encrypt all values with a new key, for ``within_s`` at most; continue an unfinished rotation.

    Raises:
        Conflict: only an operator can change the keys, or other servers lack the new one.
        KeyProblem: a value's key is missing, or the file cannot be written.
    """
    end_s = time.monotonic() + within_s
    ring = find_keys(key_file)
    counts = await store.scan(count_by_key)
    _refuse_missing(ring, counts)
    made = set(counts) <= {ring.keys[0].id}
    if made:
        ring = ring.with_new()
    newest = ring.keys[0].id
    store.vault.add_keys(ring.keys)
    await store.write(_switch_key, actor, newest, counts, ring.place, store.number)
    for table in SEALED:
        after: int | None = 0
        while after is not None and time.monotonic() < end_s:
            after = await store.write(_encrypt_again, table, after)
            failpoints.hit("after_reseal_commit")
    before, counts = counts, await store.scan(count_by_key)
    left = _by_others(newest, counts)
    unused = tuple(key.id.hex() for key in ring.keys if key.id not in {newest, *counts})
    dropped: tuple[str, ...] = ()
    if not left and unused and ring.changeable and not keep_old:
        await store.write(_audit_drop, actor, unused)
        ring.only(newest)
        dropped, unused = unused, ()
    return KeyRotation(
        key=newest.hex(),
        made=made,
        sealed=max(0, _by_others(newest, before) - left),
        left=left,
        dropped=dropped,
        kept=() if left else unused,
        place=ring.source,
    )


def count_by_key(conn: Connection) -> dict[bytes, int]:
    """Return how many values each key has encrypted."""
    counts: dict[bytes, int] = {}
    tables = (*SEALED, AUDIT_CHAIN, *([INSTALLATION] if is_shared(conn) else []))
    for table in tables:
        key = _key_of(table)
        rows = select(key, func.count()).where(table.c.sealed.is_not(None)).group_by(text("1"))
        for key_id, count in conn.execute(rows):
            counts[bytes(key_id)] = counts.get(bytes(key_id), 0) + count
    return counts


def _key_of(table: Table) -> ColumnElement[bytes]:
    return func.substr(table.c.sealed, 1, ID_BYTES, type_=LargeBinary)


def _refuse_missing(ring: KeyRing, counts: Mapping[bytes, int]) -> None:
    missing = sorted(set(counts) - {known.id for known in ring.keys})
    if missing:
        key = missing[0]
        raise KeyProblem(
            f"{counts[key]} values are encrypted with key {key.hex()}, which is not in"
            f" {ring.source}; restore it from a backup of the keys, below the newest one"
        )


def _switch_key(
    tx: Tx, actor: Actor, newest: bytes, counts: Mapping[bytes, int], place: str, server: int
) -> None:
    """Encrypt with the newest key from this transaction on, in all servers."""
    if is_shared(tx.conn) and key_of_installation(tx.conn) != newest:
        switch_installation(tx, newest, place, server)
    tx.vault.encrypt_with(newest)
    encrypt_key_again(tx.conn, tx.vault)
    before = {key.hex(): values for key, values in sorted(counts.items())}
    tx.audit(
        actor, "keys.rotate", f"key {newest.hex()}", before={"values": before},
        after={"seals": newest.hex()},
    )  # fmt: skip
    failpoints.hit("before_key_switch_commit")


def _by_others(newest: bytes, counts: Mapping[bytes, int]) -> int:
    return sum(values for key, values in counts.items() if key != newest)


def _encrypt_again(tx: Tx, table: Table, after: int) -> int | None:
    """Encrypt a batch with the newest key; return where to continue, None at the end."""
    query = sealed_values(table).where(table.c.id > after, _key_of(table) != tx.vault.sealer)
    found = tx.conn.execute(query.order_by(table.c.id).limit(_AT_ONCE))
    rows = list(starmap(SealedValue, found))
    for row in rows:
        bound_to = (table.name, row.id, binding(table, row))
        encrypted = tx.vault.encrypt(tx.vault.decrypt(row.sealed, *bound_to), *bound_to)
        tx.conn.execute(update(table).where(table.c.id == row.id).values(sealed=encrypted))
    failpoints.hit("before_reseal_commit")
    return rows[-1].id if len(rows) == _AT_ONCE else None


def _audit_drop(tx: Tx, actor: Actor, keys: tuple[str, ...]) -> None:
    """Record in the audit trail that keys will be removed."""
    tx.audit(actor, "keys.drop", f"key {keys[0]}", before={"keys": list(keys)})
    failpoints.hit("before_old_keys_are_dropped")
