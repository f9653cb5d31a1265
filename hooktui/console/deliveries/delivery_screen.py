"""One delivery: its status and what comes next, its attempts as a time line, their content."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, Final

from textual.app import ComposeResult

from hooktui.client import calls
from hooktui.console.deliveries.actions import DeliveryActions
from hooktui.console.deliveries.columns import AttemptTimeline, Step, state, step_columns
from hooktui.console.deliveries.difference import difference_of, to_compare
from hooktui.console.deliveries.document import (
    FAMILY,
    RelatedData,
    as_check,
    as_curl,
    sections_of,
)
from hooktui.console.deliveries.text import neighbours_words, next_step, wait_reason
from hooktui.console.formatting import indented_json, moment
from hooktui.console.frame.bulk import BulkRunner
from hooktui.console.frame.dialogs import CopyForm, copy_as
from hooktui.console.frame.frame_text import end_reason, top_screens
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.frame.searching import SearchPart
from hooktui.console.shell.feed_changes import FeedChanges
from hooktui.console.shell.terminal import copy
from hooktui.console.widgets.chrome import Lines
from hooktui.console.widgets.document_lines import FORM_WORDS
from hooktui.console.widgets.document_view import JsonView
from hooktui.console.widgets.styled import StyledLine, StyleName
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.clock import from_rfc3339
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.errors import HooktuiError
from hooktui.domain.wire.deliveries import Attempt, Delivery, DeliveryDetail
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.replays import ReplaySelection

MAX_STEPS: Final = 8
"""Lines of the time line before it scrolls: the text below needs the room more."""

CLOCK_S: Final = 15.0
"""Between two looks whether "in 5m" has become "in 4m"."""


class DeliveryScreen(ConsoleScreen):
    """The delivery with an id.

    Attributes:
        timeline: its attempts.
    """

    HEADING = "Delivery"
    COMMAND_NAMES: ClassVar[tuple[str, ...]] = (
        "resend", "cancel", "previous", "next", "compare", "raw", "copy", "copy_as", "mark",
        "open", "wrap", "search", "match_before", "replay",
    )  # fmt: skip
    DEFAULT_CSS = """
    DeliveryScreen #attempts { height: 3; max-height: 38%; }
    DeliveryScreen #document { padding: 0 1; border-top: solid $panel; }
    """

    def __init__(self, delivery_id: str) -> None:
        super().__init__()
        self.handlers.update(
            open=self.open,
            previous=lambda: self.timeline.action_move("up"),
            next=lambda: self.timeline.action_move("down"),
            mark=self.mark,
            compare=self.compare,
            raw=self.raw,
            copy=self.copy,
            replay=self.replay,
            copy_as=self.copy_as,
        )
        self.search = SearchPart(self, lambda: self.document)
        self.parts = (
            DeliveryActions(
                self,
                self.selected_deliveries,
                BulkRunner(self),
                missing=self._unread,
                resent=self._open_resent,
            ),
            self.search,
        )
        self.delivery_id = delivery_id
        self.delivery: DeliveryDetail | None = None
        self._steps = AttemptTimeline()
        self._hook: Hook | None = None
        self._family: Sequence[Delivery] = ()
        self._compared: tuple[Attempt, Attempt] | None = None
        self._compared_at: int | None = None  # the attempt under the cursor then

    # -- what is shown

    def heading(self) -> tuple[StyledLine, StyledLine]:
        """Name the delivery, its event and its hook."""
        left: StyledLine = ((f" Delivery {self.delivery_id}", "strong"),)
        delivery = self.delivery
        if delivery is not None:
            name = self.shell.account.hook_names.get(delivery.hook, "")
            left = (*left, (f"  {delivery.event_type} to hook {delivery.hook} {name}", "plain"))
        return left, top_screens("")

    def compose_body(self) -> ComposeResult:
        """The status, the time line, the text."""
        shell = self.shell
        yield Lines(id="head")
        self.timeline: WindowedList[Step] = WindowedList(
            step_columns(shell.glyphs, shell.clock, self._steps),
            self._steps,
            lambda step: step.number,
            empty=((("  No attempt yet.", "quiet"),),),
            glyphs=shell.glyphs,
            id="attempts",
        )
        yield self.timeline
        yield JsonView(id="document")

    def begin(self) -> None:
        """Read the delivery."""
        super().begin()
        self.set_interval(CLOCK_S, self._draw_head)
        self.run_worker(self._read(), name="delivery", group="delivery", exclusive=True)

    @property
    def document(self) -> JsonView:
        """What was said."""
        return self.query_one(JsonView)

    @property
    def attempt(self) -> Attempt | None:
        """The attempt under the cursor, or the latest when the cursor is on the next one."""
        if self.delivery is None or not self.delivery.attempts:
            return None
        step = self.timeline.cursor_row
        if step is None or step.attempt is None:
            return self.delivery.attempts[-1]
        return step.attempt

    async def _read(self) -> None:
        before = 0 if self.delivery is None else len(self.delivery.attempts)
        try:
            self.delivery = await self.send(calls.get_delivery(self.delivery_id))
        except HooktuiError as error:
            self.show_error(error)
            if self.query("#attempts"):
                await self.timeline.load()
            return
        if not self.query("#attempts"):
            return
        self._steps.delivery = self.delivery
        timeline = self.timeline
        at_latest = timeline.cursor >= before - 1
        await timeline.reload()
        if not self.query("#attempts"):
            return
        timeline.styles.height = min(max(timeline.window.total, 1), MAX_STEPS) + 1
        if at_latest and self.delivery.attempts and self._compared is None:
            timeline.put_cursor_on(self.delivery.attempts[-1].number)
        self._draw()
        await self._read_around(self.delivery)

    async def _read_around(self, delivery: DeliveryDetail) -> None:
        """Read the hook and the other deliveries; without them less is said, and nothing fails."""
        with suppress(HooktuiError):
            self._hook = await self.send(calls.get_hook(delivery.hook))
        with suppress(HooktuiError):
            family = calls.list_deliveries(
                delivery.account, hook=delivery.hook, event=delivery.event
            )
            self._family = (await self.send(family)).data[::-1]
        if self.query("#attempts"):
            self._draw()

    def _draw(self) -> None:
        self._draw_head()
        self._draw_document()
        self.refresh_frame()

    async def changed(self, changes: FeedChanges) -> None:
        """Show what happened to this delivery, and what its hook's state means for it."""
        delivery, hooks = self.delivery, changes.hooks
        if delivery is not None and delivery.probe_at is not None:
            hooks = hooks | changes.busy_hooks  # a failed probe moves the next one
        ours = delivery is not None and delivery.hook in hooks
        if changes.everything or ours or self.delivery_id in changes.deliveries:
            await self._read()

    def _draw_head(self) -> None:
        delivery = self.delivery
        if delivery is None or not self.query("#head"):
            return
        now_ms = self.shell.clock()
        dot = f" {self.shell.glyphs.dot} "
        created = moment(from_rfc3339(delivery.created_at), now_ms)
        step = next_step(delivery, now_ms, self.shell.key)
        tone: StyleName = "bad" if delivery.status == DeliveryStatus.FAILED else "plain"
        lines: list[StyledLine] = [
            ((" ", "plain"), *state(delivery, self.shell.glyphs), (dot, "quiet"), (step, tone))
        ]
        why = wait_reason(delivery, self._hook, self.shell.status.latest, now_ms)
        if why:
            lines.append(((f" why then: {why}", "plain"),))
        about = f"{dot}event {delivery.event}{dot}created {created}{dot}by {delivery.trigger}"
        about += neighbours_words(delivery.id, self._family)
        lines.append(((f" {delivery.event_type}", "plain"), (about, "quiet")))
        self.query_one("#head", Lines).show(lines)
        self.timeline.refresh_times()

    def _draw_document(self) -> None:
        if self.delivery is None or not self.query("#attempts, #document"):
            return
        if self._compared is not None:
            self.document.show(difference_of(*self._compared))
            return
        shell = self.shell
        around = RelatedData(shell.clock(), shell.key, shell.glyphs, self._hook, self._family)
        self.document.show(sections_of(self.delivery, self.attempt, around))

    def on_windowed_list_moved(self) -> None:
        """Show the response to the attempt under the cursor; reading again does not move it."""
        here = None if self.attempt is None else self.attempt.number
        if here != self._compared_at:
            self._compared = None
        self._draw_document()

    def on_json_view_picked(self, message: JsonView.Picked) -> None:
        """Open another delivery of this event to this hook."""
        if message.section == FAMILY and message.value != self.delivery_id:
            self.shell.navigation.open_delivery(message.value)

    def on_windowed_list_opened(self) -> None:
        """Give the keys to the text."""
        self.document.focus()

    # -- commands

    def replay(self) -> None:
        """Plan a replay of what its hook did not get."""
        if self.delivery is not None:
            hooks = (self.delivery.hook,)
            self.shell.navigation.open_replay_form(ReplaySelection(hooks=hooks))

    def own_disabled_reason(self, name: str) -> str | None:
        """Return that the delivery is not read yet, or that there is no attempt to act on."""
        if self.delivery is None and name in self.COMMAND_NAMES:
            return self._unread()
        if name == "compare" and self.delivery is not None and len(self.delivery.attempts) < 2:
            return "there are no two attempts yet to compare"
        timeline = self.timeline
        return end_reason(name, timeline.cursor, timeline.window.total, "attempt")

    def _unread(self) -> str:
        return f"the delivery is not read yet; {self.shell.key('reload')} reads it again"

    def back(self) -> None:
        """End a search, then a comparison, then unmark, then leave."""
        if self.search.end():
            return
        if self._compared is not None:
            self.compare()
        elif not self.timeline.clear_marks():
            super().back()

    def selected_deliveries(self) -> Sequence[DeliveryDetail]:
        """The delivery of this screen."""
        return [] if self.delivery is None else [self.delivery]

    def _open_resent(self, sent: Sequence[Delivery]) -> None:
        """Open the delivery that the resend made."""
        if sent[0].id != self.delivery_id:
            said = f"sent again; this is the new delivery {sent[0].id}"
            if self.leave(DeliveryScreen(sent[0].id)):
                self.app.call_later(self.shell.notice, said, "good")

    def open(self) -> None:
        """Fold or unfold in the text; from the time line go to the text."""
        if self.document.has_focus:
            self.document.action_open()
        else:
            self.document.focus()

    def mark(self) -> None:
        """Mark an attempt, to compare it."""
        self.timeline.toggle_mark()

    def compare(self) -> None:
        """Show what differs between two attempts, or the attempt again."""
        if self._compared is not None:
            self._compared = None
        elif self.delivery is not None:
            self._compared = to_compare(
                self.delivery.attempts, self.attempt, list(self.timeline.marks)
            )
            self._compared_at = None if self.attempt is None else self.attempt.number
            older, newer = self._compared
            back, mark = self.shell.key("compare"), self.shell.key("mark")
            keys = f"{back} goes back, {mark} marks others"
            self.notice(f"attempt {newer.number} against {older.number}; {keys}")
        self._draw_document()

    def raw(self) -> None:
        """Show bodies in their next form."""
        self.notice(f"each body {FORM_WORDS[self.document.next_form()]}")

    async def copy(self) -> None:
        """Copy what is under the cursor; in the time line the delivery's id."""
        copied = self.document.under_cursor() if self.document.has_focus else None
        what, text = copied or ("the delivery's id", self.delivery_id)
        self.notice(await copy(self.app, text, what), "good")

    async def copy_as(self) -> None:
        """Copy the whole as a command or as JSON."""
        delivery = self.delivery
        if delivery is None:
            return
        forms = []
        if delivery.request is not None:
            curl, check = as_curl(delivery.request), as_check(delivery.request)
            words = "a curl command that sends the request again"
            forms.append(CopyForm("c", words, "the curl command", curl))
            if check is not None:
                words = "a command that verifies the signature"
                forms.append(CopyForm("v", words, "the check of the signature", check))
        words, name = "the delivery as JSON, as the API gives it", "the delivery as JSON"
        forms.append(CopyForm("j", words, name, indented_json(delivery)))
        await copy_as(self, "Sensitive headers stay masked; no form holds a secret.", forms)
