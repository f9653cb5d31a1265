"""Texts and table columns of alerts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hooktui.console.formatting import ago, moment
from hooktui.console.widgets.styled import StyledLine, StyleName
from hooktui.console.widgets.table import Column
from hooktui.domain.text import counted
from hooktui.domain.wire.alerts import Alert

_TONES: Final[dict[str, StyleName]] = {"open": "bad", "acknowledged": "plain"}


def state_words(alert: Alert, now_ms: int) -> str:
    """Return the state, with the end of a snooze; the resolution of a resolved alert."""
    if alert.state == "snoozed" and alert.snoozed_until is not None:
        return f"snoozed to {moment(alert.snoozed_until, now_ms)}"
    if alert.state == "resolved" and alert.resolution is not None:
        return alert.resolution
    return alert.state


def alert_columns(clock: Callable[[], int], *, resolved: bool) -> tuple[Column[Alert], ...]:
    """Return the columns of unresolved or of resolved alerts."""

    def state(alert: Alert) -> StyledLine:
        return ((state_words(alert, clock()), _TONES.get(alert.state, "quiet")),)

    def notified(alert: Alert) -> StyledLine:
        if not alert.hooks_notified:
            return (("no hook", "quiet"),)
        hooks = counted(alert.hooks_notified, "hook")
        return ((f"{hooks}, {ago(alert.announced_at, clock())}", "quiet"),)

    def count(alert: Alert) -> StyledLine:
        return ((f"{alert.count:,}" if alert.count > 1 else "", "plain"),)

    end = Column[Alert](name="ended", title="ended", width=5, align="right", priority=0,
                        cell=lambda a: ((ago(a.resolved_at, clock()), "plain"),))  # fmt: skip
    return (
        Column(name="opened", title="since", width=5, align="right", priority=0,
               cell=lambda a: ((ago(a.opened_at, clock()), "plain"),)),
        *((end,) if resolved else ()),
        Column(name="state", title="state", cell=state, width=12, grow=1, max_width=20, priority=0),
        Column(name="summary", title="what", cell=lambda a: a.summary, width=56, least=24, grow=6,
               max_width=90, priority=0),
        Column(name="count", title="times", cell=count, width=6, align="right", priority=1),
        Column(name="notified", title="notified", cell=notified, width=14, priority=3),
        Column(name="by", title="by", cell=lambda a: ((a.changed_by, "quiet"),), width=8,
               priority=4),
        Column(name="type", title="alert", cell=lambda a: ((a.type, "plain"),), width=18,
               priority=5),
        Column(name="id", title="id", cell=lambda a: ((a.id, "quiet"),), width=17, priority=6),
    )  # fmt: skip
