"""A new token, in clear only while it is revealed, and never in a picture."""

from __future__ import annotations

from textual.strip import Strip

from hooktui.console.widgets.maskable import REVEALED_CLASS, Maskable
from hooktui.console.widgets.painted import Piece


class TokenLine(Maskable):
    """One line: ``token  hkt_…`` or dots."""

    DEFAULT_CSS = "TokenLine { height: 1; width: 1fr; }"

    def __init__(self, mask: str, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(mask, id=id)
        self._clear = ""

    @property
    def revealed(self) -> bool:
        """Whether the token stands there in clear."""
        return bool(self._clear)

    def reveal(self, token: str) -> None:
        """Show a token."""
        self._clear = token
        self.set_class(bool(token), REVEALED_CLASS)
        self.refresh()

    def hide(self) -> None:
        """Mask it again."""
        self.reveal("")

    def render_line(self, y: int) -> Strip:
        """Draw the token or its mask."""
        clear = "" if self.in_picture else self._clear
        shown: Piece = (clear, "strong") if clear else (self.mask, "quiet")
        return self.strip(((" token  ", "accent"), shown), self.size.width)
