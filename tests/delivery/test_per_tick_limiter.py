"""The limiter: how many begin in one turn, in which order, and what a cancelled one leaves."""

from __future__ import annotations

import asyncio

from hooktui.delivery.dial import PerTickLimiter
from tests.support.waiting import LIMIT_S


class Turns:
    """Counts turns of the event loop, and who passed in which."""

    def __init__(self) -> None:
        self.number = 0
        self.passed: list[tuple[int, int]] = []

    def count(self) -> None:
        self.number += 1
        asyncio.get_running_loop().call_soon(self.count)

    async def enter(self, limiter: PerTickLimiter, name: int) -> None:
        await limiter.enter()
        self.passed.append((self.number, name))


async def test_so_many_pass_in_a_turn_and_the_others_follow_in_their_order():
    limiter, turns = PerTickLimiter(3), Turns()
    turns.count()
    await asyncio.gather(*(turns.enter(limiter, name) for name in range(10)))
    assert [name for _, name in turns.passed] == list(range(10))
    each = [number for number, _ in turns.passed]
    assert max(each.count(number) for number in set(each)) == 3


async def test_who_is_cancelled_keeps_nobody_waiting():
    limiter, turns = PerTickLimiter(1), Turns()
    tasks = [asyncio.create_task(turns.enter(limiter, name)) for name in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    tasks[2].cancel()
    await asyncio.wait(tasks, timeout=LIMIT_S)
    assert [name for _, name in turns.passed] == [0, 3]


async def test_an_idle_limiter_opens_at_once_and_leaves_nothing_in_the_loop():
    limiter = PerTickLimiter(1)
    for _ in range(3):
        await limiter.enter()
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert limiter._passed == 0
