"""A new token, in clear only while it is revealed, and never in a picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from textual.strip import Strip

from hooktui.console.widgets.painted import Painted, Piece
from hooktui.console.widgets.secret_lines import REVEALED_CLASS

_MASK_LENGTH: Final = 26
"""Whatever its length: a masked token tells nothing about itself."""


class TokenLine(Painted):
    """One line: ``token  hkt_…`` or dots."""

    DEFAULT_CSS = "TokenLine { height: 1; width: 1fr; }"

    def __init__(self, mask: str, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._mask = mask * _MASK_LENGTH
        self._clear = ""
        self._in_picture = False

    @property
    def revealed(self) -> bool:
        """Whether the token stands there in clear."""
        return bool(self._clear)

    def reveal(self, token: str) -> None:
        """Show a token; an empty one masks it again."""
        self._clear = token
        self.set_class(bool(token), REVEALED_CLASS)
        self.refresh()

    @contextmanager
    def masked(self) -> Iterator[None]:
        """Draw the mask for the time that a picture is taken."""
        self._in_picture = True
        self.refresh()
        try:
            yield
        finally:
            self._in_picture = False
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the token or its mask."""
        clear = "" if self._in_picture else self._clear
        shown: Piece = (clear, "strong") if clear else (self._mask, "quiet")
        return self.strip(((" token  ", "accent"), shown), self.size.width)
