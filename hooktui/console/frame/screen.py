"""What every screen of the console shares: the frame, the commands, and changes of the feed.

A screen names its commands in ``COMMAND_NAMES``; ``handlers`` holds what runs each. The coroutine
of a handler runs as a worker, so that a slow server never blocks a key. Every key of the registry
is bound on every screen; where a command is not possible, the key shows the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen, Screen
from textual.worker import Worker

from hooktui.console.frame.frame_text import status_line, top_screens
from hooktui.console.frame.notices import Notices, error_text
from hooktui.console.registry import (
    BY_NAME,
    COMMANDS,
    EVERYWHERE,
    TOP_SCREENS,
    Command,
    TopScreen,
    bindings,
)
from hooktui.console.shell.feed_changes import FeedChanges
from hooktui.console.shell.reliable_timers import set_reliable_timer
from hooktui.console.shell.server_calls import ResultMessage, Severity
from hooktui.console.shell.session_state import ScreenState
from hooktui.console.shell.terminal import accepts_output
from hooktui.console.shell.terminal_size import set_focus_if_drawn
from hooktui.console.widgets.chrome import Heading, KeyLine, Offer, StatusLine, TooSmall
from hooktui.console.widgets.styled import StyledLine
from hooktui.domain.errors import HooktuiError, NotAllowed, Refused
from hooktui.domain.roles import allows, why_not

if TYPE_CHECKING:
    from hooktui.client.calls import Call
    from hooktui.console.shell.contract import Shell


R = TypeVar("R")
T = TypeVar("T")

Handler = Callable[[], Coroutine[None, None, None] | None]
"""Runs a command; a coroutine that it returns runs in the background."""

CHANGES_S = 0.25
"""Changes of the feed are handed to a screen at most this often."""


class ConsoleScreen(Screen[None]):
    """A full screen: heading, body, status line, line of keys.

    It paints only while it is visible, and no faster than its terminal accepts output. Textual
    queues up to 30 frames and then blocks the app: at 256 kbit/s a log was 10 s behind, and so was
    every key, and quitting. Over a slow line frames are dropped instead.

    Attributes:
        notices: shows results and errors in the status line.
        handlers: what runs each command, by its name.
    """

    COMMAND_NAMES: ClassVar[tuple[str, ...]] = ()
    """The commands of this screen, in the order of the line of keys."""

    COMMAND_LABELS: ClassVar[tuple[Command, ...]] = ()
    """Commands of the table that say here what they do with the things of this place."""

    HEADING: ClassVar[str] = ""
    """What the heading and the help call this place."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*(command.name for command in COMMANDS))]

    set_timer = set_reliable_timer
    set_focus = set_focus_if_drawn

    def __init__(self) -> None:
        super().__init__()
        self.notices = Notices(self)
        self.handlers: dict[str, Handler] = {
            "back": self.back,
            "quit": self.quit,
            "help": self.help,
            "palette": self.palette,
            "command": self.open_command_line,
            "reload": self.reload,
            **{top.command: partial(self.go, top) for top in TOP_SCREENS},
        }
        self._pending = FeedChanges()
        self._changes_due = False
        self._account = 0
        self._under_way: set[tuple[str, Hashable]] = set()

    @property
    def shell(self) -> Shell:
        """The services of the app."""
        return cast("Shell", self.app)

    @property
    def unsaved(self) -> bool:
        """Whether text that was typed here would be lost by quitting."""
        return False

    # -- painting

    @property
    def is_current(self) -> bool:
        """Whether it is visible: in front, or below screens that it shines through.

        Textual's own is true for any screen below the one in front, whose cells are then all
        painted again for each change in a screen that it hides.
        """
        for screen in reversed(self.app.screen_stack):
            if screen is self:
                return True
            if screen.styles.background.a == 1:
                return False
        return False

    def _on_timer_update(self) -> None:
        # The timer goes on until this paints, and so checks again.
        if self.app.is_headless or accepts_output():
            super()._on_timer_update()

    # -- the server

    async def ask(self, call: Call[T]) -> T:
        """Send a call and return its response.

        Raises:
            HooktuiError: the server refused, or cannot be reached.
        """
        return await self.shell.connection.send(call)

    async def change(self, call: Call[T], doing: str, message: ResultMessage | None = None) -> T:
        """Send a call that changes something, show it while it runs, and return its response.

        When this screen is left meanwhile, the screen in front shows the result.

        Args:
            call: the call.
            doing: what is being done, such as ``deleting hook 12 (billing)``.
            message: makes the notice of the response after this screen was left.

        Raises:
            HooktuiError: the server refused, or cannot be reached.
        """
        with self.notices.working(doing):
            return await self.shell.calls.change(call, doing, message)

    async def call(
        self, call: Call[T], doing: str = "", message: ResultMessage | None = None
    ) -> T | None:
        """Send a call and return its response; an error becomes a notice, and None.

        With ``doing`` it is one that changes something, see `change`.
        """
        try:
            if doing:
                return await self.change(call, doing, message)
            return await self.ask(call)
        except HooktuiError as error:
            self.show_error(error)
            return None

    async def done(self, call: Call[T], doing: str) -> bool:
        """Send a call that changes something; return whether it succeeded (else: a notice)."""
        try:
            await self.change(call, doing)
        except HooktuiError as error:
            self.show_error(error)
            return False
        return True

    def notice(self, text: str, severity: Severity = "plain") -> None:
        """Show a notice, on the screen in front when this one is covered."""
        screens = full_screens(self.app)
        front = screens[-1] if self in screens else self
        front.notices.show(text, severity)

    def show_error(self, error: HooktuiError) -> None:
        """Show an error; several bad fields in one line."""
        details = [one.detail for one in error.errors] if isinstance(error, Refused) else []
        self.notice("; ".join(details) or error_text(error), "bad")
        if isinstance(error, NotAllowed):
            self.shell.status.read_soon()  # the role has changed: dim what it does not allow

    # -- the frame

    def compose(self) -> ComposeResult:
        """Frame the body."""
        yield Heading(id="heading")
        yield from self.compose_body()
        yield StatusLine(id="status")
        yield KeyLine(lambda: list(self.offers()), self.shell.key("help"), id="keys")
        yield TooSmall()

    def compose_body(self) -> ComposeResult:
        """Yield the widgets between heading and status line."""
        yield from ()

    def heading(self) -> tuple[StyledLine, StyledLine]:
        """Return the left and right part of the heading; `refresh_frame` draws it."""
        return ((f" {self.HEADING}", "strong"),), ()

    def on_mount(self) -> None:
        """Take up what was shown here last time, and draw the frame for the first time."""
        self._account = self.shell.account.number
        self.restore(self.shell.session.of(self.HEADING, self._account))
        self.refresh_frame()

    def on_unmount(self) -> None:
        """Keep what is shown for the next time."""
        self.keep(self._account)

    def keep(self, account: int | None = None) -> None:
        """Keep what is shown; ``account`` is the one that is looked at, if not the app's."""
        if self.is_mounted:
            number = self.shell.account.number if account is None else account
            self.shell.session.keep(self.HEADING, number, self.kept())

    def kept(self) -> ScreenState:
        """Return what is to be found here again the next time: filter, sort, panes."""
        return {}

    def restore(self, kept: ScreenState) -> None:
        """Take up what `kept` returned the last time; nothing is loaded or laid out yet."""

    def on_screen_resume(self) -> None:
        """Catch up on what changed while another screen was in front."""
        self.refresh_frame()
        self._schedule_changes()

    @property
    def framed(self) -> bool:
        """Whether the frame is there; a worker may end while a screen comes or goes.

        ``is_mounted`` stays true while the widgets of a screen that closes are taken away.
        """
        return {Heading, StatusLine, KeyLine} <= {type(child) for child in self.children}

    def refresh_frame(self) -> None:
        """Draw heading, status line and line of keys again; cheap when nothing changed."""
        if self.framed:
            left, right = self.heading()
            short = top_screens(self.HEADING, short=True) if right else ()
            self.query_one(Heading).show(left, right, short)
            self.query_one(StatusLine).show(*status_line(self.shell))
            self.query_one(KeyLine).show_again()

    # -- commands

    def command(self, name: str) -> Command:
        """Return a command of the table, in the words of this place and with the user's key."""
        command = next(
            (command for command in self.COMMAND_LABELS if command.name == name), BY_NAME[name]
        )
        return self.shell.preferences.keymap.fit(command)

    def offers(self) -> Iterator[Offer]:
        """Return the commands of this place, and why one is not possible."""
        for name in self.COMMAND_NAMES:
            yield Offer(self.command(name), self.disabled_reason(name))

    def commands_here(self) -> tuple[str, ...]:
        """Return every command that works or is explained here, the general ones last."""
        return (
            *self.COMMAND_NAMES,
            *(name for name in EVERYWHERE if name not in self.COMMAND_NAMES),
        )

    def disabled_reason(self, name: str) -> str | None:
        """Return why a command is not possible here and now, or None; screens add their reasons."""
        command = self.command(name)
        if name not in self.COMMAND_NAMES and name not in EVERYWHERE:
            shows = f"{self.shell.key('help')} shows what is"
            return f"{command.label} ({command.key}) is not possible on this screen; {shows}"
        role = self.shell.role
        if not allows(role, command.need):
            return why_not(role, command.need)
        return None

    def not_ready_reason(self, name: str) -> str | None:
        """Return why a command that is possible must wait for the next frame, or None."""
        return None

    async def action_command(self, name: str) -> None:
        """Do a command that a key asked for, or say why not."""
        outcome = self._start_command(name)
        if outcome is not None and BY_NAME[name].blocking:
            await outcome
        elif outcome is not None:
            self._in_background(name, outcome)

    def run_command(self, name: str) -> None:
        """Do a command by its name, or say why not; what help, palette and clicks ask for."""
        outcome = self._start_command(name)
        if outcome is not None:
            self._in_background(name, outcome)

    def refused(self, name: str, reason: str) -> None:
        """Act on a command that was refused, beside saying why."""

    def subject(self, name: str) -> Hashable:
        """Return what a command acts on: for the same thing it is not begun again before its end.

        None: it may be, for it only looks.
        """
        return None if name == "copy" else self.HEADING

    def _start_command(self, name: str) -> Coroutine[None, None, None] | None:
        """Do a command, or say why not; return what is still to be awaited."""
        if (name, self.subject(name)) in self._under_way:
            self.notices.still_working()
            return None
        reason = self.disabled_reason(name) or self.not_ready_reason(name)
        if reason is not None:
            if BY_NAME[name].explains:
                self.notice(reason, "warn")
            self.refused(name, reason)
            return None
        self.notices.clear()
        return self.handlers[name]()

    def _in_background(self, name: str, work: Coroutine[None, None, None]) -> None:
        this = (name, self.subject(name))

        async def run() -> None:
            try:
                await work
            except HooktuiError as error:
                self.show_error(error)  # which the command does not expect; the console goes on
            finally:
                self._under_way.discard(this)

        if this[1] is not None:
            self._under_way.add(this)
        self.run_worker(run(), name=f"command {name}", group="commands")

    def run_chosen(self, name: str | None) -> None:
        """Do the command that help or the palette answered with, if any."""
        if name is not None:
            self.run_command(name)

    def on_key_line_chosen(self, message: KeyLine.Chosen) -> None:
        """Run a command that was clicked."""
        message.stop()
        self.run_command(message.name)

    def back(self) -> None:
        """Leave this screen; from the first one there is nowhere to go back to."""
        if len(self.app.screen_stack) > 1 and self.app.screen is self:
            self.dismiss(None)

    def leave(self, instead: ConsoleScreen | None = None) -> bool:
        """Leave this screen with the dialogs over it, however long an answer took to come.

        Args:
            instead: what to show in its place.

        Returns:
            Whether it was left; not where another full screen is over it, or it is gone already.
        """
        if front_screen(self.app) is not self:
            return False
        while self.app.screen is not self:
            self.app.pop_screen()
        if instead is None:
            self.dismiss(None)
        else:
            self.app.switch_screen(instead)
        return True

    def quit(self) -> None:
        """Quit the console; the server stays."""
        self.app.exit()

    def help(self) -> None:
        """Show the keys of this screen; choosing one runs it."""
        self.shell.navigation.open_help()

    async def open_command_line(self) -> None:
        """Open the ``:`` line."""
        await self.shell.navigation.open_command_line()

    def take_filter(self, text: str) -> None:
        """Show what fits a filter; a screen that has the command does."""
        raise NotImplementedError

    def palette(self) -> None:
        """Open the palette."""
        self.shell.navigation.open_palette()

    def reload(self) -> None:
        """Load what is shown again."""
        self._pending.merge(FeedChanges(everything=True))
        self._schedule_changes()
        self.shell.status.read_soon()

    def go(self, place: TopScreen) -> None:
        """Go to a place."""
        self.shell.navigation.go(place)

    # -- the feed

    def take(self, changes: FeedChanges) -> None:
        """Take in changes of the feed; `changed` is told soon, and once for many."""
        self._pending.merge(changes)
        self._schedule_changes()

    def account_changed(self) -> None:
        """Show another account as it was looked at last; `changed` is told to load everything."""
        self._account = self.shell.account.number
        self.restore(self.shell.session.of(self.HEADING, self._account))

    async def changed(self, changes: FeedChanges) -> None:
        """Show what changed; screens that show things of the server do something here."""

    def _schedule_changes(self) -> None:
        if self._pending and not self._changes_due and self.app.screen is self:
            self._changes_due = True
            self.set_timer(CHANGES_S, self._hand_over_changes)

    def _hand_over_changes(self) -> None:
        """Tell `changed` in a worker; what comes meanwhile waits until it is done."""

        async def hand_over() -> None:
            changes, self._pending = self._pending, FeedChanges()
            try:
                await self.changed(changes)
            finally:
                self._changes_due = False
            self._schedule_changes()

        _: Worker[None] = self.run_worker(hand_over, name="changes", group="changes")


def full_screens(app: App[Any]) -> list[ConsoleScreen]:
    """Return the full screens of an app's stack, the lowest first."""
    return [screen for screen in app.screen_stack if isinstance(screen, ConsoleScreen)]


def front_screen(app: App[Any]) -> ConsoleScreen | None:
    """Return the full screen that is in front, under dialogs."""
    screens = full_screens(app)
    return screens[-1] if screens else None


class ConsoleDialog(ModalScreen[R]):
    """A dialog that returns something; Esc closes it without a result, q quits."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("back", "quit")]

    set_timer = set_reliable_timer
    set_focus = set_focus_if_drawn

    def on_mount(self) -> None:
        """Be ready to say that the terminal is too small."""
        self.mount(TooSmall())

    @property
    def shell(self) -> Shell:
        """The services of the app."""
        return cast("Shell", self.app)

    async def action_command(self, name: str) -> None:
        """Do one of the few commands of a dialog."""
        if name == "back":
            self.dismiss(None)
        elif name == "quit":
            self.app.exit()
