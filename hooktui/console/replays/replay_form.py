"""Form of a new replay: selection, rate, and the plan, which is updated while typing.

Nothing is sent before the form is saved; a plan only counts deliveries.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from secrets import token_hex
from typing import Final

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.timer import Timer
from textual.widgets import Input, Static

from hooktui.client import calls
from hooktui.console.frame.notices import error_text
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.registry import relabel
from hooktui.console.replays.form_values import MODES, ReplayValues, read_values, values_of
from hooktui.console.replays.replay_screen import ReplayScreen
from hooktui.console.replays.replay_text import plan_lines
from hooktui.console.shell.change_feed import FeedChanges
from hooktui.console.shell.server_calls import Severity
from hooktui.console.widgets.chrome import Lines
from hooktui.console.widgets.controls import Choice, Note, TickBox
from hooktui.console.widgets.styled import StyledLine
from hooktui.domain.errors import HooktuiError, NotFound, Refused
from hooktui.domain.replays import add_plans
from hooktui.domain.roles import Need
from hooktui.domain.wire.replays import Replay, ReplayPlan, ReplaySelection

PLAN_AFTER_S: Final = 0.3
"""Seconds between the last change of a field and the request for the plan."""

COUNTING_S: Final = 0.5
"""Seconds after which a slow plan replaces the one of other fields; a fast one does not flicker."""

_LABELS: Final = {
    "hooks": "Hooks",
    "mode": "Mode",
    "since": "Since",
    "until": "Until",
    "filter": "Filter",
    "cause": "Cause",
    "include_ordered": "In order",
    "rate": "Rate",
}
_PLACEHOLDERS: Final = {
    "hooks": "all, or numbers such as 3, 5",
    "since": "any time; such as 2h, or 2026-11-27T03:00:00Z",
    "until": "now; such as 10m, or a time",
    "filter": "everything; such as code:5xx event:job.*",
    "cause": "any; such as http_5xx or dns",
    "rate": "50",
}


class ReplayForm(ConsoleScreen):
    """Form of a new replay.

    ``started`` is called when the replay has started.
    """

    HEADING = "New replay"
    TOP_SCREEN = "Deliveries"
    COMMAND_NAMES = ("save", "back")
    COMMAND_LABELS = (relabel("save", "run", "Run the replay as planned", Need.OPERATE),)
    DEFAULT_CSS = """
    ReplayForm #fields { height: auto; max-height: 60%; padding: 0 1; scrollbar-size-vertical: 1; }
    ReplayForm .row { height: 1; }
    ReplayForm .label { width: 10; color: $text-muted; }
    ReplayForm .row > Input { width: 1fr; max-width: 70; }
    ReplayForm .row > Control { margin-left: 1; }
    ReplayForm #plan { background: $surface; padding: 0 0; }
    ReplayForm #rest { height: 1fr; min-height: 4; background: $surface; }
    ReplayForm #wrong { padding: 0 1; background: $surface; }
    """

    def __init__(self, selection: ReplaySelection, started: Callable[[], object]) -> None:
        super().__init__()
        self.handlers.update(save=self.save)
        self._initial, self._started = values_of(selection), started
        self._plan: ReplayPlan | None = None
        self._planned: ReplayValues | None = None
        self._shown: ReplayValues | None = None  # the fields of the plan or error on the screen
        self._is_failed = False  # the last plan was not loaded
        # If a response is lost, it is unknown whether the replay was started. Sent again with the
        # same idempotency key, it is started only once.
        self._tried: ReplayValues | None = None
        self._key = ""
        self._timer: Timer | None = None
        self._starting = False

    def compose_body(self) -> ComposeResult:
        """Compose the fields with their initial values, above the plan."""
        with VerticalScroll(id="fields", can_focus=False):
            for name, label in _LABELS.items():
                with Horizontal(classes="row"):
                    yield Static(label, classes="label", markup=False)
                    yield self._field(name)
        # Not queried later: when a late plan arrives, the form may have no children any more.
        self._wrong, self._lines = Note(id="wrong"), Lines(hang=3, id="plan")
        yield self._wrong
        with VerticalScroll(id="rest"):
            yield self._lines

    def _field(self, name: str) -> Choice | TickBox | Input:
        content = getattr(self._initial, name)
        if name == "mode":
            return Choice(MODES, MODES.index(content), id=name)
        if name == "include_ordered":
            return TickBox("also hooks that send in order", ticked=content, id=name)
        field = Input(content, placeholder=_PLACEHOLDERS[name], id=name, compact=True)
        field.cursor_blink = False
        return field

    def begin(self) -> None:
        """Set up the focus, and plan the initial selection."""
        super().begin()
        self.query_one("#hooks", Input).focus()
        self._plan_soon()

    @property
    def unsaved(self) -> bool:
        """Whether changes of the fields would be lost."""
        return self._timer is not None and self.values() != self._initial

    def leave_question(self) -> tuple[str, str]:
        """Return the question before entries are lost, and its details."""
        return "Leave without running the replay?", "Your entries would be lost."

    def values(self) -> ReplayValues:
        """Return the values of the fields."""
        text = {field.id: field.value for field in self.query(Input) if field.id is not None}
        return ReplayValues(
            **text,
            mode=self.query_one(Choice).value,
            include_ordered=self.query_one(TickBox).ticked,
        )

    # -- the plan

    def on_input_submitted(self) -> None:
        """Move the focus to the next field on Enter."""
        self.focus_next()

    def _plan_soon(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(PLAN_AFTER_S, self._start_plan)

    on_input_changed = on_control_changed = _plan_soon

    def _start_plan(self) -> None:
        if self.is_attached and self.query(Choice) and self.values() != self._planned:
            self.run_latest(self._make_plan, "plan")

    def reload(self) -> None:
        """Plan again: other events may match by now, or the plan was not loaded."""
        self._planned = None
        super().reload()

    async def changed(self, changes: FeedChanges) -> None:
        """Make a plan that was not loaded, such as while the server was not available."""
        if changes.everything:
            self._start_plan()

    def explain(self, lines: Sequence[StyledLine]) -> None:
        """Show in place of a plan that is not loaded why it is not, and what loads it."""
        if self._is_failed:
            self._wrong.show("")
            self._lines.show(lines)

    async def _make_plan(self) -> None:
        """Load the plan page by page, and show the result so far."""
        values = self.values()
        self._plan, self._planned, self._is_failed = None, values, False
        try:
            selection, rate = read_values(values, self.shell.clock())
        except Refused as error:
            self._show_wrong(error.detail)
            return
        account = self.shell.account.number
        self.set_timer(COUNTING_S, partial(self._show_counting, values))
        try:
            plan = await self.send(calls.plan_replay(account, selection, rate_per_s=rate))
            while True:
                self._show_plan(plan)
                if plan.complete:
                    break
                # The first page fixes the times, so that all pages count the same selection.
                call = calls.plan_replay(account, plan.selection, rate_per_s=rate, after=plan.next)
                plan = add_plans(plan, await self.send(call))
        except HooktuiError as error:
            if isinstance(error, Refused | NotFound):
                # A value is invalid, or names a hook that does not exist.
                self._show_wrong(error_text(error))
                return
            self._planned, self._is_failed = None, True
            self.show_load_error(error)
        else:
            self._plan = plan
            self.refresh_frame()

    def _show_counting(self, values: ReplayValues) -> None:
        """Replace the plan or error of other fields if the server is slow."""
        if values is self._planned and values is not self._shown:
            self._wrong.show("")
            counting = f" counting the deliveries {self.shell.glyphs.ellipsis}"
            self._lines.show([((counting, "quiet"),)])

    def _show_plan(self, plan: ReplayPlan) -> None:
        self._shown = self._planned
        self._wrong.show("")
        self._lines.show(plan_lines(plan, self.shell.glyphs, self.shell.clock()))
        self.refresh_frame()

    def refresh_times(self) -> None:
        """Redraw the plan."""
        if self._plan is not None and self._planned == self.values():
            self._show_plan(self._plan)

    def _show_wrong(self, words: str) -> None:
        self._shown = self._planned
        self._wrong.show(words, "warn")
        self._lines.show([])
        self.refresh_frame()

    # -- running it

    def own_disabled_reason(self, name: str) -> str | None:
        """Return that the replay is being started, or that its plan is not complete or empty."""
        if name != "save":
            return None
        if self._starting:
            return "the replay is being started"
        if self._is_failed:
            return f"there is no plan; {self.shell.key('reload')} makes one again"
        if self._shown == self.values() and self._wrong.text:
            return f"a field is invalid: {self._wrong.text}"
        if self._plan is None or self._planned != self.values():
            return f"the plan is not complete yet; press {self.command(name).key} again once it is"
        if not self._plan.total:
            return "there is nothing to send"
        return None

    def save(self) -> Coroutine[None, None, None] | None:
        """Run the replay as planned; it never sends more deliveries than the plan has."""
        plan = self._plan
        return None if plan is None else self._save(plan)

    async def _save(self, plan: ReplayPlan) -> None:
        if self._tried != self.values():
            self._tried, self._key = self.values(), token_hex(16)
        call = calls.create_replay(
            self.shell.account.number,
            plan.selection,
            rate_per_s=plan.rate_per_s,
            max_deliveries=plan.total,
            key=self._key,
        )
        self._starting = True
        try:
            replay = await self.change(call, "starting the replay", _message)
        except HooktuiError as error:
            if isinstance(error, Refused) and any(e.pointer == "/key" for e in error.errors):
                # An attempt whose response was lost started it, with an earlier plan.
                self.notice("this replay was started before: see the list of replays", "warn")
            else:
                self.show_error(error)
            return
        finally:
            self._starting = False
        self._tried = None
        self._started()
        if not self.leave(ReplayScreen(replay.id)):
            self.notice(*_message(replay))


def _message(replay: Replay) -> tuple[str, Severity]:
    return f"{replay.id} started", "good"
