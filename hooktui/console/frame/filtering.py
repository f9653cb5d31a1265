"""A list that is narrowed by a filter while it is typed; what is wrong is shown at its place."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, cast

from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.shell.session_state import ScreenState
from hooktui.domain.errors import Refused
from hooktui.domain.filters.parser import FilterError

if TYPE_CHECKING:
    from hooktui.console.widgets.prompt_bars import FilterBar

THINKING_S: Final = 0.5
"""A filter is half typed most of the time; only after a pause it is wrong."""


class Filtering(ConsoleScreen):
    """A screen with a filter.

    Attributes:
        FILTER_HINT: what can be typed, with examples.
        filter_text: the filter that holds; empty for none.
    """

    FILTER_HINT: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(filter=self.filter)
        self.filter_text = ""
        self._wrong = ""
        self._wrong_at: int | None = None

    def check_filter(self, text: str) -> None:
        """Refuse a text that is no filter of what is listed here.

        Raises:
            Refused: says what is wrong, and where.
        """
        raise NotImplementedError

    def filtered(self) -> None:
        """Show what fits `filter_text`, which is another one now."""
        raise NotImplementedError

    def give_keys_back(self) -> None:
        """Put the focus where it was before somebody typed a filter."""
        raise NotImplementedError

    async def filter(self) -> None:
        """Let the admin type a filter; the list narrows while typing."""
        # Here, not above: the first paint needs no input.
        from hooktui.console.widgets.prompt_bars import open_filter

        await open_filter(self, self.filter_text, self.FILTER_HINT)

    def on_filter_bar_typed(self, message: FilterBar.Typed) -> None:
        """Narrow the list; where a filter is wrong, the last good one holds."""
        self.take_filter(message.text)

    def on_filter_bar_left(self, message: FilterBar.Left) -> None:
        """Go back to the list; a wrong filter stays to be mended, for it is not what is shown."""
        if message.kept and self._wrong:
            self._tell_wrong(self._wrong)
            return
        self.query("FilterBar").remove()
        self.give_keys_back()
        if not message.kept:
            self.take_filter("")

    def take_filter(self, text: str) -> None:
        """Take another filter, or say after a pause what is wrong with it, and where."""
        indent = len(text) - len(text.lstrip())
        text = text.strip()
        try:
            self.check_filter(text)
        except Refused as error:
            self._wrong = _told(error)
            at = error.column - 1 if isinstance(error, FilterError) else None
            self._wrong_at = None if at is None else indent + min(at, len(text) - 1)
            if self.query("FilterBar"):
                self.set_timer(THINKING_S, partial(self._tell_wrong, self._wrong))
            else:
                self.notice(self._wrong, "warn")  # it came whole, by the ``:`` line
                self._wrong = ""
            return
        if self._wrong:
            self._wrong = ""
            self.notices.clear()
        if text != self.filter_text:
            self.filter_text = text
            self.filtered()
            self.refresh_frame()

    def kept(self) -> ScreenState:
        """Return the filter."""
        return {"filter": self.filter_text}

    def restore(self, kept: ScreenState) -> None:
        """Take up the filter, if it still is one."""
        before, text = self.filter_text, str(kept.get("filter") or "")
        self.filter_text = ""
        with suppress(Refused):
            self.check_filter(text)
            self.filter_text = text
        if self.filter_text != before:
            self.filtered()

    def _tell_wrong(self, what: str) -> None:
        """Say what is wrong, and mark it, unless the next letter has mended it."""
        if what != self._wrong:
            return
        for bar in self.query("FilterBar"):
            self.notice(what, "warn")
            cast("FilterBar", bar).mark(self._wrong_at)


def _told(error: Refused) -> str:
    return "; ".join(one.detail for one in error.errors) or error.detail
