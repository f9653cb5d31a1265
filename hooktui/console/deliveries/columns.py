"""Columns of delivery lists, and the attempts of one delivery as a timeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hooktui.console.deliveries.text import (
    OUTCOME_TONES,
    STATUS_TONES,
    next_words,
    response_words,
    status_word,
)
from hooktui.console.formatting import moment, took
from hooktui.console.glyphs import Glyphs
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.table import Column
from hooktui.domain.clock import format_duration
from hooktui.domain.deliveries import DeliveryStatus, Outcome
from hooktui.domain.wire.deliveries import Attempt, Delivery, DeliveryDetail, Phases

_CALM: Final = frozenset({DeliveryStatus.DELIVERED, DeliveryStatus.CANCELLED})


def state(delivery: Delivery | DeliveryDetail, glyphs: Glyphs) -> StyledLine:
    """Return glyph and text of the status; the text is coloured only if it needs attention."""
    word = status_word(delivery)
    sign = {
        "waiting": glyphs.waiting,
        "held": glyphs.waiting,
        "retrying": glyphs.retry,
        "sending": glyphs.sending,
        "delivered": glyphs.delivered,
        "failed": glyphs.failed,
        "cancelled": glyphs.cancelled,
    }.get(word, " ")
    tone = STATUS_TONES.get(delivery.status, "plain")
    if delivery.status in _CALM:
        return ((f"{sign} ", tone), (word, "plain"))
    return ((f"{sign} {word}", tone),)


def delivery_columns(
    glyphs: Glyphs,
    clock: Callable[[], int],
    name_of: Callable[[int], str] | None = None,
) -> tuple[Column[Delivery], ...]:
    """Return the columns; times are clock times, so that two screens can be compared.

    ``name_of`` returns the name of a hook by its id; None in the list of a single hook.
    """

    def hook(delivery: Delivery) -> StyledLine:
        name = "" if name_of is None else name_of(delivery.hook)
        return ((f"{delivery.hook} ", "quiet"), (name, "plain"))

    def result(delivery: Delivery) -> StyledLine:
        failed = delivery.status == DeliveryStatus.FAILED or delivery.cause is not None
        return ((str(delivery.last_status or ""), "bad" if failed else "quiet"),)

    def following(delivery: Delivery) -> str | StyledLine:
        return next_words(delivery, clock()) or ((delivery.reason or "", "quiet"),)

    def span(delivery: Delivery) -> str:
        duration_ms = delivery.duration_ms
        if duration_ms is not None and duration_ms >= 60_000:
            return format_duration(duration_ms / 1000)
        return took(duration_ms)

    of_hook = Column(name="hook", cell=hook, width=10, grow=3, max_width=30, priority=0)
    return (
        Column(name="state", cell=lambda d: state(d, glyphs), width=11, priority=0),
        *(() if name_of is None else (of_hook,)),
        Column(name="created", cell=lambda d: moment(d.created_at, clock()), width=9, grow=1,
               max_width=16, priority=2, sort="id"),
        Column(name="type", title="event", cell=lambda d: d.event_type, width=18, grow=1,
               max_width=30, priority=0),
        Column(name="result", cell=result, width=8, grow=1, max_width=20, whole=True, priority=1),
        Column(name="tries", cell=lambda d: str(d.attempts), width=5, align="right", priority=2),
        Column(name="took", cell=span, tone="quiet", width=7, align="right", priority=4),
        Column(name="next", cell=following, width=16, grow=8, max_width=60, priority=3),
        Column(name="trigger", title="by", cell=lambda d: d.trigger, tone="quiet", width=6,
               priority=5),
        Column(name="id", title="delivery", cell=lambda d: d.id, tone="quiet", width=17,
               priority=6),
    )  # fmt: skip


BAR: Final = 16
"""Width of the longest attempt's bar, in cells."""


@dataclass(frozen=True, slots=True)
class Step:
    """A recorded attempt, or (if ``attempt`` is None) the next one."""

    number: int
    attempt: Attempt | None = None


def steps_of(delivery: DeliveryDetail | None) -> list[Step]:
    """Return the attempts in order, followed by the next one if the delivery is not finished."""
    if delivery is None:  # it is not loaded yet
        return []
    steps = [Step(attempt.number, attempt) for attempt in delivery.attempts]
    if delivery.status in (DeliveryStatus.PENDING, DeliveryStatus.SENDING):
        steps.append(Step(steps[-1].number + 1 if steps else 1))
    return steps


