"""A console, and the hands on its keyboard."""

from __future__ import annotations

import time

from textual._context import visible_screen_stack
from textual.pilot import Pilot
from textual.strip import Strip

from hooktui.client import AsyncClient
from hooktui.console.app import ConsoleApp
from hooktui.console.frame.screen import full_screens

SETTLED_S, PATIENCE_S = 0.3, 20.0

_NAMES = {" ": "space", "/": "slash", ":": "colon", ".": "full_stop", "-": "minus"}
_LASTING = ("feed", "command ")
"""Names of workers that wait for what may never come: a change, an answer to a question."""


class Guide:
    """Presses keys, and waits for what they bring about."""

    def __init__(self, app: ConsoleApp, pilot: Pilot[None], client: AsyncClient) -> None:
        self.app = app
        self.pilot = pilot
        self.client = client

    async def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Press the keys of a text."""
        await self.pilot.press(*(_NAMES.get(letter, letter) for letter in text))

    async def listed(self) -> None:
        """Wait until the home screen is complete."""
        await self.sees("Data warehouse")
        if self.app.size.height >= 20:  # else the log has no room
            await self.sees("job.")
        await self.settled()

    async def sees(self, text: str) -> None:
        """Wait until a text is on the screen."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.screen():
            if time.monotonic() > deadline:
                raise SystemExit(f"{text!r} did not appear; this did:\n{self.screen()}")
            await self.pilot.pause(0.05)

    async def settled(self) -> None:
        """Wait until nothing is asked any more, and the screen has not changed for a moment."""
        before, since = self._drawn(), time.monotonic()
        while time.monotonic() - since < SETTLED_S:
            now = self._drawn()
            if now != before or self._asking():
                before, since = now, time.monotonic()
            await self.pilot.pause(0.05)

    def _asking(self) -> bool:
        """Return whether an answer is still on its way, besides the feed's and an admin's."""
        return any(screen._changes_due for screen in full_screens(self.app)) or any(
            worker.is_running and not worker.name.startswith(_LASTING)
            for worker in self.app.workers
        )

    def screen(self) -> str:
        """Return what is on the screen, as text."""
        return "\n".join(strip.text for strip in self._drawn())

    def _drawn(self) -> list[Strip]:
        """Return what is on the screen, with its colours, and what is below a dialog."""
        visible_screen_stack.set(self.app._background_screens)
        return self.app.screen._compositor.render_strips()
