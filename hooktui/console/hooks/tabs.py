"""The tabs of the Hook screen: which one is shown, and what each of them reads, when.

Only the tab that is shown reads anything; one that comes into sight reads at once.
"""

from __future__ import annotations

from typing import Final

from textual.app import ComposeResult
from textual.widgets import ContentSwitcher

from hooktui.client import calls
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.hooks.health import RANGES, axis_of, plots_of, range_line, step_words
from hooktui.console.hooks.history import HookHistory, summary
from hooktui.console.hooks.summary import HOURS, event_sections, settings_sections
from hooktui.console.shell.terminal import copy
from hooktui.console.widgets.chrome import TabLine
from hooktui.console.widgets.document_view import JsonView
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.plot import Plots
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.clock import from_rfc3339
from hooktui.domain.errors import HooktuiError
from hooktui.domain.wire.access import AuditEntry
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.hooks import Hook, HookHealth
from hooktui.domain.wire.pages import Page

BUSY_S: Final = 1.0
"""While deliveries run, head and list are read again this often, not for each one."""

COUNTED_S: Final = 5.0
"""The same of tabs whose numbers are counted from many rows."""

TABS: Final = ("Deliveries", "Health", "Events", "Settings", "History")
DELIVERIES, HEALTH, EVENTS, SETTINGS, HISTORY = (name.lower() for name in TABS)
_FIRST_RANGE: Final = 1


class HistorySource:
    """Pages of the audit trail that are about one hook."""

    def __init__(self, screen: HookTabs) -> None:
        self._screen = screen

    async def page(self, wanted: PageQuery) -> Page[AuditEntry]:
        """Return a page, the newest entry first."""
        screen = self._screen
        account = screen.shell.account.number if screen.hook is None else screen.hook.account
        target = f"hook {screen.hook_id}"
        return await screen.ask(calls.list_audit(account, target=target, **wanted))


