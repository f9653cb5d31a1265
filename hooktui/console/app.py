"""The console: the app that holds the link to the server, the feed, the themes and the screens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual import events
from textual.binding import Binding, BindingType
from textual.filter import Monochrome, NoColor
from textual.screen import Screen
from textual.worker import Worker

from hooktui.console.glyphs import ASCII, UNICODE
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.navigation import Navigation
from hooktui.console.personal import PersonalApp
from hooktui.console.registry import TOP_SCREENS
from hooktui.console.shell.change_feed import ChangeFeedFollower
from hooktui.console.shell.contract import FeedChanges
from hooktui.console.shell.log_buffer import LogBuffer
from hooktui.console.shell.preferences import DEFAULT_ACCOUNT, ConsoleOptions
from hooktui.console.shell.server_calls import ServerCalls
from hooktui.console.shell.server_connection import ConnectionState, ServerConnection
from hooktui.console.shell.status import Trend
from hooktui.console.shell.terminal import AsciiFilter, EscapeFilter, Terminal, write_fault
from hooktui.console.widgets.chrome import Severity
from hooktui.console.widgets.styled import StyledLine, StyledText, StyleName
from hooktui.domain.catalogue import ETL
from hooktui.domain.clock import now_ms
from hooktui.domain.errors import HooktuiError, NotFound
from hooktui.domain.paths import START_SERVICE
from hooktui.domain.roles import Role
from hooktui.domain.wire.events import Catalogue
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.server import Status

if TYPE_CHECKING:
    from textual.command import Provider

    from hooktui.client.calls import Call
    from hooktui.console.widgets.redactable import Redactable

T = TypeVar("T")

MOST_NAMES = 20
"""Hooks whose names are asked for at once; the others' come with their next line of the log."""

STATUS_S = 5.0
"""While deliveries run or wait, backlog and rate are read again this often; when idle, never."""


def _palette() -> type[Provider]:
    from hooktui.console.frame.palette import CommandProvider

    return CommandProvider


