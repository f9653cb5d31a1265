"""Dialogs: a question whose safe option has the focus, and one that asks for a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from hooktui.console.frame.screen import ConsoleDialog, ConsoleScreen
from hooktui.console.widgets.controls import Note, ShortList, ShortRow
from hooktui.domain.hook_fields import check_name

_WIDTH = 72
"""Width of a dialog in cells, if the terminal has as many: sentences are readable at it."""


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
        answers: the options; the first one has the focus, so it should be the safe one.
    """

    QUITS = False
    DEFAULT_CSS = """
    Question #title { text-style: bold; }
    Question ShortList { margin-top: 1; }
    """

    def __init__(self, title: str, details: str, answers: Sequence[DialogOption]) -> None:
        super().__init__()
        self._title = title
        self._details = details
        self._answers = tuple(answers)

    def compose(self) -> ComposeResult:
        """Compose title, details and options."""
        with Vertical(classes="dialog") as dialog:
            dialog.styles.width = _WIDTH
            dialog.styles.max_width = "96%"
            yield Note(id="title")
            yield Note(id="details")
            yield ShortList([ShortRow(a.value, a.key, a.words) for a in self._answers])

    def on_mount(self) -> None:
        """Set up the texts."""
        self.query_one("#title", Note).show(self._title, "strong")
        self.query_one("#details", Note).show(self._details, "plain")

    def on_short_list_chosen(self, message: ShortList.Chosen) -> None:
        """Return the option that was chosen from the list."""
        self.dismiss(message.row.value)

    def on_key(self, event: events.Key) -> None:
        """Return the option whose key was pressed."""
        for answer in self._answers:
            if event.character == answer.key:
                event.stop()
                self.dismiss(answer.value)
                return


async def confirmed(
    screen: ConsoleScreen, act: str, details: str, declined: str, no: str = "Cancel", yes: str = ""
) -> bool:
    """Ask whether to ``act``, such as "Delete hook 3"; after a no, show the notice ``declined``.

    ``no`` and ``yes`` are the texts of the options; the second one is that of the act if empty.
    """
    options = [DialogOption("n", no, "no"), DialogOption("y", yes or act, "yes")]
    if await screen.app.push_screen_wait(Question(f"{act}?", details, options)) == "yes":
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
    chosen = await screen.app.push_screen_wait(Question("Copy as …", details, options))
    for form in forms:
        if form.key == chosen:
            await screen.copy_text(form.text, form.name)


class NameQuestion(ConsoleDialog[str]):
    """Question for the name of a new account; Enter returns it if it is valid."""

    DEFAULT_CSS = """
    NameQuestion > .dialog { width: 64; max-width: 96%; }
    NameQuestion Input { margin-top: 1; }
    """

    def compose(self) -> ComposeResult:
        """Compose the texts and the input."""
        with Vertical(classes="dialog"):
            yield Note(id="title")
            yield Note(id="details")
            yield Input(placeholder="name", compact=True)
            yield Note(id="wrong")

    def on_mount(self) -> None:
        """Set up the texts."""
        self.query_one("#title", Note).show("New account", "strong")
        keys = f"Enter creates it, {self.shell.key('back')} cancels."
        self.query_one("#details", Note).show(f"It has hooks, events and tokens of its own. {keys}")
        self.query_one(Input).cursor_blink = False
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Validate the name while it is typed."""
        self.query_one("#wrong", Note).show(check_name(event.value.strip()) or "", "warn")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return the name, or show why it is not valid."""
        name = event.value.strip()
        wrong = check_name(name) or ("" if name else f"enter a name, or {self.shell.key('back')}")
        if wrong:
            self.query_one("#wrong", Note).show(wrong, "bad")
        else:
            self.dismiss(name)