class HookTabs(ConsoleScreen):
    """Shows one of the tabs; the screen adds the deliveries, and reads the hook itself."""

    DEFAULT_CSS = """
    HookTabs #tabs { background: $panel; }
    HookTabs ContentSwitcher { height: 1fr; }
    HookTabs #events, HookTabs #settings { padding: 0 1; }
    """

    def __init__(self, hook_id: int) -> None:
        super().__init__()
        self.handlers.update(
            previous=self.previous,
            next=self.next,
            copy=self.copy,
            larger=self.larger,
            smaller=self.smaller,
        )
        self.hook_id = hook_id
        self.hook: Hook | None = None
        self.tab = DELIVERIES
        self._range = self._wanted = _FIRST_RANGE
        self._health: HookHealth | None = None
        self._counts: HookHealth | None = None

    def compose_tabs(self, deliveries: WindowedList[Delivery]) -> ComposeResult:
        """Yield the line of tabs, and all tabs with the deliveries first."""
        shell = self.shell
        # Kept, not looked up: an answer may come in while the screen is being taken away.
        self._tab_line = TabLine(TABS, shell.key, id="tabs")
        self._switcher = ContentSwitcher(initial=DELIVERIES)
        self._plots = Plots(shell.glyphs, id=HEALTH)
        self._events = JsonView(id=EVENTS)
        self._settings = JsonView(id=SETTINGS)
        self._history = HookHistory(
            HistorySource(self), shell.clock, shell.glyphs, self.show_error, id=HISTORY
        )
        self._listing = deliveries
        yield self._tab_line
        with self._switcher:
            yield self._listing
            yield self._plots
            yield self._events
            yield self._settings
            yield self._history

    # -- which tab

    def previous(self) -> None:
        """Show the tab before."""
        self.show_tab(self._tab_line.chosen - 1)

    def next(self) -> None:
        """Show the tab after."""
        self.show_tab(self._tab_line.chosen + 1)

    def on_tab_line_chosen(self, message: TabLine.Chosen) -> None:
        """Show the tab that was clicked."""
        self.show_tab(message.number)

    def show_tab(self, number: int) -> None:
        """Show a tab by its number; the ends are ends."""
        self._tab_line.choose(number)
        wanted = TABS[self._tab_line.chosen].lower()
        if wanted == self.tab:
            return
        self.tab = self._switcher.current = wanted
        focused = self._history.listing if wanted == HISTORY else self._switcher.visible_content
        if focused is not None:
            focused.focus()
        self.refresh_frame()
        self.draw_tab()
        self.run_worker(self.fill_tab(), name="tab", group="tab", exclusive=True)

    def open_in_tab(self) -> None:
        """Open what is under the cursor of the tab in sight."""
        match self.tab:
            case "events":
                self._events.action_open()
            case "settings":
                self._settings.action_open()
            case "history" if self._history.entry.has_focus:
                self._history.entry.action_open()
            case "history":
                self._history.listing.action_open()
            case _:  # the deliveries are the screen's, and nothing opens in a plot
                pass

    def under_cursor(self) -> tuple[str, str] | None:
        """Return name and text of what a copy takes in the tab in sight; None: there is nothing."""
        match self.tab:
            case "deliveries":
                delivery = self._listing.cursor_row
                return None if delivery is None else ("the delivery's id", delivery.id)
            case "health":
                return None if self._health is None else ("the marked step", self._plots.told)
            case "events":
                return self._events.under_cursor()
            case "settings":
                return self._settings.under_cursor()
            case _ if self._history.entry.has_focus:
                return self._history.entry.under_cursor()
            case _:
                entry = self._history.listing.cursor_row
                return None if entry is None else ("the change", summary(entry))

    async def copy(self) -> None:
        """Copy what is under the cursor."""
        found = self.under_cursor()
        if found is not None:
            self.notice(await copy(self.app, found[1], found[0]), "good")

    # -- what it shows

    @property
    def pause_s(self) -> float:
        """How long one look at the hook lasts while deliveries run."""
        return COUNTED_S if self.tab in (HEALTH, EVENTS) else BUSY_S

    def draw_tab(self) -> None:
        """Draw what is known, also of a tab that is not in sight: that costs nothing."""
        shell, now_ms = self.shell, self.shell.clock()
        health, glyphs = self._health, shell.glyphs
        caption = range_line(self._range, health, glyphs, self._wanted, shell.key)
        if health is None:
            self._plots.show(caption)
        else:
            self._plots.show(
                caption,
                plots_of(health, now_ms, glyphs),
                axis_of(health),
                lambda step: step_words(health, step, now_ms),
            )
        if self.hook is not None:
            self._settings.show(settings_sections(self.hook, shell.catalogue, now_ms))
            self._events.show(
                event_sections(self.hook, shell.catalogue, self._counts, now_ms, glyphs)
            )

    async def fill_tab(self) -> None:
        """Read what the tab in sight shows."""
        match self.tab:
            case "deliveries":
                await (self._listing.reload() if self._listing.loaded else self._listing.load())
            case "history":
                await self._history.load()
            case "health" | "events":
                await self._count()

    async def _count(self) -> None:
        """Read how the hook did; what comes too late for the tab or the range is left out."""
        tab, wanted = self.tab, self._wanted
        hours = HOURS if tab == EVENTS else RANGES[wanted][0]
        try:
            found = await self.ask(calls.hook_health(self.hook_id, hours=hours))
        except HooktuiError as error:
            self._wanted = self._range
            self.draw_tab()
            self.show_error(error)
            return
        if tab == EVENTS:
            self._counts = found
        elif wanted == self._wanted:
            self._health, self._range = found, wanted
        self.draw_tab()

    def time_went_on(self) -> None:
        """Read the plots again once their newest step is over, also when nothing happened."""
        health = self._health
        if self.tab == HEALTH and health is not None and health.points:
            end_ms = from_rfc3339(health.points[-1].at) + health.step_s * 1000
            if self.shell.clock() >= end_ms:
                self.run_worker(self.fill_tab(), name="tab", group="tab", exclusive=True)

    # -- the time of the plots

    def larger(self) -> None:
        """Show a longer time."""
        self._choose_range(self._wanted + 1)

    def smaller(self) -> None:
        """Show a shorter time."""
        self._choose_range(self._wanted - 1)

    def _choose_range(self, number: int) -> None:
        if 0 <= number < len(RANGES):
            self._wanted = number
            self.draw_tab()
            self.run_worker(self.fill_tab(), name="tab", group="tab", exclusive=True)
        else:
            ends = ("shortest", RANGES[0][1]), ("longest", RANGES[-1][1])
            which, name = ends[number > 0]
            self.notice(f"{name} is the {which} time")

    def disabled_reason(self, name: str) -> str | None:
        """Add: what works on another tab only."""
        reason = super().disabled_reason(name)
        if reason is not None or not self.is_mounted:
            return reason
        if name in ("larger", "smaller") and self.tab != HEALTH:
            key = self.shell.key
            time = f"{key('larger')} and {key('smaller')} choose the time of the plots"
            return f"{time}; {key('previous')} and {key('next')} lead to the tab Health"
        if name == "copy" and self.under_cursor() is None:
            return "there is nothing under the cursor to copy"
        if name == "open" and self.tab == HEALTH:
            return "there is nothing to open here; left and right move the mark"
        return None
