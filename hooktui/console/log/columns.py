"""Log lines as columns, as plain text, and as subjects of a filter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from hooktui.console.formatting import clock_time, size, took
from hooktui.console.glyphs import Glyphs
from hooktui.console.shell.log_buffer import LogLine
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.table import Column
from hooktui.domain.deliveries import DeliveryStatus, ErrorClass, Outcome
from hooktui.domain.filters.terms import Subject
from hooktui.domain.text import visible


def log_columns(name_of: Callable[[int], str], glyphs: Glyphs) -> tuple[Column[LogLine], ...]:
    """Return the columns of the log; ``name_of`` returns the name of a hook by its id."""

    def event(line: LogLine) -> StyledLine:
        trigger = "" if line.trigger in ("event", "ping", "") else f" ({line.trigger})"
        return ((line.event_type, "plain"), (trigger, "quiet"))

    def attempt(line: LogLine) -> StyledLine:
        return ((f"#{line.attempt}", "plain" if line.attempt == 1 else "warn"),)

    return (
        Column(name="time", cell=lambda e: clock_time(e.at_ms), tone="quiet", width=8, priority=0),
        Column(name="result", cell=lambda e: result_pieces(e, glyphs), width=12, grow=1,
               max_width=20, whole=True, priority=0),
        Column(name="hook", cell=lambda e: f"{e.hook} {name_of(e.hook)}", width=14, grow=3,
               max_width=26, priority=1),
        Column(name="event", cell=event, width=17, grow=2, max_width=26, priority=1),
        Column(name="try", cell=attempt, width=3, align="right", priority=3),
        Column(name="took", cell=lambda e: took(e.duration_ms), width=6, align="right", priority=2),
        Column(name="size", cell=lambda e: size(e.size), tone="quiet", width=6, align="right",
               priority=5),
        Column(name="detail", title="why", cell=lambda e: e.detail, tone="quiet", width=12, grow=6,
               priority=6),
    )  # fmt: skip


def result_pieces(line: LogLine, glyphs: Glyphs) -> StyledLine:
    """Return the result of an attempt: a glyph (delivered, retried, failed), and code or error."""
    if line.outcome == Outcome.DELIVERED:
        return ((f"{glyphs.delivered} ", "good"), (line.result, "good"))
    if line.outcome == Outcome.INTERRUPTED:
        return ((f"{glyphs.retry} interrupted", "warn"),)
    if line.status in (DeliveryStatus.PENDING, DeliveryStatus.SENDING):
        return ((f"{glyphs.retry} {line.result}", "warn"),)
    return ((f"{glyphs.failed} {line.result}", "bad"),)


def line_text(line: LogLine, names: Mapping[int, str]) -> str:
    """Return a whole line as plain text, for searching and copying.

    It is safe to paste: line breaks and control characters from a receiver are replaced.
    """
    if line.note:
        return visible(f"{clock_time(line.at_ms)} {line.note}")
    sent = f"{line.result} hook {line.hook} {names.get(line.hook, '')}".rstrip()
    trigger = "" if line.trigger in ("event", "") else f" ({line.trigger})"
    parts = [
        clock_time(line.at_ms), line.outcome, sent, f"{line.event_type}{trigger}",
        f"#{line.attempt}", took(line.duration_ms), size(line.size), line.delivery, line.event,
        line.detail,
    ]  # fmt: skip
    return visible(" ".join(part for part in parts if part))


def subject_of(line: LogLine, names: Mapping[int, str]) -> Subject:
    """Return a line as the subject of a filter; an alert has a time, a text and perhaps a hook."""
    code = int(line.result) if line.result.isdigit() else None
    error: str | None = None
    if line.outcome != Outcome.DELIVERED:
        error = ErrorClass.STATUS if code is not None else line.result
    return Subject(
        at_ms=line.at_ms,
        status=line.status,
        held=line.held,
        outcome=line.outcome,
        hook=line.hook or None,
        event_type=line.event_type or None,
        code=code,
        took_ms=line.duration_ms,
        error=error,
        cause=line.cause,
        trigger=line.trigger,
        replay=line.replay,
        ids=(line.delivery, line.event),
        words=lambda: " ".join(_words(line, names)),
    )


def _words(line: LogLine, names: Mapping[int, str]) -> Iterator[str]:
    if line.note:
        yield from (line.note, line.alert)
        return
    yield from (line.delivery, line.event, line.event_type, line.status, line.result, line.detail)
    yield str(line.hook)
    yield names.get(line.hook, "")
