"""A filter over the change feed; the bodies of events are read only where a term asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hooktui.api.feed_subjects import event_of, subject_of
from hooktui.domain.clock import now_ms
from hooktui.domain.filters import Filter, Key
from hooktui.domain.ids import AccountId
from hooktui.store import queries
from hooktui.store.contract import FeedItem, FeedPage, Store

_IN_BODIES = (Key.DATA, Key.WORD)
# Bodies have up to 256 KiB, so few of them are held at a time.
_BODIES_AT_ONCE = 100
TAIL_SEARCHED = 5000
"""So many of the newest changes are looked through for the last ones that fit, with bodies."""


class FeedFilter:
    """Says which changes fit.

    Args:
        store: has the bodies.
        wanted: the filter; an empty one fits everything.
    """

    def __init__(self, store: Store, wanted: Filter) -> None:
        self._store = store
        self._wanted = wanted
        self._quick = Filter(tuple(t for t in wanted.terms if t.key not in _IN_BODIES))
        self._needs_bodies = len(self._quick.terms) < len(wanted.terms)

    async def fitting(self, items: Sequence[FeedItem]) -> tuple[FeedItem, ...]:
        """Return those of some changes that fit, in their order."""
        if not self._wanted.terms:
            return tuple(items)
        now = now_ms()
        found = tuple(one for one in items if self._quick.matches(subject_of(one), now))
        if not self._needs_bodies:
            return found
        fitting: list[FeedItem] = []
        for start in range(0, len(found), _BODIES_AT_ONCE):
            fitting += await self._with_bodies(found[start : start + _BODIES_AT_ONCE])
        return tuple(fitting)

    async def tail(self, limit: int, account: AccountId) -> FeedPage:
        """Return the newest changes that fit, oldest first."""
        if not self._wanted.terms:
            return await self._store.feed_tail(limit, account)
        if not self._needs_bodies:
            now = now_ms()
            return await self._store.feed_tail(
                limit, account, lambda one: self._quick.match_steps(subject_of(one), now)
            )
        page = await self._store.feed_tail(TAIL_SEARCHED, account)
        fitting: list[FeedItem] = []
        end = len(page.items)
        while end > 0 and len(fitting) < limit:
            start = max(0, end - _BODIES_AT_ONCE)
            fitting[:0] = await self.fitting(page.items[start:end])
            end = start
        return FeedPage(tuple(fitting[-limit:]), page.next)

    async def _with_bodies(self, items: Sequence[FeedItem]) -> Iterable[FeedItem]:
        events = {event for event in map(event_of, items) if event is not None}
        bodies = await self._store.read(queries.bodies_by_id, events)
        now = now_ms()
        return [
            one
            for one in items
            if self._wanted.matches(subject_of(one, bodies.get(event_of(one) or 0)), now)
        ]
