"""Calls for operator alerts."""

from __future__ import annotations

from typing import Unpack

from hooktui.client.calls.call import Call, Window, get, send
from hooktui.domain.wire.alerts import Alert
from hooktui.domain.wire.pages import Page


def list_alerts(
    account: int | None,
    *,
    state: str | None = None,
    kind: str | None = None,
    hook: int | None = None,
    key: str | None = None,
    **window: Unpack[Window],
) -> Call[Page[Alert]]:
    """List alerts, by default those that are not resolved; ``kind`` is their type."""
    narrow = {"state": state, "type": kind, "hook": hook, "key": key}
    return get(Page[Alert], "alerts", account=account, **narrow, **window)


def get_alert(alert: str, *, account: int | None = None) -> Call[Alert]:
    """Read one alert."""
    return get(Alert, "alerts", alert, account=account)


def acknowledge_alert(alert: str, *, account: int | None = None) -> Call[Alert]:
    """Acknowledge an alert: only its end is announced."""
    return send("POST", Alert, "alerts", alert, "acknowledge", account=account)


def snooze_alert(alert: str, for_s: float, *, account: int | None = None) -> Call[Alert]:
    """Snooze an alert: it is open, and announced, again after a time."""
    fields = {"for_s": for_s}
    return send("POST", Alert, "alerts", alert, "snooze", fields=fields, account=account)
