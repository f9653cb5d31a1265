"""Text that can be revealed on the screen for a while, but never in a screenshot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hooktui.console.widgets.styled import LineWidget

REVEALED_CLASS: Final = "-revealed"
"""CSS class of a revealed widget; screenshots mask such widgets."""

MASK: Final = "•" * 26
"""The mask of every text; its fixed length reveals nothing about the text."""


class Redactable(LineWidget):
    """A widget that draws a mask unless it is revealed."""

    def __init__(self) -> None:
        super().__init__()
        self.in_picture = False

    @property
    def revealed(self) -> bool:
        """Whether the text is readable."""
        raise NotImplementedError

    def hide(self) -> None:
        """Mask the text and discard it."""
        raise NotImplementedError

    @contextmanager
    def masked(self) -> Iterator[None]:
        """Draw the mask while a screenshot is taken."""
        self.in_picture = True
        self.refresh()
        try:
            yield
        finally:
            self.in_picture = False
            self.refresh()
