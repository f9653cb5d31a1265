"""Long computations in slices, and work that has run up to its first wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from hooktui.domain.json_text import Steps
from hooktui.slices import LoopTurns, end_tasks, in_slices
from tests.support.waiting import LIMIT_S


def busy(name: str, count: int, seen: list[str]) -> Steps[str]:
    """Take 1 ms of the clock for each of some steps."""
    for _ in range(count):
        begun = time.perf_counter()
        while time.perf_counter() - begun < 0.001:
            pass
        seen.append(name)
        yield
    return name


def _runs(seen: list[str]) -> Iterator[int]:
    """Return how many steps were done between two passes of the loop."""
    count = 0
    for name in seen:
        if name == "loop":
            yield count
            count = 0
        else:
            count += 1


async def _pass_often(seen: list[str]) -> None:
    while True:
        seen.append("loop")
        await asyncio.sleep(0)


# Red when steps are done to their end at once, and when each of many computations has a slice in
# the same pass of the loop: a slice is two steps, and the first one is free.
@pytest.mark.parametrize("count", [1, 20])
async def test_the_loop_goes_round_after_each_slice(count: int) -> None:
    seen: list[str] = []
    computations = [
        asyncio.create_task(in_slices(busy(str(number), 10, seen))) for number in range(count)
    ]
    await asyncio.sleep(0)  # each has done its free step
    del seen[:]
    passing = asyncio.create_task(_pass_often(seen))
    assert await asyncio.gather(*computations) == [str(number) for number in range(count)]
    passing.cancel()
    assert max(_runs(seen)) <= 3


async def test_computations_take_turns() -> None:
    seen: list[str] = []
    await asyncio.gather(*(in_slices(busy(name, 20, seen)) for name in "ab"))
    assert "b" in seen[: seen.index("a") + 10]
    assert seen.index("b") < 10
    assert seen[-20:].count("a") in range(1, 20)


# Red when each computation has a place of its own: 20 of one account come between two slices.
async def test_computations_of_one_account_share_a_place() -> None:
    seen: list[str] = []
    others = [
        asyncio.create_task(in_slices(busy("a", 1000, seen), ("hook", n % 3), ("account", 1)))
        for n in range(20)
    ]
    await asyncio.sleep(0)
    del seen[:]
    await in_slices(busy("b", 10, seen), ("account", 2))
    assert seen.count("a") <= 2 * seen.count("b")
    del seen[:]
    await in_slices(busy("c", 10, seen))
    assert seen.count("a") <= 2 * seen.count("c")
    for other in others:
        other.cancel()
    await asyncio.wait(others)


# Red when the hooks of an account have no places of their own.
async def test_hooks_of_one_account_take_turns() -> None:
    seen: list[str] = []
    keys = [("hook", 1)] * 20 + [("hook", 2)]
    tasks = [
        asyncio.create_task(in_slices(busy(str(key), 10, seen), key, ("account", 1)))
        for key in keys
    ]
    await tasks[-1]
    assert seen.count(str(("hook", 1))) <= 20 + 2 * seen.count(str(("hook", 2)))
    await asyncio.gather(*tasks)


# Red when who is cancelled while it waits for a turn, or has one, keeps it.
@pytest.mark.parametrize("cancelled", [0, 1, 2])
async def test_a_cancelled_computation_gives_its_place_to_others(cancelled: int) -> None:
    tasks = [
        asyncio.create_task(in_slices(busy("a", 10, []), ("hook", 1), ("account", 1)))
        for _ in range(4)
    ]
    await asyncio.sleep(0.001)
    tasks[cancelled].cancel()
    done, _ = await asyncio.wait(tasks, timeout=30)
    assert [task in done and not task.cancelled() for task in tasks].count(True) == 3


async def test_what_goes_wrong_in_a_step_is_raised() -> None:
    def wrong() -> Steps[None]:
        yield from busy("a", 5, [])
        raise ValueError("step")

    with pytest.raises(ValueError, match="step"):
        await in_slices(wrong())
    assert await asyncio.wait_for(in_slices(busy("b", 5, [])), 30) == "b"  # the turn is free again


async def begun(turns: LoopTurns, keys: str) -> list[str]:
    """Return the keys whose operations began in each pass of the event loop."""
    passes = [""]

    async def begin(key: str) -> None:
        await turns.enter(key)
        passes[-1] += key

    tasks = [asyncio.create_task(begin(key)) for key in keys]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        passes.append("")
    return [some for some in passes if some]


# Red when all begin at once: an operation of another key waits for each of them at each step.
async def test_operations_begin_in_turns_of_their_keys() -> None:
    assert await begun(LoopTurns(2), "a" * 7 + "b" * 2) == ["aa", "ab", "ab", "aa", "a"]
    assert await begun(LoopTurns(3), "a" * 10) == ["aaa", "aaa", "aaa", "a"]


async def test_a_cancelled_operation_takes_no_turn() -> None:
    turns = LoopTurns(1)
    order: list[int] = []

    async def begin(number: int) -> None:
        await turns.enter("a")
        order.append(number)

    tasks = [asyncio.create_task(begin(number)) for number in range(5)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    tasks[2].cancel()
    await asyncio.wait(tasks, timeout=LIMIT_S)
    assert order == [0, 3, 4]
    assert not turns._waiting


async def test_without_operations_nothing_is_left_in_the_loop() -> None:
    turns = LoopTurns(1)
    for _ in range(3):
        await turns.enter("a")
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert turns._begun == 0


async def test_tasks_have_ended_when_their_end_was_awaited_whatever_they_raise() -> None:
    # Red when it returns after the cancel alone, or passes on what a task raises.
    ended: list[str] = []

    async def cleans_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("cleaned up")

    async def fails() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("failed")
            raise OSError

    running = {asyncio.create_task(cleans_up()), asyncio.create_task(fails())}
    for task in running:
        task.add_done_callback(running.discard)  # the set changes while its tasks end
    await asyncio.sleep(0)
    await end_tasks(running)
    assert sorted(ended) == ["cleaned up", "failed"]
    assert not running
