"""``hooktui hooks create`` and ``edit``: options become settings; ``--dry-run`` tries them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

from cyclopts import Parameter

from hooktui.cli.context import CommandContext, Context, Text
from hooktui.cli.exit_codes import UsageError
from hooktui.cli.hooks import write_hook
from hooktui.cli.output import Column, Styled
from hooktui.cli.time_format import ago, duration_s
from hooktui.client import calls
from hooktui.client.sync_client import decoded
from hooktui.domain.schedule import parse_schedule
from hooktui.domain.wire.hooks import Change, in_words

_COLUMNS: Final = (Column("EVENT"), Column("TYPE"), Column("CREATED"), Column("WOULD BE"))
_WORDS: Final[dict[str, str]] = {
    Change.SAME: "sent",
    Change.MORE: "newly sent",
    Change.FEWER: "no longer sent",
}


def show_dry_run(context: CommandContext, fields: Mapping[str, object]) -> None:
    """Write what a dry run found; ``fields`` are ``hook``, ``events`` and ``filter``, as given."""
    call = calls.dry_run(context.account, fields)
    answer = context.client.answer(call)
    if context.json:
        context.out.json(answer)
        return
    run = decoded(call, context.address, answer)
    since = f" (the oldest came {ago(run.since)})" if run.since is not None else ""
    context.out.line(f"would have got {in_words(run)}{since}")
    rows = [
        [one.id, one.type, ago(one.created_at), _WORDS.get(one.change, one.change)]
        for one in run.data
    ]
    if rows:
        context.out.table(_COLUMNS, rows)
    context.out.note("nothing was sent or saved")


Flag = Annotated[bool, Parameter(negative=())]


@Parameter(name="*")
@dataclass(kw_only=True)
class HookOptions:
    """What can be said about a hook; None: not given.

    Attributes:
        url: where to POST. A write-only value is not sent to another server: give it again with
            --header and --basic-auth.
        events: types and groups, as in job,cluster.error.
        name: for people; the host of the URL by default.
        type: what the hook sends.
        header: a header K=V of each request; the value may be @FILE or - (stdin). K= removes it.
        signature_hash: sha256, sha1 or sha512.
        timeout: the deadline of one attempt, 1s to 30s.
        retry_schedule: waits before each further attempt, as in 5s,5m,2h; "" for no retries.
        rate: deliveries a second at most; "" for no limit.
        max_in_flight: attempts at the same time.
        ordered: send one after another, in the order of the events.
        filter: only events that match, as in data.cluster_id:52; "" for all.
        verify_tls: check the receiver's certificate.
        basic_auth: USER:PASSWORD, or @FILE or - (stdin) that holds it; "" for none.
    """

    url: str | None = None
    events: str | None = None
    name: Text | None = None
    type: str | None = None
    header: Annotated[list[Text], Parameter(negative=(), allow_leading_hyphen=True)] = field(
        default_factory=list
    )
    signature_hash: str | None = None
    timeout: str | None = None
    retry_schedule: str | None = None
    rate: str | None = None
    max_in_flight: int | None = None
    ordered: bool | None = None
    filter: Text | None = None
    verify_tls: bool | None = None
    basic_auth: Text | None = None


def create(
    *,
    options: HookOptions | None = None,
    inactive: Flag = False,
    secret: Text | None = None,
    dry_run: Flag = False,
    context: Context,
) -> None:
    """Make a hook; prints its secret this once.

    Args:
        options: what the hook is.
        inactive: make it, and send nothing yet.
        secret: sign with this one, or @FILE or - (stdin) that holds it; made by default.
        dry_run: make nothing; try --events and --filter on the latest 1,000 events.
        context: the run.
    """
    options = options or HookOptions()
    if dry_run:
        if options.events is None:
            raise UsageError("a dry run needs --events, such as --events job,cluster.error")
        show_dry_run(context, _tried(options))
        return
    if options.url is None or options.events is None:
        raise UsageError("a hook needs --url URL and --events, such as --events job,cluster.error")
    fields = _fields(context, options)
    headers, sensitive = _headers(context, options.header)
    if headers:
        fields |= {"headers": headers, "sensitive_headers": sensitive}
    if inactive:
        fields["active"] = False
    if secret is not None:
        fields["secret"] = context.secret_value("--secret", secret)
    call = calls.create_hook(context.account, fields)
    answer = context.client.answer(call)
    hook = decoded(call, context.address, answer)
    for warning in hook.warnings:
        context.out.note(f"warning: {warning}")
    if context.json:
        context.out.json(answer)
        return
    write_hook(context, hook)
    context.out.line(Styled(f"  {'secret':<11}", "dim"), hook.secret)
    context.out.note(
        f"Give the secret to the receiver (again: hooktui hooks secret {hook.id}), then try it:"
        f" hooktui hooks ping {hook.id}"
    )


def edit(
    hook: int,
    /,
    *,
    options: HookOptions | None = None,
    active: Annotated[bool | None, Parameter(negative="--inactive")] = None,
    if_version: int | None = None,
    dry_run: Flag = False,
    context: Context,
) -> None:
    """Change a hook; what is not named stays as it is.

    Args:
        hook: its number.
        options: what to change.
        active: send to it, or hold what is for it.
        if_version: only if nobody changed it since; the version is in `hooktui hooks show`.
        dry_run: change nothing; try --events and --filter on the latest 1,000 events.
        context: the run.
    """
    options = options or HookOptions()
    if dry_run:
        tried = _tried(options)
        if not tried:
            raise UsageError("a dry run tries --events and --filter; name one of them or both")
        show_dry_run(context, {"hook": hook, **tried})
        return
    fields = _fields(context, options)
    if active is not None:
        fields["active"] = active
    if options.header:
        fields |= _edited_headers(context, hook, options.header)
    if not fields:
        raise UsageError("nothing to change; see: hooktui hooks edit --help")
    if if_version is not None:
        fields["version"] = if_version
    call = calls.edit_hook(hook, fields, account=context.account)
    answer = context.client.answer(call)
    changed = decoded(call, context.address, answer)
    for warning in changed.warnings:
        context.out.note(f"warning: {warning}")
    if context.json:
        context.out.json(answer)
    else:
        write_hook(context, changed)


def _fields(context: CommandContext, options: HookOptions) -> dict[str, object]:
    """Return the fields that were given, headers aside."""
    given: dict[str, object] = {
        "url": options.url,
        "name": options.name,
        "type": options.type,
        "signature_hash": options.signature_hash,
        "max_in_flight": options.max_in_flight,
        "ordered": options.ordered,
        "verify_tls": options.verify_tls,
    }
    fields = {name: value for name, value in given.items() if value is not None}
    if options.timeout is not None:
        fields["timeout_s"] = duration_s("--timeout", options.timeout)
    if options.retry_schedule is not None:
        fields["retry_schedule_s"] = _schedule(options.retry_schedule)
    if options.rate is not None:
        fields["rate_per_s"] = _rate(options.rate)
    fields |= _tried(options)
    if options.basic_auth is not None:
        fields["basic_auth"] = _basic_auth(context, options.basic_auth)
    return fields


def _tried(options: HookOptions) -> dict[str, object]:
    """Return the fields that were given which decide about the events that a hook gets."""
    fields: dict[str, object] = {}
    if options.events is not None:
        fields["events"] = [part.strip() for part in options.events.split(",") if part.strip()]
    if options.filter is not None:
        fields["filter"] = options.filter or None
    return fields


def _schedule(text: str) -> list[float]:
    try:
        return list(parse_schedule(text))
    except ValueError as error:
        raise UsageError(f"--retry-schedule: {error}") from error


def _rate(text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"--rate: {text!r} is not a number of deliveries a second") from error


def _basic_auth(context: CommandContext, text: str) -> dict[str, str] | None:
    if not text:
        return None
    user, colon, password = context.secret_value("--basic-auth", text).partition(":")
    if not colon:
        raise UsageError("--basic-auth takes USER:PASSWORD, or @FILE or - that holds both")
    return {"user": user, "password": context.secret_value("--basic-auth", password)}


def _headers(context: CommandContext, given: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return headers, and the names of those whose values were kept out of the process list."""
    headers: dict[str, str] = {}
    sensitive: list[str] = []
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            # Not the value: whoever is used to NAME: VALUE has a secret there.
            shown = text.partition(":")[0].partition(" ")[0]
            raise UsageError(f"--header {shown!r}: write it as NAME=VALUE")
        headers[name] = context.secret_value("--header", value)
        if headers[name] != value:
            sensitive.append(name)
    return headers, sensitive


def _edited_headers(context: CommandContext, hook: int, given: Sequence[str]) -> dict[str, object]:
    """Return the headers of a hook with the given ones set or removed, and its version."""
    changed, sensitive = _headers(context, given)
    before = context.client.call(calls.get_hook(hook, account=context.account))
    replaced = {name.lower() for name in changed}
    kept = {n: value for n, value in before.headers.items() if n.lower() not in replaced}
    headers = kept | {name: value for name, value in changed.items() if value}
    marked = {name.lower() for name in (*before.sensitive_headers, *sensitive)}
    return {
        "headers": headers,
        "sensitive_headers": [name for name in headers if name.lower() in marked],
        "version": before.version,
    }
