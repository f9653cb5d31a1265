"""Long computations in slices: none of them blocks the event loop for more than some milliseconds.

Computations whose cost a caller controls are written as steps (`hooktui.domain.json_text.Steps`): a
generator that yields after a few milliseconds at most. `in_slices` runs such steps in the event
loop, `hooktui.store.queries.pace` in queries.

Of many short operations, `LoopTurns` lets only some begin in one pass of the event loop. A task
that looks for work repeatedly can be woken early with `wait_at_most`, and stopped with `end_tasks`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Hashable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

FREE_S: Final = 0.000_5
"""Short work runs without a pause: nearly all requests end within this."""
SLICE_S: Final = 0.001
"""A slice ends after the step that exceeds this; a step takes up to 3 ms. With slices of 2 ms and
proportional pauses, the p99 beside the worst callers is a third higher."""
SHARED_SLICE_S: Final = 0.003
"""The same if no pause follows and a step takes up to 1 ms."""
REST: Final = 5
"""Pause after a slice as a multiple of its duration: all long computations together get a sixth of
the loop, and deliveries meanwhile wait for one slice at most."""

_locks: WeakValueDictionary[tuple[object, Hashable], asyncio.Lock] = WeakValueDictionary()


async def in_slices(steps: Generator[None, None, T], *keys: Hashable) -> T:
    """Run all steps in the event loop, in slices, and return their result.

    Only one computation runs a slice at a time; several take turns, see `take_turn`.
    """
    results: list[T] = []
    _run_for(FREE_S, steps, results)
    while not results:
        async with take_turn(*keys):
            took_s = _run_for(SLICE_S, steps, results)
            await asyncio.sleep(REST * took_s)
    return results[0]


def _run_for(most_s: float, steps: Generator[None, None, T], results: list[T]) -> float:
    """Run steps until a time is over, add their result if they end, and return how long it took."""
    begun_s = time.perf_counter()
    took_s = 0.0
    try:
        while took_s < most_s:
            next(steps)
            took_s = time.perf_counter() - begun_s
    except StopIteration as end:
        results.append(end.value)
    return took_s


async def share_loop(steps: Generator[None, None, T], held: Callable[[float], None]) -> T:
    """Run all steps in the event loop; other tasks run after each slice, without a pause.

    For work that others wait for anyway, such as a transaction. ``held`` is called with the
    duration of each slice.
    """
    begun_s = time.perf_counter()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            held(time.perf_counter() - begun_s)
            result: T = end.value
            return result
        took_s = time.perf_counter() - begun_s
        if took_s >= SHARED_SLICE_S:
            held(took_s)
            await asyncio.sleep(0)
            begun_s = time.perf_counter()


@asynccontextmanager
async def take_turn(*keys: Hashable) -> AsyncIterator[None]:
    """Wait for a turn among the long computations of the running loop, and hold it.

    Without keys a computation has a place of its own in the queue. All with the same last key, such
    as an account, share one, for which those with the same key before it share a place, and so on.
    """
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as held:
        for key in (*keys, None):
            lock = _locks.setdefault((loop, key), asyncio.Lock())
            await held.enter_async_context(lock)
        yield


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended; their errors are dropped."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def wait_at_most(event: asyncio.Event, most_s: float) -> None:
    """Wait for an event, for some seconds at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(most_s):
            await event.wait()


class LoopTurns:
    """Lets a number of operations begin in each pass of the event loop, those of all keys in turns.

    Each step of an operation waits for a pass, which lasts as long as all that is ready in it.

    Args:
        limit: how many begin in one pass.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._begun = 0
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}  # the next key first

    async def enter(self, key: Hashable) -> None:
        """Return in the pass in which an operation may begin; ``key`` is that of its caller."""
        loop = asyncio.get_running_loop()
        if self._begun == 0:
            loop.call_soon(self._pass)
        if self._begun < self._limit:
            self._begun += 1
            return
        turn = loop.create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        await turn

    def _pass(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < self._limit:
            key = next(iter(self._waiting))
            waiting = self._waiting.pop(key)
            turn = waiting.popleft()
            if waiting:
                self._waiting[key] = waiting
            if not turn.done():  # a cancelled operation takes no turn
                turn.set_result(None)
                self._begun += 1
        if self._begun:
            asyncio.get_running_loop().call_soon(self._pass)
