"""``hooktui deliveries``: the list, one delivery with its attempts, resend and cancel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from hooktui.cli.context import CommandContext, Context
from hooktui.cli.exit_codes import DONE, UsageError
from hooktui.cli.listing import (
    FIRST_50,
    DeliveryTerms,
    Limit,
    Listing,
    for_each,
    pages_of,
    show_matches,
    show_one,
)
from hooktui.cli.output import Output, Piece, Style, Styled, fields_without
from hooktui.cli.time_format import ago, clock, took, when
from hooktui.client import calls
from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.filters.parser import FilterError, absolute_filter, parse
from hooktui.domain.text import counted
from hooktui.domain.wire.deliveries import Attempt, Delivery, DeliveryDetail, next_at_ms
from hooktui.domain.wire.undelivered import CancelledMany

app = App(name="deliveries", help="List, show, resend and cancel deliveries.")

_STYLES: dict[str, Style] = {
    "delivered": "good",
    "failed": "bad",
    "pending": "warn",
    "interrupted": "warn",
    "cancelled": "dim",
}
_MAX_BODY_LINES = 200


@app.command(name="list")
def list_deliveries(*terms: DeliveryTerms, limit: Limit = FIRST_50, context: Context) -> None:
    """List deliveries, newest first.

    Args:
        terms: a filter, such as status:failed hook:12 since:10m.
    """
    show_matches(context, calls.list_deliveries, terms, DELIVERIES, limit)


def _row(delivery: Delivery) -> list[Piece]:
    return [
        delivery.id,
        status(delivery.status, held=delivery.held),
        str(delivery.hook),
        delivery.event_type,
        delivery.trigger,
        str(delivery.attempts),
        "" if delivery.last_status is None else str(delivery.last_status),
        ago(delivery.created_at),
        _next_attempt(delivery),
        delivery.reason or "",
    ]


DELIVERIES = Listing(
    "ID, STATUS, HOOK>, EVENT TYPE, TRIGGER, ATTEMPTS>, RESULT, CREATED, NEXT ATTEMPT, REASON",
    _row,
    "no deliveries; each event makes one for every hook that subscribes to it: hooktui emit TYPE",
)


def status(name: str, *, held: bool = False) -> Styled:
    """Return a status or outcome in its style."""
    return Styled("held" if held else name, _STYLES.get(name, "bold"))


@app.command
def show(delivery: str, /, *, context: Context) -> None:
    """Show one delivery: its attempts, request and responses.

    Args:
        delivery: its id, dlv_….
    """
    show_one(context, calls.get_delivery(delivery, account=context.account), _write)


def _write(context: CommandContext, delivery: DeliveryDetail) -> None:
    out = context.out
    out.line(
        Styled(f"delivery {delivery.id}", "bold"), "  ", status(delivery.status, held=delivery.held)
    )
    facts = [
        ("event", f"{delivery.event} ({delivery.event_type})"),
        ("hook", str(delivery.hook)),
        ("trigger", delivery.trigger),
        ("created", when(delivery.created_at)),
        ("reason", delivery.reason or ""),
        ("took", took(delivery.duration_ms)),
        ("next attempt", _next_attempt_in_words(delivery)),
    ]
    out.facts(facts)
    for attempt in delivery.attempts:
        show_attempt(context, attempt)
    if delivery.request is None:
        out.line(Styled("request", "bold"), "  its body has been purged")
        return
    out.line(Styled("request", "bold"), f"  {delivery.request.method} {delivery.request.url}")
    _write_message(out, delivery.request.headers, delivery.request.body)


def _next_attempt_in_words(delivery: DeliveryDetail) -> str:
    if delivery.held:
        return "held until its hook is enabled"
    words, now = _next_attempt(delivery, when), now_ms()
    if next_at_ms(delivery, now) == now:
        return f"{words}, queued; see: hooktui hooks show {delivery.hook}"
    return words


def _next_attempt(delivery: Delivery | DeliveryDetail, words: Callable[[str], str] = ago) -> str:
    now, due_at = now_ms(), delivery.next_attempt_at
    at_ms = next_at_ms(delivery, now)
    if at_ms is None:
        return "paused" if delivery.paused and not delivery.held else ""
    if at_ms == now and due_at is not None and delivery.probe_at is None:
        return f"due {words(due_at)}"
    return words(to_rfc3339(at_ms))


def show_attempt(context: CommandContext, attempt: Attempt) -> None:
    """Write one attempt: its outcome, the durations of its phases, and the response."""
    out = context.out
    out.line(
        Styled(f"attempt {attempt.number}", "bold"),
        f"  {clock(attempt.started_at)}  ",
        status(attempt.outcome),
        f"  {attempt.status_code or ''} {attempt.error or ''}".rstrip(),
        f"  {took(attempt.phases_ms.total)}",
    )
    detail = [attempt.error_detail or "", _phases(attempt)]
    if attempt.retry_after_s is not None:
        detail.append(f"Retry-After {attempt.retry_after_s} s")
    for text in filter(None, detail):
        out.line("  ", text)
    if attempt.response is not None:
        _write_message(out, attempt.response.headers, attempt.response.body)
        if attempt.response.truncated:
            out.line(Styled("  … the rest of the response was not stored", "dim"))


def _phases(attempt: Attempt) -> str:
    parts = [f"{name} {took(took_ms)}" for name, took_ms in attempt.phases_ms.happened()]
    if attempt.reused_connection:
        parts.append("connection reused")
    where = [] if attempt.address is None else [f"to {attempt.address}"]
    return " · ".join([*where, *parts])


def _write_message(out: Output, headers: tuple[tuple[str, str], ...], body: str) -> None:
    for name, value in headers:
        out.line(Styled(f"  {name}: ", "dim"), value)
    if body:
        out.line("")
        write_body(out, body)


def write_body(out: Output, body: str) -> None:
    """Write a body indented; JSON is formatted, and a very long body is cut."""
    lines = _laid_out(body).split("\n")
    out.block("\n".join(lines[:_MAX_BODY_LINES]))
    if len(lines) > _MAX_BODY_LINES:
        out.line(Styled(f"    … {len(lines) - _MAX_BODY_LINES} more lines; see --json", "dim"))


def _laid_out(body: str) -> str:
    """Return JSON with line breaks and indents; all values stay as sent, equal keys as well."""
    try:
        return msgspec.json.format(body, indent=2)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return body


@app.command
def resend(delivery: str, /, *more: str, context: Context) -> int:
    """Resend deliveries; a waiting one is due immediately. Prints the ids.

    Args:
        delivery: its id, dlv_….
        more: further ids.
    """

    def show(due: Delivery) -> None:
        context.out.line(due.id)
        if why := _why_it_waits(due):
            context.out.note(f"{due.id} waits: {why}")

    return for_each(context, [delivery, *more], calls.resend_delivery, show)


def _why_it_waits(due: Delivery) -> str:
    """Return why a delivery that is due is not sent yet; empty: nothing known."""
    if due.held:
        return f"hook {due.hook} is disabled; enable it: hooktui hooks enable {due.hook}"
    if due.paused:
        return "all sending is paused; resume with: hooktui resume"
    now = now_ms()
    at_ms = next_at_ms(due, now)
    if due.probe_at is None or at_ms is None or at_ms <= now:
        return ""
    at = when(to_rfc3339(at_ms))
    return f"the breaker of hook {due.hook} is open; the next attempt is not before {at}"


@app.command
def cancel(
    *deliveries: str,
    filter_: Annotated[
        str | None,
        Parameter(name="--filter", help="cancel what matches, such as 'hook:12 status:retrying'."),
    ] = None,
    yes: bool = False,
    context: Context,
) -> int:
    """Cancel pending deliveries, held ones included.

    Args:
        deliveries: ids, dlv_….
        filter_: cancel all that match it.
        yes: do not ask; ids are cancelled without a question.
    """
    if bool(deliveries) == (filter_ is not None):
        raise UsageError("cancel takes ids or --filter EXPR")
    if filter_ is not None:
        _cancel_matching(context, filter_, yes=yes)
        return DONE
    return for_each(
        context,
        deliveries,
        calls.cancel_delivery,
        lambda done: context.out.note(f"{done.id} is cancelled"),
    )


def _cancel_matching(context: CommandContext, filter_: str, *, yes: bool) -> None:
    if not filter_.strip():
        raise UsageError("--filter is empty; status:pending cancels all that is pending")
    filter_ = _at_one_time(filter_)
    q = f"{filter_} status:pending"
    pages = pages_of(context, partial(calls.list_deliveries, context.account, q=q), limit=1)
    newest = next(((page.data[0], page) for _, page in pages if page.data), None)
    done = CancelledMany(cancelled=0, sending=0)
    if newest is not None:
        delivery, page = newest
        about = "about " if page.total_is_estimate else ""
        what = f"{about}{counted(page.total, 'delivery')} matching the filter"
        context.confirm(f"Cancel {what}?", yes=yes)
        # Up to the newest one that was counted: later deliveries stay.
        done = _cancel_until(context, filter_, delivery.created_at)
    if context.json:
        context.out.json(fields_without("next", done))
        return
    sending = f"; {done.sending:,} are being sent" if done.sending else ""
    context.out.line(f"cancelled {counted(done.cancelled, 'delivery')}{sending}")


def _at_one_time(filter_: str) -> str:
    """Return a filter that matches the same when it is counted and when it is cancelled."""
    try:
        return absolute_filter(parse(filter_), now_ms())
    except FilterError:
        return filter_  # the server explains what is wrong


def _cancel_until(context: CommandContext, filter_: str, until: str) -> CancelledMany:
    cancelled, sending, after = 0, 0, None
    while True:
        context.in_parts(cancelled, "delivery")
        call = calls.cancel_many(filter_, until, after, account=context.account)
        part = context.client.call(call)
        cancelled, sending, after = cancelled + part.cancelled, sending + part.sending, part.next
        done = counted(cancelled, "delivery")
        context.out.progress(f"cancelled {done} so far" if after else "")
        if after is None:
            return CancelledMany(cancelled=cancelled, sending=sending)
