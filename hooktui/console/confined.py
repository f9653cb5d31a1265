"""What Textual itself can do beside drawing, and does not in restricted mode.

A suspended app gives the terminal back to whatever started it, a link starts a browser, a picture
lands on the disk of the machine.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from textual.app import App, SuspendNotSupported

from hooktui.console.shell.reliable_timers import ReliableTimers
from hooktui.domain.roles import not_here


class ConfinedApp(ReliableTimers, App[None]):
    """An app that does nothing but talk to its terminal and its server when it is restricted.

    Attributes:
        restricted: whether it is.
    """

    restricted: bool = False

    def confine(self) -> None:
        """Ignore ctrl+z, which the terminal driver has set up by now."""
        if self.restricted:
            signal.signal(signal.SIGTSTP, signal.SIG_IGN)

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """Leave the terminal to another program for a while.

        Raises:
            SuspendNotSupported: not in restricted mode.
        """
        if self.restricted:
            raise SuspendNotSupported(str(not_here("leaving the console")))
        with super().suspend():
            yield

    def action_suspend_process(self) -> None:
        """Stop the process, as ctrl+z does elsewhere."""
        if not self.restricted:
            super().action_suspend_process()

    def open_url(self, url: str, *, new_tab: bool = True) -> None:
        """Show a page in a browser."""
        if not self.restricted:
            super().open_url(url, new_tab=new_tab)

    def save_screenshot(
        self, filename: str | None = None, path: str | None = None, time_format: str | None = None
    ) -> str:
        """Write a picture of the screen.

        Raises:
            NotAllowed: not in restricted mode.
        """
        self._no_files()
        return super().save_screenshot(filename, path, time_format)

    def deliver_screenshot(
        self, filename: str | None = None, path: str | None = None, time_format: str | None = None
    ) -> str | None:
        """Hand a picture of the screen over as a file.

        Raises:
            NotAllowed: not in restricted mode.
        """
        self._no_files()
        return super().deliver_screenshot(filename, path, time_format)

    def _no_files(self) -> None:
        if self.restricted:
            raise not_here("writing a file")
