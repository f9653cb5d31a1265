"""Something to wait for that has run up to its first wait."""

from __future__ import annotations

import asyncio

import pytest

from hooktui.slices import Started


async def test_what_needs_no_wait_is_done_at_once():
    async def work() -> int:
        return 7

    started = Started(work())
    assert started.done
    assert started.result == 7


async def test_what_waits_goes_on_where_it_was():
    seen: list[int] = []
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def work() -> int:
        seen.append(await future)
        await asyncio.sleep(0)
        seen.append(2)
        return 3

    started = Started(work())
    assert not started.done
    asyncio.get_running_loop().call_soon(future.set_result, 1)
    assert await started == 3
    assert seen == [1, 2]


# Red when a deadline, or the end of the task, does not arrive where the work waits.
async def test_a_deadline_arrives_inside():
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    started = Started(work())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await started
    assert seen == ["cancelled"]


async def test_an_error_is_raised_to_whoever_waits():
    async def work() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    started = Started(work())
    with pytest.raises(ValueError, match="no"):
        await started
