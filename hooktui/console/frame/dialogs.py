"""Dialogs: their base class, and a question whose safe option has the focus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar, cast

from textual import events
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen

from hooktui.console.frame.screen import ConsoleScreen, front_screen
from hooktui.console.registry import bindings
from hooktui.console.shell.contract import Shell
from hooktui.console.shell.reliable_timers import set_reliable_timer
from hooktui.console.shell.terminal import backdrop_filters
from hooktui.console.shell.terminal_size import (
    on_event_at_size_of_app,
    reset_focus_if_hidden,
    set_focus_if_drawn,
)
from hooktui.console.widgets.chrome import DialogNotice, TooSmall
from hooktui.console.widgets.controls import Note, ShortList, ShortRow

_WIDTH = 72
"""Width of a dialog in cells, if the terminal has as many: sentences are readable at it."""

_ROWS_FOR_PADDING = 20
"""At this terminal height and above, a question has empty lines inside its border."""


R = TypeVar("R")


class ConsoleDialog(ModalScreen[R]):
    """Dialog that returns a result; Esc closes it without one, q quits as on a full screen."""

    QUITS: ClassVar[bool] = True
    """Whether q quits; otherwise it closes the dialog, because quitting would lose its subject."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("back", "quit")]

    get_line_filters = backdrop_filters
    set_timer = set_reliable_timer
    set_focus = set_focus_if_drawn
    _reset_focus = reset_focus_if_hidden
    on_event = on_event_at_size_of_app

    def on_mount(self) -> None:
        """Set up the notices, and the message that the terminal is too small."""
        self.mount(DialogNotice(), TooSmall())

    @property
    def shell(self) -> Shell:
        """The services of the app."""
        return cast("Shell", self.app)

    def dismiss(self, result: R | None = None) -> AwaitComplete:
        """Close the dialog and return a result.

        It may be called twice, as by a key and a click. The second call must not close the screen
        below.
        """
        if self.app.screen is not self:
            return AwaitComplete()
        return super().dismiss(result)

    async def action_command(self, name: str) -> None:
        """Run one of the few commands of a dialog."""
        if name == "back" or (name == "quit" and not self.QUITS):
            self.dismiss(None)
        elif name == "quit" and (front := front_screen(self.app)) is not None:
            front.quit()


@dataclass(frozen=True, slots=True)
class DialogOption:
    """An option of a question: its key, its text, and the value that the question returns."""

    key: str
    words: str
    value: str


class Question(ConsoleDialog[str]):
    """Question that returns the value of the chosen option; Esc returns None.

    Args:
        title: the question in one line.
        details: its consequences; may be untrusted.
        options: the options; the first one has the focus, so it should be the safe one.
    """

    QUITS = False
    DEFAULT_CSS = """
    Question #text { height: auto; }
    Question #title { text-style: bold; }
    Question ShortList { margin-top: 1; }
    """

    def __init__(self, title: str, details: str, options: Sequence[DialogOption]) -> None:
        super().__init__()
        self._title = title
        self._details = details
        self._options = tuple(options)

    def compose(self) -> ComposeResult:
        """Compose title, details and options."""
        with Vertical(classes="dialog") as dialog:
            dialog.styles.width = _WIDTH
            dialog.styles.max_width = "96%"
            with VerticalScroll(id="text", can_focus=False):
                yield Note(self._title, "strong", id="title")
                yield Note(self._details, "plain", id="details")
            yield ShortList([ShortRow(a.value, a.key, a.words) for a in self._options])

    def on_resize(self, event: events.Resize) -> None:
        """Leave room for all options; the text above them scrolls if it does not fit."""
        rows = event.size.height
        padding = 1 if rows >= _ROWS_FOR_PADDING else 0
        dialog, text = self.query_one(".dialog").styles, self.query_one("#text").styles
        dialog.padding = (padding, 2)
        dialog.max_height = rows
        text.max_height = max(1, rows - 2 * (1 + padding) - 1 - len(self._options))

    def on_short_list_chosen(self, message: ShortList.Chosen) -> None:
        """Return the option that was chosen from the list."""
        self.dismiss(message.row.value)

    def on_key(self, event: events.Key) -> None:
        """Return the option whose key was pressed."""
        for option in self._options:
            if event.character == option.key:
                event.stop()
                self.dismiss(option.value)
                return


async def ask(
    screen: ConsoleScreen, title: str, details: str, options: Sequence[DialogOption]
) -> str | None:
    """Ask a `Question` over a screen, and return the value of the chosen option; None for Esc."""
    return await screen.app.push_screen_wait(Question(title, details, options))


async def confirmed(
    screen: ConsoleScreen, act: str, details: str, declined: str, no: str = "Cancel", yes: str = ""
) -> bool:
    """Ask whether to ``act``, such as "Delete hook 3"; after a no, show the notice ``declined``.

    ``no`` and ``yes`` are the texts of the options; the second one is that of the act if empty.
    """
    options = [DialogOption("n", no, "no"), DialogOption("y", yes or act, "yes")]
    if await ask(screen, f"{act}?", details, options) == "yes":
        return True
    screen.notice(declined)
    return False


@dataclass(frozen=True, slots=True)
class CopyForm:
    """A form for copying: its key and text in the dialog, its name, and the text to copy."""

    key: str
    words: str
    name: str
    text: str


async def copy_as(screen: ConsoleScreen, details: str, forms: Sequence[CopyForm]) -> None:
    """Let the user choose one of several forms, and copy it; Esc copies nothing."""
    options = [DialogOption(form.key, form.words, form.key) for form in forms]
    chosen = await ask(screen, "Copy as …", details, options)
    for form in forms:
        if form.key == chosen:
            await screen.copy_text(form.text, form.name)