def phases_bar(phases: Phases, longest_ms: float, width: int, glyphs: Glyphs) -> StyledLine:
    """Return an attempt's duration as a bar: setup (DNS, connect, TLS), waiting, reading."""
    total = phases.total
    if not total or longest_ms <= 0:
        return ()
    cells = max(1, round(width * total / longest_ms))
    set_up_ms = (phases.dns or 0) + (phases.connect or 0) + (phases.tls or 0)
    set_up = min(cells, round(cells * set_up_ms / total))
    waiting = cells - set_up  # all of the rest if no response was received
    if phases.first_byte is not None:
        waiting = min(waiting, round(cells * phases.first_byte / total))
    return (
        (glyphs.bar_set_up * set_up, "quiet"),
        (glyphs.bar_waiting * waiting, "accent"),
        (glyphs.bar_reading * (cells - set_up - waiting), "quiet"),
    )


def _result(attempt: Attempt, glyphs: Glyphs) -> StyledLine:
    known: dict[str, str] = {Outcome.DELIVERED: glyphs.delivered, Outcome.FAILED: glyphs.failed}
    sign = known.get(attempt.outcome, glyphs.retry)
    return ((f"{sign} {response_words(attempt)}", OUTCOME_TONES.get(attempt.outcome, "plain")),)


def _next_result(delivery: DeliveryDetail | None, glyphs: Glyphs) -> StyledLine:
    """Return the state of the next attempt."""
    if delivery is not None and delivery.status == DeliveryStatus.SENDING:
        return ((f"{glyphs.sending} in flight", "warn"),)
    held = delivery is not None and delivery.held
    return ((f"{glyphs.waiting} {'held' if held else 'next attempt'}", "warn"),)


def step_columns(
    glyphs: Glyphs, clock: Callable[[], int], delivery: Callable[[], DeliveryDetail | None]
) -> tuple[Column[Step], ...]:
    """Return the columns of the timeline; ``delivery`` returns the delivery, if it is loaded."""

    def at(step: Step) -> str | StyledLine:
        if step.attempt is not None:
            return moment(step.attempt.started_at, clock())
        current = delivery()
        words = "" if current is None else next_words(current, clock())
        return ((words.removeprefix("at ") or "…", "warn"),)

    def result(step: Step) -> StyledLine:
        if step.attempt is None:
            return _next_result(delivery(), glyphs)
        return _result(step.attempt, glyphs)

    def phase(name: str) -> Callable[[Step], StyledLine]:
        def cell(step: Step) -> StyledLine:
            if step.attempt is None:
                return ()
            value: float | None = getattr(step.attempt.phases_ms, name)
            if value is None:
                reused = name == "connect" and step.attempt.reused_connection
                return (("kept" if reused else "-", "quiet"),)
            return ((took(value), "strong" if name == "total" else "plain"),)

        return cell

    def bar(step: Step) -> StyledLine:
        if step.attempt is None:
            return ()
        current = delivery()
        attempts = () if current is None else current.attempts
        longest_ms = max((a.phases_ms.total or 0.0 for a in attempts), default=0.0)
        return phases_bar(step.attempt.phases_ms, longest_ms, BAR, glyphs)

    return (
        Column(name="number", title="#", cell=lambda s: str(s.number), tone="quiet", width=3,
               align="right", priority=0),
        Column(name="at", cell=at, width=8, grow=1, max_width=16, priority=0),
        Column(name="result", cell=result, width=20, grow=4, max_width=44, priority=0),
        Column(name="dns", cell=phase("dns"), width=5, align="right", priority=3),
        Column(name="connect", title="conn", cell=phase("connect"), width=5, align="right",
               priority=3),
        Column(name="tls", cell=phase("tls"), width=5, align="right", priority=3),
        Column(name="first_byte", title="first", cell=phase("first_byte"), width=5, align="right",
               priority=3),
        Column(name="total", cell=phase("total"), width=5, align="right", priority=1),
        Column(name="bar", title="", cell=bar, width=BAR, priority=4),
        Column(name="address", cell=lambda s: s.attempt.address or "" if s.attempt else "",
               tone="quiet", width=15, grow=1, max_width=40, priority=5),
    )  # fmt: skip
