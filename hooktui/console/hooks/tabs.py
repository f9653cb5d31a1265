"""The tabs of the hook screen: which one is visible, and which data each of them loads.

Only the visible tab loads data; a tab loads its data as soon as it becomes visible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from textual.app import ComposeResult
from textual.widgets import ContentSwitcher

from hooktui.client import calls
from hooktui.console.frame.frame_text import end_reason
from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.hooks.health import RANGES, axis_of, plots_of, range_line, step_words
from hooktui.console.hooks.history import HookHistory, summary
from hooktui.console.hooks.summary import HOURS, event_sections, settings_sections
from hooktui.console.widgets.chrome import TabLine
from hooktui.console.widgets.document_lines import Section
from hooktui.console.widgets.document_view import DocumentView
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.plot import Plots
from hooktui.console.widgets.styled import StyledLine
from hooktui.domain.clock import from_rfc3339
from hooktui.domain.errors import HooktuiError
from hooktui.domain.wire.access import AuditEntry
from hooktui.domain.wire.hooks import Hook, HookHealth
from hooktui.domain.wire.pages import Page

BUSY_S: Final = 1.0
"""Minimum seconds between reloads of the head and the list while deliveries are in progress."""

COUNTED_S: Final = 5.0
"""The same for tabs whose numbers are counted from many rows."""


class Tab(StrEnum):
    """A tab, in the order of the line of tabs; the value is the id of its widget."""

    DELIVERIES = "deliveries"
    HEALTH = "health"
    EVENTS = "events"
    SETTINGS = "settings"
    HISTORY = "history"


_FIRST_RANGE: Final = 1

_IN_LIST: Final = ("resend", "cancel", "filter", "mark", "mark_all", "sort", "order")
"""Commands on deliveries, which work only in the Deliveries tab."""


class TabSet(ScreenPart):
    """The tabs of a hook; the list of deliveries belongs to the screen.

    ``hook`` returns None until the screen has loaded the hook.

    Attributes:
        current: id of the visible tab.
    """

    def __init__(
        self, screen: ConsoleScreen, hook_id: int, hook: Callable[[], Hook | None]
    ) -> None:
        self._screen, self._hook_id, self._hook = screen, hook_id, hook
        self.current = Tab.DELIVERIES
        self._range = self._wanted = _FIRST_RANGE
        self._health: HookHealth | None = None
        self._counts: HookHealth | None = None
        self._failed = False  # the last load of the health

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers that switch tabs, change the time range of the plots, and copy."""
        return {
            "previous": lambda: self.show(self._tab_line.chosen - 1),
            "next": lambda: self.show(self._tab_line.chosen + 1),
            "larger": lambda: self._choose_range(self._wanted + 1),
            "smaller": lambda: self._choose_range(self._wanted - 1),
            "copy": self.copy,
        }

    def disabled_reason(self, name: str) -> str | None:
        """Return a reason if a command needs another tab, or has nothing to act on in this one."""
        key = self._screen.shell.key
        if name in _IN_LIST and self.current != Tab.DELIVERIES:
            return f"this works in the tab Deliveries; {key('previous')} goes there"
        if name in ("larger", "smaller") and self.current != Tab.HEALTH:
            time = f"{key('larger')} and {key('smaller')} change the plots' time range"
            return f"{time}; {key('previous')} and {key('next')} go to the tab Health"
        if name == "copy" and self.under_cursor() is None:
            return "there is nothing under the cursor to copy"
        if name == "open" and self.current == Tab.HEALTH:
            return "there is nothing to open here; left and right move the mark"
        return end_reason(name, self._tab_line.chosen, len(Tab), "tab")

    def compose(self) -> ComposeResult:
        """Compose the line of tabs, and all tabs with the deliveries first."""
        shell = self._screen.shell
        self._tab_line = TabLine([tab.capitalize() for tab in Tab], shell.key, self.show)
        self._switcher = ContentSwitcher(initial=Tab.DELIVERIES)
        self._plots = Plots(shell.glyphs, id=Tab.HEALTH)
        self._events = DocumentView(id=Tab.EVENTS)
        self._settings = DocumentView(id=Tab.SETTINGS)
        self._history = HookHistory(self, shell.clock, id=Tab.HISTORY)
        yield self._tab_line
        with self._switcher:
            yield self._screen.listing
            yield self._plots
            yield self._events
            yield self._settings
            yield self._history

    # -- switching

    def show(self, number: int) -> None:
        """Show a tab by its number, which is limited to the first and the last tab."""
        self._tab_line.choose(number)
        tab = tuple(Tab)[self._tab_line.chosen]
        if tab == self.current:
            return
        self.current = self._switcher.current = tab
        focused = self._history.listing if tab == Tab.HISTORY else self._switcher.visible_content
        if focused is not None:
            focused.focus()
        self._screen.refresh_frame()
        self.draw()
        self._fill_soon()

    def _fill_soon(self) -> None:
        self._screen.run_latest(self.fill, "tab")

    def open(self) -> None:
        """Open the item under the cursor of the visible tab; plots have nothing to open."""
        match self.current:
            case Tab.EVENTS:
                self._events.action_open()
            case Tab.SETTINGS:
                self._settings.action_open()
            case Tab.HISTORY if self._history.entry.has_focus:
                self._history.entry.action_open()
            case Tab.HISTORY:
                self._history.listing.action_open()

    def under_cursor(self) -> tuple[str, str] | None:
        """Return the name and text of the item to copy in the visible tab, or None."""
        match self.current:
            case Tab.DELIVERIES:
                delivery = self._screen.listing.cursor_row
                return None if delivery is None else ("the delivery's id", delivery.id)
            case Tab.HEALTH:
                return None if self._health is None else ("the marked step", self._plots.step_text)
            case Tab.EVENTS:
                return self._events.under_cursor()
            case Tab.SETTINGS:
                return self._settings.under_cursor()
            case Tab.HISTORY if self._history.entry.has_focus:
                return self._history.entry.under_cursor()
            case Tab.HISTORY:
                entry = self._history.listing.cursor_row
                return None if entry is None else ("the change", summary(entry))

    async def copy(self) -> None:
        """Copy the item under the cursor."""
        copied = self.under_cursor()
        if copied is not None:
            await self._screen.copy_text(copied[1], copied[0])

    # -- contents

    @property
    def pause_s(self) -> float:
        """Minimum seconds between reloads of the visible tab while deliveries are in progress."""
        return COUNTED_S if self.current in (Tab.HEALTH, Tab.EVENTS) else BUSY_S

    def draw(self) -> None:
        """Draw the loaded data, also in hidden tabs, because that costs nothing."""
        shell, now_ms = self._screen.shell, self._screen.shell.clock()
        health, glyphs = self._health, shell.glyphs
        caption = range_line(
            self._range, health, glyphs, self._wanted, shell.key, failed=self._failed
        )
        if health is None:
            self._plots.show(caption)
        else:
            self._plots.show(
                caption,
                plots_of(health, now_ms, glyphs),
                axis_of(health),
                lambda step: step_words(health, step, now_ms),
            )
        hook = self._hook()
        if hook is not None:
            self._settings.show(settings_sections(hook, shell.catalogue, now_ms))
            self._events.show(event_sections(hook, shell.catalogue, self._counts, now_ms))

    def explain(self, lines: Sequence[StyledLine]) -> None:
        """Show in place of the hook, which is not loaded, whether it loads, or why not."""
        text = "\n".join("".join(text for text, _ in line).strip() for line in lines)
        for document in (self._events, self._settings):
            document.show([Section("Hook", text=text, kind="words")])

    async def page(self, query: PageQuery) -> Page[AuditEntry]:
        """Return a page of the hook's history, the newest entry first."""
        hook, target = self._hook(), f"hook {self._hook_id}"
        account = self._screen.shell.account.number if hook is None else hook.account
        return await self._screen.send(calls.list_audit(account, target=target, **query))

    async def fill(self) -> None:
        """Load the data of the visible tab."""
        match self.current:
            case Tab.DELIVERIES:
                await self._screen.listing.reload()
            case Tab.HISTORY:
                await self._history.listing.reload()
            case Tab.HEALTH | Tab.EVENTS:
                await self._count()

    async def _count(self) -> None:
        """Load the health of the hook; discard it if another time range was requested since."""
        tab, requested = self.current, self._wanted
        hours = HOURS if tab == Tab.EVENTS else RANGES[requested][0]
        try:
            health = await self._screen.send(calls.hook_health(self._hook_id, hours=hours))
        except HooktuiError as error:
            self._wanted, self._failed = self._range, True
            self.draw()
            self._screen.show_error(error)
            return
        self._failed = False
        if tab == Tab.EVENTS:
            self._counts = health
        elif requested == self._wanted:
            self._health, self._range = health, requested
        self.draw()

    def refresh_times(self) -> None:
        """Redraw the tabs; reload the plots when their newest step has ended."""
        self.draw()
        self._history.refresh_times()
        health = self._health
        if self.current == Tab.HEALTH and health is not None and health.points:
            end_ms = from_rfc3339(health.points[-1].at) + health.step_s * 1000
            if self._screen.shell.clock() >= end_ms:
                self._fill_soon()

    # -- the time range of the plots

    def _choose_range(self, number: int) -> None:
        if 0 <= number < len(RANGES):
            self._wanted, self._failed = number, False
            self.draw()
            self._fill_soon()
        else:
            ends = ("shortest", RANGES[0][1]), ("longest", RANGES[-1][1])
            which, name = ends[number > 0]
            self._screen.notice(f"{name} is the {which} time range")
