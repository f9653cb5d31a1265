"""``hooktui events``: received events, their deliveries, and the event types."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Annotated, cast

from cyclopts import App

from hooktui.cli.context import CommandContext, Context
from hooktui.cli.deliveries import DELIVERIES, write_body
from hooktui.cli.listing import FIRST_50, Limit, Listing, filter_terms, pages_of, show_matches
from hooktui.cli.output import Piece, Styled, text_columns
from hooktui.cli.time_format import ago, when
from hooktui.client import calls
from hooktui.domain.wire.events import Event, EventDetail, HookDecision
from hooktui.domain.wire.pages import Page

app = App(name="events", help="List and show events and event types.")

_REASONS = text_columns("HOOK>, NAME, NOT SENT, WHY")
MAX_REASONS = 100
"""The most hooks that are listed with the reason why they did not get an event."""


EventTerms = Annotated[str, filter_terms("event:job.* since:10m data.cluster_id:52")]


@app.command(name="list")
def list_events(*terms: EventTerms, limit: Limit = FIRST_50, context: Context) -> None:
    """List events, newest first.

    Args:
        terms: a filter, such as event:job.* since:1h.
    """
    show_matches(context, calls.list_events, terms, _EVENTS, limit)


def _row(event: Event) -> list[Piece]:
    return [
        event.id,
        event.type,
        ago(event.created_at),
        f"{event.size:,}",
        f"{event.deliveries:,}",
        f"{event.skipped:,}" if event.skipped else "",
    ]


_EVENTS = Listing(
    "ID, TYPE, CREATED, BYTES>, DELIVERIES>, SKIPPED>",
    _row,
    "no events yet; send one: hooktui emit TYPE FILE (types: hooktui events types)",
)


@app.command
def show(event: str, /, *, context: Context) -> None:
    """Show one event: its body, its deliveries, and why other hooks did not receive it.

    Args:
        event: its id, evt_….
    """
    call = calls.get_event(event, account=context.account)
    if context.json:
        response = cast("dict[str, object]", context.client.response_json(call))
        decisions = [raw for raws, _ in _decisions(context, event) for raw in raws]
        context.out.json({**response, "decisions": decisions})
    else:
        _write(context, context.client.call(call))


def _write(context: CommandContext, event: EventDetail) -> None:
    out = context.out
    out.line(Styled(f"event {event.id}", "bold"), f"  {event.type}")
    out.line(Styled("  accepted ", "dim"), when(event.created_at))
    if event.body is None:
        out.line("  its body has been purged")
    else:
        write_body(out, event.body)
    if event.deliveries:
        DELIVERIES.write(out, event.deliveries)
    reasons = list(islice(_not_sent(context, event.id), MAX_REASONS + 1))
    if reasons:
        out.table(_REASONS, [_reason(outcome) for outcome in reasons[:MAX_REASONS]])
    if len(reasons) > MAX_REASONS:
        out.note("there are more hooks; --json has them all")
    if not event.deliveries and not reasons:
        out.line("there is no hook in this account")


def _not_sent(context: CommandContext, event: str) -> Iterator[HookDecision]:
    """Yield the hooks that did not get an event, with the reason; subscribed ones first."""
    for _, page in _decisions(context, event):
        yield from (outcome for outcome in page.data if outcome.delivery is None)


def _decisions(
    context: CommandContext, event: str
) -> Iterator[tuple[list[object], Page[HookDecision]]]:
    call = partial(calls.event_decisions, event, account=context.account)
    yield from pages_of(context, partial(call, concerned=True))
    yield from pages_of(context, partial(call, concerned=False))


def _reason(row: HookDecision) -> list[Piece]:
    gone = " (deleted)" if row.deleted else ""
    as_of_now = " (as of now)" if row.as_of_now else ""
    return [str(row.hook), f"{row.name}{gone}", row.decision, f"{row.reason}{as_of_now}"]


@app.command
def types(*, context: Context) -> None:
    """List the event types that can be sent and subscribed to."""
    catalogue = context.client.call(calls.event_types())
    rows = [(group, kind) for group in catalogue.groups for kind in group.types]
    if context.json:
        context.out.json_array(
            {"id": kind.id, "name": kind.name, "description": kind.description, "group": group.id}
            for group, kind in rows
        )
        return
    context.out.table(
        text_columns("TYPE, NAME, DESCRIPTION"),
        [(kind.id, kind.name, kind.description) for _, kind in rows],
    )
    groups = ", ".join(group.id for group in catalogue.groups)
    context.out.note(f"a group alone ({groups}) includes all of its types, and future ones")
