"""The cause of undelivered events: on the newest delivery of a pair, whatever happens to it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from sqlalchemy import literal, select, update

from hooktui.domain.deliveries import ErrorClass, RetryState, after_interruption
from hooktui.domain.failure_causes import cause_of
from hooktui.domain.ids import DeliveryId, HookId, decode
from hooktui.domain.wire.hooks import Hook
from hooktui.store import changes
from hooktui.store.changes import causes
from hooktui.store.contract import AttemptResult, ClaimedDelivery
from hooktui.store.queries.engine import causes_are_missing
from hooktui.store.tables import DELIVERY, HOOK_STATE
from tests.support.earlier_schemas import as_0008
from tests.support.stores import ADA, Opened, attempt, deliveries, emit, make_hook, result_of
from tests.support.waiting import LIMIT_S, until


async def causes_of(opened: Opened) -> list[str | None]:
    """The causes of all deliveries, oldest first."""
    return [one.cause for one in await deliveries(opened.store)]


async def claim_one(opened: Opened, hook: Hook) -> ClaimedDelivery:
    (claim,) = await opened.store.claim(HookId(hook.id), 1)
    return claim


def number_of(delivery_id: str) -> DeliveryId:
    return DeliveryId(decode("dlv", delivery_id))


async def test_a_failed_attempt_leaves_its_cause_and_a_success_removes_it(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store)
    await attempt(opened.store, opened.clock, hook, 401)
    assert await causes_of(opened) == ["http_401"]
    (one,) = await deliveries(opened.store)
    assert one.last_status == 401
    opened.clock.advance(10_000)
    claim = await claim_one(opened, hook)
    await opened.store.record([result_of(claim, opened.clock, None, ErrorClass.DNS)])
    assert await causes_of(opened) == ["dns"]
    (one,) = await deliveries(opened.store)
    assert one.last_status == "dns"
    opened.clock.advance(1_000_000)
    await attempt(opened.store, opened.clock, hook, 200)
    assert await causes_of(opened) == [None]


async def test_a_delivery_that_gave_up_keeps_its_cause(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store)
    claim = await claim_one(opened, hook)
    await opened.store.record([result_of(claim, opened.clock, 503, schedule_s=())])
    (one,) = await deliveries(opened.store)
    assert (one.status, one.cause, one.last_status) == ("failed", "http_5xx", 503)


async def test_a_resend_takes_the_place_of_older_deliveries(opened: Opened) -> None:
    # Red when the resend leaves the old cause, or when an older delivery that is tried later
    # gets a cause beside its successor.
    hook = await make_hook(opened.store)
    other = await make_hook(opened.store)
    await emit(opened.store)
    for each in (hook, other):
        claim = await claim_one(opened, each)
        await opened.store.record([result_of(claim, opened.clock, 503, schedule_s=())])
    (of_hook,) = await deliveries(opened.store, hook=HookId(hook.id))
    await opened.store.write(changes.resend, ADA, None, number_of(of_hook.id))
    assert await causes_of(opened) == [None, "http_5xx", None]
    first_again = await claim_one(opened, hook)
    await opened.store.write(changes.resend, ADA, None, number_of(of_hook.id))
    await opened.store.record([result_of(first_again, opened.clock, 500)])
    assert await causes_of(opened) == [None, "http_5xx", None, None]
    claim = await claim_one(opened, hook)
    await opened.store.record([result_of(claim, opened.clock, 404)])
    assert await causes_of(opened) == [None, "http_5xx", None, "http_404"]


def interrupted(opened: Opened, claim: ClaimedDelivery, interruptions: int) -> AttemptResult:
    decision = after_interruption(RetryState(claim.trigger, claim.tries, interruptions))
    result = result_of(claim, opened.clock, None, ErrorClass.INTERRUPTED, decision=decision)
    return replace(result)


async def test_interruptions_are_a_cause_from_the_tenth_in_a_row(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store)
    claim = await claim_one(opened, hook)
    await opened.store.record([interrupted(opened, claim, 8)])
    assert await causes_of(opened) == [None]
    await opened.store.record([interrupted(opened, await claim_one(opened, hook), 9)])
    assert await causes_of(opened) == ["interrupted"]


async def test_an_interruption_keeps_the_cause_of_the_failure_before(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store)
    await attempt(opened.store, opened.clock, hook, 500)
    opened.clock.advance(10_000)
    await opened.store.record([interrupted(opened, await claim_one(opened, hook), 0)])
    assert await causes_of(opened) == ["http_5xx"]


async def test_a_ping_has_no_cause(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    claim = await opened.store.claim_ping(HookId(hook.id), b"{}")
    await opened.store.record([result_of(claim, opened.clock, 500)])
    assert await causes_of(opened) == [None]


# Red when the trigger decides: no replay sends a ping, so its group would stand for ever.
async def test_a_ping_that_was_resent_has_no_cause(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    ping = await opened.store.claim_ping(HookId(hook.id), b"{}")
    await opened.store.record([result_of(ping, opened.clock, 500, schedule_s=())])
    await opened.store.write(changes.resend, ADA, None, ping.delivery)
    (again,) = await opened.store.claim(HookId(hook.id), 1)
    await opened.store.record([result_of(again, opened.clock, 500, schedule_s=())])
    assert await causes_of(opened) == [None, None]
    await opened.store.write(as_0008)
    await opened.again()

    async def written() -> bool:
        return not await opened.store.read(causes_are_missing)

    await until(written)
    assert await causes_of(opened) == [None, None]


async def test_cancelled_and_deleted_deliveries_have_no_cause(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store, 3)
    claims = await opened.store.claim(HookId(hook.id), 3)
    gave_up, retried, sent = claims
    await opened.store.record([result_of(gave_up, opened.clock, 500, schedule_s=())])
    await opened.store.record([result_of(retried, opened.clock, 500)])
    assert await causes_of(opened) == ["http_5xx", "http_5xx", None]
    await opened.store.write(changes.cancel, ADA, None, retried.delivery)
    assert await causes_of(opened) == ["http_5xx", None, None]
    await opened.store.write(changes.delete_hook, ADA, None, HookId(hook.id))
    await opened.store.record([result_of(sent, opened.clock, 500, schedule_s=())])
    assert await causes_of(opened) == [None, None, None]


async def skips_of(opened: Opened, hook: Hook) -> tuple[int, int | None, int | None]:
    columns = (HOOK_STATE.c.skipped, HOOK_STATE.c.skipped_first, HOOK_STATE.c.skipped_last)
    query = select(*columns).where(HOOK_STATE.c.hook_id == hook.id)
    row = await opened.store.read(lambda conn: conn.execute(query).one())
    return tuple(row)


async def test_events_that_a_disabled_hook_skips_are_counted(opened: Opened) -> None:
    hook = await make_hook(opened.store, active=False, filter="data.a:1")
    await make_hook(opened.store, filter="data.a:1")
    assert await skips_of(opened, hook) == (0, None, None)
    first, *_, last = await emit(opened.store, 3)
    assert await skips_of(opened, hook) == (3, first.id, last.id)
    (newest,) = await emit(opened.store)
    assert await skips_of(opened, hook) == (4, first.id, newest.id)
    active = await make_hook(opened.store, filter="data.a:1")
    await emit(opened.store)
    assert await skips_of(opened, active) == (0, None, None)


async def test_causes_of_an_earlier_version_are_written_in_parts(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Red when a part is left out, or an older delivery of a pair gets a cause.
    hook = await make_hook(opened.store)
    await emit(opened.store, 7)
    claims = await opened.store.claim(HookId(hook.id), 7)
    schedules = [(), (), (5,), (5,), (5,)]
    results = [
        result_of(claim, opened.clock, 404, schedule_s=schedule)
        for claim, schedule in zip(claims, schedules, strict=False)
    ]
    await opened.store.record([*results, result_of(claims[5], opened.clock, 200)])
    await opened.store.write(changes.resend, ADA, None, claims[0].delivery)
    expected = [None, "http_404", "http_404", "http_404", "http_404", None, None, None]
    assert await causes_of(opened) == expected
    monkeypatch.setattr(causes, "AT_ONCE", 3)
    await opened.store.write(as_0008)
    await opened.again()

    async def written() -> bool:
        return not await opened.store.read(causes_are_missing)

    await until(written)
    assert await causes_of(opened) == expected


# Red when a part writes a cause that was there and was given up: the dead letter is back.
async def test_what_is_given_up_meanwhile_gets_no_cause_again(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store, 3)
    opened.clock.advance(60)  # nothing is accepted between the last delivery and the update
    for schedule in ((), (), (5,)):
        claim = await claim_one(opened, hook)
        await opened.store.record([result_of(claim, opened.clock, 404, schedule_s=schedule)])
    monkeypatch.setattr(causes, "AT_ONCE", 1)
    monkeypatch.setattr("hooktui.store.base.CAUSES_REST_S", LIMIT_S)
    await opened.store.write(as_0008)
    await opened.again()

    async def begun() -> bool:
        return (await causes_of(opened))[0] is not None

    await until(begun)
    opened.clock.advance(10)
    claim = await claim_one(opened, hook)
    await opened.store.record([result_of(claim, opened.clock, 404, schedule_s=())])
    assert await causes_of(opened) == ["http_404", None, "http_404"]
    args = (ADA, None, HookId(hook.id), "http_404", opened.clock.ms)
    assert (await opened.store.write(changes.give_up, *args)).given_up == 2
    while await opened.store.read(causes_are_missing):
        await opened.store.write(causes.write_causes)
    assert await causes_of(opened) == [None, "http_404", None]


async def test_the_cause_in_sql_is_the_cause_of_an_attempt(opened: Opened) -> None:
    await make_hook(opened.store)
    await emit(opened.store)
    for error in ErrorClass:
        for code in (None, 99, 100, 200, 302, 399, 400, 404, 499, 500, 503, 599, 600, 999):

            def cause_in_sql(tx, error=error.value, code=code) -> str | None:
                tx.conn.execute(update(DELIVERY).values(last_error=error, last_code=code))
                return tx.conn.execute(select(causes.cause_in_sql(), literal(1))).first()[0]

            found = await opened.store.write(cause_in_sql)
            assert found == cause_of(error.value, code), (error, code)
