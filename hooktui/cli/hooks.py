"""``hooktui hooks``: the list, one hook, its secret, and the actions on hooks."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from cyclopts import App

from hooktui.cli.context import CommandContext, Context, Number, Text
from hooktui.cli.deliveries import show_attempt
from hooktui.cli.exit_codes import DONE, FAILED, UsageError
from hooktui.cli.listing import (
    FIRST_50,
    Limit,
    Listing,
    filter_terms,
    for_each,
    show_matches,
    show_one,
)
from hooktui.cli.output import Piece, Styled
from hooktui.cli.time_format import ago, duration_s, took
from hooktui.client import calls
from hooktui.domain.addresses import url_in_words
from hooktui.domain.hook_failures import BreakerState
from hooktui.domain.hook_fields import SHOWN_SETTINGS
from hooktui.domain.wire.deliveries import DeliveryDetail
from hooktui.domain.wire.hooks import Hook, pace_in_words

app = App(name="hooks", help="List, show, create, edit and test hooks.")
for name, target, text in (
    (
        "create",
        "hook_settings:create",
        "Create a hook; prints its secret, as `hooks secret` does later.\n\n"
        "--url and --events are required.",
    ),
    (
        "edit",
        "hook_settings:edit",
        "Edit a hook; omitted options keep their value.\n\n"
        "--header K= removes a header. A --url at another server needs passwords and sensitive"
        " headers again.",
    ),
    ("diagnose", "doctor:diagnose", "Diagnose a receiver; exit code 1 if it has a problem."),
):
    app.command(f"hooktui.cli.{target}", name=name, help=text)


HookTerms = Annotated[str, filter_terms("billing status:failing")]


@app.command(name="list")
def list_hooks(*terms: HookTerms, limit: Limit = FIRST_50, context: Context) -> None:
    """List the account's hooks.

    Args:
        terms: a filter.
    """
    show_matches(context, calls.list_hooks, terms, _HOOKS, limit)


def _row(hook: Hook) -> list[Piece]:
    stats = hook.stats
    last = "" if stats.last_status is None else f"{stats.last_status}, {ago(stats.last_at)}"
    share = "" if stats.success_24h is None else f"{stats.success_24h:.0%}"
    waiting = stats.waiting + stats.held
    return [
        str(hook.id),
        state(hook),
        hook.name,
        url_in_words(hook.url),
        ", ".join(hook.events),
        last,
        share,
        f"{waiting:,}" if waiting else "",
    ]


_HOOKS = Listing(
    "ID>, STATE, NAME, URL, EVENTS, LAST, 24 H>, WAITING>",
    _row,
    "no hooks; create one: hooktui hooks create --url https://… --events job",
)


def state(hook: Hook) -> Styled:
    """Return whether a hook is active, and whether it fails, in a word."""
    if not hook.active:
        return Styled("disabled", "warn")
    if hook.stats.failing:
        return Styled("failing", "bad")
    if hook.stats.breaker != "closed":
        return Styled("breaker open", "bad")  # also while a probe is due
    if hook.retrying:
        return Styled("retrying", "warn")
    return Styled("active", "good")


@app.command
def show(hook: Number, /, *, context: Context) -> None:
    """Show one hook with all its settings.

    Args:
        hook: its number.
    """
    show_one(context, calls.get_hook(hook, account=context.account), write_hook)


def write_hook(context: CommandContext, hook: Hook) -> None:
    """Write a hook for people: its settings, and how it is doing."""
    out = context.out
    out.line(Styled(f"hook {hook.id}", "bold"), "  ", hook.name, "  ", state(hook))
    out.facts(_facts(hook))


def _facts(hook: Hook) -> list[tuple[str, str]]:
    stats = hook.stats
    facts = [("url", url_in_words(hook.url)), ("events", ", ".join(hook.events))]
    if hook.disabled_reason is not None:
        facts.append(("disabled", f"{hook.disabled_reason}, {ago(hook.disabled_at)}"))
    facts += [("header", f"{name}: {value}") for name, value in hook.headers.items()]
    facts += [
        (setting.label, setting.describe(setting.value_in(hook)))
        for setting in SHOWN_SETTINGS
        if not setting.basic and setting.name not in ("headers", "sensitive_headers")
    ]
    if pace := pace_in_words(hook, ago):
        facts.append(("in flight", pace))
    if stats.last_status is not None:
        facts.append(("last", f"{stats.last_status}, {ago(stats.last_at)}"))
    if stats.breaker != "closed":
        probe = "; a probe is due" if stats.breaker == BreakerState.HALF_OPEN else ""
        facts.append(("breaker", f"open{probe}"))
    if stats.success_24h is not None:
        slow = f", p95 {took(stats.p95_ms)}" if stats.p95_ms is not None else ""
        facts.append(("24 hours", f"{stats.success_24h:.1%} delivered{slow}"))
    if stats.waiting or stats.held:
        facts.append(("waiting", f"{stats.waiting:,} to be sent, {stats.held:,} held"))
    facts.append(("changed", f"{ago(hook.updated_at)} (version {hook.version})"))
    return facts


@app.command
def enable(hook: Number, /, *more: Number, context: Context) -> int:
    """Enable hooks and send their held deliveries; skipped events need a replay.

    Args:
        hook: its number.
        more: further numbers.
    """
    return _switch(context, [hook, *more], active=True)


@app.command
def disable(hook: Number, /, *more: Number, context: Context) -> int:
    """Disable hooks: waiting deliveries are held, new events are skipped.

    Args:
        hook: its number.
        more: further numbers.
    """
    return _switch(context, [hook, *more], active=False)


def _switch(context: CommandContext, hooks: list[int], *, active: bool) -> int:
    def notify(hook: Hook) -> None:
        context.out.note(f"hook {hook.id} ({hook.name}) is {'active' if active else 'disabled'}")

    return for_each(context, hooks, partial(calls.edit_hook, fields={"active": active}), notify)


@app.command
def delete(hook: Number, /, *more: Number, yes: bool = False, context: Context) -> int:
    """Delete hooks and cancel their waiting and held deliveries.

    Args:
        hook: its number.
        more: further numbers.
        yes: do not ask.
    """
    hooks = [hook, *more]
    named = ", ".join(map(str, hooks))
    which = f"hooks {named}? Their" if more else f"hook {named}? Its"
    question = f"Delete {which} waiting deliveries are cancelled; this cannot be undone."
    context.confirm(question, yes=yes)
    return for_each(
        context, hooks, calls.delete_hook, lambda hook: context.out.note(f"hook {hook} is deleted")
    )


@app.command
def ping(hook: Number, /, *more: Number, context: Context) -> int:
    """Send test deliveries and show the responses; exit code 1 unless all are 2xx.

    Args:
        hook: its number.
        more: further numbers.
    """
    all_delivered = True
    context.interrupted = "interrupted; the server finishes the ping in progress"

    def show(delivery: DeliveryDetail) -> None:
        nonlocal all_delivered
        all_delivered = all_delivered and delivery.status == "delivered"
        if not context.json:
            _write_ping(context, delivery, named=bool(more))

    code = for_each(context, [hook, *more], calls.ping_hook, show, also_as_json=True)
    return code or (DONE if all_delivered else FAILED)


def _write_ping(context: CommandContext, delivery: DeliveryDetail, *, named: bool) -> None:
    good = delivery.status == "delivered"
    which = f" of hook {delivery.hook}" if named else ""
    outcome = Styled(delivery.status, "good" if good else "bad")
    context.out.line(f"ping{which} ", outcome, f" {delivery.id}")
    for attempt in delivery.attempts:
        show_attempt(context, attempt)


@app.command
def secret(
    hook: Number,
    /,
    *,
    rotate: bool = False,
    overlap: str | None = None,
    secret: Text | None = None,
    finish: bool = False,
    context: Context,
) -> None:
    """Show a hook's secret, or rotate it; the audit trail records both.

    After --rotate both secrets sign until the overlap ends, so that you can update the receiver in
    time.

    Args:
        hook: its number.
        rotate: replace the secret.
        overlap: how long the old secret still signs, 0s to 7d; 24h by default, 0s after a leak.
        secret: with --rotate: the new secret, or @FILE or - (stdin); generated by default.
        finish: end the overlap of a rotation now.
    """
    if rotate and finish:
        raise UsageError("--rotate begins and --finish ends a rotation; give one of them")
    if not rotate and (overlap is not None or secret is not None):
        raise UsageError("--overlap and --secret belong to --rotate")
    if rotate:
        call = calls.rotate_secret(
            hook,
            secret=None if secret is None else context.secret_value("--secret", secret),
            overlap_s=None if overlap is None else duration_s("--overlap", overlap),
            account=context.account,
        )
    elif finish:
        call = calls.finish_rotation(hook, account=context.account)
    else:
        call = calls.hook_secrets(hook, account=context.account)
    secrets = context.ask(call)
    if secrets is None:
        return
    context.out.line(secrets.secret)
    for old in secrets.secrets:
        if old.expires_at is not None:
            context.out.note(
                f"the secret created {ago(old.created_at)} still signs; it expires"
                f" {ago(old.expires_at)} (now: hooktui hooks secret {hook} --finish)"
            )
