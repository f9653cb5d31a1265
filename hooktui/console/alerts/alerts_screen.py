"""The alerts of the account: those that are not resolved, and those that ended."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from hooktui.client import calls
from hooktui.console.alerts.alert_text import alert_columns
from hooktui.console.deliveries.undelivered_screen import (
    no_replay_reason,
    open_group,
    replay_of_group,
)
from hooktui.console.frame.alert_actions import AlertActions
from hooktui.console.frame.list_screen import ListScreen
from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.frame.screen import front_screen
from hooktui.console.frame.screen_tabs import ScreenTab
from hooktui.console.registry import TOP_SCREENS, relabel
from hooktui.console.shell.feed_changes import FeedChanges
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.table import Column
from hooktui.domain.wire.alerts import Alert
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.replays import ReplaySelection

if TYPE_CHECKING:
    from hooktui.client.calls import Call

_TABS: Final = (
    ScreenTab("Unresolved", "alerts.alerts_screen:AlertsScreen"),
    ScreenTab("Resolved", "alerts.alerts_screen:ResolvedAlertsScreen"),
)
_LABELS: Final = (relabel("open", "open", "Open what the alert is about"),)


class AlertsScreen(ListScreen[Alert]):
    """The alerts that are not resolved."""

    HEADING = "Alerts"
    NOUN = "alert"
    ROW_COMMANDS = ("open", "acknowledge", "snooze", "replay", "copy")
    TABS = _TABS
    DESCENDING = True
    FOLLOWS = ("alerts",)
    FIRST = ("oldest", "newest")
    COMMAND_NAMES = ("open", "acknowledge", "snooze", "replay", "copy", "order", "next")
    COMMAND_LABELS = _LABELS

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(copy=self.copy)
        self.parts = (
            *self.parts,
            SubjectActions(self),
            AlertActions(
                self,
                lambda: self.cursor_row,
                lambda alert: alert.key,
                acknowledge=lambda alert: calls.acknowledge_alert(alert.id),
                snooze=lambda alert, for_s: calls.snooze_alert(alert.id, for_s),
                done=lambda: self.add_changes(FeedChanges(everything=True)),
            ),
        )

    def columns(self) -> Sequence[Column[Alert]]:
        """Return the columns."""
        return alert_columns(self.shell.clock, resolved=False)

    def call_of(self, query: PageQuery) -> Call[Page[Alert]]:
        """Ask for the alerts."""
        return calls.list_alerts(self.shell.account.number, **query)

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Say what alerts are, and which hooks get them."""
        return (
            (("  No unresolved alerts.", "strong"),),
            (),
            (("  An alert opens when a hook fails or is disabled, when deliveries are", "quiet"),),
            (("  given up or late, and when a replay pauses. Each is also sent as an", "quiet"),),
            (("  event to the hooks that subscribe to the group hooktui.", "quiet"),),
        )


class ResolvedAlertsScreen(ListScreen[Alert]):
    """The alerts that ended."""

    HEADING = "Resolved alerts"
    TOP_SCREEN = "Alerts"
    NOUN = "alert"
    ROW_COMMANDS = ("open", "replay", "copy")
    TABS = _TABS
    DESCENDING = True
    FOLLOWS = ("alerts",)
    FIRST = ("oldest", "newest")
    COMMAND_NAMES = ("open", "replay", "copy", "order", "previous")
    COMMAND_LABELS = _LABELS

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(copy=self.copy)
        self.parts = (*self.parts, SubjectActions(self))

    def columns(self) -> Sequence[Column[Alert]]:
        """Return the columns."""
        return alert_columns(self.shell.clock, resolved=True)

    def call_of(self, query: PageQuery) -> Call[Page[Alert]]:
        """Ask for the alerts that ended."""
        return calls.list_alerts(self.shell.account.number, state="resolved", **query)

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Say that no alert has ended yet."""
        return ((("  No alert has ended yet.", "strong"),),)


class SubjectActions(ScreenPart):
    """Opens what the alert under the cursor is about, and plans a replay of it."""

    def __init__(self, screen: ListScreen[Alert]) -> None:
        self._screen = screen

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """Open, replay."""
        return {"open": self.open, "replay": self.replay}

    def disabled_reason(self, name: str) -> str | None:
        """Return that there is nothing to replay."""
        alert = self._screen.cursor_row
        if name != "replay" or alert is None:
            return None
        if alert.hook is None and alert.replay is None:
            return "nothing to replay: the alert concerns neither a hook nor a replay"
        return no_replay_reason(alert.cause)

    def open(self) -> Coroutine[None, None, None] | None:
        """Open a group, a replay, a hook, or the engine."""
        alert, navigation = self._screen.cursor_row, self._screen.shell.navigation
        if alert is None:
            return None
        if alert.cause is not None and alert.hook is not None:
            return open_group(self._screen, alert.hook, alert.cause)
        if alert.replay is not None:
            navigation.open_replay(alert.replay)
        elif alert.hook is not None:
            navigation.open_hook(alert.hook)
        else:
            navigation.go(next(top for top in TOP_SCREENS if top.name == "engine"))
        return None

    def replay(self) -> Coroutine[None, None, None] | None:
        """Plan a replay of what the hook did not get; for a replay, one with its selection."""
        alert = self._screen.cursor_row
        return None if alert is None else self._plan(alert)

    async def _plan(self, alert: Alert) -> None:
        selection = await self._selection(alert)
        if selection is not None and front_screen(self._screen.app) is self._screen:
            self._screen.shell.navigation.open_replay_form(selection)

    async def _selection(self, alert: Alert) -> ReplaySelection | None:
        screen = self._screen
        if alert.hook is None:
            replay = await screen.call(calls.get_replay(alert.replay or ""))
            return None if replay is None else replay.selection
        if alert.cause is None:
            return ReplaySelection(hooks=(alert.hook,))
        groups = calls.list_undelivered(
            screen.shell.account.number, hooks=(alert.hook,), cause=alert.cause
        )
        page = await screen.call(groups)
        if page is not None and not page.data:
            screen.notice("nothing of this group is undelivered any more", "warn")
        return replay_of_group(page.data[0]) if page is not None and page.data else None
