"""The input of a line that opens above the status line, for those who type faster than it opens."""

from __future__ import annotations

from textual.widgets import Input


class PromptInput(Input):
    """An input whose Enter comes behind all letters before it.

    Letters that were typed before the input had the focus are handed to it by the app, and wait in
    its queue; Enter is a binding, and would submit the text without them.
    """

    async def action_submit(self) -> None:
        """Submit once the letters are in."""
        self.call_later(super().action_submit)
