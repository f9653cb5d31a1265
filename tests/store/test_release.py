"""A server that dies while it gives unsent deliveries back has not lost them."""

from __future__ import annotations

import signal
from pathlib import Path

from hooktui.domain.ids import HookId
from hooktui.store import changes
from tests.store.conftest import run_python
from tests.support.stores import ADA, DEFAULT, open_in, settings

_VICTIM = """
import asyncio, pathlib, sys
from hooktui import failpoints
from tests.support.stores import always, offer
from tests.support.stores import open_in

async def main():
    store = await open_in(pathlib.Path(sys.argv[1]))
    _, jobs = await store.accept([offer(), offer()], always)
    failpoints.arm("before_release_commit:kill")
    await store.release(jobs)

asyncio.run(main())
"""


async def test_a_server_that_dies_while_it_gives_back_loses_nothing(tmp_path: Path) -> None:
    store = await open_in(tmp_path)
    hook = await store.write(changes.create_hook, ADA, DEFAULT, settings(), "s" * 20)
    await store.close()
    code, errors = await run_python(_VICTIM, tmp_path)
    assert code == -signal.SIGKILL, errors
    store = await open_in(tmp_path)
    claims = await store.claim(HookId(hook.id), 10)
    assert [(claim.number, claim.tries, claim.interruptions) for claim in claims] == [(2, 0, 1)] * 2
    await store.close()
