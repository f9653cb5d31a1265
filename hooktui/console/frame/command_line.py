"""The ``:`` line for typed commands, with completion (Tab) and a history (up and down).

It stays open, with its text, until the text is a valid command; Esc closes it.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar, cast

from textual.app import App
from textual.binding import Binding, BindingType
from textual.widgets import Input

from hooktui.console.command_language import (
    Completion,
    ParsedCommand,
    complete,
    expected,
    parse,
)
from hooktui.console.frame.filtering import FilterPart
from hooktui.console.frame.screen import ConsoleScreen, front_screen
from hooktui.console.registry import TOP_SCREENS
from hooktui.console.shell.contract import Shell
from hooktui.console.widgets.prompt_bars import Prompt, PromptInput
from hooktui.domain.errors import HooktuiError, Refused
from hooktui.domain.filters.terms import FilterTerms


class CommandBar(Prompt):
    """Command line with a colon as its prompt."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "older", "older command", show=False, id="command.older"),
        Binding("down", "newer", "newer command", show=False, id="command.newer"),
    ]
    DEFAULT_CSS = "CommandBar OneLine { width: 2; }"

    def __init__(self, front: ConsoleScreen, text: str) -> None:
        """Set the screen, whose focus is restored on closing, and the initial text."""
        closes = f"{front.shell.key('back')} closes"
        hint = f"hook 12, log status:failed, ping, theme nord; Tab completes, {closes}"
        super().__init__(" :", PromptInput(text, hint, compact=True, select_on_focus=False))
        self._front = front
        self._before = front.focused
        self._accounts: dict[str, str] = {}
        self._completion = Completion(self._completions)
        self._back = 0
        self._typed = ""

    def on_mount(self) -> None:
        """Set up the completion of accounts."""
        self.run_worker(self._learn_accounts(), exit_on_error=False)

    async def _learn_accounts(self) -> None:
        from hooktui.client import calls

        try:
            page = await self._front.send(calls.list_accounts(limit=100))
        except HooktuiError:
            return  # then ``account`` has no completions
        self._accounts = {str(account.id): account.name for account in page.data}

    # -- completion

    def complete(self) -> None:
        """Insert the common part and show the completions; repeated, insert each in turn."""
        line = self.input.value
        completed = self._completion.next(line)
        if completed is None:
            self._front.notice(expected(line, self._terms(line)), "warn")
            return
        self._show(completed)
        if self._completion.offers:
            names = self._known().get(completed.partition(" ")[0], {})
            self._front.notice(self._completion.words(names))
        else:
            self._front.notices.clear()

    def _completions(self, line: str) -> list[str]:
        return complete(line, self._known(), self._terms(line))

    def _terms(self, line: str) -> FilterTerms:
        word = line.lstrip().partition(" ")[0]
        return self._front.shell.navigation.filter_terms(word)

    def _known(self) -> dict[str, dict[str, str]]:
        hooks = sorted(self._front.shell.account.hook_names.items())
        themes = dict.fromkeys(sorted(self.app.available_themes), "")
        named = {str(hook): name for hook, name in hooks}
        return {"theme": themes, "account": self._accounts, "hook": named}

    def on_input_changed(self, event: Input.Changed) -> None:
        """Discard the completions when another text is typed."""
        event.stop()
        self._completion.typed(event.value)

    # -- history

    def action_older(self) -> None:
        """Show the previous command of the history."""
        self._walk(1)

    def action_newer(self) -> None:
        """Show the next command of the history; after the last one, the typed text."""
        self._walk(-1)

    def _walk(self, by: int) -> None:
        commands = self._front.shell.session.commands
        if self._back == 0:
            self._typed = self.input.value
        self._back = max(0, min(self._back + by, len(commands)))
        self._show(commands[-self._back] if self._back else self._typed)

    def _show(self, line: str) -> None:
        self.input.value = line
        self.input.cursor_position = len(line)

    # -- submitting and closing

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Run the typed command, or show the error with its column."""
        event.stop()
        front, line = self._front, event.value.strip()
        if not line:
            self.focus_left()
            return
        try:
            parsed = parse(line, self._known())
        except Refused as error:
            front.notice(error.detail, "warn")
            return
        front.shell.session.ran(line)
        front.notices.clear()
        self.focus_left()
        self.app.call_later(_run, self.app, parsed)  # the screen of the line may be closed

    async def action_command(self, name: str) -> None:
        """Close the line: Esc is the only command here."""
        self._front.notices.clear()
        self.focus_left()

    def focus_left(self) -> None:
        """Close the line, and return the focus to the widget that had it before."""
        screen, before = self._front, self._before
        self.close(lambda: screen.set_focus(before if before and before.is_attached else None))


def _run(app: App[object], parsed: ParsedCommand) -> None:
    shell = cast("Shell", app)
    command, argument = parsed.command, parsed.argument
    top = next((top for top in TOP_SCREENS if top.command == command.name), None)
    front = front_screen(app)
    if top is not None and front is not None:
        front.go(top, partial(_filter, app, str(argument)) if argument else lambda: None)
    elif command.screen and command.argument is None:
        shell.navigation.open(command.screen)
    elif command.screen and argument is not None:
        shell.navigation.open(command.screen, argument)
    elif argument is None:
        if front is not None:
            front.run_command(command.name)
    elif command.name == "account":
        shell.switch_account(int(argument))
    elif command.name == "theme":
        app.theme = str(argument)
    else:
        _filter(app, str(argument))


def _filter(app: App[object], text: str) -> None:
    """Filter the foreground screen, after its layout if it has just been opened."""
    front = front_screen(app)
    if front is None:
        return
    reason = front.disabled_reason("filter")
    if reason is not None:
        front.call_after_refresh(front.notice, reason, "warn")
        return
    for part in front.parts:
        if isinstance(part, FilterPart):
            front.call_after_refresh(part.apply, text)


async def open_command_bar(screen: ConsoleScreen, text: str) -> None:
    """Open the ``:`` line above the status line of a screen; return when it has the focus."""
    bars = [bar for bar in screen.query(CommandBar) if not bar.closed]
    await (bars[0] if bars else CommandBar(screen, text)).open(screen)
