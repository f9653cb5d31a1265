"""The text that a console shows, and waits for it."""

import time
from collections.abc import Callable

from textual.pilot import Pilot

from hooktui.console.widgets.chrome import StatusLine
from hooktui.console.widgets.document_view import DocumentView
from hooktui.console.widgets.plot import Plots
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


def notice_of(line: StatusLine) -> str:
    """Return the notice that a status line shows; empty without one."""
    return " ".join(line._notice_lines(line.app.size.width))


def rows_of(view: DocumentView) -> list[str]:
    """Return the text of all rows of a document as drawn."""
    return [view._strip(row).text.rstrip() for row in range(len(view._rows))]


def lines_of(plots: Plots) -> list[str]:
    """Return the text of all lines of some plots."""
    return ["".join(text for text, _ in line) for line in plots._lines]
