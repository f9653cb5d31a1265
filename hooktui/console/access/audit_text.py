"""Texts of the audit trail: the columns and the filter of its list, and one entry in full."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Final, TypedDict, cast

from hooktui.console.formatting import moment
from hooktui.console.hooks.history import changes_of, summary
from hooktui.console.widgets.styled import StyledLine, StyledText, StyleName
from hooktui.console.widgets.table import Column
from hooktui.domain.filters.parser import FilterError
from hooktui.domain.filters.terms import FilterTerms
from hooktui.domain.wire.access import AuditCheck, AuditEntry

FILTER_KEYS: Final = ("user", "action", "target", "result", "since", "until")
FILTER_TERMS: Final = FilterTerms(
    {f"{key}:": () for key in FILTER_KEYS} | {"result:": ("done", "refused")}, negatable=False
)
FILTER_HINT: Final = "such as user:ada action:hook.* target:hook* result:refused since:7d"

_DONE: Final = "done"


def audit_columns(clock: Callable[[], int]) -> tuple[Column[AuditEntry], ...]:
    """Return the columns; only the results of refused actions are highlighted."""

    def result(entry: AuditEntry) -> StyledLine:
        tone: StyleName = "quiet" if entry.result == _DONE else "warn"
        return ((entry.result, tone),)

    return (
        Column(name="at", title="when", cell=lambda e: moment(e.at, clock()), width=12, grow=1,
               max_width=16, priority=0, sort="id"),
        Column(name="user", title="who", cell=lambda e: e.user, width=8, grow=1, max_width=24,
               priority=0),
        Column(name="role", cell=lambda e: e.role, tone="quiet", width=8, priority=4),
        Column(name="action", cell=lambda e: e.action, width=14, grow=1, max_width=20, priority=0),
        Column(name="target", cell=lambda e: e.target, width=12, grow=1, max_width=24, priority=0),
        Column(name="result", cell=result, width=7, priority=1),
        Column(name="changes", title="before → after", cell=summary, width=28, least=14, grow=6,
               max_width=80, priority=2),
        Column(name="origin", title="from", cell=lambda e: e.origin, tone="quiet", width=14, grow=2,
               max_width=40, priority=3),
    )  # fmt: skip


def entry_lines(entry: AuditEntry, now_ms: int) -> list[StyledLine]:
    """Return the lines of an entry: who did what, then each field before and after."""
    account = "none: it belongs to the installation" if entry.account is None else entry.account
    facts = (
        ("when", f"{moment(entry.at, now_ms)}  ({entry.at})"),
        ("who", f"{entry.user} ({entry.role})"),
        ("from", entry.origin),
        ("action", entry.action),
        ("target", entry.target),
        ("result", entry.result),
        ("account", str(account)),
        ("hash", entry.hash),
    )
    lines: list[StyledLine] = [_fact(name, value) for name, value in facts]
    lines += [(), ((" before → after", "strong"),)]
    changes = changes_of(entry)
    for name, was, now in changes:
        lines += [((f"   {name}", "quiet"),)]
        lines += [(("   - ", "bad"), (was, "bad"))] if was else []
        lines += [(("   + ", "good"), (now, "good"))] if now else []
    if not changes:
        lines.append((("   no further details were recorded", "quiet"),))
    return lines


def _fact(name: str, value: str) -> StyledLine:
    label: StyledText = (f" {name:<10}", "quiet")
    tone: StyleName = "warn" if name == "result" and value != _DONE else "plain"
    return (label, (value, tone))


def checked_words(check: AuditCheck, entries: int) -> tuple[str, StyleName]:
    """Return text and style for the result of a full check; ``entries`` counts the entries."""
    if check.broken is not None:
        broken = check.broken
        return f"the trail is broken at entry {broken.id}: {broken.reason}", "bad"
    head = check.head
    if head is None:
        return "the trail is empty", "plain"
    known = f"{head.id}:{head.hash}"
    return (
        f"{entries:,} entries are intact; keep the last one elsewhere and compare with it later:"
        f" hooktui audit verify --known {known}"
    ), "good"


class AuditFilter(TypedDict, total=False):
    """Filter of a list of the trail, with the parameter names of the API."""

    user: str
    action: str
    target: str
    result: str
    since: str
    until: str


def parse_filter(text: str) -> AuditFilter:
    """Parse a filter such as ``user:ada action:hook.*``.

    A word without a key is a prefix of an action.

    Raises:
        FilterError: a key is unknown or a quote is not closed; the error has the column.
    """
    try:
        words = shlex.split(text)
    except ValueError:
        opened = max(text.rfind('"'), text.rfind("'"))
        raise FilterError(opened + 1, "a quote is not closed") from None
    fields: dict[str, str] = {}
    for word in words:
        key, colon, value = word.partition(":")
        if not colon:
            fields["action"] = f"{word.rstrip('*')}*"
        elif key not in FILTER_KEYS:
            found = re.search(rf"(?<!\S)[\"']*{re.escape(key)}:", text)
            column = 1 if found is None else found.start() + 1
            known = ", ".join(FILTER_KEYS)
            raise FilterError(column, f"unknown key {key!r}; known: {known}")
        elif value:
            fields[key] = value
    return cast("AuditFilter", fields)
