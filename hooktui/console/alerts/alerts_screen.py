"""The alerts of the account: the open ones, and those that ended."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Final

from hooktui.client import calls
from hooktui.console.alerts.alert_text import alert_columns
from hooktui.console.deliveries.undelivered_screen import open_group
from hooktui.console.frame.alert_actions import AlertActions
from hooktui.console.frame.list_screen import ListScreen
from hooktui.console.frame.screen_tabs import ScreenTab
from hooktui.console.registry import TOP_SCREENS, relabel
from hooktui.console.shell.feed_changes import FeedChanges
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.table import Column
from hooktui.domain.wire.alerts import Alert
from hooktui.domain.wire.pages import Page

if TYPE_CHECKING:
    from hooktui.client.calls import Call
    from hooktui.console.frame.screen import ConsoleScreen

_TABS: Final = (
    ScreenTab("Open", "alerts.alerts_screen:AlertsScreen"),
    ScreenTab("Resolved", "alerts.alerts_screen:ResolvedAlertsScreen"),
)
_LABELS: Final = (relabel("open", "open", "Open what the alert is about"),)


class AlertsScreen(ListScreen[Alert]):
    """The alerts that are not resolved."""

    HEADING = "Alerts"
    NOUN = "alert"
    ROW_COMMANDS = ("open", "acknowledge", "snooze", "copy")
    TABS = _TABS
    DESCENDING = True
    FOLLOWS = ("alerts",)
    FIRST = ("oldest", "newest")
    COMMAND_NAMES = ("open", "acknowledge", "snooze", "copy", "order", "next")
    COMMAND_LABELS = _LABELS

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(open=lambda: open_subject(self, self.cursor_row), copy=self.copy)
        self.parts = (
            *self.parts,
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
            (("  No open alerts.", "strong"),),
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
    ROW_COMMANDS = ("open", "copy")
    TABS = _TABS
    DESCENDING = True
    FOLLOWS = ("alerts",)
    FIRST = ("oldest", "newest")
    COMMAND_NAMES = ("open", "copy", "order", "previous")
    COMMAND_LABELS = _LABELS

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(open=lambda: open_subject(self, self.cursor_row), copy=self.copy)

    def columns(self) -> Sequence[Column[Alert]]:
        """Return the columns."""
        return alert_columns(self.shell.clock, resolved=True)

    def call_of(self, query: PageQuery) -> Call[Page[Alert]]:
        """Ask for the alerts that ended."""
        return calls.list_alerts(self.shell.account.number, state="resolved", **query)

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Say that no alert has ended yet."""
        return ((("  No alert has ended yet.", "strong"),),)


def open_subject(screen: ConsoleScreen, alert: Alert | None) -> Coroutine[None, None, None] | None:
    """Open what an alert is about: a group, a replay, a hook, or the engine."""
    navigation = screen.shell.navigation
    if alert is None:
        return None
    if alert.cause is not None and alert.hook is not None:
        return open_group(screen, alert.hook, alert.cause)
    if alert.replay is not None:
        navigation.open_replay(alert.replay)
    elif alert.hook is not None:
        navigation.open_hook(alert.hook)
    else:
        navigation.go(next(top for top in TOP_SCREENS if top.name == "engine"))
    return None
