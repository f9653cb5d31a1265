"""Why a hook received an event or did not: from the stored skips and the current hook.

When an event is accepted, only the hooks that subscribe to its type are considered, and only their
skips are stored. Everything else is derived here, on request; if the hook has changed since, the
reason is "as of now". A dry run applies the same rules to past events.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Final

from hooktui.domain.catalogue import PING, subscribes
from hooktui.domain.errors import Refused
from hooktui.domain.filters.data import UNREADABLE, first_steps
from hooktui.domain.filters.parser import parse_hook_filter
from hooktui.domain.filters.terms import Filter, FilterKey, Subject, Term
from hooktui.domain.json_text import Steps
from hooktui.domain.wire.hooks import Change, DryRun, TriedEvent

MAX_NAMED: Final = 5
"""Names of a selection, and terms of a filter, that a reason lists."""

MAX_LETTERS: Final = 60
"""Characters of a body's value in a reason."""


class HookOutcome(StrEnum):
    """The outcome of an event for a hook.

    ``later``: the hook subscribes to it now, but did not when the event was received.
    """

    SENT = "sent"
    DISABLED = "disabled"
    FILTER = "filter"
    SELF = "self"
    NOT_SUBSCRIBED = "not_subscribed"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class OutcomeReason:
    """An outcome with its reason in words; ``as_of_now``: the hook may have been different then."""

    outcome: HookOutcome
    reason: str
    as_of_now: bool = False


@dataclass(frozen=True, slots=True)
class HookFacts:
    """The relevant part of a hook: selection, filter, state, and times of creation and change."""

    events: Sequence[str]
    filter: str | None
    active: bool
    created_ms: int
    changed_ms: int


@dataclass(frozen=True, slots=True)
class EventFacts:
    """The relevant part of an event.

    ``data`` is its parsed body (`UNREADABLE`: it cannot be read), ``purged`` if there is none.
    ``subject`` is the event for filters: one object for all hooks, since it caches.
    """

    type: str
    at_ms: int
    data: object = None
    purged: bool = False
    subject: Subject = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        subject = Subject(at_ms=self.at_ms, event_type=self.type, data=lambda: self.data)
        object.__setattr__(self, "subject", subject)


def why_skipped_steps(hook: HookFacts, event: EventFacts, reason: str) -> Steps[OutcomeReason]:
    """Return why a subscribed hook was skipped, by the stored reason."""
    changed = hook.changed_ms > event.at_ms
    if reason == HookOutcome.DISABLED:
        now = "; it is active now" if hook.active else ""
        return OutcomeReason(HookOutcome.DISABLED, f"was disabled when the event was received{now}")
    if reason == HookOutcome.SELF:
        return OutcomeReason(HookOutcome.SELF, "an alert about a hook is not sent to that hook")
    if hook.filter is None:
        return OutcomeReason(
            HookOutcome.FILTER, "its filter at that time did not match; it has none now", True
        )
    if event.purged:
        return OutcomeReason(
            HookOutcome.FILTER, "its filter did not match; the body is purged", changed
        )
    misfits = yield from misfitting_steps(hook.filter, event)
    if not misfits:
        return OutcomeReason(
            HookOutcome.FILTER, "its filter at that time did not match; the current one would", True
        )
    return OutcomeReason(
        HookOutcome.FILTER, f"its filter did not match: {_listed(misfits, '; ')}", changed
    )


def why_not_subscribed(hook: HookFacts, event: EventFacts) -> OutcomeReason:
    """Return why an event did not concern a hook at all."""
    if event.type == PING:
        return OutcomeReason(HookOutcome.NOT_SUBSCRIBED, "a ping is only sent to the pinged hook")
    if hook.created_ms > event.at_ms:
        return OutcomeReason(HookOutcome.LATER, "was created after the event was received")
    if subscribes(hook.events, event.type):
        return OutcomeReason(
            HookOutcome.LATER, "subscribes to it now, but did not when it was received", True
        )
    selection = _listed(hook.events, ", ")
    return OutcomeReason(
        HookOutcome.NOT_SUBSCRIBED, f"subscribes to {selection}", hook.changed_ms > event.at_ms
    )


