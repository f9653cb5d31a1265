"""Screens of the account's alerts: the unresolved ones and the resolved ones."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Final

from hooktui.client import calls
from hooktui.console.deliveries.alert_actions import AlertActions
from hooktui.console.deliveries.undelivered_screen import (
    no_replay_reason,
    open_group,
    replay_of_group,
)
from hooktui.console.deliveries.undelivered_text import STATE_TONES, STATE_WIDTH, snoozed_words
from hooktui.console.formatting import ago
from hooktui.console.frame.frame_text import introduction
from hooktui.console.frame.list_screen import ListScreen
from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.frame.screen import front_screen
from hooktui.console.registry import TOP_SCREENS, relabel
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.table import Column
from hooktui.domain.text import counted, visible
from hooktui.domain.wire.alerts import Alert
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.replays import ReplaySelection

_LABELS: Final = (relabel("open", "open", "Open what the alert is about"),)

_SUMMARY: Final = 100
"""Maximum characters of an alert's summary in a notice, so that the result after it is shown."""

_NAME: Final = 20
"""Maximum characters of a hook's name in a summary, so that what comes after it is shown."""


def summary_of(alert: Alert) -> str:
    """Return the summary of an alert, with a short form of a long name of its hook."""
    name = alert.hook_name or ""
    return alert.summary.replace(f"({name})", f"({visible(name, limit=_NAME)})", 1)


class AlertsScreen(ListScreen[Alert]):
    """List of the unresolved alerts."""

    HEADING = "Alerts"
    NOUN = "alert"
    ROW_COMMANDS = ("open", "acknowledge", "snooze", "replay", "copy")
    NEWEST_FIRST = True
    FOLLOWS = ("alerts",)
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
                lambda alert: visible(summary_of(alert), limit=_SUMMARY),
                acknowledge=lambda alert: calls.acknowledge_alert(alert.id),
                snooze=lambda alert, for_s: calls.snooze_alert(alert.id, for_s),
            ),
        )

    def columns(self) -> Sequence[Column[Alert]]:
        """Return the columns."""
        return _columns(self.shell.clock, resolved=False)

    def call_of(self, query: PageQuery) -> calls.Call[Page[Alert]]:
        """Return the call that lists unresolved alerts."""
        return calls.list_alerts(self.shell.account.number, **query)

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Return the text of the empty list: what alerts are, and which hooks receive them."""
        return introduction(
            "No unresolved alerts.",
            "An alert opens when a hook fails or is disabled, when deliveries are",
            "given up or late, and when a replay pauses. Each is also sent as an",
            "event to the hooks that subscribe to the group hooktui.",
        )


class ResolvedAlertsScreen(ListScreen[Alert]):
    """List of the resolved alerts."""

    HEADING = "Resolved alerts"
    TOP_SCREEN = "Alerts"
    NOUN = "alert"
    ROW_COMMANDS = ("open", "replay", "copy")
    NEWEST_FIRST = True
    FOLLOWS = ("alerts",)
    COMMAND_NAMES = ("open", "replay", "copy", "order", "previous")
    COMMAND_LABELS = _LABELS

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(copy=self.copy)
        self.parts = (*self.parts, SubjectActions(self))

    def columns(self) -> Sequence[Column[Alert]]:
        """Return the columns."""
        return _columns(self.shell.clock, resolved=True)

    def call_of(self, query: PageQuery) -> calls.Call[Page[Alert]]:
        """Return the call that lists resolved alerts."""
        return calls.list_alerts(self.shell.account.number, state="resolved", **query)

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Return the text of the empty list."""
        return introduction("No resolved alerts.")


class SubjectActions(ScreenPart):
    """Commands that open the subject of the alert under the cursor, and plan a replay for it."""

    def __init__(self, screen: ListScreen[Alert]) -> None:
        self._screen = screen

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers of ``open`` and ``replay``."""
        on_row = self._screen.on_row
        return {"open": on_row(self._open), "replay": on_row(self._replay)}

    def disabled_reason(self, name: str) -> str | None:
        """Return a reason if there is nothing to replay."""
        alert = self._screen.cursor_row
        if name != "replay" or alert is None:
            return None
        if alert.hook is None and alert.replay is None:
            return "nothing to replay: the alert concerns neither a hook nor a replay"
        return no_replay_reason(alert.cause)

    def _open(self, alert: Alert) -> Coroutine[None, None, None] | None:
        """Open the undelivered group, replay or hook of an alert, or else the engine screen."""
        navigation = self._screen.shell.navigation
        if alert.cause is not None and alert.hook is not None:
            return open_group(self._screen, alert.hook, alert.cause)
        if alert.replay is not None:
            navigation.open_replay(alert.replay)
        elif alert.hook is not None:
            navigation.open_hook(alert.hook)
        else:
            self._screen.go(next(top for top in TOP_SCREENS if top.name == "engine"))
        return None

    async def _replay(self, alert: Alert) -> None:
        """Plan a replay of the hook's undelivered events; for a replay, one with its selection."""
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
            screen.notice("no event of this group is undelivered any more", "warn")
        return replay_of_group(page.data[0]) if page is not None and page.data else None


def _state_words(alert: Alert, now_ms: int) -> str:
    """Return the state, with the end of a snooze; the resolution of a resolved alert."""
    if alert.state == "snoozed" and alert.snoozed_until is not None:
        return snoozed_words(alert.snoozed_until, now_ms)
    if alert.state == "resolved" and alert.resolution is not None:
        return alert.resolution
    return alert.state


def _columns(clock: Callable[[], int], *, resolved: bool) -> tuple[Column[Alert], ...]:

    def state(alert: Alert) -> StyledLine:
        return ((_state_words(alert, clock()), STATE_TONES.get(alert.state, "quiet")),)

    def notified(alert: Alert) -> str:
        if not alert.hooks_notified:
            return "no hook"
        return f"{counted(alert.hooks_notified, 'hook')}, {ago(alert.notified_at, clock())}"

    end = Column[Alert](name="ended", width=5, align="right", priority=0,
                        cell=lambda a: ago(a.resolved_at, clock()))  # fmt: skip
    return (
        Column(name="opened", title="since", width=5, align="right", priority=0,
               cell=lambda a: ago(a.opened_at, clock())),
        *((end,) if resolved else ()),
        Column(name="state", cell=state, width=12, grow=1, max_width=STATE_WIDTH, whole=True,
               priority=0),
        Column(name="summary", title="what", cell=summary_of, width=56, least=24, grow=6,
               max_width=90, priority=0),
        Column(name="count", title="times", width=6, align="right", priority=1,
               cell=lambda a: f"{a.count:,}" if a.count > 1 else ""),
        Column(name="notified", cell=notified, tone="quiet", width=14, priority=3),
        Column(name="by", cell=lambda a: a.changed_by, tone="quiet", width=8, priority=4),
        Column(name="type", title="alert", cell=lambda a: a.type, width=18, priority=5),
        Column(name="id", cell=lambda a: a.id, tone="quiet", width=17, priority=6),
    )  # fmt: skip
