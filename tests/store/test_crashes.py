"""A server that is killed at any moment loses nothing that it had accepted."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from hooktui.domain.ids import HookId
from hooktui.store import changes
from hooktui.store.sqlite.store import SqliteStore
from tests.support.clocks import Clock
from tests.support.stores import ADA, DEFAULT, open_in, result_of, settings

# Accepts, claims and records without end, and prints the id of each event that was accepted.
_VICTIM = """
import asyncio, pathlib, sys
from hooktui.domain.clock import now_ms
from tests.support.stores import always, offer, result_of
from tests.support.stores import open_in

class Now:
    ms = property(lambda self: now_ms())

async def main():
    store = await open_in(pathlib.Path(sys.argv[1]))
    (hook,) = store.hooks()
    print("ready", flush=True)
    while True:
        accepted, jobs = await store.accept([offer(b"{}") for _ in range(5)], always)
        print(*(one.id for one in accepted), flush=True)
        await store.accept([offer(b"{}")])
        jobs += await store.claim(hook, 2)
        answers = ((job, 200 if job.number % 2 else 500) for job in jobs[1:])
        await store.record([result_of(job, Now(), code) for job, code in answers])

asyncio.run(main())
"""


async def killed_after(seconds: float, home: Path) -> set[int]:
    """Run the victim, kill it, and return what it said it had accepted."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _VICTIM, str(home),
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 60) == b"ready\n"
    kill = asyncio.get_running_loop().call_later(seconds, process.kill)
    said = await asyncio.wait_for(process.stdout.read(), 60)
    await process.wait()
    kill.cancel()
    whole_lines = said[: said.rfind(b"\n") + 1].decode().split()
    return {int(identity) for identity in whole_lines}


# Kills come at random, so between two commits as a rule; inside of one: test_durability.
async def test_kill_9_loses_no_accepted_event_and_no_delivery(tmp_path: Path) -> None:
    store = await open_in(tmp_path)
    hook = await store.write(changes.create_hook, ADA, DEFAULT, settings(), "s" * 20)
    await store.close()
    accepted: set[int] = set()
    for _ in range(4):
        accepted |= await killed_after(random.uniform(0.05, 0.4), tmp_path)
        store = await open_in(tmp_path)
        await assert_whole(store, accepted, hook.id)
        await store.close()
    assert accepted


async def assert_whole(store: SqliteStore, accepted: set[int], hook: int) -> None:
    def look(conn):
        ask = conn.exec_driver_sql
        assert ask("PRAGMA integrity_check").scalar() == "ok"
        assert ask("PRAGMA foreign_key_check").all() == []
        stored = set(ask("SELECT event_id FROM delivery").scalars())
        assert accepted <= stored
        assert stored == set(ask("SELECT id FROM event").scalars())
        assert ask("SELECT count(*) FROM delivery WHERE status = 'sending'").scalar() == 0
        waiting = ask("SELECT count(*) FROM delivery WHERE status = 'pending'").scalar()
        assert ask("SELECT waiting FROM hook_state WHERE hook_id = ?", (hook,)).scalar() == waiting
        mismatch = "SELECT count(*) FROM delivery d WHERE attempts <> "
        mismatch += "(SELECT count(*) FROM attempt WHERE delivery_id = d.id)"
        assert ask(mismatch).scalar() == 0

    await store.read(look)


async def test_the_lease_of_another_process_is_not_ours(store: SqliteStore) -> None:
    """Red without the token in the fence: id, state and number are all the same."""
    hook = await store.write(changes.create_hook, ADA, DEFAULT, settings(), "s" * 20)
    claim = await store.claim_ping(HookId(hook.id), b"{}")
    await store.write(
        lambda tx: tx.conn.exec_driver_sql("UPDATE delivery SET lease_token = 1") and None
    )
    assert await store.record([result_of(claim, Clock())]) == [False]
