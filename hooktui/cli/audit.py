"""``hooktui audit``: list the audit trail and verify it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Literal

from cyclopts import App

from hooktui.cli.context import CommandContext, Context, Text
from hooktui.cli.exit_codes import DONE, FAILED
from hooktui.cli.listing import FIRST_50, Limit, Listing, show_list
from hooktui.cli.output import Piece, Styled, fields_without
from hooktui.cli.time_format import check_moment, clock
from hooktui.client import calls
from hooktui.domain.text import counted
from hooktui.domain.wire.access import AuditCheck, AuditEntry

app = App(name="audit", help="Show and verify the audit trail.")


@app.command(name="list")
def list_audit(
    *,
    user: Text | None = None,
    action: Text | None = None,
    target: Text | None = None,
    result: Literal["done", "refused"] | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: Limit = FIRST_50,
    context: Context,
) -> None:
    """List entries, newest first; --json shows every entry in full.

    Args:
        user: who acted; a * at the end matches any suffix, also in --action and --target.
        action: such as hook.change, secret.*, token.create.
        target: such as "hook 12".
        result: only entries with this result.
        since: such as 7d, or an RFC 3339 time.
        until: likewise.
    """
    check_moment("--since", since)
    check_moment("--until", until)
    call = partial(
        calls.list_audit,
        context.account,
        user=user,
        action=action,
        target=target,
        result=result,
        since=since,
        until=until,
    )
    show_list(context, call, _ENTRIES, limit)


def _row(entry: AuditEntry) -> list[Piece]:
    return [
        str(entry.id),
        clock(entry.at),
        entry.user,
        entry.role,
        entry.action,
        entry.target,
        Styled(entry.result, "good" if entry.result == "done" else "bad"),
        _change(entry),
        entry.origin,
    ]


_ENTRIES = Listing(
    "ID>, TIME, USER, ROLE, ACTION, TARGET, RESULT, CHANGE, FROM", _row, "no audit entries"
)


def _change(entry: AuditEntry) -> str:
    """Return the change of an entry in short: ``active: true → false, key: failing:12``."""
    before, after = entry.before, entry.after
    if before is not None and after is not None:
        both = {n: [_short(v[n]) for v in (before, after) if n in v] for n in {**before, **after}}
        return ", ".join(f"{name}: {' → '.join(values)}" for name, values in both.items())
    return _fields(after if after is not None else before)


def _fields(values: Mapping[str, object] | None) -> str:
    given = {} if values is None else values
    return ", ".join(f"{name}: {_short(v)}" for name, v in given.items() if v is not None)


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@app.command
def verify(*, known: str | None = None, context: Context) -> int:
    """Verify the trail from its first entry; exit code 1 if it is broken.

    Each entry holds the hash of the previous one, made with a key that the database holds only
    encrypted: without the key file no entry can be changed, removed or cut off undetected. Save
    the last entry's ID:HASH elsewhere: --known also detects a trail that was rewritten with the
    key, or a restored database.

    Args:
        known: ID:HASH as an earlier run printed it.
    """
    check = context.client.call(calls.verify_audit(known=known))
    while check.next is not None:
        context.out.progress(f"{counted(check.entries, 'entry')} so far")
        part = context.client.call(calls.verify_audit(check.next, known))
        entries = check.entries + part.entries
        check = replace(part, entries=entries, head=part.head or check.head)
    if context.json:
        context.out.json(fields_without("next", check))
    else:
        _write_result(context, check)
    return DONE if check.broken is None else FAILED


def _write_result(context: CommandContext, check: AuditCheck) -> None:
    out, head = context.out, check.head
    if check.broken is not None:
        bad = Styled("broken", "bad")
        out.line("the audit trail is ", bad, f" at entry {check.broken.id}: {check.broken.reason}")
        out.line(f"intact entries before it: {check.entries:,}")
    elif head is None:
        out.line("the audit trail is empty")
    else:
        intact = Styled("intact", "good")
        count = f": {counted(check.entries, 'entry')}, the last of {head.at}"
        out.line("the audit trail is ", intact, count)
        out.line(f"{head.id}:{head.hash}")
        if check.keyed_from is not None and check.keyed_from > 1:
            out.note(
                f"entries before {check.keyed_from} were hashed without a key; compare them with"
                " an ID:HASH that was noted then"
            )
