"""``hooktui hooks create|edit --dry-run``: what a hook would have got of the latest events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hooktui.cli.context import CommandContext
from hooktui.cli.output import Column
from hooktui.cli.times import ago
from hooktui.client import calls
from hooktui.client.sync_client import decoded
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