class ConsoleApp(PersonalApp):
    """The console.

    Attributes:
        navigation: opens screens.
        clock: returns "now" in milliseconds; given, so that pictures do not change by themselves.
        glyphs: what is drawn for states, Unicode or ASCII.
        link: the way to the server.
        writing: sends what changes something, and tells of it whatever screen is left.
        log_buffer: the latest lines of the live log, shared by every widget that shows it.
        account: number of the account that is shown.
        hook_names: names of the hooks that were seen, for the log.
        turned: hooks that were activated or deactivated last, with what undoes that.
        catalogue: the event types of the server; the built-in ones until it has answered.
        status: how the server was last time; None until it has answered.
        backlog_trend: how the number of waiting deliveries goes.
        disk_trend: how the free room goes.
        fault: what went wrong, when the app had to end.
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
        # Priority: they take effect before the next key is handed out, so that a fast typist, or a
        # slow line that delivers a burst, never fills one field with the text of two.
        Binding("tab", "focus_next", show=False, id="app.focus_next", priority=True),
        Binding("shift+tab", "focus_previous", show=False, id="app.focus_previous", priority=True),
    ]

    def __init__(
        self,
        options: ConsoleOptions | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        super().__init__(options, environ)
        self.navigation = Navigation(self)
        self.clock = clock
        self.glyphs = ASCII if self.options.ascii else UNICODE
        self._connection_before = ConnectionState.CONNECTING
        self.connection = ServerConnection(self.options, self.environ, self._connection_changed)
        self.calls = ServerCalls(self)
        self.log_buffer = LogBuffer()
        self.feed = ChangeFeedFollower(self)
        self.account = self.options.account
        self.account_name = ""
        self.hook_names: dict[int, str] = {}
        self.last_toggled: list[tuple[Hook, bool]] = []
        self.catalogue: Catalogue = ETL
        self.status: Status | None = None
        self.backlog_trend, self.disk_trend = Trend(), Trend()
        self.fault: str | None = None
        # Textual chose by its own default theme; greys are colours, too.
        self._filters = [NoColor() if isinstance(f, Monochrome) else f for f in self._filters]
        self._filters.append(EscapeFilter())
        if self.options.ascii:
            self._filters.append(AsciiFilter())
        self._status_due = self._reads_status = False

    def get_default_screen(self) -> Screen[Any]:
        """Start with the hooks."""
        return HooksScreen()

    def on_mount(self) -> None:
        """Watch the terminal, and reach the server without holding up the first paint."""
        if not self.is_headless:
            Terminal(self).watch()
            self.watch_size()
            self.confine()

    def on_ready(self) -> None:
        """Reach the server once something is painted: its client takes 100 ms to import."""
        before = self.place_before()
        if before is not None and len(self.screen_stack) == 1:
            self.navigation.go(before)
        self._tell_problems()
        self.run_worker(self._reach_server(), name="attach", group="server")

    def _tell_problems(self) -> None:
        problems = self.problems()
        if problems:
            self.call_after_refresh(self.notice, "; ".join(problems), "bad")

    # -- the server

    async def ask(self, call: Call[T]) -> T:
        """Send a call once the server is reached, and return its answer.

        Raises:
            HooktuiError: the server refused, or went away.
        """
        return await self.connection.ask(call)

    @property
    def role(self) -> Role:
        """The role that we act in; until the server has said so, the one that was asked for.

        What a role of a newer server may do, that server alone knows: nothing is dimmed then.
        """
        if self.status is not None:
            known = self.status.role in tuple(Role)
            return Role(self.status.role) if known else Role.ADMIN
        return Role(self.options.role) if self.options.role else Role.ADMIN

    async def _reach_server(self) -> None:
        """Reach a server (or start one), read what the frame shows, then follow the feed."""
        from hooktui.client import calls

        await self.connection.open()
        if self.connection.bound_to is not None:  # before anybody who waited goes on
            self.account = self.connection.bound_to
        try:
            self.catalogue = await self.ask(calls.event_types())
            accounts = await self.ask(calls.list_accounts(limit=500))
            names = {account.id: account.name for account in accounts.data}
            await self.refresh_status()
        except HooktuiError as error:
            self.notice(str(error), "bad")
        else:
            self.account_name = names.get(self.account, "")
            for screen in self.navigation.screens():
                screen.refresh_frame()
            if self.options.account not in (DEFAULT_ACCOUNT, self.account):
                self.notice(f"your token is bound to account {self.account}; that is shown", "warn")
            elif accounts.next is None and self.account not in names:
                self.notice(f"there is no account {self.account} here", "bad")
        if self.connection.started:
            self.notice(
                "started a server; it stays and goes on delivering when you quit"
                " (`hooktui stop` ends it)"
            )
            self._tell_problems()  # which matter more
        self.tell(FeedChanges(everything=True))
        self.follow_feed()

    def follow_feed(self) -> None:
        """Follow the feed of the account, in place of another one's."""
        _: Worker[None] = self.run_worker(
            self.feed.follow, name="feed", group="feed", exclusive=True
        )

    async def use_account(self, account: int) -> bool:
        """Show another account from now on; return whether the server lets us (else: a notice)."""
        from hooktui.console.shell.account import use_account

        return await use_account(self, account)

    def switch_account(self, account: int) -> None:
        """Show another account, in a worker of the app: the screen that asked may be left."""
        self.run_worker(self.use_account(account), name="account", group="account", exclusive=True)

    def _connection_changed(self, state: ConnectionState, problem: HooktuiError | None) -> None:
        """Show at once that the server was lost or is back."""
        if state is ConnectionState.BARRED and problem is not None:
            self.exit(return_code=4, message=None)
            self.fault = str(problem)
            return
        before, self._connection_before = self._connection_before, state
        for screen in self.navigation.screens():
            screen.refresh_frame()
        if state is ConnectionState.LOST:
            # What the feed's read ran into is no news beside this; the status line goes on telling.
            start = "" if self.options.connect else "; `hooktui serve` starts one again"
            if self.connection.is_service:
                start = f"; start it with: {START_SERVICE}"
            self.notice(f"the server went away; what is shown stays{start}", "bad")
        elif state in (ConnectionState.ABSENT, ConnectionState.REFUSED) and problem is not None:
            self.notice(str(problem), "bad")
        elif before is ConnectionState.REFUSED:
            self.notice("access restored", "good")
        elif before is ConnectionState.LOST:
            self.notice("the server is back", "good")

    async def attached(self) -> None:
        """Wait until the server was asked who we are."""
        if self.status is None:
            await self.refresh_status()

    async def refresh_status(self) -> None:
        """Read backlog and rates, and draw them."""
        from hooktui.client import calls

        self.take_status(await self.ask(calls.server_status(self.account)))
        for screen in self.navigation.screens():
            screen.refresh_frame()

    def take_status(self, status: Status) -> None:
        """Take over how the server is."""
        self.status = status
        self.backlog_trend.add(self.clock(), status.backlog.count)
        if status.disk is not None:
            self.disk_trend.add(self.clock(), status.disk.free)

    def status_soon(self) -> None:
        """Read the status in a while; any number of calls until then make one."""
        if not self._status_due:
            self._status_due = True
            self.set_timer(STATUS_S / 5, self._status_now)

    def _status_now(self) -> None:
        """Read it in a worker: what a timer awaits, every key would wait for as well."""
        if self._reads_status:  # a slow server: once more after that answer
            self.set_timer(STATUS_S / 5, self._status_now)
            return
        self._status_due = False
        _: Worker[None] = self.run_worker(self._read_status, name="status", group="status")

    async def _read_status(self) -> None:
        self._reads_status = True
        try:
            await self.refresh_status()
        except HooktuiError:
            return  # the feed notices a lost server, and says so
        finally:
            self._reads_status = False
        if self.status is not None and not _is_calm(self.status) and not self._status_due:
            self._status_due = True
            self.set_timer(STATUS_S, self._status_now)

    # -- what screens share

    async def learn_names(self, changes: FeedChanges) -> bool:
        """Ask for the names of hooks that changed or are not known yet; return whether any is new.

        The list of hooks holds a few pages only, and the log may tell of any hook.
        """
        from hooktui.client import calls

        unknown = [hook for hook in changes.busy_hooks if hook not in self.hook_names]
        found = {}
        for hook in (*changes.hooks, *unknown)[:MOST_NAMES]:
            try:
                found[hook] = (await self.ask(calls.get_hook(hook))).name
            except NotFound:
                found[hook] = self.hook_names.get(hook, "")
            except HooktuiError:
                break  # the feed notices a lost server, and says so
        return self.take_names(found)

    def take_names(self, names: Mapping[int, str]) -> bool:
        """Remember names of hooks for the log; return whether any is new."""
        new = names.items() - self.hook_names.items()
        self.hook_names.update(new)
        return bool(new)

    def tell(self, changes: FeedChanges) -> None:
        """Pass changes of the feed on to every screen; each takes them when it is in front."""
        for screen in self.navigation.screens():
            screen.take(changes)

    def notice(self, text: str, severity: Severity = "plain") -> None:
        """Show a notice on the screen that is in front."""
        front = self.navigation.front()
        if front is not None:
            front.notice(text, severity)

    def standing(self) -> tuple[StyledLine, StyledLine]:
        """Return the status line: who and where on the left, backlog and rate on the right."""
        dot = f" {self.glyphs.dot} "
        where: StyledText = (self.connection.where, "quiet")
        left: list[StyledText] = [(" ", "plain")]
        if self.connection.state is ConnectionState.CONNECTED and self.status is not None:
            left += [
                (self.account_name or f"account {self.account}", "plain"),
                (f"{dot}{self.status.user} ({self.status.role}){dot}", "quiet"),
                where,
            ]
        elif self.connection.state in (
            ConnectionState.LOST,
            ConnectionState.ABSENT,
            ConnectionState.REFUSED,
        ):
            left += [(f"{self.connection.word}{dot}", "bad"), where]
        else:
            left += [(f"{self.connection.word}{dot}", "warn"), where]
        right: list[StyledText] = []
        if self.status is not None:
            if self.status.paused is not None:
                right.append((f"delivery is paused{dot}", "warn"))
            backlog, rates = self.status.backlog, self.status.rates
            tone: StyleName = "plain" if backlog.count else "quiet"
            right.append((f"{backlog.count:,} waiting", tone))
            if backlog.held:
                right.append((f"{dot}{backlog.held:,} held", "warn"))
            # A token that is bound to one account gets no rates: they are those of all accounts.
            speed = " " if rates is None else f"{dot}{rates.delivered_per_s:.1f}/s "
            right.append((speed, "quiet"))
        return left, right

    def places(self, here: str, *, short: bool = False) -> StyledLine:
        """Return the places with their digits, for the right end of headings; short: digits."""
        pieces: list[StyledText] = []
        for place in TOP_SCREENS:
            tone: StyleName = "plain" if place.label.lower() == here.lower() else "quiet"
            if short:
                pieces.append((f"{place.key} ", tone))
            else:
                pieces += [(f"{place.key} ", "quiet"), (f"{place.label}  ", tone)]
        return pieces

    # -- keys

    def action_focus_next(self) -> None:
        """Go to the next field; in the ``:`` line Tab completes."""
        focused = self.focused
        complete = getattr(focused, "complete", None)
        if focused is None or complete is None:
            super().action_focus_next()
        else:
            focused.call_later(complete)  # behind the letters that were typed before

    def on_key(self, event: events.Key) -> None:
        """Give a letter to the input that has the focus by now.

        Somebody who types ``/failed`` in one go is faster than the focus: a letter that was sent to
        the list before comes by here and would run a command.
        """
        focused = self.focused
        if (
            event.is_printable
            and focused is not None
            and focused.check_consume_key(event.key, event.character)
        ):
            event.prevent_default()
            focused.post_message(events.Key(event.key, event.character))

    # -- pictures

    def export_screenshot(self, *, title: str | None = None, simplify: bool = False) -> str:
        """Draw a picture of the screen; a secret that is revealed just then is masked in it."""
        with ExitStack() as masks:
            for screen in self.screen_stack:
                for shown in screen.query(".-revealed"):
                    masks.enter_context(cast("Redactable", shown).masked())
            return super().export_screenshot(title=title, simplify=simplify)

    # -- the end

    def action_command_palette(self) -> None:
        """Open the palette."""
        self.navigation.open_palette()

    def action_how_to_quit(self) -> None:
        """Answer ctrl+c, which many press to leave."""
        self.notice(f"{self.key('quit')} quits; ctrl+q does so from everywhere")

    def _fatal_error(self) -> None:
        """End after an unforeseen error: no traceback with locals on the terminal (secrets!)."""
        self.fault = write_fault(self.environ)
        self._close_messages_no_wait()

    def _print_error_renderables(self) -> None:
        """Print nothing; `run` says one line once the terminal is back."""
        if self._exit_renderables and self.fault is None:
            self.fault = write_fault(self.environ)
        self._exit_renderables.clear()


def _is_calm(status: Status) -> bool:
    rates = status.rates
    if rates is None:
        return not status.backlog.count
    return not (
        status.backlog.count
        or rates.in_flight
        or rates.accepted_per_s
        or rates.delivered_per_s
        or rates.failed_per_s
    )
