"""Texts and columns of events, and of the decisions about one event for each hook."""

from __future__ import annotations

from collections.abc import Callable

from hooktui.console.deliveries.columns import state as delivery_state
from hooktui.console.deliveries.text import next_step
from hooktui.console.formatting import moment, size
from hooktui.console.glyphs import Glyphs
from hooktui.console.registry import KeyOf
from hooktui.console.widgets.styled import StyledLine, StyledText, StyleName
from hooktui.console.widgets.table import Column
from hooktui.domain.event_outcomes import HookOutcome
from hooktui.domain.text import counted
from hooktui.domain.wire.events import AcceptedEvent, Event, EventDetail, HookDecision


def worst_status(event: Event, glyphs: Glyphs) -> StyledLine:
    """Return glyph and text of the worst status of an event at its hooks."""
    counts = event.counts
    if counts is not None and counts.failed > counts.superseded:
        return ((f"{glyphs.failed} failed", "bad"),)
    if counts is not None and counts.waiting:
        return ((f"{glyphs.waiting} waiting", "warn"),)
    if counts is not None and counts.delivered:
        return ((f"{glyphs.delivered} ", "good"), ("delivered", "plain"))
    if counts is not None and counts.cancelled:
        return ((f"{glyphs.cancelled} cancelled", "quiet"),)
    if event.deliveries:
        return ((f"  {event.deliveries:,} sent", "plain"),)
    if event.skipped:
        return ((f"{glyphs.disabled} skipped", "quiet"),)
    return (("  no hook", "quiet"),)


def event_columns(glyphs: Glyphs, clock: Callable[[], int]) -> tuple[Column[Event], ...]:
    """Return the columns of the list of events."""

    def count(name: str, tone: StyleName) -> Column[Event]:
        def cell(event: Event) -> str:
            count = getattr(event.counts, name, 0)
            return f"{count:,}" if count else ""

        return Column(name=name, cell=cell, tone=tone, width=len(name), align="right", priority=1)

    return (
        Column(name="received", cell=lambda e: moment(e.created_at, clock()), width=9, grow=1,
               max_width=16, priority=0, sort="id"),
        Column(name="type", title="event", cell=lambda e: e.type, width=18, grow=2, max_width=40,
               priority=0),
        Column(name="state", cell=lambda e: worst_status(e, glyphs), width=11, priority=0),
        count("delivered", "plain"),
        count("failed", "bad"),
        count("waiting", "warn"),
        Column(name="skipped", cell=lambda e: f"{e.skipped:,}" if e.skipped else "", tone="quiet",
               width=7, align="right", priority=2),
        Column(name="size", cell=lambda e: size(e.size), tone="quiet", width=6, align="right",
               priority=3),
        Column(name="id", cell=lambda e: e.id, tone="quiet", width=17, priority=2),
    )  # fmt: skip


def decision_state(row: HookDecision, glyphs: Glyphs) -> StyledLine:
    """Return glyph and text of the decision about an event for a hook."""
    if row.delivery is not None:
        return delivery_state(row.delivery, glyphs)
    match row.decision:
        case HookOutcome.FILTER:
            return ((f"{glyphs.disabled} filtered", "warn"),)
        case HookOutcome.DISABLED:
            return ((f"{glyphs.disabled} disabled", "warn"),)
        case HookOutcome.LATER:
            return (("  later", "quiet"),)
        case _:
            return (("  not subscribed", "quiet"),)


def decision_reason(row: HookDecision, now_ms: int, key: KeyOf) -> StyledLine:
    """Return why the event was sent to a hook or not, and the next step."""
    as_of_now: StyledLine = ((" (as of now)", "quiet"),) if row.as_of_now else ()
    if row.delivery is None:
        quiet = row.decision in (HookOutcome.NOT_SUBSCRIBED, HookOutcome.LATER)
        return ((row.reason, "quiet" if quiet else "plain"), *as_of_now)
    pieces: list[StyledText] = [(next_step(row.delivery, now_ms, key), "plain")]
    if row.deliveries > 1:
        pieces.append((f"; the latest of {counted(row.deliveries, 'delivery')}", "quiet"))
    return (*pieces, *as_of_now)


def decision_columns(
    glyphs: Glyphs, clock: Callable[[], int], key: KeyOf
) -> tuple[Column[HookDecision], ...]:
    """Return the columns of the list of decisions."""

    def hook(row: HookDecision) -> StyledLine:
        gone: StyledLine = ((" deleted", "quiet"),) if row.deleted else ()
        return ((f"{row.hook} {row.name}", "plain"), *gone)

    return (
        Column(name="state", title="decision", cell=lambda d: decision_state(d, glyphs), width=11,
               priority=0),
        Column(name="hook", cell=hook, width=16, grow=1, max_width=32, priority=0),
        Column(name="why", cell=lambda d: decision_reason(d, clock(), key), width=30, least=20,
               grow=6, priority=1),
        Column(name="delivery", cell=lambda d: "" if d.delivery is None else d.delivery.id,
               tone="quiet", width=17, priority=4),
    )  # fmt: skip


def outcomes(event: EventDetail) -> str:
    """Return the outcome of an event in one line."""
    if not event.deliveries and not event.skips:
        return "no hook was subscribed when it was received"
    skipped = f", skipped {counted(len(event.skips), 'hook')}" if event.skips else ""
    return f"{counted(len(event.deliveries), 'delivery')}{skipped}"


def accepted_words(event: AcceptedEvent) -> str:
    """Return the result of sending an event: ``3 deliveries, 1 skipped``."""
    if not event.deliveries and not event.skipped:
        return "no hook subscribes to this type"
    skipped = f", {event.skipped:,} skipped" if event.skipped else ""
    return f"{counted(event.deliveries, 'delivery')}{skipped}"
