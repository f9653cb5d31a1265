"""What an event meant to each hook, as one list: first the hooks that asked for it, then the rest.

Two lists of the server, one after the other; a cursor says in which of them it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from hooktui.client import calls
from hooktui.client.calls import Call
from hooktui.console.widgets.window import Wanted
from hooktui.domain.wire.events import HookDecision
from hooktui.domain.wire.pages import Page

Decisions = Page[HookDecision]

_ASKED, _OTHERS, _FROM_END = "a", "o", "<"


class DecisionPages:
    """A `PageSource` of the decisions about one event.

    Args:
        ask: sends a call.
        event: the event's id.
    """

    def __init__(self, ask: Callable[[Call[Decisions]], Awaitable[Decisions]], event: str) -> None:
        self._ask: Final = ask
        self._event: Final = event
        self._totals: dict[str, int] = {}

    async def page(self, wanted: Wanted) -> Decisions:
        """Return a page; the order is fixed.

        Raises:
            HooktuiError: the server does not give it.
        """
        cursor, from_end = wanted["cursor"], wanted["from_end"]
        if cursor is not None:
            from_end = cursor[1:] == _FROM_END
            return await self._part(cursor[0], None if from_end else cursor[1:] or None, from_end)
        await self._count()
        first = _ASKED if self._totals[_ASKED] else _OTHERS
        last = _OTHERS if self._totals[_OTHERS] else _ASKED
        return await self._part(last if from_end else first, None, from_end)

    async def _count(self) -> None:
        for part in (_ASKED, _OTHERS):
            page = await self._ask(
                calls.event_decisions(self._event, concerned=part == _ASKED, limit=1, sort="id")
            )
            self._totals[part] = page.total

    async def _part(self, part: str, cursor: str | None, from_end: bool) -> Decisions:
        page = await self._ask(
            calls.event_decisions(
                self._event,
                concerned=part == _ASKED,
                cursor=cursor,
                from_end=from_end,
                limit=100,
                sort="id",
            )
        )
        self._totals[part] = page.total
        following = None if page.next is None else part + page.next
        before = None if page.prev is None else part + page.prev
        if following is None and part == _ASKED and self._totals[_OTHERS]:
            following = _OTHERS
        if before is None and part == _OTHERS and self._totals[_ASKED]:
            before = _ASKED + _FROM_END
        return replace(page, next=following, prev=before, total=sum(self._totals.values()))
