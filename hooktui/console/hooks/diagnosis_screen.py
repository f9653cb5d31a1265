"""Diagnosis of a hook's receiver: verdict and fix first, then steps, times and details.

It starts with the screen, and again with ``x``; each step appears when it ends. The server cancels
it when the screen is closed, unless another client is waiting for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from time import monotonic
from typing import Final

from textual.app import ComposeResult
from textual.worker import Worker

from hooktui.client import calls
from hooktui.console.formatting import indented_json
from hooktui.console.frame.bulk import BulkRunner
from hooktui.console.frame.dialogs import CopyForm, copy_as
from hooktui.console.frame.frame_text import CHECK_TONES, advice_here
from hooktui.console.frame.parts import acts_on
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.hooks.actions import HookActions, named
from hooktui.console.hooks.diagnosis_text import (
    as_text,
    as_words,
    phase_lines,
    sections_of,
    sign_of,
    step_lines,
)
from hooktui.console.shell.change_feed import FeedChanges
from hooktui.console.widgets.chrome import Lines
from hooktui.console.widgets.controls import Note
from hooktui.console.widgets.document_view import DocumentView
from hooktui.console.widgets.styled import StyledLine
from hooktui.domain.addresses import url_in_words
from hooktui.domain.errors import HooktuiError, NoServer
from hooktui.domain.wire.deliveries import Phases
from hooktui.domain.wire.diagnosis import Check, Diagnosis
from hooktui.domain.wire.hooks import Hook

PROGRESS_S: Final = 1.0
"""Seconds between two updates of the elapsed time."""


class DiagnosisScreen(ConsoleScreen):
    """The diagnosis of one hook."""

    HEADING = "Diagnosis"
    COMMAND_NAMES = (
        "diagnose", "copy", "copy_as", "edit", "secret", "open", "wrap",
    )  # fmt: skip
    DEFAULT_CSS = """
    DiagnosisScreen #verdict { padding: 0 1; max-height: 4; }
    DiagnosisScreen #fix { padding: 0 1; max-height: 5; }
    DiagnosisScreen #steps { margin-top: 1; max-height: 45%; }
    DiagnosisScreen #seen { padding: 0 1; margin-top: 1; border-top: solid $panel; }
    DiagnosisScreen #phases { margin-top: 1; display: none; }
    DiagnosisScreen.-high #phases { display: block; }
    """

    def __init__(self, hook: Hook) -> None:
        super().__init__()
        self.handlers.update(
            diagnose=self.diagnose,
            open=lambda: self.query_one(DocumentView).action_open(),
            wrap=lambda: self.notice(self.query_one(DocumentView).toggle_wrap()),
            copy=acts_on(lambda: self.diagnosis, self._copy),
            copy_as=acts_on(lambda: self.diagnosis, self._copy_as),
        )
        self._actions = HookActions(self, lambda: [self.hook], BulkRunner(self))
        self.parts = (self._actions,)
        self.hook = self._diagnosed = hook  # the second one as it was for the diagnosis shown
        self.diagnosis: Diagnosis | None = None
        self._run: Worker[None] | None = None
        self.running = False
        self._began = 0.0
        self._steps: list[Check] = []
        self._step: str | None = None

    # -- drawing

    def heading(self) -> StyledLine:
        """Return the title with the hook and its URL."""
        return (
            (f" {self.HEADING}", "strong"),
            (f"  {named(self.hook)}", "plain"),
            (f"  {url_in_words(self.hook.url)}", "quiet"),
        )

    def compose_body(self) -> ComposeResult:
        """Compose the verdict, the fix, the steps, the times and the details."""
        yield Note(id="verdict")
        yield Note(id="fix")
        yield Lines(id="steps")
        yield Lines(id="phases")
        yield DocumentView(id="seen")

    def begin(self) -> None:
        """Set up the screen and start the diagnosis."""
        super().begin()
        self.query_one(DocumentView).toggle_wrap()
        self.set_interval(PROGRESS_S, self._draw_progress)
        self.diagnose()

    def _draw_progress(self) -> None:
        if self.running and self.query("#verdict"):
            seconds = int(monotonic() - self._began)
            waited = f" ({seconds} s, of at most 50)" if seconds else ""
            words = f"Diagnosing the receiver …{waited}  {self.shell.key('back')} cancels"
            self.query_one("#verdict", Note).show(words, "quiet")
            self.query_one("#fix", Note).show("")
            self._draw_steps(self._steps, self._step)

    def _draw(self, diagnosis: Diagnosis) -> None:
        self._draw_verdict(diagnosis)
        self._draw_steps(diagnosis.checks)
        self._draw_phases(diagnosis.phases_ms)
        self._draw_seen()
        self.refresh_frame()

    def _draw_verdict(self, diagnosis: Diagnosis) -> None:
        """Draw the verdict and the fix; of a hook that was changed since, how to diagnose it."""
        verdict, fix = self.query_one("#verdict", Note), self.query_one("#fix", Note)
        words = f"{sign_of(diagnosis.state, self.shell.glyphs)} {diagnosis.verdict}"
        if self.hook.version != self._diagnosed.version:
            verdict.show(f"Before the hook was changed: {words}", "quiet")
            fix.show(f"To do: {self.shell.key('diagnose')} diagnoses it with its new settings")
            return
        verdict.show(words, CHECK_TONES.get(diagnosis.state, "warn"))
        advice = advice_here(diagnosis.fix, self.shell.key)
        fix.show(f"To do: {advice}" if advice else "", "plain")

    def _draw_steps(self, checks: Sequence[Check], running: str | None = None) -> None:
        lines = step_lines(checks, self.shell.glyphs, self.app.size.width, running)
        self.query_one("#steps", Lines).show(lines)

    def _draw_phases(self, phases: Phases) -> None:
        lines = phase_lines(phases, self.app.size.width, self.shell.glyphs)
        self.query_one("#phases", Lines).show(lines)

    def _draw_seen(self) -> None:
        if self.diagnosis is not None and not self.running and self.query("#seen"):
            times = not self.has_class("-high")
            self.query_one(DocumentView).show(
                sections_of(self.diagnosis, self.shell.key, times=times)
            )

    def on_resize(self) -> None:
        """Wrap the steps again, and show the times if there is room for them."""
        if self.diagnosis is not None and not self.running and self.query("#steps"):
            self._draw_steps(self.diagnosis.checks)
            self._draw_phases(self.diagnosis.phases_ms)
        self.call_after_refresh(self._draw_seen)

    async def changed(self, changes: FeedChanges) -> None:
        """Reload an edited hook; the results, of its old settings, remain until the next run."""
        if not (changes.everything or self.hook.id in changes.hooks):
            return
        self.hook = await self._actions.read_again()
        if self.diagnosis is not None and not self.running and self.query("#verdict"):
            self._draw_verdict(self.diagnosis)
        self.refresh_frame()

    # -- commands

    def own_disabled_reason(self, name: str) -> str | None:
        """Return a reason if a diagnosis is in progress, or if there is no verdict to copy."""
        if name == "diagnose" and self.running:
            return f"a diagnosis is in progress; {self.shell.key('back')} cancels it"
        if name in ("copy", "copy_as") and self.diagnosis is None:
            return "there is no verdict yet"
        return None

    def diagnose(self) -> None:
        """Start a diagnosis, and clear the times and details of the previous one."""
        self.running, self._began = True, monotonic()
        self._steps, self._step = [], None
        self._draw_phases(Phases())  # clears those of the previous run, as the next line does
        self.query_one(DocumentView).show(())
        self._run = self.run_worker(self._ask, group="diagnosis", exclusive=True)
        self._draw_progress()

    async def _ask(self) -> None:
        hook = self.hook
        try:
            diagnosis = await self._follow()
        except HooktuiError as error:
            self.running, self.diagnosis = False, None
            if self.query("#verdict"):
                self.query_one("#verdict", Note).show(f"Not diagnosed: {error}", "bad")
                again = f"{self.shell.key('diagnose')} tries again"
                self.query_one("#fix", Note).show(again, "quiet")
                self.refresh_frame()
            return
        self.running, self.diagnosis, self._diagnosed = False, diagnosis, hook
        if self.query("#verdict"):
            self._draw(diagnosis)

    async def _follow(self) -> Diagnosis:
        """Show each step when it ends, and return the diagnosis.

        Raises:
            HooktuiError: the reason why there is no diagnosis.
        """
        connection = self.shell.connection
        async with aclosing(connection.follow(calls.follow_diagnosis(self.hook.id))) as lines:
            async for line in lines:
                if line.diagnosis is not None:
                    return line.diagnosis
                self._steps += line.checks
                self._step = line.running
                self._draw_progress()
        raise NoServer(f"the server at {connection.where} closed the connection before the verdict")

    def back(self) -> None:
        """Cancel a running diagnosis and show the previous one, if any; else close the screen."""
        if self.running and self._run is not None:
            self.running = False
            self._run.cancel()
            if self.diagnosis is not None:
                self._draw(self.diagnosis)
                self.notice("cancelled; showing the previous diagnosis")
                return
        super().back()

    async def _copy(self, diagnosis: Diagnosis) -> None:
        """Copy the verdict and the fix."""
        await self.copy_text(as_words(diagnosis), "the verdict")

    async def _copy_as(self, diagnosis: Diagnosis) -> None:
        words, name = "text: the verdict and every step", "the diagnosis as text"
        text = CopyForm("t", words, name, as_text(diagnosis))
        words, name = "JSON, as the API returns it", "the diagnosis as json"
        json = CopyForm("j", words, name, indented_json(diagnosis))
        await copy_as(self, "The receiver's response is only in the JSON.", [text, json])
