"""Matches events with the filters of hooks before the write transaction if that takes long.

Most events are matched inside it: a few filters on a small body take microseconds. Large bodies or
many filters are matched beforehand in slices of the event loop; the transaction then matches only
hooks that have changed since.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, TypeVar

from hooktui.domain.errors import TooLarge, Unavailable
from hooktui.domain.filters.data import Stored
from hooktui.domain.filters.terms import Subject
from hooktui.domain.ids import HookId
from hooktui.domain.json_text import Steps, most_values
from hooktui.slices import in_slices
from hooktui.store.contract import NewEvent
from hooktui.store.live_hooks import LiveHooks, Subscribers

R = TypeVar("R")

CHEAP: Final = 500_000
"""Filter values times bytes of bodies: about 1 ms."""
_MIN_BYTES: Final = 500
"""The cost of the smallest body: comparing a value takes about 1 µs."""
_SMALL_BYTES: Final = 8000
"""Filter values times bytes below which values of the body are not counted."""
_BYTES_OF_A_VALUE: Final = 100
"""A value takes 0.3 to 0.6 µs to parse and up to 0.2 µs to compare, however short it is."""
MAX_DELIVERIES: Final = 100_000
"""Limit of a batch, which is one transaction. A single event may have any number."""


class Match(NamedTuple):
    """Whether an event matches the filter of a hook, as of a version of the hook."""

    version: int
    fits: bool


HookMatches = Mapping[HookId, Match]
Matches = Mapping[int, HookMatches]
"""The evaluated filters, by the index of an event in its call."""

NO_MATCHES: Final[Matches] = {}
_UNKNOWN: Final = Match(-1, False)


class Outdated(Unavailable):
    """Hooks with many or expensive filters changed while an event was matched: match it again."""

    def __init__(self) -> None:
        super().__init__("hooks changed meanwhile; send the event again")


def check_fan_out(events: Sequence[NewEvent], live: LiveHooks) -> None:
    """Check that a batch does not create too many deliveries.

    Raises:
        TooLarge: it does; names the number.
    """
    if _are_few(events, live):
        return
    count = sum(len(live.subscribers(event.account, event.type).hooks) for event in events)
    if count > MAX_DELIVERIES:
        raise TooLarge(
            f"these {len(events):,} events would create up to {count:,} deliveries; at most"
            f" {MAX_DELIVERIES:,} are allowed for one request: send fewer events at once"
        )


def is_quick(events: Sequence[NewEvent], live: LiveHooks) -> bool:
    """Return whether there are no filters to match and few deliveries, as in nearly all calls."""
    return not live.filtered and _are_few(events, live)


def _are_few(events: Sequence[NewEvent], live: LiveHooks) -> bool:
    """Return whether there are few deliveries, whatever the hooks subscribe to."""
    return len(events) == 1 or len(events) * len(live.view) <= MAX_DELIVERIES


async def accept_matched(
    events: Sequence[NewEvent], live: LiveHooks, submit: Callable[[Matches], Awaitable[R]]
) -> R:
    """Match events first if that takes long, then submit them; repeat if hooks changed meanwhile.

    Raises:
        TooLarge: there would be too many deliveries.
    """
    check_fan_out(events, live)
    matches = NO_MATCHES
    while True:
        if _costs_over(events, live, matches, CHEAP):
            steps = _match_steps(events, live, matches)
            matches = await in_slices(steps, ("account", events[0].account))
        with suppress(Outdated):
            return await submit(matches)


def check_current(events: Sequence[NewEvent], live: LiveHooks, matches: Matches) -> None:
    """Check that little is left to match in the transaction.

    Raises:
        Outdated: too much is left.
    """
    if _costs_over(events, live, matches, 2 * CHEAP):
        raise Outdated


def _costs_over(events: Sequence[NewEvent], live: LiveHooks, matches: Matches, limit: int) -> bool:
    """Return whether what is left to match costs more than a limit."""
    cost = 0
    if not live.filtered:
        return False
    for index, event in enumerate(events):
        subscribers = live.subscribers(event.account, event.type)
        if not subscribers.weight:
            continue
        weight = subscribers.weight
        if index in matches:
            weight = _weight_left(subscribers, matches[index])
        if weight:
            cost += weight * _size(event.body, weight)
        if cost > limit:
            return True
    return False


def _size(body: bytes, weight: int) -> int:
    """Return the approximate cost of parsing a body, in bytes of a usual body."""
    size = len(body) + _MIN_BYTES
    if len(body) * weight > _SMALL_BYTES:
        size += _BYTES_OF_A_VALUE * most_values(body)
    return size


def _weight_left(subscribers: Subscribers, matches: HookMatches) -> int:
    return sum(
        hook.filter_weight
        for hook in subscribers.hooks
        if hook.filter is not None and matches.get(hook.id, _UNKNOWN).version != hook.version
    )


def _match_steps(events: Sequence[NewEvent], live: LiveHooks, earlier: Matches) -> Steps[Matches]:
    matches: dict[int, HookMatches] = {}
    for index, event in enumerate(events):
        yield
        # Captured now: hooks may change between two slices.
        subscribers = live.subscribers(event.account, event.type)
        before = earlier.get(index, {})
        of_event: dict[HookId, Match] = {}
        subject = subject_of(event)
        for hook in subscribers.hooks if subscribers.weight else ():
            if hook.filter is None:
                continue
            yield
            match = before.get(hook.id, _UNKNOWN)
            if match.version != hook.version:
                fits = hook.active and (yield from hook.filter.match_steps(subject, 0))
                match = Match(hook.version, fits)
            of_event[hook.id] = match
        yield from subject.forget_steps()
        if of_event:
            matches[index] = of_event
    return matches


def subject_of(event: NewEvent) -> Subject:
    """Return an event as filters read it: one object for all hooks, since it caches."""
    return Subject(at_ms=0, event_type=event.type, data=partial(Stored, event.body))
