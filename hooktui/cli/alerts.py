"""``hooktui alerts``: list, show, acknowledge and snooze operator alerts."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from cyclopts import App, Parameter

from hooktui.cli.context import CommandContext, Context
from hooktui.cli.exit_codes import UsageError
from hooktui.cli.listing import FIRST_50, Limit, Listing, for_each, show_list, show_one
from hooktui.cli.output import Piece, Style, Styled
from hooktui.cli.time_format import ago, duration_s, when
from hooktui.client import calls
from hooktui.domain.alerts import MAX_SNOOZE_S, MIN_SNOOZE_S
from hooktui.domain.text import counted, cut
from hooktui.domain.wire.alerts import Alert

app = App(name="alerts", help="List, show, acknowledge and snooze operator alerts.")

_STYLES: dict[str, Style] = {"open": "bad", "acknowledged": "warn", "snoozed": "warn"}


@app.command(name="list")
def list_alerts(
    *,
    state: Literal["open", "acknowledged", "snoozed", "resolved"] | None = None,
    limit: Limit = FIRST_50,
    context: Context,
) -> None:
    """List alerts, newest first; without --state only unresolved ones.

    Args:
        state: only those in this state.
    """
    show_list(context, partial(calls.list_alerts, context.account, state=state), _ALERTS, limit)


def _row(alert: Alert) -> list[Piece]:
    return [
        alert.id,
        _state(alert),
        alert.type,
        f"{alert.count:,}",
        ago(alert.opened_at),
        alert.summary,
    ]


_ALERTS = Listing(
    "ID, STATE, TYPE, COUNT>, OPENED, SUMMARY",
    _row,
    "no unresolved alerts; a hook that subscribes to hooktui is notified of new ones",
    "all unresolved alerts",
)


@app.command
def show(alert: str, /, *, context: Context) -> None:
    """Show one alert.

    Args:
        alert: its id, alr_….
    """
    show_one(context, calls.get_alert(alert, account=context.account), _write)


def _write(context: CommandContext, alert: Alert) -> None:
    out = context.out
    out.line(Styled(f"alert {alert.id}", "bold"), "  ", _state(alert))
    facts = [
        ("summary", alert.summary),
        ("type", alert.type),
        ("hook", "" if alert.hook is None else f"{alert.hook} ({alert.hook_name})"),
        ("cause", alert.cause or ""),
        ("replay", alert.replay or ""),
        ("count", f"{alert.count:,}"),
        ("opened", when(alert.opened_at)),
        ("changed", f"{when(alert.changed_at)} by {alert.changed_by}"),
        ("snoozed", "" if alert.snoozed_until is None else f"until {when(alert.snoozed_until)}"),
        ("resolved", _resolved(alert)),
        ("announced", _announced(alert)),
    ]
    out.facts(facts)


def _state(alert: Alert) -> Styled:
    return Styled(alert.state, _STYLES.get(alert.state, "dim"))


def _resolved(alert: Alert) -> str:
    return "" if alert.resolved_at is None else f"{alert.resolution}, {when(alert.resolved_at)}"


def _announced(alert: Alert) -> str:
    if alert.notified_at is None:
        return "never"
    return f"{when(alert.notified_at)} to {counted(alert.hooks_notified, 'hook')}"


@app.command
def acknowledge(alert: str, /, *more: str, context: Context) -> int:
    """Acknowledge alerts; from then on only their end is announced.

    Args:
        alert: its id, alr_….
        more: further ids.
    """
    return for_each(
        context,
        [alert, *more],
        calls.acknowledge_alert,
        lambda done: context.out.note(f"{done.id} is acknowledged"),
    )


@app.command
def snooze(
    alert: str, /, *more: str, for_: Annotated[str, Parameter(name="--for")], context: Context
) -> int:
    """Snooze alerts; they reopen, and are announced again, when the time is over.

    Args:
        alert: its id, alr_….
        more: further ids.
        for_: how long: 1m to 30d, such as 4h.
    """
    return for_each(
        context,
        [alert, *more],
        partial(calls.snooze_alert, for_s=snooze_s(for_)),
        lambda done: context.out.note(f"{done.id} is snoozed until {when(done.snoozed_until)}"),
    )


def snooze_s(text: str) -> float:
    """Return the seconds of ``--for``.

    Raises:
        UsageError: it is not a duration, or too short or too long for a snooze.
    """
    seconds = duration_s("--for", text)
    if not MIN_SNOOZE_S <= seconds <= MAX_SNOOZE_S:
        raise UsageError(f"--for must be from 1m to 30d, not {cut(text, 40)}")
    return seconds
