"""Who did what to a hook: an entry of the audit trail in words, and the columns of their list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from hooktui.console.delivery_words import moment
from hooktui.console.form_values import duration_text, schedule_text
from hooktui.console.times import ago
from hooktui.console.widgets.columns import Column
from hooktui.console.widgets.json_lines import Section
from hooktui.console.widgets.painted import Pieces
from hooktui.domain.clock import from_rfc3339
from hooktui.domain.wire.access import AuditEntry

_ACTIONS: Final = {
    "hook.create": "made",
    "hook.change": "changed",
    "hook.delete": "deleted",
    "hook.ping": "pinged",
    "secret.reveal": "secret shown",
    "secret.rotate": "secret rotated",
    "secret.finish": "rotation ended",
}

_NAMES: Final = {
    "url": "URL",
    "verify_tls": "TLS verified",
    "timeout_s": "deadline",
    "retry_schedule_s": "retries after",
    "rate_per_s": "rate per second",
    "max_in_flight": "at once",
    "basic_auth_user": "basic auth user",
    "basic_auth_password": "basic auth password",
}


_FIRST: Final = ("url", "events", "name")
_NOTHING: Final[tuple[object, ...]] = (None, "", [], {})


def action_words(entry: AuditEntry) -> str:
    """Return what was done in a word or two."""
    words = _ACTIONS.get(entry.action, entry.action)
    return words if entry.result == "done" else f"{words}: {entry.result}"


def changes_of(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """Return each field that is told of: its name, what it was, what it is; "" where not told."""
    before, after = entry.before or {}, entry.after or {}
    names = dict.fromkeys((*before, *after))
    if entry.action in ("hook.create", "hook.delete"):
        # All fields there are: those that say nothing go, and those that say most come first.
        shown = {**before, **after}
        names = dict.fromkeys(name for name in (*_FIRST, *names) if shown.get(name) not in _NOTHING)
    return [
        (_NAMES.get(name, name.replace("_", " ")), _value(before, name), _value(after, name))
        for name in names
    ]


def _value(fields: Mapping[str, object], name: str) -> str:
    return in_words(name, fields[name]) if name in fields else ""


def in_words(name: str, value: object) -> str:
    """Return a value of a field as the form writes it; untrusted text stays what it is."""
    match value:
        case _ if value in _NOTHING:
            return "none"
        case bool():
            return "yes" if value else "no"
        case [*items] if name == "retry_schedule_s":
            return schedule_text([item for item in items if isinstance(item, int | float)])
        case int() | float() if name.endswith("_s") and name != "rate_per_s":
            return duration_text(value)
        case [*items]:
            return ", ".join(str(item) for item in items)
        case {**fields}:
            return ", ".join(f"{key}: {field}" for key, field in fields.items())
        case _:
            return str(value)


def summary(entry: AuditEntry) -> str:
    """Return what changed in one line: ``name: first → second, active: yes → no``."""
    told = [
        f"{name}: {was} → {now}" if was and now else f"{name}: {was or now}"
        for name, was, now in changes_of(entry)
    ]
    return ", ".join(told)


def entry_sections(entry: AuditEntry, now_ms: int) -> Sequence[Section]:
    """Return an entry to read: before and after, field by field, and who did it from where."""
    fields = tuple(
        (name, f"{was} → {now}" if was and now else was or now)
        for name, was, now in changes_of(entry)
    )
    at_ms = from_rfc3339(entry.at)
    sections = [Section(f"Hook {action_words(entry)}", pairs=fields)] if fields else []
    who = (
        ("when", f"{moment(at_ms, now_ms)} ({_since(entry.at, now_ms)})"),
        ("who", f"{entry.user} ({entry.role})"),
        ("from", entry.origin),
        ("audit entry", str(entry.id)),
    )
    return [*sections, Section("By", pairs=who)]


def _since(at: str, now_ms: int) -> str:
    words = ago(at, now_ms)
    return "just now" if words == "now" else f"{words} ago"


def history_columns(clock: Callable[[], int]) -> tuple[Column[AuditEntry], ...]:
    """Return the columns of a hook's history; times are clock times, as in every log."""

    def at(entry: AuditEntry) -> Pieces:
        return ((moment(from_rfc3339(entry.at), clock()), "plain"),)

    return (
        Column(name="at", title="when", cell=at, width=12, grow=1, most=16, priority=0),
        Column(name="user", title="who", cell=lambda e: e.user, width=10, grow=1, most=24,
               priority=0),
        Column(name="action", title="what", cell=lambda e: ((action_words(e), "plain"),), width=14,
               priority=0),
        Column(name="changes", title="before → after", cell=lambda e: summary(e), width=20,
               grow=20, priority=1),
        Column(name="role", title="role", cell=lambda e: ((e.role, "quiet"),), width=8, priority=2),
    )  # fmt: skip
