"""The events that announce alerts: their bodies and one-line summaries.

A body is ASCII JSON and is built only from the facts that are stored with the alert. They never
hold a URL except host and port, a header, a secret, a body, a response or the details of an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from hooktui.domain.alerts import AlertState, AlertStatus, AlertType, Resolution
from hooktui.domain.clock import format_duration, from_rfc3339, optional_rfc3339, to_rfc3339
from hooktui.domain.failure_causes import HELD, SKIPPED
from hooktui.domain.ids import encode
from hooktui.domain.text import counted, in_bytes

Facts = Mapping[str, Any]
"""The facts of an alert, by the fields of its body; ``alert_path`` belongs to the alert itself."""

PATH: Final = "alert_path"
REASON: Final = "reason"
"""Why the hook was disabled or the replay paused; of a group, one of the two below. It is only for
the summary."""
GAVE_UP, RETRYING = "given up", "retrying"
_WITHOUT_ENTRIES: Final = {HELD: "held delivery", SKIPPED: "skipped event"}
EXPIRED: Final = "expired"
"""Dead letters of the group that retention has deleted while the alert is open."""
_OF_ALERT: Final = (PATH, REASON, EXPIRED)

NO_ALERT_HOOK: Final = (
    "to be notified of alerts, create a hook: hooktui hooks create --url https://… --events hooktui"
)

_ENDED: Final = {
    Resolution.DELIVERED: "delivers again",
    Resolution.ENABLED: "was enabled",
    Resolution.DISABLED: "was disabled",
    Resolution.DELETED: "was deleted",
    Resolution.CHANGED: "has another URL",
}


def alert_body(
    identity: int, account: int, kind: AlertType, key: str, status: AlertStatus, facts: Facts
) -> bytes:
    """Return the body of the event that announces an alert."""
    about = {
        "id": encode("alr", identity),
        "type": kind.value,
        "key": key,
        "state": status.state.value,
        "opened_at": to_rfc3339(status.opened_at),
        "resolved_at": optional_rfc3339(status.resolved_at),
        "resolution": status.resolution,
        "count": status.count,
        PATH: bool(facts.get(PATH)),
    }
    rest = {name: value for name, value in facts.items() if name not in _OF_ALERT}
    body = {"alert": about, "account": account, "summary": summary(kind, status, facts), **rest}
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def summary(kind: AlertType, status: AlertStatus, facts: Facts) -> str:
    """Return an alert in one line."""
    if status.state is AlertState.RESOLVED and kind is not AlertType.REPLAY_FINISHED:
        return _end(kind, status, facts)
    return _opening(kind, status, facts)


def _opening(kind: AlertType, status: AlertStatus, facts: Facts) -> str:
    match kind:
        case AlertType.HOOK_FAILING:
            failures = f"{facts.get('failures_in_a_row') or 0:,} in a row"
            return f"{_hook(facts)} is failing: {facts.get('cause')}, {failures}"
        case AlertType.HOOK_DISABLED:
            return f"{_hook(facts)} was disabled: {facts.get(REASON)}"
        case AlertType.GAVE_UP:
            if facts.get("cause") in _WITHOUT_ENTRIES:
                return f"{_hook(facts)}: {counted(status.count, _entry(facts))}"
            deliveries = f"{counted(status.count, 'delivery')} {facts.get(REASON, GAVE_UP)}"
            return f"{_hook(facts)}: {deliveries}, {facts.get('cause')}"
        case AlertType.EXPIRING:
            group = f"{counted(status.count, 'delivery')} with {facts.get('cause')}"
            gone = facts.get(EXPIRED)
            so_far = f"; {gone:,} already deleted" if gone else ""
            return f"{_hook(facts)}: retention deletes {group} within three days{so_far}"
        case AlertType.QUEUE_BEHIND:
            late = format_duration(float(facts.get("late_s") or 0))
            return f"deliveries are {late} behind; {facts.get('waiting') or 0:,} wait"
        case AlertType.DISK_LOW:
            free = int((facts.get("disk") or {}).get("free") or 0)
            return f"the disk is nearly full: {in_bytes(free)} are free"
        case AlertType.REPLAY_PAUSED:
            return f"{_replay(facts)} paused: {facts.get(REASON)}"
        case AlertType.REPLAY_FINISHED:
            replay = facts.get("replay") or {}
            sent = replay.get("sent", 0) + replay.get("retried", 0)
            counts = f"{sent:,} sent, {replay.get('failed', 0):,} failed"
            return f"{_replay(facts)} finished: {counts}"


def _end(kind: AlertType, status: AlertStatus, facts: Facts) -> str:
    how = status.resolution
    match kind:
        case AlertType.HOOK_FAILING | AlertType.HOOK_DISABLED:
            ended = _ENDED.get(how, "is no longer failing") if how is not None else ""
            since_ms = _failing_since_ms(facts) if kind is AlertType.HOOK_FAILING else None
            begun_ms = status.opened_at if since_ms is None else since_ms
            after = format_duration(max((status.resolved_at or 0) - begun_ms, 0) / 1000)
            return f"{_hook(facts)} {ended} after {after}"
        case AlertType.GAVE_UP | AlertType.EXPIRING:
            if how is Resolution.EXPIRED:
                deliveries = counted(status.count, "delivery")
                return f"{_hook(facts)}: {deliveries} expired, {facts.get('cause')}"
            left = "is left" if kind is AlertType.GAVE_UP else "expires within three days"
            return f"{_hook(facts)}: no {_entry(facts)} {left}"
        case AlertType.QUEUE_BEHIND:
            return "deliveries are sent in time again"
        case AlertType.DISK_LOW:
            recovered = how is Resolution.RECOVERED
            return "the disk has space again" if recovered else "the database is on another machine"
        case _:
            return f"{_replay(facts)} is no longer paused"


def _failing_since_ms(facts: Facts) -> int | None:
    """Return the first failure; an alert that reopened keeps the time when it opened first."""
    since = facts.get("failing_since")
    return None if since is None else from_rfc3339(since)


def _hook(facts: Facts) -> str:
    hook = facts.get("hook") or {}
    return f"hook {hook.get('id')} ({hook.get('name')})"


def _replay(facts: Facts) -> str:
    return f"replay {(facts.get('replay') or {}).get('id')}"


def _entry(facts: Facts) -> str:
    cause = str(facts.get("cause"))
    return _WITHOUT_ENTRIES.get(cause, f"delivery with {cause}")
