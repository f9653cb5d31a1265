"""What runs in a write transaction of PostgreSQL: all operations of one kind together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any, Generic, Self, TypeVar

from hooktui.store.postgres.work import Work

R = TypeVar("R")


class Operation(Generic[R]):
    """Something that wants to run in the next transaction.

    A transaction may be run again (deadlock, lost connection), so `run_all` starts from nothing
    each time; only what concerns the outside world, such as slots that were taken, is kept.

    Attributes:
        turn: kinds of operations run in this order.
        weight: about how many rows it writes.
        size_bytes: how much memory it holds while it waits.
        since_s: since when it waits, monotonic.
    """

    turn = 1

    def __init__(self, weight: int = 1, size_bytes: int = 0) -> None:
        self.weight = weight
        self.size_bytes = size_bytes
        self.since_s = time.monotonic()
        self.future: asyncio.Future[R] | None = None
        self.result: R | None = None
        self.error: Exception | None = None

    @classmethod
    async def run_all(cls, work: Work, some: Sequence[Self]) -> None:
        """Run some operations of this kind; set the result or the error of each."""
        for operation in some:
            operation.result = await operation.run(work)

    async def run(self, work: Work) -> R:
        """Run this one alone."""
        raise NotImplementedError

    def undo(self) -> Operation[None] | None:
        """Return what makes a committed answer undone that nobody was there to take."""
        return None


def columns(rows: Sequence[Sequence[object]], count: int) -> Iterable[Sequence[Any]]:
    """Return rows as so many columns, the form in which they travel."""
    return list(zip(*rows, strict=True)) if rows else [()] * count
