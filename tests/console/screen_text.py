"""The text that a console shows, and waits for it."""

import time
from collections.abc import Callable

from textual.pilot import Pilot

from tests.support.waiting import LIMIT_S


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    """Wait until something is so on the screen."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, "it did not come about in time:\n" + seen(pilot)
        await pilot.pause(0.05)


def seen(pilot: Pilot[None]) -> str:
    """Return what the terminal shows."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)
