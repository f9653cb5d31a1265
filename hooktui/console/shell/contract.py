"""The services that screens, their parts and the widgets use; the app provides them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Protocol

from hooktui.console.glyphs import Glyphs
from hooktui.console.registry import Command, TopScreen
from hooktui.console.shell.account import AccountView
from hooktui.console.shell.log_buffer import LogBuffer
from hooktui.console.shell.preferences import ConsoleOptions, Preferences
from hooktui.console.shell.server_calls import ServerCalls, Severity
from hooktui.console.shell.server_connection import ServerConnection
from hooktui.console.shell.session_state import SessionState
from hooktui.console.shell.status import StatusMonitor
from hooktui.domain.filters.terms import FilterTerms
from hooktui.domain.roles import Role
from hooktui.domain.wire.events import Catalogue

if TYPE_CHECKING:
    from hooktui.domain.wire.hooks import Hook
    from hooktui.domain.wire.replays import ReplaySelection


class Navigator(Protocol):
    """Opens screens by what they are about, so that no screen imports another one."""

    def go(self, top: TopScreen) -> None:
        """Go to a top screen, whatever lies above it."""

    def ask_to_leave(self, title: str, details: str, leave: Callable[[], object]) -> None:
        """Ask whether typed text may be lost; leave if so."""

    def show_tab(self, path: str) -> None:
        """Show another tab of a top screen in place of the screen in front."""

    def open_deliveries(self, filter_text: str) -> None:
        """List the deliveries of all hooks that match a filter."""

    def open_events(self, filter_text: str, note: str = "") -> None:
        """List the events that match a filter."""

    def open_replay(self, replay: str) -> None:
        """Open a replay by its id."""

    def open_replay_form(
        self, selection: ReplaySelection, started: Callable[[], object] = ...
    ) -> None:
        """Open the form of a new replay, with a selection; ``started`` is called if one runs."""

    def select(self, heading: str, identity: Hashable) -> None:
        """Put the cursor on what was created just now, in the list of the screen that shows it."""

    def open_form(self, hook: Hook | None) -> None:
        """Open the form of a hook that exists; for a new one (None) the list of types first."""

    def open(self, command: Command, *identity: int | str) -> None:
        """Open what a command of the ``:`` line opens, by its id."""

    def open_hook(self, hook: int) -> None:
        """Open a hook by its id."""

    def open_secret(self, hook: Hook) -> None:
        """Open the secret of a hook."""

    def open_diagnosis(self, hook: Hook) -> None:
        """Diagnose the receiver of a hook."""

    def open_delivery(self, delivery: str) -> None:
        """Open a delivery by its id."""

    def open_event(self, event: str) -> None:
        """Open an event by its id."""

    def open_emit(self, event_type: str = "", body: str | None = None) -> None:
        """Open the dialog that sends an event, with a type and a body to begin with."""

    def open_help(self) -> None:
        """Show the keys of the screen in front; choosing one runs it."""

    def open_palette(self) -> None:
        """Open the palette."""

    def filter_terms(self, word: str) -> FilterTerms:
        """Return the terms of the list that a word filters; else those of the screen in front."""

    async def open_command_line(self, text: str = "") -> None:
        """Open the ``:`` line of the screen in front, with a text; returns once keys go there."""


class Shell(Protocol):
    """The services of the app.

    Attributes:
        clock: returns "now" in milliseconds.
        glyphs: what is drawn for states, Unicode or ASCII.
        catalogue: the event types of the server; the built-in ones until it has responded.
        options: of the command line, completed from the preferences.
        preferences: what the user has set.
        session: what is restored the next time.
        connection: to the server.
        calls: sends calls that change something.
        status: the status of the server.
        account: the account that is shown.
        log_buffer: the latest lines of the live log.
        navigation: opens screens.
    """

    clock: Callable[[], int]
    glyphs: Glyphs
    catalogue: Catalogue
    options: ConsoleOptions
    preferences: Preferences
    session: SessionState
    connection: ServerConnection
    calls: ServerCalls
    status: StatusMonitor
    account: AccountView
    log_buffer: LogBuffer

    @property
    def navigation(self) -> Navigator:
        """Opens screens."""

    @property
    def role(self) -> Role:
        """The role of the caller; until the server has responded, the one that was asked for."""

    @property
    def too_small(self) -> bool:
        """Whether the terminal has room for a message only."""

    def small_message(self) -> Sequence[str]:
        """Return the lines of that message."""

    def key(self, command: str) -> str:
        """Return how the key of a command is shown, for sentences."""

    def notice(self, text: str, severity: Severity = "plain") -> None:
        """Show a notice on the screen in front."""

    async def use_account(self, number: int) -> bool:
        """Show another account; return whether the server allows it (else: a notice)."""

    def switch_account(self, number: int) -> None:
        """Show another account, in a worker of the app: the screen that asked may be left."""
