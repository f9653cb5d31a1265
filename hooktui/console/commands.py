"""What the words of the ``:`` line do."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING

from hooktui.console.command_words import Order, parse
from hooktui.console.places import PLACES

if TYPE_CHECKING:
    from hooktui.console.app import HooktuiApp

_PLACES = {place.name: place for place in PLACES}


def prepare(house: HooktuiApp, line: str) -> Callable[[], Coroutine[None, None, None]]:
    """Return what does a line.

    Raises:
        Refused: it is no command; says what is wrong, and at which column.
    """
    return partial(_do, house, parse(line, house.available_themes))


async def _do(house: HooktuiApp, order: Order) -> None:
    match order.word:
        case "hook":
            house.open_hook(int(order.about))
        case "delivery":
            house.open_delivery(order.about)
        case "event":
            house.open_event(order.about)
        case "account":
            await house.use_account(int(order.about))
        case "theme":
            house.theme = order.about
        case "filter" if order.about:
            _filter(house, order.about)
        case word if word in _PLACES:
            house.go(_PLACES[word])
            if order.about:
                _filter(house, order.about)
        case _:
            front = house.front()
            if front is not None:
                front.run_verb(order.verb)


def _filter(house: HooktuiApp, text: str) -> None:
    """Filter the screen in front; one that has just been opened once it is laid out."""
    front = house.front()
    if front is None:
        return
    reason = front.why_not("filter")
    if reason is not None:
        front.call_after_refresh(front.notice, reason, "warn")
    else:
        front.call_after_refresh(front.take_filter, text)
