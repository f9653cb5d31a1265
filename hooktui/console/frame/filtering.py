"""Filter that is applied to a list while it is typed; an error is marked at its position."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from hooktui.console.frame.notices import error_text
from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.widgets.prompt_bars import PromptBar
from hooktui.console.widgets.styled import StyledLine
from hooktui.domain.errors import Refused
from hooktui.domain.filters.parser import FilterError

if TYPE_CHECKING:
    from hooktui.console.command_language import Completion

THINKING_S: Final = 0.5
"""Seconds before an error is shown: a filter is incomplete for most of its typing."""

TYPING_S: Final = 0.3
"""Seconds without a key before the server is asked for the matches of a typed filter.

It searches for each filter that it was asked for, and refuses a user with over 20 that wait.
"""


class FilterPart(ScreenPart):
    """Filters the list of a screen.

    Args:
        screen: the screen.
        hint: placeholder of the input, with examples.
        check: raises `Refused` for a text that is not a filter of this list.
        changed: called when ``text`` has changed; shows the matches.
        focus: moves the focus back to the list.
        loads: whether the matches are loaded from the server.

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
        loads: bool = True,
    ) -> None:
        self.text = ""
        self._screen, self._hint, self._loads = screen, hint, loads
        self._check, self._changed, self._focus = check, changed, focus
        self._completion: Completion | None = None
        self._typed: str | None = None  # a text that is applied when the typing pauses
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
            from hooktui.console.command_language import Completion, complete_filter

            terms = self._screen.FILTER_TERMS
            self._completion = Completion(lambda text: complete_filter(text, terms))
            self._bar = PromptBar(
                " filter /", self.text, self._hint, self._type, self._leave, self._complete
            )
        await self._bar.open(self._screen)

    def _complete(self) -> None:
        """Complete the last term, and show the completions to choose from."""
        if self._bar is None or self._completion is None:
            return
        field = self._bar.input
        completed = self._completion.next(field.value)
        if completed is None:
            from hooktui.console.command_language import expected_in_filter

            self._screen.notice(expected_in_filter(self._screen.FILTER_TERMS), "warn")
            return
        field.value = completed
        field.cursor_position = len(completed)
        if self._completion.offers:
            self._screen.notice(self._completion.words({}))
        else:
            self._screen.notices.clear()

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
        if keep:
            self._apply_typed(self._typed)
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
        self._typed = None
        if self._accepts(text) and text.strip() != self.text:
            self.text = text.strip()
            self._changed()
            self._screen.refresh_frame()

    def _type(self, text: str) -> None:
        """Apply a text that is being typed; if that asks the server, once the typing pauses."""
        if self._completion is not None:
            self._completion.typed(text)
        if not self._loads:
            self.apply(text)
            return
        self._typed = text if self._accepts(text) else None
        if self._typed is not None:
            self._screen.set_timer(TYPING_S, partial(self._apply_typed, text))

    def _apply_typed(self, text: str | None) -> None:
        """Apply a typed text, unless that has been done or another one was typed since."""
        if text is not None and text == self._typed:
            self.apply(text)

    def _accepts(self, text: str) -> bool:
        """Return whether a text is a filter of this list; otherwise show the error."""
        try:
            self._check(text.strip())
        except Refused as error:
            self._refuse(text, error)
            return False
        if self._error:
            self._error = ""
            self._screen.notices.clear()
        return True

    def _refuse(self, text: str, error: Refused) -> None:
        """Show the error of a text: of one that is typed after a pause, and with its position."""
        if self._bar is None:
            self._screen.notice(error_text(error), "warn")  # a complete filter of the ``:`` line
            return
        self._error, self._error_at = error_text(error), None
        if isinstance(error, FilterError):
            indent = len(text) - len(text.lstrip())
            self._error_at = indent + min(error.column, len(text.strip())) - 1
        self._screen.set_timer(THINKING_S, partial(self._show_typed_error, self._error))

    def restore(self, text: str) -> None:
        """Apply a saved filter, if it is still valid; an input that is open for another closes."""
        bar, self._bar, self._typed, self._error = self._bar, None, None, ""
        if bar is not None:
            bar.close(self._focus)
        before, self.text = self.text, ""
        with suppress(Refused):
            self._check(text)
            self.text = text
        if self.text != before:
            self._changed()

    def _show_typed_error(self, error: str) -> None:
        """Show the error of a text that is being typed, but not over its completions."""
        if self._completion is None or not self._completion.offers:
            self._show_error(error)

    def _show_error(self, error: str) -> None:
        """Show an error and mark its position, unless the text has changed since."""
        if error == self._error and self._bar is not None:
            self._screen.notice(error, "warn")
            self._bar.mark(self._error_at)
