"""The console: the Textual app, which owns the services that its screens use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events
from textual.binding import Binding, BindingType
from textual.filter import Monochrome, NoColor
from textual.geometry import Size
from textual.screen import Screen
from textual.worker import Worker

from hooktui.console.formatting import short_name
from hooktui.console.frame.screen import close_front, front_screen, full_screens
from hooktui.console.glyphs import ASCII, UNICODE
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.navigation import Navigation
from hooktui.console.registry import TOP_SCREENS, top_screen_of
from hooktui.console.shell.account import AccountView
from hooktui.console.shell.change_feed import ChangeFeedFollower, FeedChanges
from hooktui.console.shell.contract import Shell
from hooktui.console.shell.desktop_alerts import TerminalNotifier, writer
from hooktui.console.shell.key_queue import KeyQueue
from hooktui.console.shell.log_buffer import LogBuffer, LogLine
from hooktui.console.shell.preferences import (
    DEFAULT_ACCOUNT,
    ConsoleOptions,
    read_preferences,
    server_name,
)
from hooktui.console.shell.server_calls import ServerCalls, Severity
from hooktui.console.shell.server_connection import ConnectionState, ServerConnection
from hooktui.console.shell.session_state import load_state
from hooktui.console.shell.status import StatusMonitor
from hooktui.console.shell.terminal import (
    AsciiFilter,
    EscapeFilter,
    RestrictedMode,
    Terminal,
    has_job_control,
    write_fault,
)
from hooktui.console.shell.terminal_size import TerminalSize, clamped
from hooktui.console.themes import THEMES, default_theme, quiet_colour, readable_variables
from hooktui.domain.catalogue import ETL
from hooktui.domain.clock import now_ms
from hooktui.domain.errors import HooktuiError
from hooktui.domain.paths import START_SERVICE
from hooktui.domain.roles import Role, restricted
from hooktui.domain.wire.events import Catalogue
from hooktui.domain.wire.pages import MAX_LIMIT

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.command import Provider

    from hooktui.console.frame.revealing import Redactable
    from hooktui.domain.wire.server import ServerStatus


def _palette() -> type[Provider]:
    from hooktui.console.frame.palette import CommandProvider

    return CommandProvider


class ConsoleApp(RestrictedMode):
    """The console: the `Shell` of its screens.

    Attributes:
        environ: the environment variables.
        fault: a one-line report of the error that ended the app.
    """

    CSS_PATH = Path(__file__).with_name("console.tcss")
    TITLE = "hooktui"
    COMMANDS: ClassVar[Any] = {_palette}
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - as the base class declares it
        (0, "-tiny"), (60, "-narrow"), (100, "-wide"),
    ]  # fmt: skip
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (15, "-low"), (30, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, id="app.quit", priority=True),
        Binding("ctrl+c", "how_to_quit", "Quit", show=False, id="app.how_to_quit"),
        Binding("ctrl+z", "suspend_process", show=False, id="app.suspend_process"),
    ]

    def __init__(
        self,
        options: ConsoleOptions | None = None,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.environ = dict(os.environ if environ is None else environ)
        self.preferences = read_preferences(self.environ)
        given = options or ConsoleOptions()
        self.options = self.preferences.under(given, self.environ.get("TERM", ""))
        super().__init__()
        self.restricted = restricted(self.environ)
        self.session = load_state(self.environ, server_name(self.environ, given.connect))
        self._initial_theme = self._register_themes()
        self.theme = self._initial_theme if given.theme else self._restored_theme()
        self.set_keymap(self.preferences.keymap.ids())
        self.terminal_size = TerminalSize(self, self.preferences.keymap, self._unsaved)
        self.navigation = Navigation(self)
        self._keys = KeyQueue(self)
        self.clock = now_ms
        self.glyphs = ASCII if self.options.ascii else UNICODE
        self._connection_before = ConnectionState.CONNECTING
        self.connection = ServerConnection(self.options, self.environ, self._connection_changed)
        self.calls = ServerCalls(self.connection, partial(self.call_later, self.notice))
        self.log_buffer = LogBuffer()
        self.account = AccountView(self.options.account, self, self.connection, self._show_names)
        self.status = StatusMonitor(
            self, self.connection, self.account, now_ms, self._refresh_frames
        )
        self._notifier = TerminalNotifier(
            "off" if self.restricted else self.preferences.notify,
            writer(lambda: self._driver),
            now_ms,
            in_tmux=bool(self.environ.get("TMUX")),
        )
        self._feed = ChangeFeedFollower(self, self._pass_on, self._notifier)
        self.catalogue: Catalogue = ETL
        self.fault: str | None = None
        # Textual chose the filter by its own default theme; greys count as colours, too.
        self._filters = [NoColor() if isinstance(f, Monochrome) else f for f in self._filters]
        self._filters.append(EscapeFilter())
        if self.options.ascii:
            self._filters.append(AsciiFilter())

    def get_default_screen(self) -> Screen[Any]:
        """Return the screen of the hooks, which is always at the bottom of the stack."""
        return HooksScreen()

    def on_mount(self) -> None:
        """Set up the handlers and checks of the terminal."""
        if not self.is_headless:
            Terminal(self).watch()
            self.terminal_size.watch()
            self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
            self.ignore_suspend()

    def on_ready(self) -> None:
        """Restore the last screen and connect; not before painting, as the import takes 100 ms."""
        last = next((top for top in TOP_SCREENS[1:] if top.name == self.session.screen), None)
        if last is not None and len(self.screen_stack) == 1:
            self.navigation.go(last)
        self._show_problems()
        self.run_worker(self._reach_server(), name="attach", group="server")

    def _show_problems(self) -> None:
        problems = self.problems()
        if problems:
            self.call_after_refresh(self.notice, "; ".join(problems), "bad")

    # -- the server

    @property
    def role(self) -> Role:
        """The role of the caller; until the server has responded, the requested one.

        Only a newer server knows what its new roles may do, so no command is dimmed for them.
        """
        status = self.status.latest
        if status is not None:
            return Role(status.role) if status.role in tuple(Role) else Role.ADMIN
        return Role(self.options.role) if self.options.role else Role.ADMIN

    async def _reach_server(self) -> None:
        """Connect to a server (or start one), load the data of the frame, and follow the feed."""
        await self.connection.open()
        if self.connection.bound_to is not None:  # before the waiting calls are sent
            self.account.number = self.connection.bound_to
        await self._read_frame()
        if self.connection.started:
            self.notice(
                "started a server; it keeps delivering when you quit (`hooktui stop` ends it)"
            )
            self._show_problems()  # they matter more than this notice
        self._pass_on(FeedChanges(everything=True))
        self._follow_feed()

    async def _read_frame(self) -> None:
        """Load event types, accounts and status; exit with code 3 if there is no such account."""
        from hooktui.client import calls

        try:
            self.catalogue = await self.connection.send(calls.event_types())
            accounts = await self.connection.send(calls.list_accounts(limit=MAX_LIMIT))
            names = {account.id: account.name for account in accounts.data}
            number = self.account.number
            if accounts.next is None and number not in names:
                self._end(3, f"there is no account {number}; see: hooktui accounts list")
                return
            await self.status.read()
        except HooktuiError as error:
            self.notice(str(error), "bad")
        else:
            self.account.name = names.get(number, "")
            self._refresh_frames()
            if self.options.account not in (DEFAULT_ACCOUNT, number):
                self.notice(f"your token is bound to account {number}, which is shown", "warn")

    def _follow_feed(self) -> None:
        """Follow the feed of the current account; this replaces the worker of another one."""
        _: Worker[None] = self.run_worker(
            self._feed.follow, name="feed", group="feed", exclusive=True
        )

    async def use_account(self, number: int) -> None:
        """Switch to another account; if typed text would be lost, ask first."""
        from hooktui.client import calls

        send = self.connection.send
        try:
            status = await send(calls.server_status(number))
            accounts = await send(calls.list_accounts(limit=MAX_LIMIT))
        except HooktuiError as error:
            self.notice(str(error), "bad")
            return
        name = next((account.name for account in accounts.data if account.id == number), "")
        show = partial(self._show_account, number, name, status)
        front = front_screen(self)
        if front is None:
            show()
        else:
            front.leave_all(show)

    def _show_account(self, number: int, name: str, status: ServerStatus) -> None:
        for screen in full_screens(self):
            screen.keep_state()
        self.account.show(number, name)
        self.status.backlog_trend.clear()
        self.status.record(status)
        self.log_buffer.clear()
        note = f"the log of {name or f'account {number}'}"
        self.log_buffer.extend([LogLine(at_ms=self.clock(), note=note)])
        self._feed.start_over()
        self._follow_feed()
        while len(self.screen_stack) > 1:
            close_front(self)
        for screen in full_screens(self):
            screen.account_changed()
            screen.refresh_frame()
        self._pass_on(FeedChanges(everything=True))
        self.notice(f"switched to account {number}{name and f' ({short_name(name)})'}", "good")

    def switch_account(self, number: int) -> None:
        """Switch to another account in a worker of the app; a later switch replaces this one."""
        switch = partial(self.use_account, number)
        _: Worker[None] = self.run_worker(switch, group="account", exclusive=True)

    def _end(self, code: int, fault: str) -> None:
        """Exit with a code and an error message."""
        self.exit(return_code=code, message=None)
        self.fault = fault

    def _connection_changed(self, state: ConnectionState, problem: HooktuiError | None) -> None:
        """Show the new connection state; exit with code 4 if the server denies access."""
        if state is ConnectionState.DENIED and problem is not None:
            self._end(4, str(problem))
            return
        before, self._connection_before = self._connection_before, state
        self._refresh_frames()
        if state is ConnectionState.LOST:
            why, start = self.connection.problem, ""
            if not why:  # the server has ended: the error adds no information
                why, start = "connection lost", self._how_to_start()
            self.notice(f"{why}; showing the last known data{start}", "bad")
        elif state in (ConnectionState.ABSENT, ConnectionState.REFUSED) and problem is not None:
            self.notice(str(problem), "bad")
        elif before is ConnectionState.REFUSED:
            self.notice("access restored", "good")
        elif before is ConnectionState.LOST:
            self.notice("connected again", "good")
            self.run_worker(self._read_catalogue(), name="catalogue", group="catalogue")

    def _how_to_start(self) -> str:
        """Return how the user starts a server again; empty if that is not done here."""
        if self.restricted:
            return ""
        if self.connection.is_service:
            return f"; start it with: {START_SERVICE}"
        if self.options.connect:
            return ""
        status = self.status.latest
        database = None if status is None else status.database
        on_postgres = database is not None and database.kind == "postgresql"
        named = " --database …" if on_postgres else ""  # without one it would be SQLite's
        return f"; `hooktui serve{named}` starts the server again"

    async def _read_catalogue(self) -> None:
        """Read the event types again: the server may have been restarted with others."""
        from hooktui.client import calls

        with suppress(HooktuiError):  # the status line shows the state of the connection
            self.catalogue = await self.connection.send(calls.event_types())
            self._pass_on(FeedChanges(everything=True))

    def on_app_focus(self) -> None:
        """Record that the terminal gained the focus."""
        self._notifier.focused(True)

    def on_app_blur(self) -> None:
        """Record that the terminal lost the focus."""
        self._notifier.focused(False)

    # -- services for screens

    def _refresh_frames(self) -> None:
        for screen in full_screens(self):
            screen.refresh_frame()

    def _show_names(self) -> None:
        for screen in full_screens(self):
            if screen.drawn:
                screen.show_names()

    def _pass_on(self, changes: FeedChanges) -> None:
        """Pass feed changes to all screens; a screen applies them when it is in the foreground."""
        self.account.outdate_names(None if changes.everything else changes.hooks)
        for screen in full_screens(self):
            screen.add_changes(changes)

    def notice(self, text: str, severity: Severity = "plain") -> None:
        """Show a notice on the screen in the foreground."""
        front = front_screen(self)
        if front is not None:
            front.notices.show(text, severity)

    # -- preferences

    def key(self, command: str) -> str:
        """Return the key of a command as displayed, for use in messages."""
        return self.preferences.keymap.key(command)

    def problems(self) -> list[str]:
        """Return messages about errors in the preferences and the session state."""
        problems = list(self.preferences.problems)
        theme = self.options.theme
        if theme is not None and theme not in self.available_themes:
            problems.append(f"[console] theme: unknown theme {theme!r}")
        if self.session.problem:
            problems.append(self.session.problem)
        return problems

    def _register_themes(self) -> str:
        """Register all themes; return the one selected by the options, else by the terminal."""
        for theme in (*THEMES, *self.preferences.themes):
            self.register_theme(theme)
        name = self.options.theme
        return name if name in self.available_themes else default_theme(self.environ)

    def _restored_theme(self) -> str:
        """Return the theme of the last session, unless the initial one has changed since."""
        chosen, before = self.session.theme or ("", "")
        restored = before == self._initial_theme and chosen in self.available_themes
        return chosen if restored else self._initial_theme

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return a default for ``quiet``, the one variable that only built-in themes define."""
        return {"quiet": quiet_colour(self.current_theme)}

    def get_css_variables(self) -> dict[str, str]:
        """Return the variables of the theme, with colours adjusted for readability."""
        variables = super().get_css_variables()
        if not self.current_theme.ansi:
            variables |= readable_variables(variables)
            self.theme_variables = variables
        return variables

    # -- terminal size

    @property
    def size(self) -> Size:
        """The size of the drawn area."""
        return clamped(super().size)

    def _unsaved(self) -> bool:
        """Return whether quitting would lose typed text."""
        return any(screen.unsaved for screen in full_screens(self))

    async def on_event(self, event: events.Event) -> None:
        """Limit the reported terminal size; dispatch keys and pasted texts one at a time."""
        if isinstance(event, events.Resize):
            event = self.terminal_size.clamp(event)
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await self._dispatch(event)
        elif self._keys.is_turn_of(event):
            target = self._keys.target()
            await self._dispatch(event)
            self._keys.dispatched(target)

    async def _dispatch(self, event: events.Event) -> None:
        """Dispatch an event; drop input while only the message is drawn."""
        is_input = isinstance(event, events.InputEvent | events.Paste)
        if is_input and not event.is_forwarded and self.terminal_size.too_small:
            if isinstance(event, events.Key):
                self.terminal_size.press(event.key)
            return
        if isinstance(event, events.Paste) and not event.is_forwarded:
            event = self._fit_paste(event)
        await super().on_event(event)

    def _fit_paste(self, paste: events.Paste) -> events.Paste:
        """Return what a field of one line takes of a pasted text; say so if it takes a part."""
        from textual.widgets import Input

        if not isinstance(self.focused, Input):
            return paste
        lines = [line for line in paste.text.splitlines() if line.strip()]
        if len(lines) > 1:
            self.notice(f"pasted the first of {len(lines)} lines: this field takes one", "warn")
        return events.Paste(lines[0] if lines else "")

    # -- screenshots

    def export_screenshot(self, *, title: str | None = None, simplify: bool = False) -> str:
        """Return a screenshot of the screen, with revealed secrets masked."""
        with ExitStack() as masks:
            for screen in self.screen_stack:
                for shown in screen.query(".-revealed"):
                    masks.enter_context(cast("Redactable", shown).masked())
            return super().export_screenshot(title=title, simplify=simplify)

    # -- exit

    def exit(
        self, result: None = None, return_code: int = 0, message: RenderableType | None = None
    ) -> None:
        """Exit the app, after saving the state of the screens, which are then removed."""
        self.calls.ending = True
        self._keep_state()
        super().exit(result, return_code, message)

    def _keep_state(self) -> None:
        """Fill the session state, which `SessionState.write` writes to its file."""
        for screen in full_screens(self):
            screen.keep_state()
            top = top_screen_of(type(screen).__name__)
            if top is not None:
                self.session.screen = top.name
        changed = self.theme != self._initial_theme
        self.session.theme = (self.theme, self._initial_theme) if changed else None

    def action_command_palette(self) -> None:
        """Open the command palette."""
        self.navigation.open_palette()

    def action_how_to_quit(self) -> None:
        """Show how to quit, because many users press ctrl+c for it."""
        self.notice(f"{self.key('quit')} quits; ctrl+q does so from everywhere")

    def action_suspend_process(self) -> None:
        """Stop, if a shell can continue the console."""
        if has_job_control():
            super().action_suspend_process()
        else:
            self.notice(f"no shell waits for the console; {self.key('quit')} quits")

    def _fatal_error(self) -> None:
        """Exit after an unexpected error; print no traceback, because locals may hold secrets."""
        self.calls.ending = True
        self.fault = write_fault(self.environ)
        self._close_messages_no_wait()

    def _print_error_renderables(self) -> None:
        """Print nothing; `run` prints one line after the terminal is restored."""
        if self._exit_renderables and self.fault is None:
            self.fault = write_fault(self.environ)
        self._exit_renderables.clear()


if TYPE_CHECKING:

    def _keeps_the_contract(app: ConsoleApp) -> Shell:
        return app
