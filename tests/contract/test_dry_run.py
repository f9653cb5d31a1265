"""Other settings of a hook tried on the events that are there, on both databases."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import update

from hooktui.domain import event_outcomes as rules
from hooktui.domain.errors import NotFound
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.wire.hooks import DryRun
from hooktui.store import changes, queries
from hooktui.store.queries import dry_run
from hooktui.store.tables import EVENT
from tests.support.stores import ADA, DEFAULT, Opened, emit, make_hook


async def tried(
    opened: Opened,
    events: Sequence[str] | None,
    filter_text: str | None = None,
    hook: int | None = None,
    **given: bool,
) -> DryRun:
    account = DEFAULT if hook is None else None
    number = None if hook is None else HookId(hook)
    return await opened.store.read(queries.try_hook, account, number, events, filter_text, **given)


async def some_events(opened: Opened) -> None:
    for size in range(4):
        await emit(opened.store, body=b'{"size":%d}' % size)
    await emit(opened.store, 2, event_type="cluster.error")


async def test_a_new_hook_is_told_what_it_would_have_got(opened: Opened) -> None:
    # Red when the filter is left out, or the selection.
    await some_events(opened)
    run = await tried(opened, ["job"], "data.size:1,2,3")
    assert (run.looked, run.sent, run.sent_now, run.more, run.fewer) == (6, 3, None, 0, 0)
    assert [one.type for one in run.data] == ["job.failed"] * 3
    assert run.data[0].id > run.data[-1].id
    assert (await tried(opened, ["job", "cluster"])).sent == 6


async def test_a_change_is_reported_against_the_hook_as_it_is(opened: Opened) -> None:
    # Red when a selection or a filter that is not given does not stay the hook's.
    hook = await make_hook(opened.store, filter="data.size:0,1")
    await some_events(opened)
    run = await tried(opened, None, "data.size:1,2,3", hook.id)
    assert (run.sent, run.sent_now, run.more, run.fewer) == (3, 2, 2, 1)
    assert [one.change for one in run.data] == ["more", "more", "fewer", "same"]
    run = await tried(opened, ["cluster", "job"], None, hook.id, filter_given=False)
    assert (run.sent, run.more, run.fewer) == (2, 0, 0)
    run = await tried(opened, None, None, hook.id, filter_given=True)
    assert (run.sent, run.sent_now) == (4, 2)


async def test_pings_and_other_accounts_are_nobodys_events(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await opened.store.claim_ping(HookId(hook.id), b"{}")
    other = await opened.store.write(changes.create_account, ADA, "other")
    run = await tried(opened, ["job"])
    assert (run.looked, run.since, run.data) == (0, None, ())
    await emit(opened.store)
    elsewhere = await opened.store.read(queries.try_hook, AccountId(other.id), None, ["job"], None)
    assert elsewhere.looked == 0


async def test_as_many_are_looked_at_and_named_as_is_bounded(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Red when a bound is taken out: a dry run must not grow with the store or with the bodies.
    monkeypatch.setattr(dry_run, "MAX_EVENTS", 5)
    monkeypatch.setattr(rules, "MAX_SHOWN", 2)
    await some_events(opened)
    run = await tried(opened, ["job"], "data.size:*")
    assert (run.looked, run.sent, len(run.data)) == (5, 3, 2)
    monkeypatch.setattr(dry_run, "MAX_BYTES", 15)
    assert (await tried(opened, ["job"], "data.size:*")).looked == 3
    # Bodies that are not read count nothing.
    assert (await tried(opened, ["job"])).looked == 5


async def test_what_cannot_be_judged_without_its_body_is_counted_apart(opened: Opened) -> None:
    # Red when a purged body counts as one that does not fit.
    await some_events(opened)
    purged = update(EVENT).where(EVENT.c.type == "job.failed").values(body=None)
    await opened.store.write(lambda tx: tx.conn.execute(purged) and None)
    run = await tried(opened, ["job", "cluster"], "-data.size:9")
    assert (run.looked, run.sent, run.unknown) == (2, 2, 4)
    # Without a filter nobody needs the bodies.
    run = await tried(opened, ["job", "cluster"])
    assert (run.looked, run.sent, run.unknown) == (6, 6, 0)


async def test_a_hook_that_is_not_there_is_said(opened: Opened) -> None:
    with pytest.raises(NotFound):
        await tried(opened, ["job"], hook=4711)
