"""A filter over the change feed; the bodies of events are read only where a term asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from hooktui.api.feed_subjects import event_of, subject_of
from hooktui.domain.clock import now_ms
from hooktui.domain.filters.parser import Filter, Key
from hooktui.store import queries
from hooktui.store.contract import FeedItem, Sieve

if TYPE_CHECKING:
    from sqlalchemy import Connection

_IN_BODIES = (Key.DATA, Key.WORD)
_BODIES_AT_ONCE: Final = 20
"""Bodies have up to 256 KiB, so few of them are held at a time."""


def sieve_of(wanted: Filter | None) -> Sieve | None:
    """Return what passes the changes that fit a filter; None: it passes all."""
    if wanted is None or not wanted.terms:
        return None
    quick = Filter(tuple(term for term in wanted.terms if term.key not in _IN_BODIES))
    needs_bodies = len(quick.terms) < len(wanted.terms)

    def sieve(
        conn: Connection, items: Sequence[FeedItem]
    ) -> Iterator[tuple[FeedItem, bool] | None]:
        now = now_ms()
        for start in range(0, len(items), _BODIES_AT_ONCE):
            some = items[start : start + _BODIES_AT_ONCE]
            found = set()
            for place, item in enumerate(some):
                yield None
                if (yield from quick.match_steps(subject_of(item), now)):
                    found.add(place)
            bodies: dict[int, bytes] = {}
            if needs_bodies and found:
                events = {event for place in found if (event := event_of(some[place])) is not None}
                bodies = queries.bodies_by_id(conn, events)
            for place, item in enumerate(some):
                fits = place in found
                if fits and needs_bodies:
                    subject = subject_of(item, bodies.get(event_of(item) or 0))
                    fits = yield from wanted.match_once_steps(subject, now)
                yield item, fits

    return sieve
