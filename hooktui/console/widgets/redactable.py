"""Text that may be revealed on the screen for a while, and never in a picture of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hooktui.console.widgets.styled import LineWidget

REVEALED_CLASS: Final = "-revealed"
"""Set while a widget is revealed; a picture masks such widgets."""

MASK: Final = "•" * 26
"""Every mask: one length, so that it gives no hint about the text."""


class Redactable(LineWidget):
    """A widget that draws a mask unless it is revealed."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self.in_picture = False

    @property
    def revealed(self) -> bool:
        """Whether the text is readable."""
        raise NotImplementedError

    def hide(self) -> None:
        """Mask it, and forget what it was."""
        raise NotImplementedError

    @contextmanager
    def masked(self) -> Iterator[None]:
        """Draw the mask for the time that a picture is taken."""
        self.in_picture = True
        self.refresh()
        try:
            yield
        finally:
            self.in_picture = False
            self.refresh()
