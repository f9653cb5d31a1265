"""The text that a console shows, and waits for it."""

import time
from collections.abc import Callable

from textual._context import visible_screen_stack
from textual.app import App
from textual.pilot import Pilot
from textual.strip import Strip

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
    return "\n".join(strip.text.rstrip() for strip in drawn(pilot.app))


def drawn(app: App[None]) -> list[Strip]:
    """Return the lines that the terminal shows, with the screens below a dialog.

    Without the screens below, Textual draws a blank backdrop and keeps it for what the app
    draws next.
    """
    visible_screen_stack.set(app._background_screens)
    return app.screen._compositor.render_strips()


def notice_of(line: StatusLine) -> str:
    """Return the notice that a status line shows; empty without one."""
    return " ".join(line._notice_lines(line.app.size.width))


def rows_of(view: DocumentView) -> list[str]:
    """Return the text of all rows of a document as drawn."""
    return [view._strip(row).text.rstrip() for row in range(len(view._rows))]


def lines_of(plots: Plots) -> list[str]:
    """Return the text of all lines of some plots."""
    return ["".join(text for text, _ in line) for line in plots._lines]
