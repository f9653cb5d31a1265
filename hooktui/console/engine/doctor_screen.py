"""What `hooktui doctor` finds: how disk, database, clock and files of the server are."""

from __future__ import annotations

from time import monotonic
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import VerticalScroll

from hooktui.client import calls
from hooktui.console.engine.text import report_lines
from hooktui.console.frame.frame_text import top_screens
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.registry import relabel
from hooktui.console.widgets.chrome import Lines
from hooktui.console.widgets.styled import StyledLine, StyledText
from hooktui.domain.roles import Need
from hooktui.domain.text import counted
from hooktui.domain.wire.diagnosis import DoctorReport


class DoctorScreen(ConsoleScreen):
    """Looks once when it opens, and again on demand; Esc leaves, also while it looks."""

    HEADING = "Doctor"
    COMMAND_NAMES: ClassVar[tuple[str, ...]] = ("diagnose", "back")
    COMMAND_LABELS = (
        relabel("diagnose", "again", "Look at the installation again", Need.ADMINISTER),
    )
    DEFAULT_CSS = "DoctorScreen VerticalScroll { height: 1fr; padding: 1 0 0 0; }"

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(diagnose=self.diagnose)
        self._begun_s: float | None = None
        self._report: DoctorReport | None = None

    def compose_body(self) -> ComposeResult:
        """The findings, scrolled where they are many."""
        with VerticalScroll():
            yield Lines(id="findings")

    def begin(self) -> None:
        """Begin to look."""
        super().begin()
        self.set_interval(1, self._tick)
        self.run_command("diagnose")

    def heading(self) -> tuple[StyledLine, StyledLine]:
        """Return whether all is well, or how long it has been looking."""
        return ((f" {self.HEADING}", "strong"), self._verdict()), top_screens("Engine")

    def _verdict(self) -> StyledText:
        if self._begun_s is not None:
            waited = f"{monotonic() - self._begun_s:.0f} s"
            leaves = f"{self.shell.key('back')} leaves"
            return (f"  looking, {waited}; a large database takes a while, {leaves}", "accent")
        if self._report is None:
            return ("", "plain")
        states = [check.state for check in self._report.checks]
        if self._report.state == "ok":
            return (f"  all is well: {counted(len(states), 'check')}", "good")
        failed, warned = states.count("fail"), states.count("warn")
        parts = [f"{failed} to fix"] * bool(failed) + [f"{warned} to know of"] * bool(warned)
        return (f"  {', '.join(parts)}", "bad" if failed else "warn")

    def _tick(self) -> None:
        if self._begun_s is not None:
            self.refresh_frame()

    def own_disabled_reason(self, name: str) -> str | None:
        """Return that a check is in progress."""
        if name == "diagnose" and self._begun_s is not None:
            return f"it is looking already; {self.shell.key('back')} leaves"
        return None

    async def diagnose(self) -> None:
        """Have the server look at itself."""
        self._begun_s = monotonic()
        self.refresh_frame()
        try:
            report = await self.call(calls.checkup())
        finally:
            self._begun_s = None
        if report is not None and self.is_attached:
            self._report = report
            self.query_one("#findings", Lines).show(report_lines(report))
        self.refresh_frame()
