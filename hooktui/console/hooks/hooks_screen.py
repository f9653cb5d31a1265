"""The home screen: the list of hooks with their state, and the live log below."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic

from textual.app import ComposeResult

from hooktui.console.frame.bulk import BulkRunner
from hooktui.console.frame.chosen_rows import ChosenRows
from hooktui.console.frame.frame_text import introduction
from hooktui.console.frame.list_screen import ListScreen
from hooktui.console.hooks.actions import HookActions
from hooktui.console.hooks.columns import columns
from hooktui.console.log.live_log import LiveLog
from hooktui.console.shell.change_feed import FeedChanges
from hooktui.console.shell.session_state import ScreenState
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine, StyledText
from hooktui.console.widgets.table import Column
from hooktui.domain.errors import HooktuiError
from hooktui.domain.filters.hook_search import HINT, HOOK_TERMS, parse_hook_search
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.pages import Page

SMALLEST_PANE = 4
"""Minimum height of the log pane in lines, including its caption."""

_ON_HOOKS = (
    "edit", "delete", "activate", "ping", "diagnose", "secret", "replay", "open", "mark",
)  # fmt: skip


class HooksScreen(ListScreen[Hook]):
    """List of all hooks of the account, with the live log below it."""

    HEADING = "Hooks"
    NOUN = "hook"
    ROW_COMMANDS = _ON_HOOKS
    MARKABLE = True
    FILTER_TERMS = HOOK_TERMS
    FILTER_HINT = HINT
    BUSY_S = 1.0  # while deliveries are in progress: they only change statistics
    COMMAND_NAMES = (
        "open", "new", "edit", "ping", "diagnose", "activate", "secret", "delete",
        "replay", "filter", "log_pane", "mark", "mark_all", "undo",
        "zoom", "larger", "smaller", "follow", "sort", "order",
    )  # fmt: skip
    DEFAULT_CSS = """
    HooksScreen LiveLog { height: 38vh; min-height: 5; }
    HooksScreen.-high LiveLog { height: 33vh; min-height: 13; }
    HooksScreen.-zoomed LiveLog { height: 1fr; }
    HooksScreen.-zoomed WindowedList { display: none; }
    HooksScreen.-without-log LiveLog { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(
            open=self.open,
            new=lambda: self.shell.navigation.open_form(None),
            follow=lambda: self.live_log.follow(not self.live_log.following),
            log_pane=self.toggle_log,
            zoom=self.zoom,
            larger=lambda: self._resize_pane(2),
            smaller=lambda: self._resize_pane(-2),
        )
        bulk = BulkRunner(self)
        actions = HookActions(self, self.selected_hooks, bulk, self._unmark)
        self.parts = (bulk, *self.parts, actions)
        self._pane: int | None = None
        self._failing: int | None = None  # of the account; None if unknown, or if all are loaded

    def chosen_rows(self) -> ChosenRows:
        """Return the part of the rows that commands act on, unless the log has the focus."""
        return ChosenRows(
            self,
            self.NOUN,
            self.ROW_COMMANDS,
            active=lambda: not self.live_log.has_focus,
            narrowed=lambda: bool(self.filter.text),
            hint=self.row_hint,
        )

    def columns(self) -> Sequence[Column[Hook]]:
        """Return the columns."""
        shell = self.shell
        return columns(shell.glyphs, shell.clock, lambda: shell.catalogue)

    def compose_body(self) -> ComposeResult:
        """Compose the list and the log below it."""
        self.live_log = LiveLog(self.shell, caption=True)
        yield from super().compose_body()
        yield self.live_log

    def row_hint(self) -> str:
        """Return how to create a hook, unless the role may not."""
        return "" if self.disabled_reason("new") else f"{self.shell.key('new')} creates one"

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Return the text of an empty list, or of a filter without matches."""
        key = self.shell.key
        if self.filter.text:
            terms = "  Words search name, URL and events; status:failing searches the state."
            text = self.no_match("No hook matches the filter.", "all hooks")
            return (*text, (), ((terms, "quiet"),))
        return introduction(
            "No hooks yet.",
            "A hook receives a signed POST for each event that it subscribes to:",
            "jobs, clusters, or your own types. Failed deliveries are retried.",
            "",
            *(() if self.disabled_reason("new") else ((key("new"), "creates the first one"),)),
            (key("help"), "lists all keys"),
            "",
            f"To try hooktui first, quit with {key('quit')} and run `hooktui demo`.",
        )

    def on_screen_resume(self) -> None:
        """Update the log with what arrived while another screen was in the foreground."""
        self.live_log.catch_up()

    # -- rows

    async def page(self, query: PageQuery) -> Page[Hook]:
        """Return a page of hooks."""
        from hooktui.client import calls

        await self.shell.connection.reached()  # only then is the account of a token known
        page = await self.send(
            calls.list_hooks(self.shell.account.number, q=self.filter.text or None, **query)
        )
        self.listing.empty = self.empty_lines()
        if self.shell.account.add_names({hook.id: hook.name for hook in page.data}):
            self.live_log.refresh()
        return page

    async def changed(self, changes: FeedChanges) -> None:
        """Reload the list; if only statistics of busy hooks changed, at most once per second."""
        if not (changes.hooks or changes.everything):
            await asyncio.sleep(max(self._read_at + self.BUSY_S - monotonic(), 0))
        self._read_at = monotonic()
        self.forget(changes.deleted_hooks)
        await self.listing.reload()
        await self._count_failing()

    def show_names(self) -> None:
        """Redraw the list and the log."""
        super().show_names()
        self.live_log.refresh()

    async def _count_failing(self) -> None:
        """Count the failing hooks of a long list by their alerts; not all hooks are loaded."""
        from hooktui.client import calls

        window, account = self.listing.window, self.shell.account.number
        failing = None
        if window.has_before or window.has_more:
            call = calls.list_alerts(account, kind="hook.failing", limit=1)
            with suppress(HooktuiError):  # the list itself reports it
                failing = (await self.send(call)).total
        if account == self.shell.account.number:
            self._failing = failing
            self.refresh_frame()

    def account_changed(self) -> None:
        """Load the hooks of the new account from the start of the list."""
        self._failing = None
        self.listing.clear_marks()
        self.remove_class("-zoomed")
        super().account_changed()
        self.listing.load_anew()

    def on_windowed_list_marks_changed(self) -> None:
        """Limit the log to the marked hooks."""
        marked = frozenset(hook.id for hook in self.listing.marks.values())
        self.live_log.show_only(self.live_log.filter, marked or None)

    def heading(self) -> StyledLine:
        """Return the title: numbers of hooks, failing ones and disabled ones, filter, and marks."""
        listing = self.listing
        left: list[StyledText] = [(f" {self.HEADING}", "strong")]
        dot = f" {self.shell.glyphs.dot} "
        if listing.loaded:
            left.append((f"  {listing.counted('hook')}", "plain"))
            window = listing.window
            broken = sum(hook.failing for hook in window.rows())
            off = sum(not hook.active for hook in window.rows())
            least = sure = "at least " if window.has_before or window.has_more else ""
            if self._failing is not None and not self.filter.text:
                broken, sure = self._failing, ""
            if broken:
                left.append((f"{dot}{sure}{broken:,} failing", "bad"))
            if off:
                left.append((f"{dot}{least}{off} disabled", "quiet"))
        return [*left, *self.rows.heading(), *self.filter.heading()]

    # -- commands

    def own_disabled_reason(self, name: str) -> str | None:
        """Return a reason if the log has the focus or is hidden, or if several hooks are marked."""
        log_focused = self.live_log.has_focus
        if log_focused and name in (*_ON_HOOKS, "mark_all") and name != "open":
            zoomed = self.has_class("-zoomed")
            key = f"{self.shell.key('zoom')} shows" if zoomed else "Tab goes to"
            return f"the live log has the focus, not a hook; {key} the hooks"
        if log_focused and name == "open" and not self.live_log.cursor_delivery:
            return "there is no delivery under the cursor yet"
        marked = len(self.listing.marks)
        if name in ("edit", "diagnose", "secret", "open") and marked > 1 and not log_focused:
            unmark = self.shell.key("back")
            return f"this works on one hook, but {marked} are marked; {unmark} unmarks"
        if name in ("larger", "smaller", "zoom") and self.has_class("-without-log"):
            return f"the log pane is hidden; {self.shell.key('log_pane')} shows it"
        return None

    def selected_hooks(self) -> list[Hook]:
        """Return the hooks that a command acts on."""
        return self.listing.selected

    def _unmark(self, hooks: Sequence[Hook]) -> None:
        """Unmark deleted hooks; the next reload removes their rows."""
        self.listing.unmark(hook.id for hook in hooks)
        self.listing.choice.remove(hook.id for hook in hooks)

    def open(self) -> None:
        """Open the row under the cursor of the list or, if it has the focus, of the log."""
        row = self.listing.cursor_row
        if self.live_log.has_focus:
            self.live_log.open_line()
        elif row is not None:
            self.shell.navigation.open_hook(row.id)

    def on_live_log_opened(self, message: LiveLog.Opened) -> None:
        """Open the delivery of a log line."""
        self.shell.navigation.open_delivery(message.delivery)

    def back(self) -> None:
        """Clear the marks, else the filter, else the zoom; the home screen cannot be closed."""
        if self.listing.clear_marks():
            return
        if self.filter.clear():
            return
        if self.has_class("-zoomed"):
            self.zoom()
        else:
            self.listing.focus()

    # -- the filter

    def check_filter(self, text: str) -> object:
        """Check that a text is a valid search of hooks."""
        return parse_hook_search(text)

    def focus_body(self) -> None:
        """Focus the list, or the log that covers it."""
        (self.live_log if self.has_class("-zoomed") else self.listing).focus()

    # -- the state

    def save_state(self) -> ScreenState:
        """Return the filter, the sort order and the state of the log pane."""
        window = self.listing.window
        return {
            **super().save_state(),
            "sort": window.sort,
            "descending": window.descending,
            "pane": self._pane,
            "zoomed": self.has_class("-zoomed"),
            "without_log": self.has_class("-without-log"),
        }

    def load_state(self, state: ScreenState) -> None:
        """Restore the filter, the sort order and the state of the log pane."""
        listing = self.listing
        super().load_state(state)
        if state.get("sort") in {c.sort for c in listing.columns if c.sort}:
            listing.window.sort = str(state["sort"])
            listing.window.descending = bool(state.get("descending"))
        pane = state.get("pane")
        if isinstance(pane, int) and not isinstance(pane, bool):
            self._pane = max(SMALLEST_PANE, pane)
            self._fit_pane()
        if bool(state.get("zoomed")) != self.has_class("-zoomed"):
            self.zoom()
        self.set_class(bool(state.get("without_log")), "-without-log")

    # -- the log pane

    def toggle_log(self) -> None:
        """Show or hide the log."""
        self.remove_class("-zoomed")
        hidden = not self.has_class("-without-log")
        if hidden and self.live_log.has_focus:
            self.listing.focus()
        self.set_class(hidden, "-without-log")

    def zoom(self) -> None:
        """Maximize the log, or restore its size."""
        self.toggle_class("-zoomed")
        self._fit_pane()
        self.focus_body()

    def _resize_pane(self, by: int) -> None:
        lines = self.live_log.size.height if self._pane is None else self._pane
        self._pane = max(SMALLEST_PANE, min(lines, self._most_lines()) + by)
        self._pane = min(self._pane, self._most_lines())
        self.remove_class("-zoomed")
        self._fit_pane()

    def on_resize(self) -> None:
        """Leave room for the list in a terminal that became smaller."""
        if self.is_mounted:
            self._fit_pane()

    def _most_lines(self) -> int:
        return max(self.app.size.height - 8, SMALLEST_PANE)

    def _fit_pane(self) -> None:
        """Give the pane the height that the user chose, as far as there is room for it."""
        styles = self.live_log.styles
        if self._pane is None or self.has_class("-zoomed"):
            styles.height = styles.min_height = None
        else:
            styles.height = min(self._pane, self._most_lines())
            styles.min_height = SMALLEST_PANE
