"""Screen of the engine: deliveries in flight and waiting, open breakers; pause and resume."""

from __future__ import annotations

from collections.abc import Coroutine

from textual.app import ComposeResult

from hooktui.client import calls
from hooktui.console.engine.doctor_screen import DoctorScreen
from hooktui.console.engine.text import EngineHook, engine_columns, engine_hooks, engine_lines
from hooktui.console.formatting import moment
from hooktui.console.frame.dialogs import confirmed
from hooktui.console.frame.parts import acts_on
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.registry import Command, relabel
from hooktui.console.shell.change_feed import FeedChanges
from hooktui.console.shell.server_connection import ConnectionState
from hooktui.console.widgets.chrome import Lines
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine, StyleName
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.errors import HooktuiError
from hooktui.domain.roles import Need
from hooktui.domain.text import counted
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.server import ServerStatus

_PAUSE = relabel("activate", "pause", "Pause all delivery; asks first", Need.OPERATE)
_RESUME = relabel("activate", "resume", "Resume delivery", Need.OPERATE)


class EngineScreen(ConsoleScreen):
    """Screen of the installation, as far as the server status describes it."""

    HEADING = "Engine"
    COMMAND_NAMES = ("open", "activate", "diagnose")
    ALL_ACCOUNTS = ("activate", "diagnose")
    COMMAND_LABELS = (
        relabel("open", "open", "Open the hook under the cursor"),
        relabel("diagnose", "doctor", "Check disk, database, clock and files", Need.ADMINISTER),
    )
    DEFAULT_CSS = """
    EngineScreen Lines { padding: 0; margin: 1 0; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(
            open=acts_on(lambda: self._listing.cursor_row, self._open),
            activate=self.activate,
            diagnose=self.diagnose,
        )
        self._shown: tuple[ServerStatus | None, bool] = (None, False)

    def compose_body(self) -> ComposeResult:
        """Compose the facts above the list of hooks."""
        shell = self.shell
        self._facts = Lines(id="facts")
        self._listing = WindowedList(
            engine_columns(shell.glyphs, shell.clock, lambda: not (self.old or self.paused)),
            self,
            lambda row: row.hook,
            empty=self.empty_lines(),
            markable=False,
            id="hooks",
        )
        yield self._facts
        yield self._listing

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Return the text of the empty list, with the key of the doctor."""
        return (
            (("  No pending deliveries; no open breaker.", "plain"),),
            (
                (f"  {self.shell.key('diagnose')}", "accent"),
                ("  checks the installation", "plain"),
            ),
        )

    def begin(self) -> None:
        """Set up the list, and load the status: the one of the status line may be old."""
        super().begin()
        self.run_worker(self._listing.load(), name="load")
        self.run_worker(self._ask(), name="status")

    async def _ask(self) -> None:
        try:
            await self.shell.status.read()
        except HooktuiError as error:
            self.show_error(error)

    async def changed(self, changes: FeedChanges) -> None:
        """Reload the status on demand and after a gap in the feed, and show errors."""
        if changes.everything:
            await self._ask()

    async def page(self, query: PageQuery) -> Page[EngineHook]:
        """Return the hooks of the status in one page: there are fewer than a page holds."""
        rows = engine_hooks(await self.shell.status.known())
        return Page(data=rows, total=len(rows))

    def refresh_frame(self) -> None:
        """Redraw the frame, and the facts if the status or the connection has changed."""
        super().refresh_frame()
        status = self.shell.status.latest
        shown, old = self._shown
        if status is None or (status is shown and self.old is old) or not self.framed:
            return
        self._shown = status, self.old
        self.refresh_times()
        self._listing.refresh_times()
        self.run_latest(self._listing.reload, "load")

    def refresh_times(self) -> None:
        """Redraw the facts."""
        shell, status = self.shell, self.shell.status.latest
        if status is None:
            return
        backlog, disk = shell.status.backlog_trend, shell.status.disk_trend
        dot = f" {shell.glyphs.dot} "
        now_ms = shell.status.read_at_ms if self.old else shell.clock()
        self._facts.show(engine_lines(status, backlog, disk, now_ms, dot, old=self.old))

    def heading(self) -> StyledLine:
        """Return the heading: delivering or paused, or the time of the last known figures."""
        status = self.shell.status.latest
        if status is None:
            return ((f" {self.HEADING}", "strong"),)
        text = "  delivery is paused" if status.paused else "  delivering"
        if self.old:
            read_at = moment(self.shell.status.read_at_ms, self.shell.clock())
            text = f"  last known figures, of {read_at}"
        style: StyleName = "warn" if self.old or status.paused else "plain"
        return ((f" {self.HEADING}", "strong"), (text, style))

    # -- commands

    @property
    def old(self) -> bool:
        """Whether the server is not connected, so that the figures are old."""
        return self.shell.connection.state is not ConnectionState.CONNECTED

    @property
    def paused(self) -> bool:
        """Whether all delivery is paused, according to the latest status."""
        status = self.shell.status.latest
        return status is not None and status.paused is not None

    def command_labels(self) -> tuple[Command, ...]:
        """Return the commands with other texts on this screen; one key pauses and resumes."""
        return (*self.COMMAND_LABELS, _RESUME if self.paused else _PAUSE)

    def own_disabled_reason(self, name: str) -> str | None:
        """Return that no hook has a backlog, or None."""
        if name == "open" and not self._listing.cursor_row:
            return "no hook has a backlog"
        return None

    def _open(self, row: EngineHook) -> None:
        self.shell.navigation.open_hook(row.hook)

    def activate(self) -> Coroutine[None, None, None]:
        """Pause all delivery after a question, or resume it, depending on the displayed state."""
        return self._pause_or_resume(pause=not self.paused)

    async def _pause_or_resume(self, *, pause: bool) -> None:
        call, doing = calls.resume(), "resuming delivery"
        if pause:
            call, doing = calls.pause(), "pausing all delivery"
            status = self.shell.status.latest
            waiting = 0 if status is None else status.backlog.count
            as_now = f" ({counted(waiting, 'delivery')} now)" if waiting else ""
            details = (
                "No server sends anything but pings, for all hooks of all accounts, until someone"
                " resumes it; a restart does not. Events are still accepted and queued"
                f"{as_now}. Nothing is lost, and every console's status line shows the pause."
            )
            if not await confirmed(self, "Pause all delivery", details, "delivery was not paused"):
                return
        state = await self.call(call, doing)
        if state is not None:
            await self._ask()
            key = self.shell.key("activate")
            paused = f"delivery paused; {key} resumes it, attempts in flight finish"
            self.notice(
                paused if state.paused else "delivery resumed; sending due deliveries", "good"
            )

    def diagnose(self) -> None:
        """Open the screen with the checks of `hooktui doctor`."""
        self.app.push_screen(DoctorScreen())
