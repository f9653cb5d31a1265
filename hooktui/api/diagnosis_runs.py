"""The diagnoses that run: one for each version of a hook, told by the line to all who follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine

from hooktui.api.responses import content_of
from hooktui.domain.errors import HooktuiError, Unavailable
from hooktui.domain.ids import HookId
from hooktui.domain.wire.diagnosis import Diagnosis, DiagnosisLine

Key = tuple[HookId, int]
"""A hook and its version."""

Work = Callable[[Callable[[DiagnosisLine], None]], Coroutine[object, object, Diagnosis]]
"""Makes a diagnosis, and hands over a line after each step."""


class Run:
    """One diagnosis, in a task of its own: it goes on for the others when one of them leaves.

    Attributes:
        askers: who waits for it.
    """

    def __init__(self, work: Work, name: str) -> None:
        self.askers = 0
        self._lines: list[DiagnosisLine] = []
        self._more = asyncio.Event()
        self._task = asyncio.create_task(work(self._tell), name=name)
        self._task.add_done_callback(self._ended)

    async def result(self) -> Diagnosis:
        """Wait for all of it.

        Raises:
            Unavailable: the server is stopping.
        """
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            if self._task.cancelled():
                raise Unavailable("the server is stopping; it cut the diagnosis off") from None
            raise

    async def follow(self) -> AsyncIterator[DiagnosisLine]:
        """Yield the lines from the first one on, each as soon as it is there."""
        told = 0
        while True:
            while told < len(self._lines):
                told += 1
                yield self._lines[told - 1]
            if self._task.done():
                break
            self._more.clear()
            await self._more.wait()
        try:
            yield DiagnosisLine(diagnosis=await self.result())
        except HooktuiError as error:
            yield DiagnosisLine(problem=content_of(error))

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._task.done()

    def cancel(self) -> None:
        """End it; a ping that is on its way is still recorded."""
        self._task.cancel()

    def _tell(self, line: DiagnosisLine) -> None:
        self._lines.append(line)
        self._more.set()

    def _ended(self, task: asyncio.Task[Diagnosis]) -> None:
        self._more.set()
        if not task.cancelled():
            task.exception()  # at a stop nobody may be left to look at it


class Diagnoses:
    """All that run in this server."""

    def __init__(self) -> None:
        self._runs: dict[Key, Run] = {}

    def join(self, key: Key, work: Work) -> Run:
        """Return the diagnosis that runs for a version of a hook, or begin one."""
        run = self._runs.get(key)
        if run is None or run.is_over:
            run = self._runs[key] = Run(work, f"diagnose {key[0]}")
        run.askers += 1
        return run

    def leave(self, key: Key, run: Run) -> None:
        """Note that somebody has it all or went away; without anybody it is ended."""
        run.askers -= 1
        if run.askers == 0:
            run.cancel()
            if self._runs.get(key) is run:
                del self._runs[key]
