"""Screen of the checks of `hooktui doctor`: disk, database, clock and files of the server."""

from __future__ import annotations

from time import monotonic

from textual.app import ComposeResult
from textual.containers import VerticalScroll

from hooktui.client import calls
from hooktui.console.engine.text import report_lines
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.registry import relabel
from hooktui.console.widgets.chrome import Lines
from hooktui.console.widgets.styled import StyledLine, StyledText
from hooktui.domain.roles import Need
from hooktui.domain.text import counted
from hooktui.domain.wire.diagnosis import DoctorReport


class DoctorScreen(ConsoleScreen):
    """Screen that runs the checks on opening and on demand; Esc closes it, also during a check."""

    HEADING = "Doctor"
    TOP_SCREEN = "Engine"
    COMMAND_NAMES = ("diagnose", "back")
    ALL_ACCOUNTS = ("diagnose",)
    COMMAND_LABELS = (
        relabel("diagnose", "again", "Check the installation again", Need.ADMINISTER),
    )
    DEFAULT_CSS = "DoctorScreen VerticalScroll { height: 1fr; padding: 1 0 0 0; }"

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(diagnose=self.diagnose)
        self._begun_s: float | None = None
        self._report: DoctorReport | None = None

    def compose_body(self) -> ComposeResult:
        """Compose the scrollable list of checks."""
        with VerticalScroll():
            yield Lines(hang=21, most=20, id="findings")

    def begin(self) -> None:
        """Set up the timer of the heading, and start the checks."""
        super().begin()
        self.set_interval(1, self._tick)
        self.run_command("diagnose")

    def heading(self) -> StyledLine:
        """Return the heading: the result, or for how long the checks have been in progress."""
        return ((f" {self.HEADING}", "strong"), self._verdict())

    def _verdict(self) -> StyledText:
        if self._begun_s is not None:
            waited = f"{monotonic() - self._begun_s:.0f} s"
            back = f"{self.shell.key('back')} goes back"
            return (f"  checking, {waited}; a large database takes a while, {back}", "accent")
        if self._report is None:
            return ("", "plain")
        states = [check.state for check in self._report.checks]
        if self._report.state == "ok":
            return (f"  no problems in {counted(len(states), 'check')}", "good")
        failed, warned = states.count("fail"), states.count("warn")
        named = {"problem": failed, "warning": warned}
        parts = [counted(count, noun) for noun, count in named.items() if count]
        return (f"  {', '.join(parts)}", "bad" if failed else "warn")

    def _tick(self) -> None:
        if self._begun_s is not None:
            self.refresh_frame()

    def own_disabled_reason(self, name: str) -> str | None:
        """Return that a check is in progress, or None."""
        if name == "diagnose" and self._begun_s is not None:
            return f"a check is in progress; {self.shell.key('back')} goes back"
        return None

    async def diagnose(self) -> None:
        """Let the server run its checks, and show the report."""
        self._begun_s = monotonic()
        self.refresh_frame()
        try:
            report = await self.call(calls.checkup())
        finally:
            self._begun_s = None
        if report is not None and self.is_attached:
            self._report = report
            self.query_one("#findings", Lines).show(report_lines(report, self.shell.key))
        self.refresh_frame()
