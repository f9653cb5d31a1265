"""Prompts for a filter, a search or a command, and their input.

A filter narrows the list while it is typed: Enter keeps it and returns the focus to the list, Esc
removes it. A search jumps to the first match. A prompt is open only while it has the focus.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, cast

from rich.highlighter import Highlighter
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input

from hooktui.console.registry import bindings
from hooktui.console.widgets.chrome import OneLine


class _Typed(Protocol):
    """The interface of an input's text that is used here."""

    plain: str

    def stylize(self, style: str, start: int, end: int | None) -> None:
        """Apply a style to a part of the text."""


class _Underline(Highlighter):
    """Highlighter that underlines the word at position ``at``; None for no underline."""

    at: int | None = None

    def highlight(self, text: _Typed) -> None:
        """Underline the word in the text of the input."""
        if self.at is not None:
            words = text.plain[self.at :].split(maxsplit=1)
            # The word may be missing: the text is drawn before `on_input_changed` resets ``at``.
            text.stylize("underline bold", self.at, self.at + (len(words[0]) if words else 1))


class PromptInput(Input):
    """An input in which Tab completes the text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "complete", show=False, id="prompt.complete"),
        Binding("shift+tab", "keep_focus", show=False, id="prompt.keep_focus"),
    ]

    def action_complete(self) -> None:
        """Complete the typed text."""
        cast("Prompt", self.parent).complete()

    def action_keep_focus(self) -> None:
        """Do nothing: a prompt closes when the focus moves elsewhere."""


class Prompt(Horizontal):
    """A line with an input above the status line; it closes when the focus moves elsewhere.

    ``prompt`` is the text to the left of the input.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("back")]
    DEFAULT_CSS = "Prompt { height: 1; } Prompt OneLine { background: $panel; }"
    closed = False

    def __init__(self, prompt: str, typed: PromptInput) -> None:
        super().__init__()
        typed.cursor_blink = False
        self.prompt, self.input = prompt, typed

    def compose(self) -> ComposeResult:
        """Compose the prompt and the input."""
        prompt = OneLine()
        prompt.show(((self.prompt, "accent"),))
        yield prompt
        yield self.input

    async def open(self, screen: Screen[None]) -> None:
        """Open the prompt on a screen, or focus it again; return once it has the focus.

        Handlers must await it, because the next letter may arrive without a pause.
        """
        if not self.is_attached:
            await screen.mount(self, before="StatusLine")
        if self.input.is_attached:  # it may have been closed meanwhile
            screen.set_focus(self.input)

    def close(self, focus: Callable[[], object]) -> None:
        """Remove the prompt; if it still has the focus, call ``focus`` to move it elsewhere."""
        self.closed = True
        if self.has_focus_within:
            focus()
        self.remove()

    def complete(self) -> None:
        """Complete the typed text; do nothing if that is not supported."""

    def on_descendant_blur(self) -> None:
        """Close the prompt, unless the terminal has lost the focus and will restore it."""
        if self.app.app_focus:
            self.call_later(self._close_without_focus)

    def _close_without_focus(self) -> None:
        if not (self.closed or self.has_focus_within):
            self.focus_left()

    def focus_left(self) -> None:
        """Close the prompt after the focus has moved elsewhere."""
        raise NotImplementedError


class PromptBar(Prompt):
    """A prompt and an input.

    Args:
        prompt: the text to the left of the input.
        text: the initial text.
        hint: shown while the input is empty.
        typed: called with the text after each change.
        left: called on Enter or loss of focus (True: the text is kept), and on Esc (False).
        complete: called on Tab.
    """

    DEFAULT_CSS = "PromptBar OneLine { width: 9; }"

    @dataclass
    class TextTyped(Message):
        """Posted by the bar to itself when the text has changed."""

        text: str

        def can_replace(self, message: Message) -> bool:
            """Return whether a message is of this type; only the latest text matters."""
            return isinstance(message, PromptBar.TextTyped)

    def __init__(
        self,
        prompt: str,
        text: str,
        hint: str,
        typed: Callable[[str], None],
        left: Callable[[bool], None],
        complete: Callable[[], None] = lambda: None,
    ) -> None:
        self._underline = _Underline()
        super().__init__(
            prompt,
            PromptInput(text, placeholder=hint, compact=True, highlighter=self._underline),
        )
        self._typed, self._left, self._complete = typed, left, complete

    def complete(self) -> None:
        """Complete the typed text, if the owner of the bar supports it."""
        self._complete()

    def mark(self, at: int | None) -> None:
        """Underline the word at a position of the text, from 0, until the next change."""
        self._underline.at = at
        self.input.refresh()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Post the typed text as a message that a later one can replace."""
        event.stop()
        self._underline.at = None
        self.post_message(self.TextTyped(event.value))

    def on_prompt_bar_text_typed(self, message: TextTyped) -> None:
        """Pass on the latest text."""
        message.stop()
        self._typed(message.text)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the text, after the screen has received the latest one."""
        event.stop()
        self.call_later(self._left, True)

    def action_command(self, name: str) -> None:
        """Close without keeping the text; Esc is the only command here."""
        self.call_later(self._left, False)

    def focus_left(self) -> None:
        """Keep the text."""
        self._left(True)
