"""Dispatch of keys and pasted texts one at a time, in the order in which they arrive.

Textual (8.2.8) dispatches a key to the widget that has the focus at that moment. A letter acts at
once, but most other keys act some messages later, and so does a change of the focus. Of keys that a
slow connection delivers together, ``Space Tab`` ticked the box after the one that had the focus.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from textual import events
from textual.app import App
from textual.dom import DOMNode

_MAX_ROUNDS: Final = 10
"""Maximum number of rounds of messages that a key waits for: they may cause others without end."""

_MAX_S: Final = 10.0
"""Maximum number of seconds that a key waits for the previous one, such as if a handler hangs."""


class KeyQueue:
    """Keeps keys and pasted texts until the previous one has been handled.

    That includes the action that it caused, the messages of this action, and a screen or a focus
    that it changed; not the work of an action in a worker, such as a call or a dialog.
    """

    def __init__(self, app: App[None]) -> None:
        self._app = app
        self._waiting: deque[events.Event] = deque()
        self._turn: events.Event | None = None
        self._task: asyncio.Task[None] | None = None  # the loop holds no strong reference

    def is_turn_of(self, event: events.Event) -> bool:
        """Return whether to dispatch an event now; otherwise it is posted again at its turn.

        Once it is dispatched, call `dispatched`.
        """
        if self._turn not in (None, event):
            self._waiting.append(event)
            return False
        self._turn = event
        return True

    def target(self) -> DOMNode:
        """Return what the next key is sent to."""
        return self._app.focused or self._app.screen

    def dispatched(self, target: DOMNode) -> None:
        """Post the next event after the one that was just dispatched to a target is handled."""
        self._task = asyncio.create_task(self._post_next(target), name="key queue")

    async def _post_next(self, target: DOMNode) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_MAX_S):
                await self._handled(target)
        self._turn = self._waiting.popleft() if self._waiting else None
        if self._turn is not None:
            self._app.post_message(self._turn)

    async def _handled(self, target: DOMNode) -> None:
        """Wait until a key and what it causes are handled, along the path of its messages."""
        before = path = target.ancestors_with_self
        waiting: Iterable[DOMNode] = path
        for _ in range(_MAX_ROUNDS):
            for node in waiting:
                await _passed(node)
            path, last = self.target().ancestors_with_self, path
            nodes = dict.fromkeys([*before, *path])
            waiting = [
                node for node in nodes if _has_messages(node) or node not in (*before, *last)
            ]
            if not waiting:
                return


async def _passed(node: DOMNode) -> None:
    """Wait until a node has handled the messages in its queue; a closed one handles none."""
    passed = asyncio.Event()
    if node.call_later(passed.set):
        await passed.wait()


def _has_messages(node: DOMNode) -> bool:
    return node.is_running and node.message_queue_size > 0
