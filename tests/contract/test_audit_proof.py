"""Who has the database and not the vault's key cannot change the audit trail unseen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from hooktui.doctor.rows import check_trail
from hooktui.domain.wire.access import AuditCheck
from hooktui.server.run import watch_trail
from hooktui.store import queries
from hooktui.store.audit import FIRST, chain_hash
from hooktui.store.audit_key import ChainKey
from hooktui.store.key_ring import find_keys
from hooktui.store.key_rotation import rotate_keys
from hooktui.store.queries.pages import PageRequest
from hooktui.store.tables import AUDIT
from hooktui.store.tx import Tx
from hooktui.store.vault import KeyProblem, new_key, replace_keys
from tests.support.earlier_schemas import as_0004, as_0005, guarded, unguarded
from tests.support.stores import ADA, Opened


async def acts(opened: Opened, count: int = 5) -> None:
    for number in range(count):
        await opened.store.write(Tx.audit, ADA, "backup", f"file {number}")


async def check(opened: Opened) -> AuditCheck:
    return await opened.store.read(queries.check_chain, opened.store.vault)


def written_again(tx: Tx, first: int, last: int, key: ChainKey | None = None) -> None:
    """Change an entry, and hash the chain from there on as anybody can: without the right key."""
    of_first = update(AUDIT).where(AUDIT.c.id == first)
    tx.conn.execute(of_first.values(user="eve"))
    before = tx.conn.execute(select(AUDIT.c.hash).where(AUDIT.c.id == first - 1)).scalar()
    previous = before or FIRST
    rows = select(AUDIT).where(AUDIT.c.id >= first, AUDIT.c.id <= last).order_by(AUDIT.c.id)
    for row in tx.conn.execute(rows).mappings().all():
        hashed = chain_hash(previous, {**row}, key)
        of_row = update(AUDIT).where(AUDIT.c.id == row["id"])
        tx.conn.execute(of_row.values(previous=previous, hash=hashed))
        previous = hashed


def sequence_of(tx: Tx, last: int) -> None:
    if tx.conn.dialect.name == "sqlite":
        given = "UPDATE sqlite_sequence SET seq = :last WHERE name = 'audit'"
    else:
        given = "SELECT setval(pg_get_serial_sequence('audit', 'id'), :last)"
    tx.conn.execute(text(given), {"last": last})


ATTACKS = {
    "the end is cut off": (
        lambda tx: tx.conn.execute(text("DELETE FROM audit WHERE id > 3")),
        "entry 5 was the last one, but the trail ends at 3: truncated",
    ),
    "the end and its number": (
        lambda tx: (tx.conn.execute(text("DELETE FROM audit WHERE id > 3")), sequence_of(tx, 3)),
        "truncated",
    ),
    "the end, its number and the note": (
        lambda tx: (
            tx.conn.execute(text("DELETE FROM audit WHERE id > 3")),
            sequence_of(tx, 3),
            tx.conn.execute(text("UPDATE audit_chain SET last = 3")),
        ),
        "the note of the last entry was changed",
    ),
    "all entries": (
        lambda tx: tx.conn.execute(text("DELETE FROM audit")),
        "the trail ends at 0: truncated",
    ),
    "the key": (
        lambda tx: tx.conn.execute(text("DELETE FROM audit_chain")),
        "the key of the trail was removed or changed",
    ),
    "everything": (
        lambda tx: (
            tx.conn.execute(text("DELETE FROM audit_chain")),
            tx.conn.execute(text("DELETE FROM audit")),
        ),
        "the key of the trail was removed or changed",
    ),
    "an entry and all hashes behind it": (
        lambda tx: written_again(tx, 3, 5),
        "it was changed: its hash does not match its content",
    ),
    "the same with another key": (
        lambda tx: written_again(tx, 3, 5, ChainKey(b"", 1)),
        "it was changed: its hash does not match its content",
    ),
    "a hash of another type": (
        lambda tx: tx.conn.execute(text("UPDATE audit SET hash = 'abc' WHERE id = 5")),
        "its hash does not match its content",
    ),
    "a previous hash of another type": (
        lambda tx: tx.conn.execute(text("UPDATE audit SET previous = 'abc' WHERE id = 3")),
        "its hash does not match its content",
    ),
    "a time of no calendar": (
        lambda tx: tx.conn.execute(text(f"UPDATE audit SET at_ms = {1 << 62} WHERE id = 3")),
        "its hash does not match its content",
    ),
    "the mark of the note": (
        lambda tx: tx.conn.execute(text("UPDATE audit_chain SET mark = 'abc'")),
        "the note of the last entry was changed",
    ),
    "the length of the key": (
        lambda tx: tx.conn.execute(text("UPDATE audit_chain SET sealed = substr(sealed, 1, 6)")),
        "the key of the trail was removed or changed",
    ),
    "a further entry": (
        lambda tx: tx.conn.execute(
            text(
                'INSERT INTO audit (at_ms, account_id, "user", role, origin, action, target,'
                " before, after, result, previous, hash)"
                ' SELECT at_ms, account_id, "user", role, origin, action, target, before, after,'
                " result, hash, hash FROM audit WHERE id = 5"
            )
        ),
        "its hash does not match its content",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_every_change_without_the_key_is_seen(
    opened: Opened, attack: str, tmp_path: Path
) -> None:
    # Red without the key in the hash, the note of the last entry, or its mark.
    await acts(opened)
    change, reason = ATTACKS[attack]

    def forge(tx: Tx) -> None:
        unguarded(tx)
        change(tx)
        guarded(tx)

    await opened.store.write(forge)
    found = await check(opened)
    assert found.broken is not None
    assert reason in found.broken.reason
    if "hash" not in reason:  # the cheap look at the end sees it, too
        doctor = await opened.store.read(check_trail, tmp_path / "hooktui.key")
        assert (doctor.state, doctor.value) == ("fail", found.broken.reason)
    await opened.again()
    await acts(opened, 1)  # the server works on, and the break stays
    assert (await check(opened)).broken is not None
    listed = await opened.store.read(
        queries.list_audit, None, PageRequest(), queries.AuditQuery(user="ada")
    )
    assert listed.data


async def test_numbers_that_do_not_fit_the_last_entry_are_seen(opened: Opened) -> None:
    # Red without the look at the database's own count.
    await acts(opened)
    await opened.store.write(lambda tx: sequence_of(tx, 3))
    found = await check(opened)
    assert found.broken.reason == "numbers up to 3 were given to entries, but the last one is 5"


async def test_an_installation_without_hooks_does_not_start_with_another_key(
    opened: Opened, tmp_path: Path
) -> None:
    # Red when the key of the trail is first opened by the first act.
    await acts(opened)
    key_file = tmp_path / "hooktui.key"
    kept = key_file.read_bytes()
    replace_keys(key_file, [new_key()])
    with pytest.raises(KeyProblem):
        await opened.again()
    key_file.write_bytes(kept)
    await opened.again()


WEAKENED = {
    "sqlite": [
        "DROP TRIGGER audit_refuses_update",
        "DROP TRIGGER audit_refuses_delete",
        "DROP TRIGGER audit_refuses_replace",
        "DROP TRIGGER audit_refuses_delete; CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON"
        " audit BEGIN SELECT 1; END",
    ],
    "postgresql": [
        "DROP TRIGGER audit_refuses ON audit",
        "ALTER TABLE audit DISABLE TRIGGER audit_refuses",
        "CREATE OR REPLACE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN NULL; END $$",
        "DROP TRIGGER audit_refuses ON audit; CREATE TRIGGER audit_refuses BEFORE UPDATE ON audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses()",
        "CREATE OR REPLACE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF false THEN BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END;"
        " END IF; RETURN NULL; END $$",
        "DROP TRIGGER audit_refuses ON audit; CREATE TRIGGER audit_refuses BEFORE UPDATE OR DELETE"
        " OR TRUNCATE ON audit FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION audit_refuses()",
        "DROP TRIGGER audit_refuses ON audit; CREATE TRIGGER audit_refuses BEFORE UPDATE OF id OR"
        " DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses()",
    ],
}


@pytest.mark.parametrize("which", range(max(map(len, WEAKENED.values()))))
async def test_a_trigger_that_is_missing_or_weakened_is_seen(
    opened: Opened, which: int, tmp_path: Path, caplog
) -> None:
    # Red when triggers are looked for by their names alone, or a condition of theirs is overlooked.
    await acts(opened)
    assert (await check(opened)).broken is None
    statements = WEAKENED[await opened.store.read(lambda conn: conn.dialect.name)]
    if which >= len(statements):
        pytest.skip("the other database has more ways")

    def weaken(tx: Tx) -> None:
        statement = statements[which]
        for one in statement.split("; CREATE"):
            tx.conn.exec_driver_sql(
                one if one == statement.split("; CREATE")[0] else f"CREATE{one}"
            )

    await opened.store.write(weaken)
    found = await check(opened)
    assert "entries can be changed in the database: it lacks the trigger" in found.broken.reason
    doctor = await opened.store.read(check_trail, tmp_path / "hooktui.key")
    assert (doctor.name, doctor.state) == ("audit trail", "fail")
    await opened.again()
    await watched(opened, caplog)
    assert "the audit trail is broken: entries can be changed" in caplog.text


async def watched(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    """Let the server look at the trail as it does at its start, until it says what it found."""
    watching = asyncio.create_task(watch_trail(opened.store))
    async with asyncio.timeout(30):
        while "audit trail" not in caplog.text:
            await opened.store.wait_for_change(opened.store.feed_end(), 0.02)
    watching.cancel()


async def test_the_last_entry_is_logged_at_the_start(opened: Opened, tmp_path, caplog) -> None:
    await acts(opened)
    caplog.set_level("INFO")
    await watched(opened, caplog)
    head = (await check(opened)).head
    assert f"audit trail: the last entry is {head.id}:{head.hash}" in caplog.text
    doctor = await opened.store.read(check_trail, tmp_path / "hooktui.key")
    assert doctor.state == "ok"


async def test_old_entries_stay_verifiable_when_the_keys_are_rotated(
    opened: Opened, tmp_path: Path
) -> None:
    await acts(opened)
    for _ in range(2):
        done = await rotate_keys(
            opened.store, tmp_path / "hooktui.key", ADA, keep_old=False, within_s=30
        )
        assert done.dropped
        await opened.again()
        await acts(opened, 1)
        found = await check(opened)
        assert (found.broken, found.keyed_from) == (None, 1)
    assert len(find_keys(tmp_path / "hooktui.key").keys) == 1


@pytest.mark.parametrize("before", [as_0004, as_0005])
async def test_a_trail_from_before_is_carried_over_and_says_where_the_key_begins(
    opened: Opened, before
) -> None:
    # Red when the migration hashes old entries again, or leaves the old part open.
    await acts(opened)
    noted = (await check(opened)).head.id
    await opened.store.write(before)
    await opened.again()
    await acts(opened, 2)
    found = await check(opened)
    assert (found.broken, found.keyed_from, found.entries) == (None, 6, 8)
    query = queries.AuditQuery(action="audit.key")
    page = await opened.store.read(queries.list_audit, None, PageRequest(), query)
    assert [(one.id, one.after) for one in page.data] == [(noted + 1, {"keyed_from": 6})]

    def forge(tx: Tx) -> None:
        unguarded(tx)
        written_again(tx, 2, 5)
        guarded(tx)

    await opened.store.write(forge)
    assert (await check(opened)).broken.id == 6


async def test_a_trail_without_entries_gets_its_key_without_one(opened: Opened) -> None:
    await opened.store.write(as_0004)
    await opened.again()
    found = await check(opened)
    assert (found.broken, found.head, found.keyed_from) == (None, None, 1)
