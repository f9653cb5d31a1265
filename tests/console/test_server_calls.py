"""Calls that change something, and the end of the console."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from hooktui.console.shell.server_calls import ServerCalls
from hooktui.console.shell.status import StatusMonitor


def writing_to(seconds: float) -> ServerCalls:
    async def ask(_call: object) -> str:
        await asyncio.sleep(seconds)
        return "done"

    return ServerCalls(cast("Any", SimpleNamespace(send=ask)), lambda *_: None)


# Red when somebody who quits hears nothing of what the server may or may not have done.
def test_what_is_still_being_done_at_the_end_is_reported():
    writing = writing_to(60)

    async def console() -> None:
        waits = asyncio.create_task(writing.change(cast("Any", None), "deleting hook 3 (billing)"))
        await asyncio.sleep(0.01)
        waits.cancel()  # its screen is taken away, then the loop ends

    asyncio.run(console())
    assert writing.unfinished == ["deleting hook 3 (billing)"]


def test_what_is_done_is_not_told_again():
    writing = writing_to(0)
    assert asyncio.run(writing.change(cast("Any", None), "deleting hook 3 (billing)")) == "done"
    assert not writing.unfinished


# Red when a read that was under way when the account was switched is kept as that of the new one.
async def test_a_late_status_of_another_account_is_not_kept():
    account, switched = SimpleNamespace(number=1), asyncio.Event()

    async def ask(_call: object) -> object:
        await switched.wait()
        return SimpleNamespace(backlog=SimpleNamespace(count=7), disk=None)

    reads: list[int] = []
    monitor = StatusMonitor(
        cast("Any", None), cast("Any", SimpleNamespace(send=ask)), cast("Any", account),
        lambda: 0, lambda: reads.append(account.number),
    )  # fmt: skip
    reading = asyncio.create_task(monitor.read())
    await asyncio.sleep(0)
    account.number = 2
    switched.set()
    await reading
    assert (monitor.latest, reads) == (None, [])
    await monitor.read()
    assert reads == [2]