def misfitting_steps(text: str, event: EventFacts) -> Steps[list[str]]:
    """Return the terms of a hook's filter that an event does not match, with the actual values."""
    try:
        parsed = parse_hook_filter(text)
    except Refused:
        return []  # written by another version
    misfits = []
    for index, term in enumerate(parsed.terms):
        yield
        if not (yield from term.match_steps(event.subject, event.at_ms)):
            actual = yield from _actual_steps(term, event)
            misfits.append(f"{_written(parsed, index)} ({actual})")
    return misfits


def _written(parsed: Filter, index: int) -> str:
    """Return a term as written in the filter's text."""
    end = parsed.terms[index + 1].column - 1 if index + 1 < len(parsed.terms) else None
    return _cut(parsed.source[parsed.terms[index].column - 1 : end].strip())


def _actual_steps(term: Term, event: EventFacts) -> Steps[str]:
    if term.key is not FilterKey.DATA:
        return f"it is {event.type}"
    if event.data is UNREADABLE:
        return "the body cannot be read"
    values = yield from first_steps(event.data, term.path, MAX_NAMED + 1)
    if not values:
        return "there is no such field"
    shown = [_shown(value) for value in values]
    return f"it is {_listed(shown, ', ')}"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    text = json.dumps(value[:MAX_LETTERS] if isinstance(value, str) else value, ensure_ascii=False)
    # A lone surrogate is valid JSON, but cannot be encoded.
    return _cut(text.encode("utf-8", "backslashreplace").decode())


def _listed(names: Sequence[str], between: str) -> str:
    rest = len(names) - MAX_NAMED
    return between.join(names[:MAX_NAMED]) + (f"{between}{rest} more" if rest > 0 else "")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_LETTERS else f"{text[:MAX_LETTERS]}…"


MAX_SHOWN: Final = 20
"""Events of each kind that the result names."""

_ORDER: Final = (Change.MORE, Change.FEWER, Change.SAME)


@dataclass(frozen=True, slots=True)
class Selection:
    """A selection of a hook: types and groups, and a filter of bodies."""

    events: frozenset[str]
    filter: Filter | None

    @property
    def needs_data(self) -> bool:
        """Whether the bodies are needed."""
        return self.filter is not None and self.filter.needs_data

    def matches_steps(self, event: Subject) -> Steps[bool]:
        """Return whether an event would be sent."""
        if not subscribes(self.events, event.event_type or ""):
            return False
        return self.filter is None or (yield from self.filter.match_steps(event, 0))


@dataclass(frozen=True, slots=True)
class PastEvent:
    """A past event: its public id, type, time, and body for filters.

    ``purged``: the body is deleted.
    """

    id: str
    type: str
    created_at: str
    data: object
    purged: bool


def dry_run_steps(
    events: Iterable[PastEvent], tried: Selection, now: Selection | None
) -> Steps[DryRun]:
    """Assess events, newest first, with the tried settings and an existing hook's own."""
    looked = sent = sent_now = unknown = 0
    since: str | None = None
    kinds: dict[Change, list[TriedEvent]] = {change: [] for change in _ORDER}
    counts = dict.fromkeys(_ORDER, 0)
    for event in events:
        since = event.created_at
        if event.purged and any(_needs_body(selection, event.type) for selection in (tried, now)):
            unknown += 1
            continue
        looked += 1
        yield
        subject = Subject(at_ms=0, event_type=event.type, data=partial(getattr, event, "data"))
        fits = yield from tried.matches_steps(subject)
        fits_now = fits if now is None else (yield from now.matches_steps(subject))
        yield from subject.forget_steps()
        sent += fits
        sent_now += fits_now
        if not fits and not fits_now:
            continue
        change = Change.SAME if fits == fits_now else Change.MORE if fits else Change.FEWER
        counts[change] += 1
        if len(kinds[change]) < MAX_SHOWN:
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
        data=tuple(tried_event for change in _ORDER for tried_event in kinds[change]),
    )


def _needs_body(tried: Selection | None, event_type: str) -> bool:
    """Return whether an event cannot be assessed without its body."""
    return tried is not None and tried.needs_data and subscribes(tried.events, event_type)
