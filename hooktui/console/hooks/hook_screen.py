"""One hook: how it stands, its deliveries as they happen, and how it did; a tab for each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import ClassVar, Final

from textual.app import ComposeResult

from hooktui.client import calls
from hooktui.console.deliveries.actions import DeliveryActions
from hooktui.console.deliveries.columns import delivery_columns
from hooktui.console.frame.filtering import Filtering
from hooktui.console.frame.frame_text import top_screens
from hooktui.console.frame.list_screen import Sorting
from hooktui.console.hooks.actions import HookActions
from hooktui.console.hooks.columns import state
from hooktui.console.hooks.summary import head_lines
from hooktui.console.hooks.tabs import DELIVERIES, HookTabs
from hooktui.console.registry import KeyOf
from hooktui.console.shell.feed_changes import FeedChanges
from hooktui.console.shell.session_state import ScreenState
from hooktui.console.widgets.chrome import Lines
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine, StyledText
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.errors import HooktuiError, NotFound
from hooktui.domain.filters.parser import parse
from hooktui.domain.wire.deliveries import Delivery, DeliveryDetail
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.pages import Page

_ABOUT_THE_HOOK: Final = ("ping", "diagnose", "edit", "secret", "activate", "delete")

_MISSING: Final = "there is no such hook any more"

TIMES_S: Final = 15.0
"""Between two looks whether "4m" has become "5m"."""


def _empty(key: KeyOf) -> tuple[StyledLine, ...]:
    return (
        (("  No deliveries yet.", "strong"),),
        (),
        (("  One appears here for each event that this hook asks for.", "quiet"),),
        ((f"  {key('ping')}", "accent"), ("  sends a ping, a test delivery", "plain")),
    )


def _nothing_fits(key: KeyOf) -> tuple[StyledLine, ...]:
    return (
        (("  No delivery matches the filter.", "plain"),),
        ((f"  {key('back')}", "accent"), ("  shows all deliveries again", "plain")),
    )


class HookScreen(HookTabs, Filtering, Sorting, HookActions, DeliveryActions):
    """The hook with an id."""

    HEADING = "Hook"
    NOUN = "delivery"
    ROW_COMMANDS = ("resend", "cancel", "mark", "open", "copy")
    FIRST = ("oldest", "newest")
    NEWEST_FIRST = True
    UNSORTED = "time"
    FILTER_HINT = "such as status:failed event:job.* code:5xx since:10m"
    COMMAND_NAMES: ClassVar[tuple[str, ...]] = (
        "open", "ping", "diagnose", "edit", "secret", "activate", "resend", "cancel", "filter",
        "delete", "previous", "next", "larger", "smaller", "mark", "mark_all", "undo", "sort",
        "order", "copy",
    )  # fmt: skip

    def __init__(self, hook_id: int) -> None:
        super().__init__(hook_id)
        self.handlers.update(open=self.open, mark=self.mark)
        self._read_at = 0.0
        self._missing = False

    # -- what is shown

    def heading(self) -> tuple[StyledLine, StyledLine]:
        """Name the hook and its state, the filter and the marks."""
        left: list[StyledText] = [(f" Hook {self.hook_id}", "strong")]
        dot = f" {self.shell.glyphs.dot} "
        if self.hook is not None:
            left += [(f"  {self.hook.name}  ", "plain"), *state(self.hook, self.shell.glyphs)]
        if self.query("#deliveries"):
            listing = self.listing
            if listing.loaded:
                left.append((f"{dot}{listing.counted('delivery')}", "plain"))
            if self.filter_text:
                left.append((f"{dot}filter: {self.filter_text}", "accent"))
            if listing.marks:
                left.append((f"{dot}{self.marked_words()}", "accent"))
        return left, top_screens("")

    def compose_body(self) -> ComposeResult:
        """The head, the tabs and what they show."""
        shell = self.shell
        yield Lines(id="head")
        yield from self.compose_tabs(
            WindowedList(
                delivery_columns(shell.glyphs, shell.clock),
                self,
                lambda delivery: delivery.id,
                empty=_empty(shell.key),
                sort="id",
                descending=True,
                glyphs=shell.glyphs,
                id=DELIVERIES,
            )
        )

    def on_mount(self) -> None:
        """Read the hook and its deliveries."""
        super().on_mount()
        self.set_interval(TIMES_S, self._time_went_on)
        self.run_worker(self._read(), name="hook", group="hook", exclusive=True)
        self.run_worker(self.listing.load(), name="load")

    def _time_went_on(self) -> None:
        self.listing.refresh_times()
        self.time_went_on()

    @property
    def listing(self) -> WindowedList[Delivery]:
        """The list of deliveries."""
        return self._listing

    async def page(self, wanted: PageQuery) -> Page[Delivery]:
        """Return a page of this hook's deliveries."""
        call = calls.list_deliveries(
            self.shell.account.number,
            hook=self.hook_id,
            q=self.filter_text or None,
            **wanted,
        )
        return await self.ask(call)

    async def _read(self) -> None:
        try:
            self.hook = await self.ask(calls.get_hook(self.hook_id))
        except NotFound:
            # The feed may announce this screen's own deletion before the server responds to it.
            self._missing = True
            if not self.deleting:
                self._gone(_MISSING)
            return
        except HooktuiError as error:
            self.show_error(error)
            return
        if self.query("#head"):
            shell = self.shell
            head = head_lines(self.hook, shell.catalogue, shell.clock(), shell.key)
            self.query_one("#head", Lines).show(head)
            self.draw_tab()
            self.refresh_frame()

    def _gone(self, said: str) -> None:
        if self.leave():
            self.app.call_later(self.shell.notice, f"hook {self.hook_id}: {said}", "warn")
        else:
            self.hook = None

    async def changed(self, changes: FeedChanges) -> None:
        """Show what changed here; while deliveries run not more often than the tab bears."""
        about_us = self.hook_id in changes.hooks or changes.everything
        if not (about_us or self.hook_id in changes.busy_hooks):
            return
        if not about_us:
            await asyncio.sleep(max(self._read_at + self.pause_s - monotonic(), 0))
        self._read_at = monotonic()
        await self._read()
        if self.query("#deliveries"):
            await self.fill_tab()

    def on_windowed_list_moved(self) -> None:
        """Draw what depends on the row under the cursor, and the counts."""
        self.refresh_frame()

    def on_windowed_list_marks_changed(self) -> None:
        """Draw how many are marked."""
        self.refresh_frame()

    def on_windowed_list_failed(self, message: WindowedList.Failed) -> None:
        """Say why there are no rows."""
        self.show_error(message.error)

    # -- commands

    def disabled_reason(self, name: str) -> str | None:
        """Add: another tab, not read yet, nothing to undo, nothing under the cursor."""
        in_list = ("resend", "cancel", "filter", "mark", "mark_all", "sort", "order")
        if name in in_list and self.is_mounted and self.tab != DELIVERIES:
            return f"this works on the deliveries; {self.shell.key('previous')} leads to them"
        reason = super().disabled_reason(name)
        if reason is not None or not self.is_mounted:
            return reason
        if name in _ABOUT_THE_HOOK and self.hook is None:
            return f"the hook is not read yet; {self.shell.key('reload')} reads it again"
        if name == "undo" and (reason := self.undo_disabled_reason()) is not None:
            return reason
        if name == "open" and self.tab == DELIVERIES and not self.listing.selected:
            return f"there is no delivery under the cursor; {self.shell.key('ping')} sends a ping"
        return None

    def acts_on_rows(self, name: str) -> bool:
        """Return whether a command acts on deliveries: in the tab that shows them."""
        return super().acts_on_rows(name) and self.tab == DELIVERIES

    @property
    def narrowed(self) -> bool:
        """Whether the filter hides deliveries."""
        return bool(self.filter_text)

    def selected_hooks(self) -> list[Hook]:
        """The hook of this screen."""
        return [] if self.hook is None else [self.hook]

    def selected_deliveries(self) -> Sequence[Delivery]:
        """The marked deliveries, or the one under the cursor."""
        return self.listing.selected if self.tab == DELIVERIES else []

    def settled(self, done: Sequence[Delivery | DeliveryDetail]) -> None:
        """Unmark what is done: a second press does the rest, and nothing twice."""
        self.listing.unmark(one.id for one in done)

    def forget(self, hooks: Sequence[Hook]) -> None:
        """Leave: the hook is deleted."""
        self._gone("deleted")

    async def _delete(self, hooks: Sequence[Hook]) -> None:
        """Delete the hook; leave also when the deletion failed because the hook is gone."""
        await super()._delete(hooks)
        if self._missing:
            self._gone(_MISSING)

    def open(self) -> None:
        """Open what is under the cursor: a delivery, an entry of the history, a fold."""
        row = self.listing.cursor_row
        if self.tab != DELIVERIES:
            self.open_in_tab()
        elif row is not None:
            self.shell.navigation.open_delivery(row.id)

    def on_windowed_list_opened(self) -> None:
        """Open the delivery that was chosen."""
        self.run_command("open")

    def mark(self) -> None:
        """Mark the delivery under the cursor."""
        self.listing.toggle_mark()

    def back(self) -> None:
        """Undo one narrowing after the other, then leave."""
        if self.listing.clear_marks():
            return
        if self.filter_text:
            self.take_filter("")
        else:
            super().back()

    # -- the filter

    def check_filter(self, text: str) -> None:
        """Refuse what is no filter of deliveries."""
        if text:
            parse(text)

    def filtered(self) -> None:
        """Load what fits."""
        lines = _nothing_fits if self.filter_text else _empty
        self.listing.empty = lines(self.shell.key)
        self.listing.load_anew()

    def give_keys_back(self) -> None:
        """Go back to the list."""
        self.listing.focus()

    def kept(self) -> ScreenState:
        """Return nothing: what is filtered here is one hook's, and the next may be another."""
        return {}

    def restore(self, kept: ScreenState) -> None:
        """Take up nothing."""
