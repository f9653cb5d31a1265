"""Which hooks an event fits, worked out before the write transaction where that takes long.

Most events are matched inside it: a few filters on a small body take microseconds. Where bodies are
large, or filters many, they are matched in slices of the event loop first; in the transaction only
the hooks that were changed since are matched again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

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
"""Values of filters times bytes of bodies: about 1 ms."""
_LEAST_BYTES: Final = 500
"""What the smallest body costs: a value is compared in about 1 µs."""
_SMALL_BYTES: Final = 8000
_BYTES_OF_A_VALUE: Final = 100
"""A body of very many values is read in 0.3 to 0.6 µs a value, however few bytes they have."""
MOST_DELIVERIES: Final = 100_000
"""Of a batch: all of it is one transaction. A single event may have any number."""

Matches = Mapping[int, Mapping[HookId, tuple[int, bool]]]
"""By the place of an event in its call, and by hook: the hook's version, and whether it fits."""

NO_MATCHES: Final[Matches] = {}


class Outdated(Unavailable):
    """Hooks with many or dear filters were changed while an event was matched: match it again."""

    def __init__(self) -> None:
        super().__init__("hooks were changed at this moment; send it again")


def check_fan_out(offers: Sequence[NewEvent], live: LiveHooks) -> None:
    """Refuse a batch that would make very many deliveries.

    Raises:
        TooLarge: says how many there would be.
    """
    if len(offers) == 1 or len(offers) * len(live.view) <= MOST_DELIVERIES:
        return
    count = sum(len(live.subscribers(one.account, one.type).hooks) for one in offers)
    if count > MOST_DELIVERIES:
        raise TooLarge(
            f"these {len(offers):,} events would make up to {count:,} deliveries; at most"
            f" {MOST_DELIVERIES:,} are made for one request: send fewer events at once"
        )


def is_quick(offers: Sequence[NewEvent], live: LiveHooks) -> bool:
    """Return whether there is nothing to match, nor too much to deliver: as nearly always."""
    return not live.filtered and (
        len(offers) == 1 or len(offers) * len(live.view) <= MOST_DELIVERIES
    )


async def accept_matched(
    offers: Sequence[NewEvent], live: LiveHooks, submit: Callable[[Matches], Awaitable[R]]
) -> R:
    """Match events as far as that takes long, and submit them; again when hooks changed meanwhile.

    Raises:
        TooLarge: there would be too many deliveries.
    """
    check_fan_out(offers, live)
    matches = NO_MATCHES
    while True:
        matches = await match_ahead(offers, live, matches)
        with suppress(Outdated):
            return await submit(matches)


async def match_ahead(offers: Sequence[NewEvent], live: LiveHooks, known: Matches) -> Matches:
    """Return how events fit the filters of hooks, if that takes long; else what is known."""
    if _cost(offers, live, known, CHEAP) <= CHEAP:
        return known
    return await in_slices(_match_steps(offers, live, known))


def check_current(offers: Sequence[NewEvent], live: LiveHooks, known: Matches) -> None:
    """Look whether what is left to match in the transaction is little.

    Raises:
        Outdated: it is much.
    """
    if _cost(offers, live, known, 2 * CHEAP) > 2 * CHEAP:
        raise Outdated


def _cost(offers: Sequence[NewEvent], live: LiveHooks, known: Matches, most: int) -> int:
    """Return what matching would cost, or something over ``most``."""
    cost = 0
    if not live.filtered:
        return cost
    for place, offer in enumerate(offers):
        subscribers = live.subscribers(offer.account, offer.type)
        if not subscribers.weight:
            continue
        weight = subscribers.weight
        if place in known:
            weight = _unknown_weight(subscribers, known[place])
        if weight:
            cost += weight * _size(offer.body)
        if cost > most:
            break
    return cost


def _size(body: bytes) -> int:
    """Return about what it costs to look into a body, in bytes of usual ones."""
    size = len(body) + _LEAST_BYTES
    if len(body) > _SMALL_BYTES:
        size += _BYTES_OF_A_VALUE * most_values(body)
    return size


def _unknown_weight(subscribers: Subscribers, known: Mapping[HookId, tuple[int, bool]]) -> int:
    return sum(
        hook.filter_weight
        for hook in subscribers.hooks
        if hook.filter is not None and known.get(hook.id, _NEVER)[0] != hook.version
    )


_NEVER: Final = (-1, False)


def _match_steps(offers: Sequence[NewEvent], live: LiveHooks, known: Matches) -> Steps[Matches]:
    found: dict[int, dict[HookId, tuple[int, bool]]] = {}
    for place, offer in enumerate(offers):
        yield
        # Taken now: hooks may be changed between two slices.
        subscribers = live.subscribers(offer.account, offer.type)
        before = known.get(place, {})
        here: dict[HookId, tuple[int, bool]] = {}
        subject = subject_of(offer)
        for hook in subscribers.hooks if subscribers.weight else ():
            if hook.filter is None:
                continue
            yield
            was = before.get(hook.id, _NEVER)
            if was[0] != hook.version:
                fits = hook.active and (yield from hook.filter.match_steps(subject, 0))
                was = (hook.version, fits)
            here[hook.id] = was
        yield from subject.forget_steps()
        if here:
            found[place] = here
    return found


def subject_of(offer: NewEvent) -> Subject:
    """Return an event as filters see it: one for all hooks, for it remembers."""
    return Subject(at_ms=0, event_type=offer.type, data=partial(Stored, offer.body))
