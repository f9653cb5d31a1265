"""Command palette (ctrl+p): finds screens, commands and objects by a few letters.

It offers screens, commands of the current screen, hooks by text or number, deliveries and events by
id, accounts, and themes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from textual import on
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider, SearchIcon
from textual.content import Content
from textual.widgets import Input

from hooktui.console.command_language import parse
from hooktui.console.frame.notices import error_text
from hooktui.console.frame.screen import front_screen
from hooktui.console.registry import LINE_COMMANDS
from hooktui.console.shell.contract import Shell
from hooktui.console.shell.reliable_timers import set_reliable_timer
from hooktui.console.shell.server_connection import ConnectionState
from hooktui.console.shell.terminal import backdrop_filters
from hooktui.console.shell.terminal_size import (
    on_event_at_size_of_app,
    reset_focus_if_hidden,
    set_focus_if_drawn,
)
from hooktui.console.widgets.chrome import DialogNotice, TooSmall
from hooktui.domain.errors import HooktuiError, Refused
from hooktui.domain.text import visible
from hooktui.domain.wire.pages import MAX_LIMIT, Page

if TYPE_CHECKING:
    from hooktui.client.calls import Call

T = TypeVar("T")

HOOKS_FOUND = 20
SEARCHED_WITHIN_S = 3.0
"""Enter waits for the search; a server that hangs must not keep it from the entries of ours."""

LOOK_AGAIN_S = 0.02
"""Seconds until an Enter that was pressed before its list was complete is posted again."""


class Palette(CommandPalette):
    """Textual's command palette; Enter waits for the list of the typed text.

    Otherwise a fast typist would run the first entry of the previous list: another command.
    """

    DEFAULT_CSS = """
    Palette:ansi { background: $background; }
    Palette > Vertical {
        width: 84; max-width: 96%; margin-top: 2; background: $surface;
        &:dark { background: $surface; }
    }
    Palette #--input { border: none; padding: 1 0 0 0; }
    Palette #--input SearchIcon { margin: 0 0 0 2; color: $accent; }
    Palette CommandInput { background: $surface; padding: 0 1 0 0; }
    Palette CommandList { border: none; padding: 1 0; scrollbar-size-vertical: 1; }
    Palette CommandList:focus { border: none; }
    Palette CommandList > .option-list--option { text-style: none; }
    Palette CommandList > .option-list--option-highlighted {
        color: $block-cursor-foreground; background: $block-cursor-background;
    }
    Palette > .command-palette--highlight { text-style: bold underline; }
    """

    get_line_filters = backdrop_filters
    set_timer = set_reliable_timer
    set_focus = set_focus_if_drawn
    _reset_focus = reset_focus_if_hidden
    on_event = on_event_at_size_of_app

    def on_mount(self) -> None:
        """Set up the prompt, with a character that every terminal has, and no blinking cursor."""
        self.mount(DialogNotice(), TooSmall())
        self.query_one(SearchIcon).icon = ">"
        self.query_one(Input).cursor_blink = False

    @on(Input.Submitted)
    def submit_in_time(self, event: Input.Submitted) -> None:
        """Delay an Enter while the list is still being collected."""
        if any(worker.node is self and not worker.is_finished for worker in self.workers):
            event.stop()
            event.prevent_default()
            again = Input.Submitted(event.input, event.value)
            self.set_timer(LOOK_AGAIN_S, partial(event.input.post_message, again))


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the palette: the searched text, what it runs, and an explanation."""

    text: str
    run: Callable[[], object]
    help: str = ""


class CommandProvider(Provider):
    """Provider of commands, themes and ids, and of accounts and hooks of the server."""

    @property
    def _shell(self) -> Shell:
        return cast("Shell", self.app)

    async def discover(self) -> Hits:
        """Show the commands of this screen before anything is typed."""
        for entry in self._commands():
            yield DiscoveryHit(Content(entry.text), entry.run, entry.text)

    async def search(self, query: str) -> Hits:
        """Find the matching entries; the server searches the hooks, whatever their number."""
        matcher = self.matcher(query)
        for entry in (*self._commands(), *self._themes()):
            score = matcher.match(entry.text)
            if score > 0:
                yield Hit(score, matcher.highlight(entry.text), entry.run)
        accounts, hooks = await asyncio.gather(self._accounts(query), self._hooks(query))
        for entry in (*self._by_id(query), *accounts, *hooks):
            # Content, not str: a hook's name is untrusted text, never markup.
            score = max(matcher.match(f"{entry.text} {entry.help}"), 0.5)
            yield Hit(score, Content(entry.text), entry.run, entry.text, help=entry.help)

    def _commands(self) -> Iterator[_Entry]:
        front = front_screen(self.app)
        if front is None:
            return
        for name in front.commands_here():
            command = front.command(name)
            if name != "palette" and front.disabled_reason(name) is None:
                text = f"{command.help}  {command.key}"
                yield _Entry(text, partial(front.run_command, name))
        for command in (command for command in LINE_COMMANDS if command.argument is None):
            text = f"{command.help}  {front.command('command').key}{command.word}"
            yield _Entry(text, partial(self._shell.navigation.open, command.screen))

    def _themes(self) -> Iterator[_Entry]:
        for name in sorted(self.app.available_themes):
            yield _Entry(f"Theme {name}", partial(setattr, self.app, "theme", name))

    def _by_id(self, query: str) -> Iterator[_Entry]:
        """Yield the object with the typed id, such as a hook; opening reports if there is none."""
        try:
            parsed = parse(query.strip())
        except Refused:
            return
        command, identity = parsed.command, parsed.argument
        if command.screen and identity is not None:
            run = partial(self._shell.navigation.open, command.screen, identity)
            yield _Entry(f"Open {command.word} {identity}", run)

    async def _accounts(self, query: str) -> list[_Entry]:
        from hooktui.client import calls

        found = await self._found(calls.list_accounts(limit=MAX_LIMIT))
        matcher = self.matcher(query)
        entries = []
        for account in found:
            text = visible(f"Account {account.id} {account.name}", limit=60)
            if account.id != self._shell.account.number and matcher.match(text) > 0:
                entries.append(_Entry(text, partial(self._shell.switch_account, account.id)))
        return entries[:HOOKS_FOUND]

    async def _hooks(self, query: str) -> list[_Entry]:
        from hooktui.client import calls

        call = calls.list_hooks(self._shell.account.number, q=query, limit=HOOKS_FOUND)
        return [
            _Entry(
                visible(f"Hook {hook.id} {hook.name}", limit=60),
                partial(self._shell.navigation.open_hook, hook.id),
                visible(hook.url, limit=80).replace("[", r"\["),
            )
            for hook in await self._found(call)
        ]

    async def _found(self, call: Call[Page[T]]) -> list[T]:
        """Return what the server finds; without it, the rest of the palette works."""
        connection = self._shell.connection
        why = connection.problem or connection.word
        if connection.state is ConnectionState.CONNECTED:
            try:
                within = replace(call, timeout_s=SEARCHED_WITHIN_S)
                return list((await connection.send(within)).data)
            except HooktuiError as error:
                why = error_text(error)
        self._shell.notice(f"hooks and accounts are not searched: {why}", "warn")
        return []
