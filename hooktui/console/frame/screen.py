"""Base class of screens: the frame, the commands, and feed changes.

A screen lists its commands in ``COMMAND_NAMES``; its handlers and its parts run them. The coroutine
of a handler runs as a worker, so that a slow server never blocks a key. Every key of the registry
is bound on every screen; if a command is not possible, the key shows the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.keys import key_to_character
from textual.screen import Screen
from textual.widgets import Input
from textual.worker import Worker

from hooktui.console.frame.frame_text import alert_path, status_line, top_screens, unloaded
from hooktui.console.frame.notices import Notices, error_text
from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.keymap import shown
from hooktui.console.registry import (
    BY_NAME,
    COMMANDS,
    EVERYWHERE,
    TOP_SCREENS,
    Command,
    TopScreen,
    bindings,
)
from hooktui.console.shell.change_feed import FeedChanges
from hooktui.console.shell.contract import Shell
from hooktui.console.shell.reliable_timers import set_reliable_timer
from hooktui.console.shell.server_calls import ResultMessage, Severity
from hooktui.console.shell.server_connection import ConnectionState
from hooktui.console.shell.session_state import ScreenState
from hooktui.console.shell.terminal import accepts_output, copy
from hooktui.console.shell.terminal_size import (
    on_event_at_size_of_app,
    reset_focus_if_hidden,
    set_focus_if_drawn,
)
from hooktui.console.widgets.chrome import Heading, KeyLine, Offer, StatusLine, TooSmall
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.errors import HooktuiError, NotAllowed, NotFound
from hooktui.domain.filters.terms import NO_TERMS, FilterTerms
from hooktui.domain.roles import allows, why_not

if TYPE_CHECKING:
    from hooktui.client.calls import Call

R = TypeVar("R")
T = TypeVar("T")

CHANGES_S = 0.25
"""Minimum number of seconds between two updates of a screen by feed changes."""

TIMES_S = 15.0
"""Seconds between two updates of relative times, such as "4m" and "in 5m"."""


class ConsoleScreen(Screen[None]):
    """Full screen with heading, body, status line and key line.

    It paints only while it is visible, and no faster than its terminal accepts output. Textual
    queues up to 30 frames and then blocks the app: at 256 kbit/s a log was 10 s behind, and so were
    key presses and quitting. On a slow connection, frames are dropped instead.

    It holds references to its lists instead of querying them: a page may arrive while the list is
    being removed.

    Attributes:
        listing: the list of a screen that has one.
        notices: shows results and errors in the status line.
        handlers: the handlers of its own commands, by command name.
        parts: run other commands; they take precedence over the screen's own handlers.
        subjects: return what commands act on, if it is not the subject of the screen.
    """

    COMMAND_NAMES: ClassVar[tuple[str, ...]] = ()
    """The commands of this screen, in the order of the key line."""

    COMMAND_LABELS: ClassVar[tuple[Command, ...]] = ()
    """Commands that have other texts on this screen."""

    ALL_ACCOUNTS: ClassVar[tuple[str, ...]] = ()
    """The commands about all accounts; a token that is bound to one account does not allow them."""

    HEADING: ClassVar[str] = ""
    """The name of this screen in its heading and in the help."""

    TOP_SCREEN: ClassVar[str] = ""
    """The label of the top screen that this belongs to; empty: `HEADING` is used instead."""

    FILTER_TERMS: ClassVar[FilterTerms] = NO_TERMS
    """The terms that the command ``filter`` accepts here, for its completion."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*(command.name for command in COMMANDS))]

    listing: WindowedList[Any]

    set_timer = set_reliable_timer
    set_focus = set_focus_if_drawn
    _reset_focus = reset_focus_if_hidden
    on_event = on_event_at_size_of_app

    def __init__(self) -> None:
        super().__init__()
        self.notices = Notices(self)
        self.handlers: dict[str, Handler] = {
            "back": self.back,
            "quit": self.quit,
            "help": lambda: self.shell.navigation.open_help(),
            "palette": lambda: self.shell.navigation.open_palette(),
            "command": lambda: self.shell.navigation.open_command_line(),
            "reload": self.reload,
            **{top.command: partial(self.go, top) for top in TOP_SCREENS},
        }
        self.parts: Sequence[ScreenPart] = ()
        self.subjects: dict[str, Callable[[], Hashable]] = {"copy": lambda: None}
        self._pending = FeedChanges()
        self._changes_due = False
        self._account = 0
        self._has_begun = False
        self._connection_shown: tuple[ConnectionState, str] | None = None
        self._running_commands: set[tuple[str, Hashable]] = set()

    @property
    def shell(self) -> Shell:
        """The services of the app."""
        return cast("Shell", self.app)

    @property
    def top_screen(self) -> str:
        """The label of the top screen that this is, or belongs to."""
        return self.TOP_SCREEN or self.HEADING

    @property
    def unsaved(self) -> bool:
        """Whether text that was typed here would be lost by closing the screen."""
        return False

    # -- painting

    @property
    def is_current(self) -> bool:
        """Whether the screen is visible: in the foreground, or below transparent screens.

        Textual's own property is also true for any screen below the one in the foreground, whose
        cells are then all painted again for each change in a hidden screen.
        """
        for screen in reversed(self.app.screen_stack):
            if screen is self:
                return True
            if screen.styles.background.a == 1:
                return False
        return False

    def _on_timer_update(self) -> None:
        # The timer runs until this paints, so it checks again.
        if self.app.is_headless or accepts_output():
            super()._on_timer_update()

    # -- the server

    def run_latest(self, work: Callable[[], Coroutine[None, None, None]], group: str) -> None:
        """Run work in the background; it replaces earlier work of its group.

        It is a function: the coroutine of work that is replaced before it begins is never awaited.
        """
        _: Worker[None] = self.run_worker(work, group=group, exclusive=True)

    async def send(self, call: Call[T]) -> T:
        """Send a call and return its response.

        Raises:
            HooktuiError: the server refused the call or cannot be reached.
        """
        return await self.shell.connection.send(call)

    async def change(self, call: Call[T], doing: str, message: ResultMessage | None = None) -> T:
        """Send a call that changes something, show it as in progress, and return its response.

        ``doing`` is the progress text, such as ``deleting hook 12 (billing)``. If this screen is
        closed meanwhile, the one in the foreground shows the ``message`` of the response.

        Raises:
            HooktuiError: the server refused the call or cannot be reached.
        """
        with self.notices.working(doing):
            return await self.shell.calls.change(call, doing, message)

    async def call(
        self, call: Call[T], doing: str = "", message: ResultMessage | None = None
    ) -> T | None:
        """Send a call and return its response; on an error, show a notice and return None.

        With ``doing``, the call changes something; see `change`.
        """
        try:
            if doing:
                return await self.change(call, doing, message)
            return await self.send(call)
        except HooktuiError as error:
            self.show_error(error)
            return None

    def notice(self, text: str, severity: Severity = "plain") -> None:
        """Show a notice; on the screen in the foreground if this one is covered."""
        screens = full_screens(self.app)
        front = screens[-1] if self in screens else self
        front.notices.show(text, severity)

    async def copy_text(self, text: str, what: str) -> None:
        """Copy a text to the terminal's clipboard, and show a notice with ``what``, its name."""
        self.notice(await copy(self.app, text, what), "good")

    def show_error(self, error: HooktuiError) -> None:
        """Show an error as a notice."""
        self.notice(error_text(error), "bad")
        if isinstance(error, NotAllowed):
            self.shell.status.read_soon()  # the role has changed, and with it the disabled commands

    def forget(self, identities: Iterable[Hashable]) -> None:
        """Drop the marks of objects that are known to be deleted."""
        if self.is_mounted:
            for part in self.parts:
                part.forget(identities)

    def show_load_error(self, error: HooktuiError) -> None:
        """Show the error of a load as a notice, and in place of data that is not loaded."""
        self.show_error(error)
        self.explain(unloaded(self.shell, error_text(error)))

    # -- the frame

    def compose(self) -> ComposeResult:
        """Compose the frame around the body."""
        yield Heading()
        yield from self.compose_body()
        yield StatusLine()
        yield KeyLine(self._offers_now, self._help_key)
        yield TooSmall()

    def compose_body(self) -> ComposeResult:
        """Compose the widgets between heading and status line."""
        yield from ()

    def heading(self) -> StyledLine:
        """Return the left part of the heading; `draw_heading` draws it."""
        return ((f" {self.HEADING}", "strong"),)

    def heading_end(self) -> StyledLine:
        """Return the right part of the heading: the top screens."""
        return top_screens(self.top_screen)

    def on_mount(self) -> None:
        """Set up the screen. Override `begin`: Textual calls this handler of all base classes."""
        self.begin()

    def begin(self) -> None:
        """Set up the screen: restore the saved state, and draw the frame for the first time."""
        self._account = self.shell.account.number
        self.load_state(self.shell.session.of(self.HEADING, self._account))
        self.refresh_frame()
        self.set_interval(TIMES_S, self._refresh_times)
        self.notices.begin()
        self._has_begun = True

    @property
    def drawn(self) -> bool:
        """Whether all widgets exist; the name of a hook may arrive at the opening or closing."""
        return self._has_begun and self.is_attached and self.framed

    def _refresh_times(self) -> None:
        if self.drawn:
            self.draw_heading()
            for listing in self.query(WindowedList):
                listing.refresh_times()
            self.refresh_times()

    def show_names(self) -> None:
        """Redraw what shows names of hooks, as more of them are known."""
        self._refresh_times()

    def refresh_times(self) -> None:
        """Redraw what depends on the current time, except the heading and the lists."""

    def on_unmount(self) -> None:
        """Save the state for the next visit."""
        self.keep_state(self._account)

    def keep_state(self, account: int | None = None) -> None:
        """Save the state; ``account`` is the account shown here, if it is not the app's."""
        if self.is_mounted:
            number = self.shell.account.number if account is None else account
            self.shell.session.keep(self.HEADING, number, self.save_state())

    def save_state(self) -> ScreenState:
        """Return the state to restore on the next visit: filter, sort order, panes."""
        return {}

    def load_state(self, state: ScreenState) -> None:
        """Restore what `save_state` returned; on mount, nothing is loaded or laid out yet."""

    def on_screen_resume(self) -> None:
        """Apply the changes that arrived while another screen was in the foreground."""
        self.refresh_frame()
        self._schedule_changes()

    @property
    def framed(self) -> bool:
        """Whether the frame is mounted; a worker may end while a screen is opened or closed.

        ``is_mounted`` stays true while the widgets of a closing screen are removed.
        """
        return {Heading, StatusLine, KeyLine} <= {type(child) for child in self.children}

    def refresh_frame(self) -> None:
        """Redraw heading, status line and key line; cheap if nothing has changed."""
        if self.framed:
            self.draw_heading()
            self.query_one(StatusLine).show(*status_line(self.shell))
            self.query_one(KeyLine).show_again()
            connection = self.shell.connection.state, self.shell.connection.problem
            if connection != self._connection_shown:
                self._connection_shown = connection
                self.explain(unloaded(self.shell))  # once reconnected, all data is loaded again

    def explain(self, lines: Sequence[StyledLine]) -> None:
        """Show in place of data that is not loaded whether it loads, or why it does not."""
        for listing in self.query(WindowedList):
            listing.explain(lines)

    def _help_key(self) -> str:
        """Return the key that opens the help now: in a text field, ``?`` is typed."""
        keys = self.command("help").keys.split(",")
        return shown(next((key for key in keys if not self._is_for_field(key)), keys[0]))

    def _is_for_field(self, key: str) -> bool:
        """Return whether the text field that has the focus takes a key: it types, or submits."""
        field = self.focused
        if field is None:
            return False
        submits = key == "enter" and isinstance(field, Input)
        return submits or field.check_consume_key(key, key_to_character(key))

    def _offers_now(self) -> Sequence[Offer]:
        """Return the offers; a command is dimmed if a text field takes its keys."""
        return [
            offer
            if offer.disabled_reason
            or not all(map(self._is_for_field, offer.command.keys.split(",")))
            else replace(offer, disabled_reason="the text field takes the key")
            for offer in self.offers()
        ]

    def on_descendant_focus(self) -> None:
        """Show the commands that are possible beside what has the focus now."""
        if self.framed:
            self.query_one(KeyLine).show_again()

    def draw_heading(self) -> None:
        """Redraw the heading; cheap if nothing has changed."""
        end = self.heading_end()
        short = top_screens(self.top_screen, short=True) if end else ()
        self.query_one(Heading).show((*alert_path(self.shell), *self.heading()), end, short)

    # -- commands

    def command_labels(self) -> tuple[Command, ...]:
        """Return the commands that currently have other texts on this screen."""
        return (*(label for part in self.parts for label in part.labels), *self.COMMAND_LABELS)

    def command(self, name: str) -> Command:
        """Return a command with the texts of this screen and the user's key."""
        labels = (command for command in self.command_labels() if command.name == name)
        return self.shell.preferences.keymap.fit(next(labels, BY_NAME[name]))

    def usable_key(self, name: str) -> str:
        """Return the key of a command as displayed; empty if the role may not run it."""
        return self.shell.key(name) if allows(self.shell.role, self.command(name).need) else ""

    def offers(self) -> Iterable[Offer]:
        """Return the commands of the key line, with the reasons why some are not possible."""
        offers: Iterable[Offer] = (
            Offer(self.command(name), self.disabled_reason(name)) for name in self.COMMAND_NAMES
        )
        for part in self.parts:
            offers = part.arrange(offers)
        return offers

    def commands_here(self) -> tuple[str, ...]:
        """Return all commands that work or are explained here, the general ones last."""
        return tuple(dict.fromkeys((*self.COMMAND_NAMES, *EVERYWHERE)))

    def disabled_reason(self, name: str) -> str | None:
        """Return why a command is currently not possible, or None."""
        command = self.command(name)
        labels = self.command_labels()
        if name not in self.commands_here() and all(label.name != name for label in labels):
            lists = f"{self.shell.key('help')} lists the commands"
            return f"{command.label} ({command.key}) is not available on this screen; {lists}"
        role = self.shell.role
        if not allows(role, command.need):
            return why_not(role, command.need)
        bound_to = self.shell.connection.bound_to
        if bound_to is not None and name in self.ALL_ACCOUNTS:
            return f"your token is bound to account {bound_to}, and this concerns all accounts"
        if not self.is_mounted:
            return None
        reasons = (part.disabled_reason(name) for part in self.parts)
        return next(filter(None, reasons), None) or self.own_disabled_reason(name)

    def own_disabled_reason(self, name: str) -> str | None:
        """Return a reason of the screen itself, or None; called only after its layout."""
        return None

    def not_ready_reason(self, name: str) -> str | None:
        """Return why a command must wait until the row that it acts on has been drawn, or None."""
        if not self.is_mounted:
            return None
        return next(filter(None, (part.undrawn_reason(name) for part in self.parts)), None)

    async def action_command(self, name: str) -> None:
        """Run the command of a key, or show why it is not possible."""
        if self.app.screen is not self:
            return  # another screen was opened meanwhile
        if not BY_NAME[name].blocking:
            self.run_command(name)
            return
        work = self._start_command(name)
        if work is not None:
            await work

    def run_command(self, name: str) -> None:
        """Run a command in the background, or show why it is not possible."""
        work = self._start_command(name)
        if work is not None:
            self._in_background(name, work)

    def subject(self, name: str) -> Hashable:
        """Return what a command acts on; it does not start again on the same subject until it ends.

        None: the command only reads, and may start again.
        """
        subject = self.subjects.get(name)
        return self.HEADING if subject is None else subject()

    def _start_command(self, name: str) -> Coroutine[None, None, None] | None:
        """Run a command, or show why it is not possible; return the coroutine to await, if any."""
        if (name, self.subject(name)) in self._running_commands:
            self.notices.still_working()
            return None
        reason = self.disabled_reason(name) or self.not_ready_reason(name)
        if reason is not None:
            if BY_NAME[name].explains:
                self.notice(reason, "warn")
            if self.is_mounted:
                for part in self.parts:
                    part.refused(name, reason)
            return None
        self.notices.clear()
        return self._handler(name)()

    def _handler(self, name: str) -> Handler:
        """Return the handler of a command: of the first part that has one, else of the screen."""
        tables = (*(part.handlers for part in self.parts), self.handlers)
        return next(table[name] for table in tables if name in table)

    def _in_background(self, name: str, work: Coroutine[None, None, None]) -> None:
        this = (name, self.subject(name))

        async def run() -> None:
            try:
                await work
            except HooktuiError as error:
                self.show_error(error)  # the command does not handle it; the console continues
            finally:
                self._running_commands.discard(this)

        if this[1] is not None:
            self._running_commands.add(this)
        self.run_worker(run(), name=f"command {name}", group="commands")

    def on_windowed_list_moved(self) -> None:
        """Redraw the frame: it depends on the row under the cursor and on the counts."""
        self.refresh_frame()

    def on_windowed_list_marks_changed(self) -> None:
        """Redraw the number of marked rows."""
        self.refresh_frame()

    def on_windowed_list_opened(self) -> None:
        """Open the row under the cursor, on a screen with that command."""
        if "open" in self.COMMAND_NAMES:
            self.run_command("open")

    def on_windowed_list_failed(self, message: WindowedList.Failed) -> None:
        """Show why the rows could not be loaded."""
        self.show_load_error(message.error)

    def run_chosen(self, name: str | None) -> None:
        """Run the command chosen in the help, if any; put one without a key on the ``:`` line."""
        if name in BY_NAME:
            self.run_command(name)
        elif name is not None:
            self.run_worker(self.shell.navigation.open_command_line(f"{name} "))

    def on_key_line_chosen(self, message: KeyLine.Chosen) -> None:
        """Run the clicked command."""
        message.stop()
        self.run_command(message.name)

    def back(self) -> None:
        """Close this screen, unless it is the first one."""
        if len(self.app.screen_stack) > 1 and self.app.screen is self:
            self._ask_to_leave([self], self.leave)

    def leave(self, instead: ConsoleScreen | None = None) -> bool:
        """Close this screen with the dialogs over it, also after a late response.

        Returns:
            Whether it was closed; not if another full screen covers it, or it was closed before.
        """
        if front_screen(self.app) is not self:
            return False
        while self.app.screen is not self:
            close_front(self.app)
        if instead is None:
            self.dismiss(None)
        else:
            self.app.switch_screen(instead)
        return True

    def leave_with_notice(
        self, text: str, severity: Severity, instead: ConsoleScreen | None = None
    ) -> bool:
        """Close this screen as `leave` does, and show a notice on the one that is then in front."""
        left = self.leave(instead)
        if left:
            self.app.call_later(self.shell.notice, text, severity)
        return left

    def leave_missing(self, error: NotFound) -> None:
        """Close this screen, whose subject does not exist; say so on the one in front."""
        if self.leave_with_notice(error_text(error), "warn"):
            self.shell.navigation.ask_to_check_rows()
        else:
            self.show_error(error)

    def quit(self) -> None:
        """Quit the console; the server keeps running."""
        self.leave_all(self.app.exit)

    def reload(self) -> None:
        """Reload the data of this screen."""
        self.read_soon()
        self.shell.status.read_soon()

    def go(self, top: TopScreen, then: Callable[[], object] = lambda: None) -> None:
        """Open a top screen; call ``then`` once it is open."""

        def go() -> None:
            self.shell.navigation.go(top)
            then()

        self.leave_all(go)

    def leave_all(self, leave: Callable[[], object]) -> None:
        """Close all screens by ``leave``; ask first if text typed on one of them would be lost."""
        self._ask_to_leave(full_screens(self.app), leave)

    def leave_question(self) -> tuple[str, str]:
        """Return the question that is asked before typed text is lost, and its details."""
        return "Leave without saving?", "Your changes would be lost."

    def _ask_to_leave(self, left: Sequence[ConsoleScreen], leave: Callable[[], object]) -> None:
        """Close screens; ask first if text typed on one of them would be lost."""
        unsaved = next((screen for screen in reversed(left) if screen.unsaved), None)
        if unsaved is None:
            leave()
            return
        title, details = unsaved.leave_question()
        if unsaved is not self:
            details = f"{unsaved.HEADING}, below this screen: {details}"
        self.shell.navigation.ask_to_leave(title, details, leave)

    # -- the feed

    def add_changes(self, changes: FeedChanges) -> None:
        """Add feed changes; `changed` is called soon, and once for many of them."""
        self._pending.merge(changes)
        self._schedule_changes()

    def read_soon(self) -> None:
        """Call `changed` soon, as if all data had changed."""
        self.add_changes(FeedChanges(everything=True))

    def account_changed(self) -> None:
        """Restore the state of the new account; `changed` then loads all data."""
        self._account = self.shell.account.number
        self.load_state(self.shell.session.of(self.HEADING, self._account))

    async def changed(self, changes: FeedChanges) -> None:
        """Apply feed changes; screens that show data of the server override this."""

    def _schedule_changes(self) -> None:
        if self._pending and not self._changes_due and self.app.screen is self:
            self._changes_due = True
            self.set_timer(CHANGES_S, self._hand_over_changes)

    def _hand_over_changes(self) -> None:
        """Call `changed` in a worker; changes that arrive meanwhile wait until it ends."""

        async def hand_over() -> None:
            changes, self._pending = self._pending, FeedChanges()
            try:
                await self.changed(changes)
            finally:
                self._changes_due = False
            self._schedule_changes()

        _: Worker[None] = self.run_worker(hand_over, name="changes", group="changes")


def full_screens(app: App[Any]) -> list[ConsoleScreen]:
    """Return the full screens of an app's stack, from bottom to top."""
    return [screen for screen in app.screen_stack if isinstance(screen, ConsoleScreen)]


def front_screen(app: App[Any]) -> ConsoleScreen | None:
    """Return the full screen in the foreground, below any dialogs; None: there is none."""
    screens = full_screens(app)
    return screens[-1] if screens else None


def close_front(app: App[Any]) -> None:
    """Close the screen or dialog in the foreground; its result is None."""
    app.screen.dismiss(None)
