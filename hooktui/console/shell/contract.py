"""Interfaces of the services that the app provides to screens, their parts and widgets."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from hooktui.console.glyphs import Glyphs
from hooktui.console.registry import TopScreen
from hooktui.console.shell.account import AccountView
from hooktui.console.shell.log_buffer import LogBuffer
from hooktui.console.shell.preferences import Preferences
from hooktui.console.shell.server_calls import ServerCalls, Severity
from hooktui.console.shell.server_connection import ServerConnection
from hooktui.console.shell.session_state import SessionState
from hooktui.console.shell.status import StatusMonitor
from hooktui.console.shell.terminal_size import TerminalSize
from hooktui.domain.filters.terms import FilterTerms
from hooktui.domain.roles import Role
from hooktui.domain.wire.events import Catalogue
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.replays import ReplaySelection


class Navigator(Protocol):
    """Opens screens by their subject, so that no screen imports another one."""

    def go(self, top: TopScreen) -> None:
        """Switch to a top screen and close all screens above the bottom one."""

    def ask_to_leave(self, title: str, details: str, leave: Callable[[], object]) -> None:
        """Ask whether to discard typed text, and call ``leave`` if the user confirms."""

    def show_tab(self, path: str) -> None:
        """Replace the screen in the foreground by another tab of its top screen."""

    def open(self, path: str, *arguments: object) -> None:
        """Open a screen by its path, written as in `TopScreen`."""

    def open_deliveries(self, filter_text: str) -> None:
        """Open the list of deliveries of all hooks, with a filter."""
        self.open("deliveries.deliveries_screen:DeliveriesScreen", filter_text)

    def open_events(self, filter_text: str, note: str = "") -> None:
        """Open the list of events with a filter; ``note`` describes them in the title."""
        self.open("events.events_screen:EventsScreen", filter_text, note)

    def open_replay(self, replay: str) -> None:
        """Open a replay by its id."""
        self.open("replays.replay_screen:ReplayScreen", replay)

    def open_replay_form(
        self, selection: ReplaySelection, started: Callable[[], object] = lambda: None
    ) -> None:
        """Open the form for a new replay of a selection; call ``started`` once it is started."""
        self.open("replays.replay_form:ReplayForm", selection, started)

    def select(self, heading: str, identity: Hashable) -> None:
        """Move the cursor to a new object in the list of the screen that has the given heading."""

    def ask_to_check_rows(self) -> None:
        """Ask the user to check the rows under the cursors."""

    def open_form(self, hook: Hook | None) -> None:
        """Open the form of a hook; for a new hook (None), open the list of hook types first."""
        if hook is None:
            self.open("hooks.form_screen:HookTypes")
        else:
            self.open("hooks.form_screen:HookForm", hook)

    def open_hook(self, hook: int) -> None:
        """Open a hook by its id."""
        self.open("hooks.hook_screen:HookScreen", hook)

    def open_secret(self, hook: Hook) -> None:
        """Open the screen of a hook's secret."""
        self.open("hooks.secret_screen:SecretScreen", hook)

    def open_diagnosis(self, hook: Hook) -> None:
        """Open the diagnosis of a hook's receiver."""
        self.open("hooks.diagnosis_screen:DiagnosisScreen", hook)

    def open_delivery(self, delivery: str) -> None:
        """Open a delivery by its id."""
        self.open("deliveries.delivery_screen:DeliveryScreen", delivery)

    def open_event(self, event: str) -> None:
        """Open an event by its id."""
        self.open("events.event_screen:EventScreen", event)

    def open_emit(self, event_type: str = "", body: str | None = None) -> None:
        """Open the dialog that sends an event, with an initial type and body."""
        self.open("events.emit_screen:EmitScreen", event_type, body)

    def open_help(self) -> None:
        """Open the help of the screen in the foreground; selecting a command runs it."""

    def open_palette(self) -> None:
        """Open the command palette."""

    def filter_terms(self, word: str) -> FilterTerms:
        """Return the filter terms of a top screen by name, else of the screen in the foreground."""

    async def open_command_line(self, text: str = "") -> None:
        """Open the ``:`` line in the foreground, with a text; return once it has the focus."""


class Shell(Protocol):
    """The services of the app.

    Attributes:
        clock: returns the current time in milliseconds.
        glyphs: the glyphs of states, in Unicode or ASCII.
        catalogue: the event types of the server; the built-in ones until it has responded.
        preferences: the preferences of the user.
        session: the state that the next session restores.
        connection: the connection to the server.
        calls: sends calls that change data; reports their results even after a screen is closed.
        status: the status of the server.
        account: the current account.
        log_buffer: the latest lines of the live log, shared by all widgets that show it.
        terminal_size: whether the terminal only has room for a message.
        navigation: opens screens.
    """

    clock: Callable[[], int]
    glyphs: Glyphs
    catalogue: Catalogue
    preferences: Preferences
    session: SessionState
    connection: ServerConnection
    calls: ServerCalls
    status: StatusMonitor
    account: AccountView
    log_buffer: LogBuffer
    terminal_size: TerminalSize

    @property
    def navigation(self) -> Navigator:
        """Opens screens."""

    @property
    def role(self) -> Role:
        """The role of the caller; until the server has responded, the requested one."""

    def key(self, command: str) -> str:
        """Return the key of a command as displayed, for use in messages."""

    def notice(self, text: str, severity: Severity = "plain") -> None:
        """Show a notice on the screen in the foreground."""

    def switch_account(self, number: int) -> None:
        """Switch to another account; ask first if typed text would be lost."""
