"""What a hook would have got of the latest events with another selection or filter: a dry run.

Only the selection of events and the filter are tried, on events that are there already: nothing is
sent and nothing saved. Whether a hook is active does not count; pings are nobody's events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from hooktui.domain.catalogue import PING, subscribes

if TYPE_CHECKING:
    from hooktui.domain.filter_terms import Filter

MOST_EVENTS: Final = 1000
"""Events that one dry run looks at, the latest."""

MOST_BYTES: Final = 16 * 1024 * 1024
"""Bodies that one dry run reads for a filter: some 0.2 s of work, whatever is stored."""

MOST_SHOWN: Final = 20
"""Events of each kind that the answer names."""


class Change(StrEnum):
    """What the tried settings mean for an event that the hook gets: as now, more, or no longer."""

    SAME = "same"
    MORE = "more"
    FEWER = "fewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedEvent:
    """One event of a dry run; ``change`` is one of `Change`."""

    id: str
    type: str
    created_at: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What became of a dry run; all but ``since`` and ``data`` are counts of events.

    ``looked`` of them were judged, back to ``since``. ``sent`` would have gone to the hook;
    ``sent_now`` as the hook is (None for a new one), ``more`` only with the tried settings,
    ``fewer`` only as it is. ``unknown`` could not be judged, for their bodies are purged. ``data``
    names the latest of each kind, changes first.
    """

    looked: int
    since: str | None
    sent: int
    sent_now: int | None
    more: int
    fewer: int
    unknown: int
    data: tuple[TriedEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a hook asks for: types and groups, and a filter of their bodies."""

    events: frozenset[str]
    filter: Filter | None

    @property
    def needs_data(self) -> bool:
        """Whether bodies have to be read to judge."""
        return self.filter is not None and self.filter.needs_data

    def takes(self, event_type: str, data: Callable[[], object]) -> bool:
        """Return whether an event would be sent; ``data`` is asked for only where it counts."""
        if event_type == PING or not subscribes(self.events, event_type):
            return False
        if self.filter is None:
            return True
        return self.filter.matches_event(event_type, data() if self.filter.needs_data else None)


@dataclass(frozen=True, slots=True)
class PastEvent:
    """An event to try: its public id, its type, when it came; ``data`` parses its body.

    ``purged``: the body is gone.
    """

    id: str
    type: str
    created_at: str
    data: Callable[[], object]
    purged: bool = False


def dry_run(events: Iterable[PastEvent], tried: Wish, now: Wish | None) -> DryRun:
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
        data = _once(event.data)
        takes = tried.takes(event.type, data)
        took = takes if now is None else now.takes(event.type, data)
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


_ORDER: Final = (Change.MORE, Change.FEWER, Change.SAME)


def in_words(run: DryRun) -> str:
    """Return what would have been got: ``214 of the last 1,000 events, 3 fewer than now``."""
    unknown = ""
    if run.unknown:
        bodies = "its body is" if run.unknown == 1 else "their bodies are"
        unknown = f"; {run.unknown:,} cannot be judged, {bodies} purged"
    if not run.looked:
        return f"nothing, for no event has come yet{unknown}"
    of = "the last event" if run.looked == 1 else f"the last {run.looked:,} events"
    return f"{run.sent:,} of {of}{_against_now(run)}{unknown}"


def _against_now(run: DryRun) -> str:
    if run.sent_now is None:
        return ""
    parts = []
    if run.more:
        parts.append(f"{run.more:,} more")
    if run.fewer:
        parts.append(f"{run.fewer:,} fewer")
    return f", {' and '.join(parts)} than now" if parts else ", the same as now"


def _unjudged(wish: Wish | None, event_type: str) -> bool:
    """Return whether a wish cannot judge an event without its body."""
    return wish is not None and wish.needs_data and subscribes(wish.events, event_type)


def _once(make: Callable[[], object]) -> Callable[[], object]:
    """Return what calls ``make`` at the first call only."""
    made: list[object] = []

    def value() -> object:
        if not made:
            made.append(make())
        return made[0]

    return value
