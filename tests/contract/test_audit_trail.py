"""The audit trail: append-only, one chain, and every way of tampering with it is found."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from hooktui.domain.errors import NotFound
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.roles import Actor, Role
from hooktui.domain.wire.access import AuditBreak
from hooktui.store import changes, queries
from hooktui.store.audit import CHECKED_AT_ONCE, chain_hash
from hooktui.store.audit_key import chain_of
from hooktui.store.queries import AuditQuery, KnownEntry
from hooktui.store.queries.pages import PageRequest
from hooktui.store.tx import Tx
from tests.support.stores import ADA, BOB, DEFAULT, Opened, make_hook

_TRIGGERS = {
    "sqlite": ("audit_refuses_update", "audit_refuses_delete", "audit_refuses_replace"),
    "postgresql": ("audit_refuses ON audit",),
}


async def five_acts(opened: Opened) -> None:
    for number in range(1, 6):
        opened.clock.advance(60)
        await opened.store.write(Tx.audit, ADA if number % 2 else BOB, "backup", f"file {number}")


async def behind_its_back(opened: Opened, *statements: str) -> None:
    """Change the trail as somebody would who has the database and knows how it is guarded."""

    def forge(tx):
        for trigger in _TRIGGERS[tx.conn.dialect.name]:
            tx.conn.execute(text(f"DROP TRIGGER {trigger}"))
        for statement in statements:
            tx.conn.execute(text(statement))

    await opened.store.write(forge)


async def check(opened: Opened, after: int = 0, most: int = CHECKED_AT_ONCE, known=None):
    return await opened.store.read(queries.check_chain, opened.store.vault, after, most, known)


REFUSED = (
    "UPDATE audit SET target = 'eve'",
    "UPDATE audit SET id = id + 10",
    "DELETE FROM audit",
    "DELETE FROM audit WHERE id = 5",
    "INSERT INTO audit SELECT * FROM audit WHERE id = 2 ON CONFLICT (id) DO UPDATE SET role = ''",
    "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE id = 2",
    "TRUNCATE audit",
    "TRUNCATE audit, token CASCADE",
)


async def test_what_is_written_stays_as_it_is(opened: Opened) -> None:
    await five_acts(opened)
    before = await opened.store.read(queries.list_audit, None, PageRequest(), AuditQuery())
    for statement in REFUSED:
        with pytest.raises(Exception, match=r"append-only|syntax error"):
            await opened.store.write(lambda tx, s=statement: tx.conn.execute(text(s)) and None)
        assert (
            await opened.store.read(queries.list_audit, None, PageRequest(), AuditQuery()) == before
        )


async def test_a_whole_trail_is_walked_in_parts(opened: Opened) -> None:
    assert await check(opened) == await check(opened, known=None)
    assert (await check(opened)).head is None
    await five_acts(opened)
    whole = await check(opened)
    assert (whole.entries, whole.head.id, whole.broken, whole.next) == (5, 5, None, None)
    first = await check(opened, most=2)
    assert (first.entries, first.head.id, first.next) == (2, 2, 2)
    second = await check(opened, first.next, most=2)
    assert (second.entries, second.head.id, second.next) == (2, 4, 4)
    last = await check(opened, second.next, most=2)
    assert (last.entries, last.head, last.next) == (1, whole.head, None)


CHANGED = "it was changed: its hash does not match its content"


CHANGES = (
    "\"user\" = 'eve'", "role = 'viewer'", "at_ms = at_ms - 1", "account_id = 7", "origin = ''",
    "action = 'x'", "target = 'x'", "before = '{}'", "after = '{}'", "result = 'x'",
)  # fmt: skip
REMOVED = (
    ("id = 1", 2, "the beginning"),
    ("id < 4", 4, "the beginning"),
    ("id = 3", 4, "entry 2"),
    ("id IN (3, 4)", 5, "entry 2"),
)


async def after_each(opened: Opened, *statements: str):
    """Check the trail after each of several changes; none of them stays."""
    found = []

    def forge(tx):
        for trigger in _TRIGGERS[tx.conn.dialect.name]:
            tx.conn.execute(text(f"DROP TRIGGER {trigger}"))
        for statement in statements:
            with tx.conn.begin_nested() as savepoint:
                tx.conn.execute(text(statement))
                found.append(queries.check_chain(tx.conn, tx.vault))
                savepoint.rollback()

    await opened.store.write(forge)
    return found


async def test_no_word_of_an_entry_can_be_changed_unseen(opened: Opened) -> None:
    await five_acts(opened)
    checks = await after_each(
        opened, *(f"UPDATE audit SET {change} WHERE id = 3" for change in CHANGES)
    )
    for found in checks:
        assert (found.entries, found.head.id, found.broken) == (2, 2, AuditBreak(3, CHANGED))
        assert found.next is None
    assert len(checks) == len(CHANGES)


async def test_no_entry_can_be_removed_unseen(opened: Opened) -> None:
    await five_acts(opened)
    checks = await after_each(
        opened, *(f"DELETE FROM audit WHERE {which}" for which, *_ in REMOVED)
    )
    for found, (_, at, place) in zip(checks, REMOVED, strict=True):
        assert found.broken.id == at
        assert found.broken.reason.startswith(f"it does not continue {place}")


async def test_an_entry_that_was_changed_with_its_hash_breaks_the_next_one(opened: Opened) -> None:
    await five_acts(opened)

    def forge(conn):
        key, _ = chain_of(conn, opened.store.vault)
        row = dict(conn.execute(text("SELECT * FROM audit WHERE id = 3")).mappings().one())
        values = {**row, "user": "eve"}
        return chain_hash(bytes(row["previous"]), values, key).hex()

    forged = await opened.store.read(forge)
    literal = {"sqlite": f"x'{forged}'", "postgresql": f"'\\x{forged}'::bytea"}
    dialect = await opened.store.read(lambda conn: conn.dialect.name)
    await behind_its_back(
        opened,
        f"UPDATE audit SET \"user\" = 'eve', hash = {literal[dialect].replace(':', chr(92) + ':')} "
        "WHERE id = 3",
    )
    assert (await check(opened)).broken.id == 4


async def test_two_entries_cannot_change_places(opened: Opened) -> None:
    await five_acts(opened)
    await behind_its_back(
        opened,
        "UPDATE audit SET id = 99 WHERE id = 3",
        "UPDATE audit SET id = 3 WHERE id = 4",
        "UPDATE audit SET id = 4 WHERE id = 99",
    )
    assert (await check(opened)).broken.id == 3


async def test_a_trail_that_was_cut_off_is_known_by_what_was_noted(opened: Opened) -> None:
    await five_acts(opened)
    head = (await check(opened)).head
    noted = KnownEntry(head.id, bytes.fromhex(head.hash))
    assert (await check(opened, known=noted)).broken is None
    assert (await check(opened, most=2, known=noted)).broken is None, "not there yet"
    await behind_its_back(opened, "DELETE FROM audit WHERE id > 3")
    assert (await check(opened)).broken.id == 3, "seen without a note, too"
    assert (await check(opened, known=noted)).broken.id == 5
    assert "truncated" in (await check(opened, known=noted)).broken.reason


async def test_a_rewritten_trail_is_known_by_what_was_noted(opened: Opened) -> None:
    await five_acts(opened)
    noted = KnownEntry(4, bytes(32))
    broken = (await check(opened, known=noted)).broken
    assert broken.id == 4
    assert "rewritten" in broken.reason


async def test_the_part_that_was_looked_at_cannot_go_between_two_looks(opened: Opened) -> None:
    await five_acts(opened)
    first = await check(opened, most=2)
    await behind_its_back(opened, "DELETE FROM audit WHERE id = 2")
    assert (await check(opened, first.next)).broken.id == 2


async def test_what_fails_leaves_no_entry_and_no_gap(opened: Opened) -> None:
    await five_acts(opened)
    with pytest.raises(NotFound):
        await opened.store.write(changes.reveal_secrets, ADA, DEFAULT, HookId(99))
    await make_hook(opened.store)
    found = await check(opened)
    assert (found.entries, found.broken) == (6, None)


async def test_many_writers_make_one_chain(opened: Opened) -> None:
    await asyncio.gather(
        *(opened.store.write(Tx.audit, ADA, "backup", f"file {n}") for n in range(200))
    )
    found = await check(opened)
    assert (found.entries, found.broken) == (200, None)
    page = await opened.store.read(queries.list_audit, None, PageRequest(limit=500), AuditQuery())
    assert {entry.target for entry in page.data} == {f"file {n}" for n in range(200)}


ASKED = (
    ({}, [5, 4, 3, 2, 1]),
    ({"user": "bob"}, [4, 2]),
    ({"user": "a*"}, [5, 3, 1]),
    ({"user": "A*"}, []),
    ({"role": "operator"}, [4, 2]),
    ({"action": "back*", "target": "file 3"}, [3]),
    ({"target": "file%"}, []),
    ({"target": "file_*"}, []),
    ({"result": "refused"}, []),
    ({"since_ms": 1_800_000_180_000}, [5, 4, 3]),
    ({"until_ms": 1_800_000_180_000}, [2, 1]),
)


async def test_the_list_shows_what_was_asked_for(opened: Opened) -> None:
    await five_acts(opened)
    for wanted, ids in ASKED:
        page = await opened.store.read(
            queries.list_audit, None, PageRequest(), AuditQuery(**wanted)
        )
        assert ([entry.id for entry in page.data], page.total) == (ids, len(ids))
    page = await opened.store.read(queries.list_audit, DEFAULT, PageRequest(), AuditQuery())
    assert (page.data, page.total) == ([], 0)


async def test_what_was_done_to_one_thing_is_found_however_long_its_name_is(
    opened: Opened,
) -> None:
    # Red when a name that is too long for the index of targets is not found, or cannot be written:
    # PostgreSQL refuses an index entry over 2.7 kB.
    names = ["x" * 199, "é" * 200, "x" * 201, "".join(map(chr, range(0x4E00, 0x4E00 + 4000)))]
    for name in names:
        await opened.store.write(Tx.audit, ADA, "backup", name)
    for name in names:
        for wanted in (AuditQuery(target=name), AuditQuery(target=name, user=ADA.user)):
            page = await opened.store.read(queries.list_audit, None, PageRequest(), wanted)
            assert ([one.target for one in page.data], page.total) == ([name], 1)


async def test_the_list_is_paged_both_ways(opened: Opened) -> None:
    await five_acts(opened)

    async def page(**window):
        return await opened.store.read(
            queries.list_audit, None, PageRequest(limit=2, **window), AuditQuery()
        )

    first = await page()
    second = await page(cursor=first.next)
    assert [[e.id for e in p.data] for p in (first, second)] == [[5, 4], [3, 2]]
    assert [e.id for e in (await page(cursor=second.prev)).data] == [5, 4]
    assert [e.id for e in (await page(from_end=True)).data] == [2, 1]


async def test_an_entry_tells_who_did_what_from_where_and_what_it_changed(opened: Opened) -> None:
    eve = Actor("eve", None, "tcp ::1")
    hook = await make_hook(opened.store, name="before")
    await opened.store.write(
        Tx.audit, eve, "GET refused", "/v1/hooks", after={"more": 2}, result="refused"
    )
    await opened.store.write(changes.create_token, BOB, "ci", Role.VIEWER, AccountId(1), None)
    page = await opened.store.read(queries.list_audit, None, PageRequest(), AuditQuery())
    token, refused, made = page.data
    assert (made.user, made.role, made.action, made.target) == (
        "ada", "admin", "hook.create", f"hook {hook.id}",
    )  # fmt: skip
    assert (made.account, made.before, made.after["name"]) == (1, None, "before")
    assert (refused.user, refused.role, refused.origin) == ("eve", "none", "tcp ::1")
    assert (refused.result, refused.after) == ("refused", {"more": 2})
    assert token.after["role"] == "viewer"
    assert made.at == "2027-01-15T08:00:00.000Z"


async def test_an_entry_that_was_made_unreadable_is_listed_all_the_same(opened: Opened) -> None:
    await make_hook(opened.store)
    await behind_its_back(opened, "UPDATE audit SET after = '{oops' WHERE id = 1")
    (entry,) = (await opened.store.read(queries.list_audit, None, PageRequest(), AuditQuery())).data
    assert entry.after == {"unreadable": "{oops"}
