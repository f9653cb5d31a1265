"""What a power cut may not take: each commit is on the disk before anybody is answered.

A kill cannot show it, for the kernel keeps the pages; so the system calls are watched (strace).
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hooktui.store import changes
from hooktui.store.sqlite.store import SqliteStore
from tests.support.stores import ADA, DEFAULT, open_in, settings

_ROOT = Path(__file__).parents[2]
_FULL = 2

# Accepts 40 events one after the other; says which keys were taken, and which were refused.
_PRODUCER = """
import asyncio, pathlib, sys
from hooktui.domain.errors import HooktuiError
from tests.support.stores import offer
from tests.support.stores import open_in

async def main():
    store = await open_in(pathlib.Path(sys.argv[1]))
    for number in range(40):
        try:
            await store.accept([offer(b"{}", key=f"k{number}")])
            print("taken", number, flush=True)
        except HooktuiError as error:
            print("refused", number, error, flush=True)
    await store.close()

asyncio.run(main())
"""


def traced(home: Path, calls: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the producer under strace."""
    command = ["strace", "-f", "-o", str(home / "trace"), "-e", f"trace={calls}", *options]
    return subprocess.run(
        [*command, sys.executable, "-c", _PRODUCER, str(home)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def watched(home: Path, *options: str) -> tuple[list[str], str]:
    """Return what the producer said, and the syncs that it made."""
    result = traced(home, "fsync,fdatasync", *options)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines(), (home / "trace").read_text()


@pytest.fixture
def _strace() -> None:
    if shutil.which("strace") is None:
        pytest.skip("no strace on this machine")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode:
        pytest.skip("no process may be traced here")


async def made(home: Path) -> None:
    store = await open_in(home)
    await store.write(changes.create_hook, ADA, DEFAULT, settings(), "s" * 20)
    await store.close()


async def test_every_commit_is_set_to_wait_for_the_disk(store: SqliteStore) -> None:
    def pragma(name: str):
        return lambda tx: tx.conn.exec_driver_sql(f"PRAGMA {name}").scalar()

    assert await store.write(pragma("synchronous")) == _FULL
    assert await store.write(pragma("journal_mode")) == "wal"


@pytest.mark.usefixtures("_strace")
async def test_each_accepted_event_was_synced_before_it_was_answered(tmp_path: Path) -> None:
    await made(tmp_path)
    said, trace = watched(tmp_path)
    assert [line.split()[0] for line in said] == ["taken"] * 40
    assert trace.count("fdatasync(") >= 40


@pytest.mark.usefixtures("_strace")
async def test_a_disk_that_fails_to_sync_refuses_the_event_and_loses_none(tmp_path: Path) -> None:
    await made(tmp_path)
    said, _ = watched(tmp_path, "-e", "inject=fdatasync:error=EIO:when=20..24")
    refused = [line for line in said if line.startswith("refused")]
    taken = {line.split()[1] for line in said if line.startswith("taken")}
    assert refused, said
    assert all("could not be written" in line for line in refused)
    store = await open_in(tmp_path)

    def look(conn):
        keys = set(conn.exec_driver_sql('SELECT "key" FROM idempotency_key').scalars())
        assert keys == {f"k{number}" for number in taken}
        assert conn.exec_driver_sql("SELECT count(*) FROM event").scalar() == len(taken)
        assert conn.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"

    await store.read(look)
    await store.close()
    assert len(taken) >= 30


# Red when the journal is taken out (PRAGMA journal_mode = OFF): half of a commit is there.
@pytest.mark.usefixtures("_strace")
@pytest.mark.parametrize("write", [101, 202, 303, 404])
async def test_a_kill_between_two_writes_of_a_commit_leaves_no_half_of_it(
    tmp_path: Path, write: int
) -> None:
    await made(tmp_path)
    killed = traced(tmp_path, "pwrite64", "-e", f"inject=pwrite64:signal=SIGKILL:when={write}")
    assert killed.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}
    taken = {f"k{line.split()[1]}" for line in killed.stdout.splitlines()}
    store = await open_in(tmp_path)

    def look(conn):
        ask = conn.exec_driver_sql
        assert ask("PRAGMA integrity_check").scalar() == "ok"
        keys = dict(ask('SELECT event_id, "key" FROM idempotency_key').all())
        assert set(keys) == set(ask("SELECT id FROM event").scalars())
        assert set(keys) == set(ask("SELECT event_id FROM delivery").scalars())
        assert taken <= set(keys.values())
        assert len(keys) <= len(taken) + 1

    await store.read(look)
    await store.close()
    assert taken
