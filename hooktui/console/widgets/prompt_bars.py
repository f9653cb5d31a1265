"""The lines where a filter or a search is typed, and their input.

A filter narrows the list while it is typed: Enter keeps it and returns the keys to the list, Esc
removes it. A search jumps to the first match.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from rich.highlighter import Highlighter
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input

from hooktui.console.registry import bindings
from hooktui.console.widgets.chrome import OneLine


class _Typed(Protocol):
    """What an input shows, as far as we touch it."""

    plain: str

    def stylize(self, style: str | Style, start: int, end: int | None) -> None:
        """Give a part of it a style."""


class _Underline(Highlighter):
    """Underlines the word that begins at a place; None: nothing."""

    def __init__(self) -> None:
        self.at: int | None = None
        self.style = Style(underline=True, bold=True)

    def highlight(self, text: _Typed) -> None:
        """Mark the word in what the input shows."""
        if self.at is not None:
            words = text.plain[self.at :].split(maxsplit=1)
            # There may be nothing: the text is drawn before it is known to have changed.
            text.stylize(self.style, self.at, self.at + (len(words[0]) if words else 1))


class FilterBar(Horizontal):
    """A prompt and an input that says on every change what is typed.

    What is wrong in it is underlined, from `mark` until the next letter.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("back")]
    DEFAULT_CSS = """
    FilterBar { height: 1; }
    FilterBar OneLine { width: 9; background: $panel; }
    """

    PROMPT = " filter /"

    class Typed(Message):
        """The text is another one."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

        def can_replace(self, message: Message) -> bool:
            """Only the latest text counts."""
            return isinstance(message, FilterBar.Typed)

    class Left(Message):
        """The keys go back to the list; ``kept`` tells whether the filter stays."""

        def __init__(self, *, kept: bool) -> None:
            super().__init__()
            self.kept = kept

    def __init__(self, text: str, hint: str) -> None:
        super().__init__()
        self._text = text
        self._hint = hint
        self._underline = _Underline()

    def compose(self) -> ComposeResult:
        """Lay out prompt and input."""
        prompt = OneLine()
        prompt.show(((self.PROMPT, "accent"),))
        yield prompt
        typed = PromptInput(
            self._text, placeholder=self._hint, compact=True, highlighter=self._underline
        )
        typed.cursor_blink = False
        yield typed

    def mark(self, at: int | None) -> None:
        """Underline the word at a place of the text, from 0."""
        self._underline.at = at
        self.query_one(Input).refresh()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Pass on what is typed."""
        event.stop()
        self._underline.at = None
        self.post_message(self.Typed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter."""
        event.stop()
        self.post_message(self.Left(kept=True))

    def action_command(self, name: str) -> None:
        """Take the filter away (Esc is the only command here)."""
        self.post_message(self.Left(kept=False))


async def open_filter(screen: Screen[None], text: str, hint: str) -> None:
    """Open the filter of a screen above its status line; returns once keys go there.

    A screen awaits it in its command: somebody may type on without a pause.
    """
    if not screen.query(FilterBar):
        bar = FilterBar(text, hint)
        await screen.mount(bar, before="#status")
        screen.set_focus(bar.query_one(Input))


class PromptInput(Input):
    """An input whose Enter comes behind all letters before it.

    Letters that were typed before the input had the focus are handed to it by the app, and wait in
    its queue; Enter is a binding, and would submit the text without them.
    """

    async def action_submit(self) -> None:
        """Submit once the letters are in."""
        self.call_later(super().action_submit)


class SearchBar(FilterBar):
    """Like the line of a filter; Enter keeps the search, Esc ends it."""

    PROMPT = " search"

    class Typed(FilterBar.Typed):
        """The text is another one."""

    class Left(FilterBar.Left):
        """The keys go back to the text; ``kept`` tells whether the search goes on."""
