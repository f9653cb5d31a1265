"""Calls that change something: each runs to its end, and somebody hears of it.

A screen that is left takes its workers with it. What the server was asked to do is done all the
same, or is not; so the call goes on, and the screen in front then tells what became of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from hooktui.console.widgets.chrome import Severity

if TYPE_CHECKING:
    from hooktui.client.calls import Call
    from hooktui.console.app import ConsoleApp

T = TypeVar("T")

ResultMessage = Callable[[Any], tuple[str, Severity]]
"""Makes a notice of an answer."""


class ServerCalls:
    """Sends such calls for the app.

    Attributes:
        unfinished: what was still being done when the console ended.
    """

    def __init__(self, shell: ConsoleApp) -> None:
        self.unfinished: list[str] = []
        self._shell = shell
        self._tasks: set[asyncio.Task[Any]] = set()  # the loop alone would let them go

    async def send(self, call: Call[T], doing: str, told: ResultMessage | None = None) -> T:
        """Send a call, and return its answer; when nobody waits for that any more, tell of it.

        Args:
            call: what to send.
            doing: names it in a notice, such as ``deleting hook 12 (billing)``.
            told: what to say of the answer then; without it, that it is done.

        Raises:
            HooktuiError: the server refused, or went away.
        """
        task = asyncio.ensure_future(self._shell.ask(call))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, doing))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(partial(self._tell, doing, told))
            raise

    def _ended(self, doing: str, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():  # nobody does that but the end of the loop
            self.unfinished.append(doing)

    def _tell(self, doing: str, told: ResultMessage | None, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        text, severity = f"{doing}: done", "good"
        if error is not None:
            text, severity = f"{doing}: {error}", "bad"
        elif told is not None:
            text, severity = told(task.result())
        self._shell.call_later(self._shell.notice, text, severity)
