"""Dialogs: a question whose safe answer has the focus, and one that asks for a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from hooktui.console.frame.screen import ConsoleDialog, ConsoleScreen
from hooktui.console.shell.terminal import copy
from hooktui.console.widgets.controls import Note, ShortList, ShortRow
from hooktui.domain.hook_settings import check_name

_WIDTH = 72
"""Cells of the dialog, where there are as many: sentences read well at that width."""


@dataclass(frozen=True, slots=True)
class DialogOption:
    """One way to answer: its key, what it does in words, and what the question returns."""

    key: str
    words: str
    value: str


class Question(ConsoleDialog[str]):
    """Asks, and returns the value of the chosen answer; Esc returns None.

    Args:
        title: the question in one line.
        details: what hangs on it; may be untrusted.
        answers: the first one has the focus, so let it be the safe one.
    """

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
        """Lay out title, details and answers."""
        with Vertical(classes="dialog") as dialog:
            dialog.styles.width = _WIDTH
            dialog.styles.max_width = "96%"
            yield Note(id="title")
            yield Note(id="details")
            yield ShortList([ShortRow(a.value, a.key, a.words) for a in self._answers])

    def on_mount(self) -> None:
        """Fill in the words."""
        self.query_one("#title", Note).show(self._title, "strong")
        self.query_one("#details", Note).show(self._details, "plain")

    async def action_command(self, name: str) -> None:
        """Answer nothing on q, too: quitting here would lose what the question is about."""
        if name in ("back", "quit"):
            self.dismiss(None)

    def on_short_list_chosen(self, message: ShortList.Chosen) -> None:
        """Return the answer that was chosen from the list."""
        self.dismiss(message.row.value)

    def on_key(self, event: events.Key) -> None:
        """Return the answer whose key was pressed."""
        for answer in self._answers:
            if event.character == answer.key:
                event.stop()
                self.dismiss(answer.value)
                return


@dataclass(frozen=True, slots=True)
class CopyForm:
    """A form of what can be copied: its key and words in the dialog, its name, and the text."""

    key: str
    words: str
    name: str
    text: str


async def copy_as(screen: ConsoleScreen, details: str, forms: Sequence[CopyForm]) -> None:
    """Ask for one of several forms, and copy it; Esc copies nothing."""
    options = [DialogOption(form.key, form.words, form.key) for form in forms]
    chosen = await screen.app.push_screen_wait(Question("Copy as …", details, options))
    for form in forms:
        if form.key == chosen:
            screen.notice(await copy(screen.app, form.text, form.name), "good")


class NameQuestion(ConsoleDialog[str]):
    """One line to type a name into; returns it once Enter was pressed on a good one."""

    DEFAULT_CSS = """
    NameQuestion > .dialog { width: 64; max-width: 96%; }
    NameQuestion Input { margin-top: 1; }
    """

    def __init__(self, title: str, details: str) -> None:
        super().__init__()
        self._title = title
        self._details = details

    def compose(self) -> ComposeResult:
        """Lay out the words and the line."""
        with Vertical(classes="dialog"):
            yield Note(id="title")
            yield Note(id="details")
            yield Input(placeholder="its name", compact=True)
            yield Note(id="wrong")

    def on_mount(self) -> None:
        """Fill in the words."""
        self.query_one("#title", Note).show(self._title, "strong")
        back = self.shell.key("back")
        self.query_one("#details", Note).show(f"{self._details} Enter makes it, {back} does not.")
        self.query_one(Input).cursor_blink = False
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Judge what is typed."""
        self.query_one("#wrong", Note).show(check_name(event.value.strip()) or "", "warn")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return the name, or say what is wrong with it."""
        name = event.value.strip()
        wrong = check_name(name) or ("" if name else f"type a name, or {self.shell.key('back')}")
        if wrong:
            self.query_one("#wrong", Note).show(wrong, "bad")
        else:
            self.dismiss(name)
