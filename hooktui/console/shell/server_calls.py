"""Calls that change data: each runs to completion, and its result is always reported.

Closing a screen cancels its workers, but the server completes or refuses the request all the same.
So the call continues, and the screen in the foreground then shows the result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from hooktui.console.shell.server_connection import ServerConnection

if TYPE_CHECKING:
    from hooktui.client.calls import Call

T = TypeVar("T")

Severity = Literal["good", "plain", "warn", "bad"]
"""The severity of a notice."""

ResultMessage = Callable[[Any], tuple[str, Severity]]
"""Function that returns the notice for a response: its text and severity."""


class ServerCalls:
    """Sends calls that change data.

    ``notify`` shows a notice on the screen in the foreground.

    Attributes:
        ending: whether the console is ending, so that no notice is seen any more.
        unfinished: descriptions of the calls in progress when the console ended.
        stopped_work: reports of the bulk commands in progress when the console ended.
    """

    def __init__(
        self, connection: ServerConnection, notify: Callable[[str, Severity], object]
    ) -> None:
        self.ending = False
        self.unfinished: list[str] = []
        self.stopped_work: list[str] = []
        self._connection = connection
        self._notify = notify
        self._tasks: set[asyncio.Task[Any]] = set()  # the loop holds no strong references

    async def change(self, call: Call[T], doing: str, message: ResultMessage | None = None) -> T:
        """Send a call and return its response; if the caller is cancelled, report the result.

        ``doing`` describes it in a notice, such as ``deleting hook 12 (billing)``. ``message``
        returns the notice in that case; by default, it only reports completion.

        Raises:
            HooktuiError: the server refused the call, or cannot be reached.
        """
        task = asyncio.ensure_future(self._connection.send(call))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, doing))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(partial(self._report, doing, message))
            raise

    def stopped(self, report: str) -> None:
        """Report a bulk command that ended with its screen, or with the console."""
        if self.ending:
            self.stopped_work.append(report)
        else:
            self._notify(f"stopped when the screen was closed: {report}", "warn")

    def _ended(self, doing: str, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():  # only closing the loop cancels it
            self.unfinished.append(doing)

    def _report(self, doing: str, message: ResultMessage | None, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._notify(f"{doing}: {error}", "bad")
        elif message is not None:
            self._notify(*message(task.result()))
        else:
            self._notify(f"{doing}: done", "good")
