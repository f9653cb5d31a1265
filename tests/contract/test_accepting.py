"""Acceptance: one transaction, matching, skips, idempotency, handing over in memory."""

from __future__ import annotations

import asyncio

import pytest

from hooktui.domain.deliveries import Trigger
from hooktui.domain.errors import Refused
from hooktui.domain.filters.parser import parse
from hooktui.domain.hook_settings import Credentials
from hooktui.domain.ids import HookId
from hooktui.store import changes, queries
from hooktui.store.contract import CommitNotice, NewEvent
from hooktui.store.queries.pages import PageRequest
from tests.support.stores import (
    ADA,
    DEFAULT,
    Heard,
    Opened,
    always,
    deliveries,
    emit,
    make_hook,
    offer,
    settings,
    the_delivery,
    the_hook,
)
from tests.support.waiting import LIMIT_S


async def events(store):
    return (await store.read(queries.list_events, DEFAULT, PageRequest())).data


async def test_an_event_and_its_deliveries_are_there_after_the_answer(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await make_hook(opened.store, events=("cluster",))
    (accepted,) = await emit(opened.store, body=b'{ "id" : 1 }')
    assert (accepted.deliveries, accepted.skipped, accepted.duplicate) == (1, 0, False)
    store = await opened.again()
    delivery = await the_delivery(store)
    assert (delivery.hook, delivery.status, delivery.attempts) == (hook.id, "pending", 0)
    (claim,) = await store.claim(HookId(hook.id), 10)
    assert claim.body == b'{ "id" : 1 }'
    assert (claim.event, claim.trigger, claim.number, claim.tries) == (
        accepted.id,
        Trigger.EVENT,
        1,
        0,
    )


async def test_a_reserved_delivery_is_handed_over_and_cannot_be_claimed(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    free = iter([True, False])
    _, claims = await store.accept([offer(b"1"), offer(b"2")], lambda _: next(free))
    assert [claim.body for claim in claims] == [b"1"]
    assert [claim.body for claim in await store.claim(HookId(hook.id), 10)] == [b"2"]
    assert await store.claim(HookId(hook.id), 10) == []


async def test_pending_deliveries_are_signalled_as_due_and_handed_over_ones_are_not(
    opened: Opened,
) -> None:
    store = opened.store
    hook, other = await make_hook(store), await make_hook(store)
    heard = Heard(store)
    await store.accept([offer()], lambda which: which == hook.id)
    assert heard.due == {other.id: opened.clock.ms}


async def test_an_ordered_hook_is_never_handed_over(opened: Opened) -> None:
    await make_hook(opened.store, ordered=True)
    _, claims = await opened.store.accept([offer()], always)
    assert claims == []


async def test_a_disabled_hook_and_a_filter_skip_an_event_and_say_why(opened: Opened) -> None:
    store = opened.store
    disabled = await make_hook(store, active=False)
    choosy = await make_hook(store, filter="data.errors:*disk*")
    await make_hook(store, events=("cluster",))
    (accepted,) = await emit(store, body=b'{"errors": "no memory"}')
    assert (accepted.deliveries, accepted.skipped) == (0, 2)
    detail = await store.read(queries.get_event, DEFAULT, accepted.id)
    assert {(skip.hook, skip.reason) for skip in detail.skips} == {
        (disabled.id, "disabled"),
        (choosy.id, "filter"),
    }
    (wanted,) = await emit(store, body=b'{"errors": "the disk is full"}')
    assert (wanted.deliveries, wanted.skipped) == (1, 1)


# Red when a filter fails open where its parser sees less than the API's: half an emoji, or a number
# that no float holds, made the first filter fit.
@pytest.mark.parametrize("more", [b"1", b'"\\ud83d"', b"1e999", b"9" * 5000])
async def test_a_negated_filter_sees_all_that_is_accepted(opened: Opened, more: bytes) -> None:
    store = opened.store
    outside = await make_hook(store, filter="-data.internal:true")
    inside = await make_hook(store, filter="data.internal:true")
    body = b'{"internal":true,"more":' + more + b"}"
    (accepted,) = await emit(store, body=body)
    assert [one.hook for one in await deliveries(store)] == [inside.id]
    detail = await store.read(queries.get_event, DEFAULT, accepted.id)
    assert [(one.hook, one.reason) for one in detail.skips] == [(outside.id, "filter")]
    page = await store.read(queries.list_decisions, DEFAULT, accepted.id, PageRequest(), True)
    why = {one.hook: one.reason for one in page.data}
    assert why[outside.id] == "its filter did not match: -data.internal:true (it is true)"
    for q, count in (("data.internal:true", 1), ("-data.internal:true", 0)):
        found = await store.read(queries.list_events, DEFAULT, PageRequest(), None, parse(q))
        assert len(found.data) == count, q
        assert len(await deliveries(store, q=q)) == count, q


async def test_a_body_that_cannot_be_read_is_never_sent_to_a_hook_that_looks_into_it(
    opened: Opened,
) -> None:
    store = opened.store
    await make_hook(store, filter="-data.internal:true")
    await make_hook(store, filter="data.internal:true")
    (accepted,) = await emit(store, body=b"{")  # no such body passes the API
    assert (accepted.deliveries, accepted.skipped) == (0, 2)
    for q in ("data.internal:true", "-data.internal:true"):
        page = await store.read(queries.list_events, DEFAULT, PageRequest(), None, parse(q))
        assert not page.data


async def test_a_repeated_key_gets_the_first_answer(opened: Opened) -> None:
    store = opened.store
    await make_hook(store)
    (first,) = await emit(store, key="k")
    await make_hook(store)
    (again,) = await emit(await opened.again(), key="k")
    assert again.duplicate
    assert (again.id, again.deliveries) == (first.id, 1)
    assert len(await events(opened.store)) == 1


@pytest.mark.parametrize("other", [offer(b"[]", key="k"), offer(event_type="job.started", key="k")])
async def test_a_key_of_another_event_is_refused_and_nothing_is_stored(
    opened: Opened, other: NewEvent
) -> None:
    await make_hook(opened.store)
    await emit(opened.store, key="k")
    reserved = []
    with pytest.raises(Refused, match="'k'") as refused:
        await opened.store.accept([offer(b"new"), other], reserved.append)
    assert [error.pointer for error in refused.value.errors] == ["/1/key"]
    assert reserved == []
    assert len(await events(opened.store)) == 1


async def test_a_key_twice_in_one_call_is_one_event(opened: Opened) -> None:
    accepted, _ = await opened.store.accept([offer(key="k"), offer(key="k")])
    assert [one.duplicate for one in accepted] == [False, True]
    assert accepted[0].id == accepted[1].id
    with pytest.raises(Refused):
        await opened.store.accept([offer(b"1", key="j"), offer(b"2", key="j")])


async def test_keys_belong_to_an_account_and_are_forgotten_after_a_day(opened: Opened) -> None:
    store = opened.store
    account = await store.write(changes.create_account, ADA, "another")
    (first,) = await emit(store, key="k")
    ((elsewhere,), _) = await store.accept([NewEvent(account.id, "job.failed", b"{}", "k")])
    assert not elsewhere.duplicate
    opened.clock.advance(24 * 3600 + 1)
    (later,) = await emit(store, key="k", body=b"other")
    assert not later.duplicate
    assert later.id != first.id


async def test_ids_rise_also_when_the_clock_goes_back(opened: Opened) -> None:
    (first,) = await emit(opened.store)
    opened.clock.advance(-3600)
    (second,) = await emit(await opened.again())
    assert second.id > first.id


async def test_a_hook_of_another_account_gets_nothing(opened: Opened) -> None:
    account = await opened.store.write(changes.create_account, ADA, "another")
    await make_hook(opened.store, account=account.id)
    (accepted,) = await emit(opened.store)
    assert accepted.deliveries == 0


async def test_a_large_call_is_stored_whole(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    accepted = await emit(opened.store, 1000)
    assert len({one.id for one in accepted}) == 1000
    assert (await the_hook(opened.store, hook)).stats.waiting == 1000


async def test_what_changes_in_a_hook_holds_for_the_next_event(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    await store.write(
        changes.change_hook, ADA, DEFAULT, hook.id, lambda _: settings(events=("cluster",))
    )
    (accepted,) = await emit(store)
    assert accepted.deliveries == 0
    assert (await deliveries(store)) == []


async def test_live_hooks_hold_what_is_write_only(opened: Opened) -> None:
    hook = await make_hook(
        opened.store,
        headers={"X-Api-Key": "s3cret", "X-Other": "shown"},
        sensitive_headers=("X-Api-Key",),
        basic_auth=Credentials("user", "passw0rd"),
    )
    assert hook.headers == {"X-Api-Key": "***", "X-Other": "shown"}
    live = (await opened.again()).hooks()[hook.id]
    assert live.settings.headers == {"X-Api-Key": "s3cret", "X-Other": "shown"}
    assert live.settings.basic_auth == Credentials("user", "passw0rd")


# Red when an error after the commit ends the writer: every later call waited without end.
async def test_a_listener_that_fails_costs_no_event_and_stops_no_writer(opened: Opened) -> None:
    def fail(_: CommitNotice) -> None:
        raise RuntimeError("a listener failed")

    await make_hook(opened.store)
    opened.store.subscribe(fail)
    async with asyncio.timeout(LIMIT_S):
        for _ in range(3):
            (accepted,) = await emit(opened.store)
            assert accepted.deliveries == 1


async def test_a_store_knows_whether_events_come_in(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not opened.store.is_accepting
    await emit(opened.store)
    monkeypatch.setattr("hooktui.store.base.ACCEPTING_S", LIMIT_S)
    assert opened.store.is_accepting
    monkeypatch.setattr("hooktui.store.base.ACCEPTING_S", 0.0)
    assert not opened.store.is_accepting
