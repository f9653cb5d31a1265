"""Screens that paint only what is visible, and no faster than their terminal accepts it.

Textual queues up to 30 frames and then blocks the app: at 256 kbit/s a log was 10 s behind, and so
was every key, and quitting. While the terminal has not accepted the last frame, nothing is painted;
changes meanwhile are in the next frame: over a slow line frames are dropped.
"""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING

from hooktui.console.shell.terminal_size import SizedScreen

if TYPE_CHECKING:
    pass


class PacedScreen(SizedScreen[None]):
    """A screen that looks whether it is seen, and at its terminal, before it paints."""

    @property
    def is_current(self) -> bool:
        """Whether it is seen: in front, or below others that it shines through.

        Textual's own says so of any screen below the one in front, whose every cell is then painted
        again for whatever changes in the one that it hides.
        """
        for screen in reversed(self.app.screen_stack):
            if screen is self:
                return True
            if screen.styles.background.a == 1:
                return False
        return False

    def _on_timer_update(self) -> None:
        # Textual's own, tested here: the timer goes on until this paints, and so looks again.
        if self.app.is_headless or _takes_more():
            super()._on_timer_update()


def _takes_more() -> bool:
    """Return whether the terminal that Textual writes to (stderr) has taken what was written."""
    stream = sys.__stderr__
    if stream is None:
        return True
    poll = select.poll()  # not select(): it takes no descriptor above 1,023
    poll.register(stream.fileno(), select.POLLOUT)
    return bool(poll.poll(0))
