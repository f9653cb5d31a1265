"""Screen of one hook: its state, and tabs for deliveries, health, events, settings and history."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Final

from textual.app import ComposeResult

from hooktui.client import calls
from hooktui.console.deliveries.actions import DeliveryActions
from hooktui.console.deliveries.columns import delivery_columns
from hooktui.console.deliveries.delivery_rows import DELIVERY_COMMANDS, DeliveryRows
from hooktui.console.formatting import breaker_end, short_name
from hooktui.console.frame.bulk import BulkRunner
from hooktui.console.frame.filtering import FilterPart
from hooktui.console.frame.frame_text import introduction, no_match
from hooktui.console.frame.list_screen import SortPart
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.hooks.actions import HookActions
from hooktui.console.hooks.columns import state
from hooktui.console.hooks.summary import head_lines
from hooktui.console.hooks.tabs import Tab, TabSet
from hooktui.console.shell.change_feed import FeedChanges
from hooktui.console.shell.server_calls import Severity
from hooktui.console.widgets.chrome import Lines
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine, StyledText
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.errors import HooktuiError, NotFound
from hooktui.domain.filters.parser import TERMS, parse
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.pages import Page

_ABOUT_THE_HOOK: Final = (
    "ping", "diagnose", "edit", "secret", "activate", "delete", "replay",
)  # fmt: skip


class HookScreen(ConsoleScreen):
    """One hook, with its deliveries in real time.

    Attributes:
        listing: the list of its deliveries.
    """

    HEADING = "Hook"
    FILTER_TERMS = TERMS
    ROW_COMMANDS = DELIVERY_COMMANDS
    COMMAND_NAMES = (
        "open", "ping", "diagnose", "edit", "secret", "activate", "resend", "cancel", "replay",
        "filter", "delete", "previous", "next", "larger", "smaller", "mark", "mark_all", "undo",
        "sort", "order", "copy",
    )  # fmt: skip

    DEFAULT_CSS = """
    HookScreen #tabs { background: $panel; }
    HookScreen ContentSwitcher { height: 1fr; }
    HookScreen #events, HookScreen #settings { padding: 0 1; }
    """

    def __init__(self, hook_id: int) -> None:
        super().__init__()
        self.handlers.update(open=self.open)
        self.hook_id = hook_id
        self.hook: Hook | None = None  # until it is loaded, and after it is deleted
        self._is_elsewhere = False  # it belongs to another account
        self.tabs = TabSet(self, hook_id, lambda: self.hook)
        self.filter = FilterPart(
            self,
            "such as status:failed event:job.* code:5xx since:10m",
            check=parse,
            changed=self._filtered,
            focus=lambda: self.listing.focus(),
        )
        self.rows = DeliveryRows(
            self,
            self.filter,
            hook=hook_id,
            active=self._in_deliveries,
            hint=lambda: f"{key} sends a ping" if (key := self.usable_key("ping")) else "",
        )
        bulk = BulkRunner(self)
        self.actions = HookActions(self, self.selected_hooks, bulk, self._deleted)
        self.parts = (
            bulk,
            self.tabs,
            DeliveryActions(self, self.selected_deliveries, bulk, rows=self.rows),
            self.rows,
            self.filter,
            SortPart(self, by_time=True),
            self.actions,
        )
        self._read_at = 0.0
        self._missing = False

    def _in_deliveries(self) -> bool:
        return self.tabs.current == Tab.DELIVERIES

    # -- drawing and loading

    def heading(self) -> StyledLine:
        """Return the title with the hook, its state, the filter and the marks."""
        left: list[StyledText] = [(f" Hook {self.hook_id}", "strong")]
        dot = f" {self.shell.glyphs.dot} "
        if self.hook is not None:
            name = short_name(self.hook.name)
            left += [(f"  {name}  ", "plain"), *state(self.hook, self.shell.glyphs)]
        if self.query("#deliveries"):
            listing = self.listing
            if listing.loaded:
                left.append((f"{dot}{listing.counted('delivery')}", "plain"))
            left += [*self.rows.heading(), *self.filter.heading()]
        return left

    def compose_body(self) -> ComposeResult:
        """Compose the head, the tabs and their contents."""
        shell = self.shell
        yield Lines(hang=11, id="head")
        self.listing: WindowedList[Delivery] = WindowedList(
            delivery_columns(shell.glyphs, shell.clock),
            self,
            lambda delivery: delivery.id,
            empty=self.empty_lines(),
            sort="id",
            descending=True,
            id=Tab.DELIVERIES,
        )
        yield from self.tabs.compose()

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Return the text of an empty list, or of a filter without matches."""
        key = self.shell.key
        if self.filter.text:
            return no_match("No delivery matches the filter.", "all deliveries", key)
        return introduction(
            "No deliveries yet.",
            "One appears here for each event that this hook subscribes to.",
            (self.usable_key("ping"), "sends a ping, a test delivery"),
        )

    def begin(self) -> None:
        """Set up the screen, and load the hook and its deliveries."""
        super().begin()
        self.run_latest(self._read, "hook")
        self.run_worker(self.listing.load(), name="load")

    def refresh_times(self) -> None:
        """Redraw the head and the tabs; load the plots again if their newest step has ended."""
        self._draw_head()
        self.tabs.refresh_times()

    def _draw_head(self) -> None:
        if self.hook is not None:
            shell = self.shell
            now_ms = shell.clock()
            until = breaker_end(shell.status.latest, self.hook_id, now_ms)
            head = head_lines(self.hook, shell.catalogue, now_ms, self.usable_key, until)
            self.query_one("#head", Lines).show(head)

    async def page(self, query: PageQuery) -> Page[Delivery]:
        """Return a page of this hook's deliveries."""
        account = self.shell.account.number if self.hook is None else self.hook.account
        call = calls.list_deliveries(
            account, hook=self.hook_id, q=self.filter.text or None, **query
        )
        return await self.send(call)

    async def _read(self) -> None:
        try:
            self.hook = await self.send(calls.get_hook(self.hook_id))
        except NotFound as error:
            if self.hook is None and not self._missing:
                self.leave_missing(error)
                return
            # The feed may announce this screen's own deletion before the server responds to it.
            self._missing = True
            if not self.actions.deleting:
                self._close_missing()
            return
        except HooktuiError as error:
            self.show_load_error(error)
            return
        self._notice_other_account(self.hook.account)
        if self.query("#head"):
            self._draw_head()
            self.tabs.draw()
            self.refresh_frame()

    def explain(self, lines: Sequence[StyledLine]) -> None:
        """Show in place of data that is not loaded whether it loads, or why it does not."""
        super().explain(lines)
        if self.hook is None:
            self.tabs.explain(lines)

    def _notice_other_account(self, account: int) -> None:
        """Load the deliveries of a hook of another account, whose changes are not in the feed."""
        if account != self.shell.account.number and not self._is_elsewhere:
            self._is_elsewhere = True
            self.listing.load_anew()
            self.notice(
                f"this hook belongs to account {account}, whose changes are not followed here;"
                f" :account {account} switches to it, {self.shell.key('reload')} reads it again",
                "warn",
            )

    def _close(self, message: str, severity: Severity) -> bool:
        """Close the screen of a hook that does not exist any more; return whether it was closed."""
        closed = self.leave_with_notice(f"hook {self.hook_id}: {message}", severity)
        if not closed:
            self.hook = None
        return closed

    def _close_missing(self) -> None:
        """Close the screen of a hook that another user deleted."""
        if self._close("the hook does not exist any more", "warn"):
            self.shell.navigation.ask_to_check_rows()

    async def changed(self, changes: FeedChanges) -> None:
        """Reload the hook and the visible tab; for deliveries, at most once per ``pause_s``."""
        about_us = self.hook_id in changes.hooks or changes.everything
        if not (about_us or self.hook_id in changes.busy_hooks):
            return
        if not about_us:
            await asyncio.sleep(max(self._read_at + self.tabs.pause_s - monotonic(), 0))
        self._read_at = monotonic()
        await self._read()
        if self.query("#deliveries"):
            await self.tabs.fill()

    # -- commands

    def own_disabled_reason(self, name: str) -> str | None:
        """Return a reason if the hook is not loaded."""
        if name in _ABOUT_THE_HOOK and self.hook is None:
            return f"the hook is not loaded yet; {self.shell.key('reload')} loads it again"
        return None

    def selected_hooks(self) -> list[Hook]:
        """Return the hook of this screen, once it is loaded."""
        return [] if self.hook is None else [self.hook]

    def selected_deliveries(self) -> Sequence[Delivery]:
        """Return the marked deliveries, or the one under the cursor."""
        return self.listing.selected if self._in_deliveries() else []

    def _deleted(self, hooks: Sequence[Hook]) -> None:
        """Close the screen if the hook was deleted, or if it turned out to be missing."""
        if hooks:
            self._close("deleted", "good")
        elif self._missing:
            self._close_missing()

    def open(self) -> None:
        """Open the item under the cursor: a delivery, a history entry, or a section."""
        row = self.listing.cursor_row
        if not self._in_deliveries():
            self.tabs.open()
        elif row is not None:
            self.shell.navigation.open_delivery(row.id)

    def back(self) -> None:
        """Clear the marks, else the filter; else close the screen."""
        if not (self.listing.clear_marks() or self.filter.clear()):
            super().back()

    # -- the filter: it belongs to one hook, so it is not saved for the next one

    def _filtered(self) -> None:
        self.rows.clear()
        self.listing.empty = self.empty_lines()
        self.listing.load_anew()
