"""Screen of one delivery: its status and next step, a timeline of attempts, their content."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from textual.app import ComposeResult

from hooktui.client import calls
from hooktui.console.deliveries.actions import DeliveryActions
from hooktui.console.deliveries.columns import Step, state, step_columns, steps_of
from hooktui.console.deliveries.difference import difference_of, to_compare
from hooktui.console.deliveries.document import FAMILY, RelatedData, as_check, as_curl, sections_of
from hooktui.console.deliveries.text import neighbours_words, next_step, wait_reason
from hooktui.console.formatting import indented_json, moment
from hooktui.console.frame.bulk import BulkRunner
from hooktui.console.frame.dialogs import CopyForm, copy_as
from hooktui.console.frame.frame_text import end_reason
from hooktui.console.frame.parts import acts_on
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.frame.searching import SearchPart
from hooktui.console.shell.change_feed import FeedChanges
from hooktui.console.widgets.chrome import Lines
from hooktui.console.widgets.document_lines import FORM_WORDS
from hooktui.console.widgets.document_view import DocumentView
from hooktui.console.widgets.page_window import OnePage
from hooktui.console.widgets.styled import StyledLine, StyleName
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.errors import HooktuiError, NotFound
from hooktui.domain.wire.deliveries import Attempt, Delivery, DeliveryDetail
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.replays import ReplaySelection

MAX_STEPS: Final = 8
"""Maximum rows of the timeline before it scrolls: the text below needs the space more."""


class DeliveryScreen(ConsoleScreen):
    """Screen of the delivery with an id.

    Attributes:
        timeline: the list of its attempts.
    """

    HEADING = "Delivery"
    COMMAND_NAMES = (
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
            mark=lambda: self.timeline.toggle_mark(),
            compare=self.compare,
            raw=self.raw,
            copy=self.copy,
            replay=acts_on(lambda: self.delivery, self._replay),
            copy_as=acts_on(lambda: self.delivery, self._copy_as),
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
        self._hook: Hook | None = None
        self._family: Sequence[Delivery] = ()
        self._compared: tuple[Attempt, Attempt] | None = None
        self._compared_at: int | None = None  # number of the attempt under the cursor then

    # -- content

    def heading(self) -> StyledLine:
        """Return the heading: the delivery, its event type and its hook."""
        delivery, about = self.delivery, ""
        if delivery is not None:
            name = self.shell.account.name_of(delivery.hook)
            about = f"  {delivery.event_type} to hook {delivery.hook} {name}"
        return ((f" Delivery {self.delivery_id}", "strong"), (about, "plain"))

    def compose_body(self) -> ComposeResult:
        """Compose the status, the timeline and the text."""
        shell = self.shell
        yield Lines(hang=1, most=2, id="head")
        self.timeline: WindowedList[Step] = WindowedList(
            step_columns(shell.glyphs, shell.clock, lambda: self.delivery),
            OnePage(lambda: steps_of(self.delivery)),
            lambda step: step.number,
            empty=((("  No attempt yet.", "quiet"),),),
            id="attempts",
        )
        yield self.timeline
        yield DocumentView(id="document")

    def begin(self) -> None:
        """Set up the screen, and load the delivery."""
        super().begin()
        self.run_latest(self._read, "delivery")

    @property
    def document(self) -> DocumentView:
        """The widget that shows the response and the request."""
        return self.query_one(DocumentView)

    @property
    def attempt(self) -> Attempt | None:
        """The attempt under the cursor; the latest one if the cursor is on the next attempt."""
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
            if self.delivery is None and isinstance(error, NotFound):
                self.leave_missing(error)
                return
            self.show_load_error(error)
            return
        if not self.query("#attempts"):
            return
        timeline = self.timeline
        at_latest = timeline.cursor >= before - 1
        await timeline.reload()
        if not self.query("#attempts"):
            return
        timeline.styles.height = min(max(timeline.window.total, 1), MAX_STEPS) + 1
        if at_latest and self.delivery.attempts and self._compared is None:
            timeline.put_cursor_on(self.delivery.attempts[-1].number)
        self._draw()
        await self._read_related(self.delivery)

    async def _read_related(self, delivery: DeliveryDetail) -> None:
        """Load the hook and the related deliveries; on an error, omit what depends on them."""
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
        self.refresh_times()
        self.timeline.refresh_times()
        self.refresh_frame()

    def refresh_times(self) -> None:
        """Redraw the status and the text."""
        self._draw_head()
        self._draw_document()

    async def changed(self, changes: FeedChanges) -> None:
        """Reload when the delivery, another one of its event, or its hook has changed."""
        delivery, hooks = self.delivery, changes.hooks
        if delivery is not None and delivery.probe_at is not None:
            hooks = hooks | changes.busy_hooks  # a failed probe attempt delays the next one
        ours = delivery is not None and (
            delivery.hook in hooks or delivery.event in changes.sent_events
        )
        if changes.everything or ours or self.delivery_id in changes.deliveries:
            await self._read()

    def _draw_head(self) -> None:
        delivery = self.delivery
        if delivery is None or not self.query("#head"):
            return
        now_ms = self.shell.clock()
        dot = f" {self.shell.glyphs.dot} "
        created = moment(delivery.created_at, now_ms)
        step = next_step(delivery, now_ms, self.usable_key)
        tone: StyleName = "bad" if delivery.status == DeliveryStatus.FAILED else "plain"
        lines: list[StyledLine] = [
            ((" ", "plain"), *state(delivery, self.shell.glyphs), (dot, "quiet"), (step, tone))
        ]
        why = wait_reason(delivery, self._hook, self.shell.status.latest, now_ms)
        if why:
            lines.append(((" ", "plain"), (f"reason: {why}", "plain")))
        about = f"{dot}event {delivery.event}{dot}created {created}{dot}by {delivery.trigger}"
        about += neighbours_words(delivery.id, self._family)
        lines.append(((f" {delivery.event_type}", "plain"), (about, "quiet")))
        self.query_one("#head", Lines).show(lines)

    def _draw_document(self) -> None:
        if self.delivery is None or not self.query("#attempts, #document"):
            return
        if self._compared is not None:
            self.document.show(difference_of(*self._compared))
            return
        shell = self.shell
        related = RelatedData(
            shell.clock(), self.usable_key, shell.glyphs, self._hook, self._family
        )
        self.document.show(sections_of(self.delivery, self.attempt, related))

    def on_windowed_list_moved(self) -> None:
        """Show the attempt under the cursor; a reload that keeps the cursor keeps a comparison."""
        here = None if self.attempt is None else self.attempt.number
        if here != self._compared_at:
            self._compared = None
        self._draw_document()

    def on_document_view_picked(self, message: DocumentView.Picked) -> None:
        """Open another delivery of this event to this hook."""
        if message.section == FAMILY and message.value != self.delivery_id:
            self.shell.navigation.open_delivery(message.value)

    # -- commands

    def _replay(self, delivery: DeliveryDetail) -> None:
        """Plan a replay of the undelivered events of the hook."""
        self.shell.navigation.open_replay_form(ReplaySelection(hooks=(delivery.hook,)))

    def own_disabled_reason(self, name: str) -> str | None:
        """Return that the delivery is not loaded, or that there is no attempt to act on."""
        if self.delivery is None and name in self.COMMAND_NAMES:
            return self._unread()
        if name == "compare" and self.delivery is not None and len(self.delivery.attempts) < 2:
            return "comparing needs two attempts"
        timeline = self.timeline
        return end_reason(name, timeline.cursor, timeline.window.total, "attempt")

    def _unread(self) -> str:
        return f"the delivery is not loaded yet; {self.shell.key('reload')} loads it again"

    def back(self) -> None:
        """End the search, then the comparison, then unmark, then close the screen."""
        if self.search.end():
            return
        if self._compared is not None:
            self.compare()
        elif not self.timeline.clear_marks():
            super().back()

    def selected_deliveries(self) -> Sequence[DeliveryDetail]:
        """Return the delivery of this screen, if it is loaded."""
        return [] if self.delivery is None else [self.delivery]

    def _open_resent(self, sent: Sequence[Delivery]) -> None:
        """Open the delivery that the resend created, if it is a new one."""
        if sent[0].id != self.delivery_id:
            how = "held, as its hook is disabled" if sent[0].held else "sent again"
            message = f"{how}; this is the new delivery {sent[0].id}"
            self.leave_with_notice(message, "good", DeliveryScreen(sent[0].id))

    def open(self) -> None:
        """Fold or unfold a part of the text; in the timeline, move the focus to the text."""
        if self.document.has_focus:
            self.document.action_open()
        else:
            self.document.focus()

    def compare(self) -> None:
        """Show the differences between two attempts, or end the comparison."""
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
            self.notice(f"attempt {newer.number} compared with {older.number}; {keys}")
        self._draw_document()

    def raw(self) -> None:
        """Show bodies in the next form: as a tree, as sent, or in hex."""
        self.notice(f"bodies are shown {FORM_WORDS[self.document.next_form()]}")

    async def copy(self) -> None:
        """Copy the item under the cursor; in the timeline, the delivery's id."""
        copied = self.document.under_cursor() if self.document.has_focus else None
        what, text = copied or ("the delivery's id", self.delivery_id)
        await self.copy_text(text, what)

    async def _copy_as(self, delivery: DeliveryDetail) -> None:
        forms = []
        if delivery.request is not None:
            curl, check = as_curl(delivery.request), as_check(delivery.request)
            words = "a curl command that sends the request again"
            forms.append(CopyForm("c", words, "the curl command", curl))
            if check is not None:
                words = "a command that verifies the signature"
                forms.append(CopyForm("v", words, "the check of the signature", check))
        words, name = "the delivery as JSON, as the API returns it", "the delivery as JSON"
        forms.append(CopyForm("j", words, name, indented_json(delivery)))
        await copy_as(self, "Sensitive headers stay masked; no form holds a secret.", forms)
