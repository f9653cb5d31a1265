"""The queue of write operations by itself: batches, refusals, cancellation, defects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from hooktui.domain.errors import Refused, Unavailable
from hooktui.store import write_queue
from hooktui.store.write_queue import Operation, WriteQueue
from tests.support.waiting import LIMIT_S


class Named(Operation[str]):
    """An operation whose result is its name."""

    def __init__(self, name: str, order: int = 1) -> None:
        super().__init__()
        self.name = name
        self.order = order


class Runner:
    """Runs batches as a writer does, and keeps their names."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.failure: Exception | None = None
        self.queue = WriteQueue("writer", self.run)

    async def run(self, batch: Sequence[Named]) -> None:
        self.batches.append([operation.name for operation in batch])
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        for operation in batch:
            if operation.name == "refused":
                operation.error = Refused("no")
            operation.result = operation.name
        self.queue.complete(batch)

    async def submit(self, *operations: Named) -> list[object]:
        calls = (self.queue.submit(one, bounded=True) for one in operations)
        return await asyncio.gather(*calls, return_exceptions=True)


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    one = Runner()
    one.queue.start()
    yield one
    await one.queue.close()


# Red without the sort, and when an error of one operation reaches the others.
async def test_operations_share_a_batch_in_their_order_and_fail_alone(runner: Runner) -> None:
    first, refused, last = await runner.submit(Named("a", 2), Named("refused"), Named("b", 0))
    assert runner.batches == [["b", "refused", "a"]]
    assert (first, last) == ("a", "b")
    assert isinstance(refused, Refused)


# Red when the first operation starts a batch alone: the results that it flushed are one turn later.
async def test_operations_of_the_next_turn_share_the_batch(runner: Runner) -> None:
    async def one_turn_later() -> None:
        await asyncio.sleep(0)
        await runner.submit(Named("b"))

    await asyncio.gather(runner.submit(Named("a")), one_turn_later())
    assert runner.batches == [["a", "b"]]


# Red when a batch that is done counts until the queue's next turn: whatever blocks the event loop
# until then looks like a hung disk, and the next event is refused.
async def test_a_batch_that_is_done_does_not_run_any_more(runner: Runner) -> None:
    await runner.queue.submit(Named("a"), bounded=True)
    assert runner.queue.heartbeat.age_s == 0.0


# Red when the queue ends with the exception: the next call waits without end.
async def test_a_batch_that_raises_fails_and_the_next_one_runs(runner: Runner) -> None:
    runner.failure = RuntimeError("a defect")
    (failed,) = await runner.submit(Named("a"))
    assert isinstance(failed, Unavailable)
    async with asyncio.timeout(LIMIT_S):
        assert await runner.submit(Named("b")) == ["b"]


# Red when cancelled operations are taken into a batch, and without the compensation.
async def test_a_cancelled_caller_stores_nothing_or_is_compensated(runner: Runner) -> None:
    task = asyncio.create_task(runner.queue.submit(Named("early"), bounded=True))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await runner.submit(Named("a")) == ["a"]
    late = Named("late")
    undo = runner.queue.submit(late, bounded=True, compensate=lambda name: Named(f"undo {name}"))
    task = asyncio.create_task(undo)
    while late.result is None:  # noqa: ASYNC110 - the turn between the commit and its caller
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await runner.submit(Named("b")) == ["b"]
    names = [name for batch in runner.batches for name in batch]
    assert "early" not in names
    assert "undo late" in names


async def test_too_many_are_refused_unless_unbounded(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_queue, "MAX_WAITING_ROWS", -1)
    (refused,) = await runner.submit(Named("a"))
    assert isinstance(refused, Unavailable)
    assert await runner.queue.submit(Named("b"), bounded=False) == "b"


async def test_a_closing_queue_runs_what_waits_and_refuses_more() -> None:
    runner = Runner()
    runner.queue.start()
    waiting = asyncio.create_task(runner.queue.submit(Named("a"), bounded=True))
    await asyncio.sleep(0)
    await runner.queue.close()
    assert await waiting == "a"
    with pytest.raises(Unavailable, match="stopping"):
        runner.queue.add(Named("b"))


# Red when a failure counts for ever: a server without traffic would not be ready again.
async def test_a_failure_counts_until_a_transaction_follows_or_for_a_while(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        runner.failure = ValueError("a defect")
        await runner.submit(Named("a"))
        assert isinstance(runner.queue.failure, Unavailable)

    await fail()
    await runner.submit(Named("refused"))
    assert runner.queue.failure is None
    await fail()
    monkeypatch.setattr(write_queue, "FAILING_S", -1)
    assert runner.queue.failure is None
