"""``hooktui undelivered``: list undelivered events by hook and cause, and change their groups."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from cyclopts import App, Parameter

from hooktui.cli.alerts import snooze_s
from hooktui.cli.context import CommandContext, Context, Number
from hooktui.cli.listing import FIRST_50, Limit, Listing, show_list
from hooktui.cli.output import Piece, Styled, fields_without
from hooktui.cli.time_format import ago, when
from hooktui.client import calls
from hooktui.client.calls import Call
from hooktui.domain.errors import NotFound
from hooktui.domain.failure_causes import HELD, SKIPPED
from hooktui.domain.text import counted
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.undelivered import (
    NOT_GIVEN_UP,
    ChangedGroup,
    GaveUp,
    UndeliveredGroup,
    UndeliveredPage,
)

app = App(name="undelivered", help="List, acknowledge, snooze and give up undelivered events.")


@app.command(name="list")
def list_undelivered(
    *,
    hook: list[Number] | None = None,
    state: Literal["open", "acknowledged", "snoozed"] | None = None,
    limit: Limit = FIRST_50,
    context: Context,
) -> None:
    """List undelivered events by hook and cause, newest first.

    Args:
        hook: only this hook; may be given more than once.
        state: only groups in this state.
    """
    call = partial(calls.list_undelivered, context.account, hooks=hook or (), state=state)
    show_list(context, call, _GROUPS, limit, remark=_remark)


def _row(group: UndeliveredGroup) -> list[Piece]:
    about = "about " if group.count_is_estimate else ""
    has_entries = group.cause not in (HELD, SKIPPED)
    return [
        str(group.hook),
        group.name,
        group.cause,
        f"{about}{group.count:,}",
        f"{group.gave_up:,}" if has_entries else "",
        f"{group.retrying:,}" if has_entries else "",
        ago(group.oldest_at),
        ago(group.newest_at),
        group.waits_or_limit or "",
        _state(group),
    ]


_GROUPS = Listing(
    "HOOK>, NAME, CAUSE, COUNT>, GAVE UP>, RETRYING>, OLDEST, NEWEST, WAITS FOR, STATE",
    _row,
    "no undelivered events",
)


def _state(group: UndeliveredGroup) -> Styled:
    text = group.state
    if group.state_by is not None:
        text += f" by {group.state_by}"
    if group.state_until is not None:
        text += f", ends {ago(group.state_until)}"
    return Styled(text, "bad" if group.state == "open" else "dim")


def _remark(page: Page[UndeliveredGroup]) -> str | None:
    until = page.counting_until if isinstance(page, UndeliveredPage) else None
    if until is None:
        return None
    return f"older deliveries are still being counted; those created after {until} are missing"


@app.command
def acknowledge(hook: Number, cause: str, /, *, context: Context) -> None:
    """Acknowledge a group; only the end of its alert is announced.

    Args:
        hook: the hook's number.
        cause: such as http_5xx.
    """
    _change(context, calls.acknowledge_undelivered(hook, cause, account=context.account))


@app.command
def snooze(
    hook: Number,
    cause: str,
    /,
    *,
    duration: Annotated[str, Parameter(name="--for", help="how long: 1m to 30d, such as 4h.")],
    context: Context,
) -> None:
    """Snooze a group; its alert reopens, and is announced again, when the time is over.

    Args:
        hook: the hook's number.
        cause: such as http_5xx.
        duration: how long.
    """
    for_s = snooze_s(duration)
    _change(context, calls.snooze_undelivered(hook, cause, for_s, account=context.account))


def _change(context: CommandContext, call: Call[ChangedGroup]) -> None:
    group = context.ask(call)
    if group is None:
        return
    until = "" if group.state_until is None else f" until {when(group.state_until)}"
    context.out.note(f"hook {group.hook}, {group.cause}: {group.state}{until}")


@app.command(name="give-up")
def give_up(hook: Number, cause: str, /, *, yes: bool = False, context: Context) -> None:
    """Give up a group: stop sending its current events.

    Args:
        hook: the hook's number.
        cause: such as http_5xx, held or skipped.
        yes: do not ask.
    """
    account = context.account
    if account is None:  # a list is of account 1 then, but a hook is found in any account
        account = context.client.call(calls.get_hook(hook)).account
    listed = calls.list_undelivered(account, hooks=(hook,), cause=cause)
    groups = context.client.call(listed).data
    if not groups:
        raise NotFound(
            f"hook {hook} has no undelivered events with cause {cause};"
            " see: hooktui undelivered list"
        )
    group = groups[0]
    context.confirm(
        f"Give up {counted(group.count, 'event')} of hook {hook} ({group.name}), cause {cause}?",
        yes=yes,
    )
    # The time of the group as it was shown: later events stay.
    done = _give_up_until(context, group, group.newest_at)
    if context.json:
        context.out.json(fields_without("next", done))
    elif not done.given_up and not done.cancelled:
        context.out.line(f"gave up nothing: {NOT_GIVEN_UP}")
    else:
        context.out.line(
            f"gave up {counted(done.given_up, 'event')} and cancelled"
            f" {counted(done.cancelled, 'delivery')}"
        )


def _give_up_until(context: CommandContext, group: UndeliveredGroup, until: str) -> GaveUp:
    given_up, cancelled, after = 0, 0, None
    while True:
        context.in_parts(given_up + cancelled, "event")
        call = calls.give_up_undelivered(
            group.hook, group.cause, until, after, account=context.account
        )
        part = context.client.call(call)
        given_up, cancelled = given_up + part.given_up, cancelled + part.cancelled
        after = part.next
        done = counted(given_up + cancelled, "event")
        context.out.progress(f"gave up {done} so far" if after else "")
        if after is None:
            return GaveUp(given_up=given_up, cancelled=cancelled)
