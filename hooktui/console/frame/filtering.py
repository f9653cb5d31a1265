"""Filter that is applied to a list while it is typed; an error is marked at its position."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from hooktui.console.frame.notices import error_text
from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.widgets.prompt_bars import PromptBar
from hooktui.console.widgets.styled import StyledLine
from hooktui.domain.errors import Refused
from hooktui.domain.filters.parser import FilterError

THINKING_S: Final = 0.5
"""Seconds before an error is shown: a filter is incomplete for most of its typing."""


class FilterPart(ScreenPart):
    """Filters the list of a screen.

    Args:
        screen: the screen.
        hint: placeholder of the input, with examples.
        check: raises `Refused` for a text that is not a filter of this list.
        changed: called when ``text`` has changed; shows the matches.
        focus: moves the focus back to the list.

    Attributes:
        text: the applied filter; empty for none.
    """

    def __init__(
        self,
        screen: ConsoleScreen,
        hint: str,
        *,
        check: Callable[[str], object],
        changed: Callable[[], None],
        focus: Callable[[], object],
    ) -> None:
        self.text = ""
        self._screen, self._hint = screen, hint
        self._check, self._changed, self._focus = check, changed, focus
        self._bar: PromptBar | None = None
        self._error = ""
        self._error_at: int | None = None

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handler that opens the input of the filter."""
        return {"filter": self.open}

    def heading(self) -> StyledLine:
        """Return the filter for the heading of the screen; empty: there is none."""
        words = f" {self._screen.shell.glyphs.dot} filter: {self.text}"
        return ((words, "accent"),) if self.text else ()

    async def open(self) -> None:
        """Open the input of the filter, which is applied while it is typed."""
        if self._bar is None:
            self._bar = PromptBar(" filter /", self.text, self._hint, self.apply, self._leave)
        await self._bar.open(self._screen)

    def _leave(self, keep: bool) -> None:
        """Move the focus to the list; an invalid filter stays open, because it is not applied."""
        if self._bar is None:
            return
        if keep and self._error:
            self._show_error(self._error)
            if self._bar.has_focus_within:
                return
            self._error = ""
        bar, self._bar = self._bar, None
        bar.close(self._focus)
        if not keep:
            self.clear()

    def clear(self) -> bool:
        """Remove the filter; return whether there was one."""
        was = bool(self.text)
        self.apply("")
        return was

    def apply(self, text: str) -> None:
        """Apply another filter; an error is shown after a pause, and the last valid one remains."""
        filter_text = text.strip()
        try:
            self._check(filter_text)
        except Refused as error:
            self._refuse(text, error)
            return
        if self._error:
            self._error = ""
            self._screen.notices.clear()
        if filter_text != self.text:
            self.text = filter_text
            self._changed()
            self._screen.refresh_frame()

    def _refuse(self, text: str, error: Refused) -> None:
        """Show the error of a text: of one that is typed after a pause, and with its position."""
        if self._bar is None:
            self._screen.notice(error_text(error), "warn")  # a complete filter of the ``:`` line
            return
        self._error, self._error_at = error_text(error), None
        if isinstance(error, FilterError):
            indent = len(text) - len(text.lstrip())
            self._error_at = indent + min(error.column, len(text.strip())) - 1
        self._screen.set_timer(THINKING_S, partial(self._show_error, self._error))

    def restore(self, text: str) -> None:
        """Apply the filter of the last session, if it is still valid."""
        before, self.text = self.text, ""
        with suppress(Refused):
            self._check(text)
            self.text = text
        if self.text != before:
            self._changed()

    def _show_error(self, error: str) -> None:
        """Show an error and mark its position, unless the text has changed since."""
        if error == self._error and self._bar is not None:
            self._screen.notice(error, "warn")
            self._bar.mark(self._error_at)
