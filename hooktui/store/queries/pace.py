"""Pauses of long queries, which let the rest of the server run.

Queries are plain functions. On SQLite they run in a thread, where a busy one would make the event
loop wait for the interpreter again and again; on PostgreSQL in the loop itself, in a greenlet.

A query of SQLite ends its read transaction while it pauses: no checkpoint gets past the snapshot of
a reader, so seconds of pauses would let the log grow by everything stored meanwhile. The rows it
reads next may therefore be newer than those it has read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.util.concurrency import await_only, in_greenlet

from hooktui.domain.json_text import Steps
from hooktui.slices import REST, SLICE_S, take_turn

T = TypeVar("T")

LONGEST_REST_S: Final = 0.5
"""However long a statement took: PostgreSQL ends a session that rests for 4 s in a transaction."""


class Pace:
    """Runs the steps of one query with a pause after each slice.

    Args:
        conn: the connection of the query, in a transaction; a pause may come between statements
            of one that only reads (execution option ``may_pause``). Changes never pause: they
            hold locks.
        rest: returns the pause after a slice as a multiple of its duration.

    Attributes:
        rests: the number of pauses.
    """

    def __init__(self, conn: Connection, rest: Callable[[], float] = lambda: REST) -> None:
        self.rests = 0
        self._rest = rest
        self._conn = conn
        self._may_pause = conn.get_execution_options().get("may_pause", False)
        self._begun_s = time.perf_counter()

    def run(self, steps: Steps[T]) -> T:
        """Run all steps and return their result."""
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: T = end.value
                self.rest_when_due()
                return result
            self.rest_when_due()

    def rest_when_due(self) -> None:
        """Pause if a slice is over."""
        took_s = time.perf_counter() - self._begun_s
        if not self._may_pause or took_s < SLICE_S:
            return
        pause_s = min(self._rest() * took_s, LONGEST_REST_S)
        if in_greenlet():
            await_only(_rest(pause_s))
        else:
            self._conn.exec_driver_sql("COMMIT")
            time.sleep(pause_s)
            self._conn.exec_driver_sql("BEGIN")
        self.rests += 1
        self._begun_s = time.perf_counter()


async def _rest(pause_s: float) -> None:
    async with take_turn():
        await asyncio.sleep(pause_s)
