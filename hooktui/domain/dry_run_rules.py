"""Judging the events of the past by a hook's selection and filter, and by those that are tried."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from hooktui.domain.catalogue import subscribes
from hooktui.domain.dry_run import Change, DryRun, TriedEvent
from hooktui.domain.filter_terms import Filter, Subject
from hooktui.domain.json_text import Steps

MOST_SHOWN: Final = 20
"""Events of each kind that the answer names."""

_ORDER: Final = (Change.MORE, Change.FEWER, Change.SAME)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a hook asks for: types and groups, and a filter of their bodies."""

    events: frozenset[str]
    filter: Filter | None

    @property
    def needs_data(self) -> bool:
        """Whether bodies have to be read to judge."""
        return self.filter is not None and self.filter.needs_data

    def takes_steps(self, event: Subject) -> Steps[bool]:
        """Return whether an event would be sent."""
        if not subscribes(self.events, event.event_type or ""):
            return False
        return self.filter is None or (yield from self.filter.match_steps(event, 0))


@dataclass(frozen=True, slots=True)
class PastEvent:
    """An event to try: its public id, its type, when it came, its body as filters read it.

    ``purged``: the body is gone.
    """

    id: str
    type: str
    created_at: str
    data: object
    purged: bool = False


def dry_run_steps(events: Iterable[PastEvent], tried: Wish, now: Wish | None) -> Steps[DryRun]:
    """Judge events, newest first, by tried settings and (for a hook that exists) by its own."""
    looked = sent = sent_now = unknown = 0
    since: str | None = None
    kinds: dict[Change, list[TriedEvent]] = {change: [] for change in _ORDER}
    counts = dict.fromkeys(_ORDER, 0)
    for event in events:
        since = event.created_at
        if event.purged and any(_unjudged(wish, event.type) for wish in (tried, now)):
            unknown += 1
            continue
        looked += 1
        yield
        subject = Subject(at_ms=0, event_type=event.type, data=partial(_data, event))
        takes = yield from tried.takes_steps(subject)
        took = takes if now is None else (yield from now.takes_steps(subject))
        yield from subject.forget_steps()
        sent += takes
        sent_now += took
        if not takes and not took:
            continue
        change = Change.SAME if takes == took else Change.MORE if takes else Change.FEWER
        counts[change] += 1
        if len(kinds[change]) < MOST_SHOWN:
            shown = TriedEvent(
                id=event.id, type=event.type, created_at=event.created_at, change=change
            )
            kinds[change].append(shown)
    return DryRun(
        looked=looked,
        since=since,
        sent=sent,
        sent_now=None if now is None else sent_now,
        more=counts[Change.MORE],
        fewer=counts[Change.FEWER],
        unknown=unknown,
        data=tuple(one for change in _ORDER for one in kinds[change]),
    )


def _unjudged(wish: Wish | None, event_type: str) -> bool:
    """Return whether a wish cannot judge an event without its body."""
    return wish is not None and wish.needs_data and subscribes(wish.events, event_type)


def _data(event: PastEvent) -> object:
    return event.data
