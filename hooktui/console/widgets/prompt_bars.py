"""The lines where a filter, a search or a command is typed, and their input.

A filter narrows the list while it is typed: Enter keeps it and returns the keys to the list, Esc
removes it. A search jumps to the first match. A line is open only while it has the focus.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, cast

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
    """Underlines the word that begins at a position; None: nothing."""

    def __init__(self) -> None:
        self.at: int | None = None
        self.style = Style(underline=True, bold=True)

    def highlight(self, text: _Typed) -> None:
        """Mark the word in what the input shows."""
        if self.at is not None:
            words = text.plain[self.at :].split(maxsplit=1)
            # There may be nothing: the text is drawn before it is known to have changed.
            text.stylize(self.style, self.at, self.at + (len(words[0]) if words else 1))


class PromptInput(Input):
    """An input whose Enter comes behind all letters before it.

    Letters that were typed before the input had the focus are handed to it by the app, and wait in
    its queue; Enter is a binding, and would submit the text without them.
    """

    async def action_submit(self) -> None:
        """Submit once the letters are in."""
        self.call_later(super().action_submit)

    def complete(self) -> None:
        """Complete what is typed; `ConsoleApp` calls it, for Tab is its key."""
        cast("Prompt", self.parent).complete()


class Prompt(Horizontal):
    """A line with an input above the status line; it closes when the focus moves elsewhere."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("back")]
    DEFAULT_CSS = "Prompt { height: 1; } Prompt OneLine { background: $panel; }"
    closed = False

    async def open(self, screen: Screen[None]) -> None:
        """Open the line of a screen, or give it the focus again; returns once keys go there.

        A handler awaits it: the next letter may come without a pause.
        """
        if not self.is_attached:
            await screen.mount(self, before="#status")
        for typed in self.query(Input):
            screen.set_focus(typed)

    def close(self, focus: Callable[[], object]) -> None:
        """Remove the line; ``focus`` moves the focus on, if it is still here."""
        self.closed = True
        if self.has_focus_within:
            focus()
        self.remove()

    def complete(self) -> None:
        """Complete what is typed; nothing where that is not possible."""

    def on_descendant_blur(self) -> None:
        """Close, unless the terminal has lost the focus and will return it."""
        if self.app.app_focus:
            self.call_later(self._close_without_focus)

    def _close_without_focus(self) -> None:
        if not (self.closed or self.has_focus_within):
            self.focus_left()

    def focus_left(self) -> None:
        """Close: the focus is elsewhere."""
        raise NotImplementedError


class PromptBar(Prompt):
    """A prompt and an input.

    Args:
        prompt: what is left of the input.
        text: the text to begin with.
        hint: shown while nothing is typed.
        typed: called with each text that is typed.
        left: called on Enter or without the focus (True: the text is kept), and on Esc (False).
    """

    DEFAULT_CSS = "PromptBar OneLine { width: 9; }"

    @dataclass
    class TextTyped(Message):
        """The text has changed; the bar sends it to itself."""

        text: str

        def can_replace(self, message: Message) -> bool:
            """Only the latest text counts."""
            return isinstance(message, PromptBar.TextTyped)

    def __init__(
        self,
        prompt: str,
        text: str,
        hint: str,
        typed: Callable[[str], None],
        left: Callable[[bool], None],
    ) -> None:
        super().__init__()
        self._prompt, self._text, self._hint = prompt, text, hint
        self._typed, self._left = typed, left
        self._underline = _Underline()

    def compose(self) -> ComposeResult:
        """Lay out prompt and input."""
        prompt = OneLine()
        prompt.show(((self._prompt, "accent"),))
        yield prompt
        typed = PromptInput(
            self._text, placeholder=self._hint, compact=True, highlighter=self._underline
        )
        typed.cursor_blink = False
        yield typed

    def mark(self, at: int | None) -> None:
        """Underline the word at a position of the text, from 0, until the next letter."""
        self._underline.at = at
        self.query_one(Input).refresh()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Collect what is typed."""
        event.stop()
        self._underline.at = None
        self.post_message(self.TextTyped(event.value))

    def on_prompt_bar_text_typed(self, message: TextTyped) -> None:
        """Pass on the latest text."""
        message.stop()
        self._typed(message.text)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the text, once the screen has the latest one."""
        event.stop()
        self.call_later(self._left, True)

    def action_command(self, name: str) -> None:
        """Leave (Esc is the only command here)."""
        self.call_later(self._left, False)

    def focus_left(self) -> None:
        """Keep the text."""
        self._left(True)
