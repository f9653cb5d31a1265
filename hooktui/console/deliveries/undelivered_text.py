"""Texts and columns of undelivered groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hooktui.console.formatting import ago, moment, short_name
from hooktui.console.widgets.styled import StyledLine, StyleName
from hooktui.console.widgets.table import Column
from hooktui.domain.failure_causes import HELD, SKIPPED
from hooktui.domain.text import counted
from hooktui.domain.wire.undelivered import UndeliveredGroup, UndeliveredTotals

STATE_TONES: Final[dict[str, StyleName]] = {"open": "bad", "acknowledged": "plain"}
STATE_WIDTH: Final = 23
"""Cells of the longest state, ``snoozed to 10 Dec 06:10``: cut, it does not say until when."""
_WAITS: Final = {"breaker": "breaker open"}


def group_name(group: UndeliveredGroup) -> str:
    """Return the name of a group in messages: ``hook 3 (billing): http_5xx``."""
    return f"hook {group.hook} ({short_name(group.name)}): {group.cause}"


def state_words(group: UndeliveredGroup, now_ms: int) -> str:
    """Return the state of a group; for a snoozed one, with the end time."""
    if group.state == "snoozed" and group.state_until is not None:
        return snoozed_words(group.state_until, now_ms)
    return group.state


def snoozed_words(until: str, now_ms: int) -> str:
    """Return the state of a snoozed group or alert."""
    return f"snoozed to {moment(until, now_ms, seconds=False)}"


def totals_words(totals: UndeliveredTotals) -> str:
    """Return the totals in one line: ``1,204 events: 1,200 gave up, 4 retrying``."""
    parts = [
        f"{count:,} {words}"
        for count, words in (
            (totals.gave_up, "gave up"),
            (totals.retrying, "retrying"),
            (totals.held, HELD),
            (totals.skipped, SKIPPED),
        )
        if count
    ]
    return f"{counted(totals.count, 'event')}: {', '.join(parts)}" if parts else ""


def group_columns(clock: Callable[[], int]) -> tuple[Column[UndeliveredGroup], ...]:
    """Return the columns of the list of groups."""

    def hook(group: UndeliveredGroup) -> StyledLine:
        return ((f"{group.hook} ", "quiet"), (group.name, "plain"))

    def count(group: UndeliveredGroup) -> str:
        return f"{'~' if group.count_is_estimate else ''}{group.count:,}"

    def state(group: UndeliveredGroup) -> StyledLine:
        return ((state_words(group, clock()), STATE_TONES.get(group.state, "quiet")),)

    def waits(group: UndeliveredGroup) -> str:
        words = group.waits_or_limit or ""
        return _WAITS.get(words, words)

    def example(group: UndeliveredGroup) -> str:
        found = group.example
        return f"{found.event_type} {found.delivery}" if found else ""

    return (
        Column(name="hook", cell=hook, width=12, grow=2, max_width=30, priority=0, sort="hook"),
        Column(name="cause", cell=lambda g: g.cause, tone="bad", width=12, grow=1, max_width=18,
               whole=True, priority=0),
        Column(name="count", title="events", cell=count, tone="strong", width=7, align="right",
               priority=0, sort="count"),
        Column(name="gave_up", title="gave up", width=7, align="right", priority=1,
               cell=lambda g: f"{g.gave_up:,}" if g.gave_up else ""),
        Column(name="retrying", width=8, align="right", priority=2,
               cell=lambda g: f"{g.retrying:,}" if g.retrying else ""),
        Column(name="oldest", width=7, align="right", priority=1, sort="oldest_at",
               cell=lambda g: ago(g.oldest_at, clock())),
        Column(name="newest", width=7, align="right", priority=3, sort="newest_at",
               cell=lambda g: ago(g.newest_at, clock()), tone="quiet"),
        Column(name="state", cell=state, width=12, grow=4, max_width=STATE_WIDTH, whole=True,
               priority=0),
        Column(name="waits", cell=waits, tone="warn", width=16, least=8, priority=1),
        Column(name="by", cell=lambda g: "" if g.state == "open" else g.state_by or "",
               tone="quiet", width=8, grow=1, max_width=16, priority=3),
        Column(name="example", cell=example, tone="quiet", width=36, grow=3, max_width=50,
               priority=4),
    )  # fmt: skip
