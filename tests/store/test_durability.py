"""What a power cut may not take: each commit is on the disk before anybody is answered."""

from __future__ import annotations

from hooktui.store.sqlite import SqliteStore

_FULL = 2


async def test_every_commit_waits_for_the_disk(store: SqliteStore) -> None:
    """A kill cannot show it (the kernel keeps the pages); so the setting itself is held."""

    def pragma(name: str):
        return lambda tx: tx.conn.exec_driver_sql(f"PRAGMA {name}").scalar()

    assert await store.write(pragma("synchronous")) == _FULL
    assert await store.write(pragma("journal_mode")) == "wal"
