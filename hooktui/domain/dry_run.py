"""What a hook would have got of the latest events with another selection or filter: a dry run.

Only the selection of events and the filter are tried, on events that are there already: nothing is
sent and nothing saved. Whether a hook is active does not count; pings are nobody's events.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MOST_EVENTS: Final = 1000
"""Events that one dry run looks at, the latest."""

MOST_BYTES: Final = 16 * 1024 * 1024
"""Bodies that one dry run reads for a filter: some 0.2 s of work, whatever is stored."""


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


def in_words(run: DryRun) -> str:
    """Return what would have been got: ``214 of the last 1,000 events, 3 fewer than now``."""
    unknown = ""
    if run.unknown:
        bodies = "its body is" if run.unknown == 1 else "their bodies are"
        unknown = f"; {run.unknown:,} cannot be judged, {bodies} purged"
    if not run.looked:
        return f"nothing, for no event has come yet{unknown}"
    of = "the one event so far" if run.looked == 1 else f"the last {run.looked:,} events"
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
