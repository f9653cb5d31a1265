"""Running diagnoses: one for each version of a hook, streamed line by line to all callers."""

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
"""Makes a diagnosis, and passes a line to the callback after each step."""


class DiagnosisRun:
    """One diagnosis in a separate task: it continues for the others if one caller leaves.

    Attributes:
        callers: number of callers that wait for it.
        task: makes it; if it is cancelled, a ping in flight is still recorded.
    """

    def __init__(self, work: Work, name: str) -> None:
        self.callers = 0
        self._lines: list[DiagnosisLine] = []
        self._more = asyncio.Event()
        self.task = asyncio.create_task(work(self._add_line), name=name)
        self.task.add_done_callback(self._ended)

    async def result(self) -> Diagnosis:
        """Wait for the complete diagnosis.

        Raises:
            Unavailable: the server is stopping.
        """
        try:
            return await asyncio.shield(self.task)
        except asyncio.CancelledError:
            if self.task.cancelled():
                raise Unavailable("the server is stopping; the diagnosis was cut off") from None
            raise

    async def follow(self) -> AsyncIterator[DiagnosisLine]:
        """Yield the lines from the first one on, each as soon as it is available."""
        sent = 0
        while True:
            while sent < len(self._lines):
                sent += 1
                yield self._lines[sent - 1]
            if self.task.done():
                break
            self._more.clear()
            await self._more.wait()
        try:
            yield DiagnosisLine(diagnosis=await self.result())
        except HooktuiError as error:
            yield DiagnosisLine(problem=content_of(error))

    def _add_line(self, line: DiagnosisLine) -> None:
        self._lines.append(line)
        self._more.set()

    def _ended(self, task: asyncio.Task[Diagnosis]) -> None:
        self._more.set()
        if not task.cancelled():
            task.exception()  # at a stop no caller may retrieve it


class Diagnoses:
    """All running diagnoses of this server."""

    def __init__(self) -> None:
        self._runs: dict[Key, DiagnosisRun] = {}

    def join(self, key: Key, work: Work) -> DiagnosisRun:
        """Return the running diagnosis of a version of a hook, or start one."""
        run = self._runs.get(key)
        if run is None or run.task.done():
            run = self._runs[key] = DiagnosisRun(work, f"diagnose {key[0]}")
        run.callers += 1
        return run

    def leave(self, key: Key, run: DiagnosisRun) -> None:
        """Note that a caller has finished or left; without callers the run is cancelled."""
        run.callers -= 1
        if run.callers == 0:
            run.task.cancel()
            if self._runs.get(key) is run:
                del self._runs[key]
