"""Claims, results behind their fence, releases, rescues: one finaliser for each attempt."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from hooktui.domain.clock import from_rfc3339
from hooktui.domain.deliveries import DeliveryStatus, ErrorClass, Exchange, Trigger, after_exchange
from hooktui.domain.errors import NotFound
from hooktui.domain.hook_failures import FAILURES_TO_OPEN
from hooktui.domain.ids import DeliveryId, HookId, decode, encode
from hooktui.domain.wire.hooks import Hook
from hooktui.store import changes, queries
from hooktui.store.audit import check_chain
from hooktui.store.contract import LEASE_S, ClaimedDelivery
from hooktui.store.queries.pages import PageRequest
from hooktui.store.tables import AUDIT, HOOK_STATE
from tests.contract.alert_steps import alerts
from tests.support.stores import (
    ADA,
    DEFAULT,
    Heard,
    Opened,
    always,
    attempt,
    deliveries,
    emit,
    make_hook,
    offer,
    result_of,
    settings,
    the_delivery,
    the_hook,
)


async def claimed(opened: Opened, **changed: object) -> ClaimedDelivery:
    """One delivery, claimed."""
    hook = await make_hook(opened.store, **changed)
    await emit(opened.store)
    (claim,) = await opened.store.claim(HookId(hook.id), 1)
    return claim


async def record_of(opened: Opened, claim: ClaimedDelivery):
    return await opened.store.read(queries.get_delivery, DEFAULT, claim.delivery)


async def test_a_delivered_result_ends_a_delivery(opened: Opened) -> None:
    claim = await claimed(opened)
    opened.clock.advance(1)
    result = result_of(
        claim,
        opened.clock,
        204,
        address="127.0.0.2",
        headers=(("A", "b"),),
        body=b"ok\x9b\xff",
        size=4,
    )
    assert await opened.store.record([result]) == [True]
    record = await record_of(opened, claim)
    assert (record.delivery.status, record.delivery.attempts) == ("delivered", 1)
    assert record.delivery.duration_ms == 20
    (made,) = record.attempts
    assert (made.outcome, made.status_code, made.error) == ("delivered", 204, None)
    assert made.response is not None
    assert (made.response.headers, made.response.body, made.response.size) == (
        (("A", "b"),),
        r"ok\x9b\xff",  # what is no UTF-8 stays to be seen
        4,
    )


async def test_a_failed_attempt_is_tried_again_after_its_wait(opened: Opened) -> None:
    claim = await claimed(opened)
    heard = Heard(opened.store)
    await opened.store.record([result_of(claim, opened.clock, 500)])
    assert heard.due == {claim.hook: opened.clock.ms + 5000}
    assert await opened.store.next_due() == {claim.hook: opened.clock.ms + 5000}
    opened.clock.advance(4.9)
    assert await opened.store.claim(claim.hook, 10) == []
    opened.clock.advance(0.2)
    (again,) = await opened.store.claim(claim.hook, 10)
    assert (again.delivery, again.body) == (claim.delivery, claim.body)
    assert (again.event, again.number, again.tries) == (claim.event, 2, 1)


async def test_the_last_failure_of_a_schedule_ends_a_delivery(opened: Opened) -> None:
    claim = await claimed(opened)
    await opened.store.record([result_of(claim, opened.clock, 500, schedule_s=())])
    delivery = await the_delivery(opened.store)
    assert (delivery.status, delivery.reason) == ("failed", "gave up after 1 attempt")
    assert delivery.finished_at is not None


# Red without `attempts = ? AND lease_token = ?` in the fence.
async def test_a_stale_worker_cannot_finish_a_rescued_delivery(opened: Opened) -> None:
    claim = await claimed(opened)
    opened.clock.advance(LEASE_S + 1)
    assert await opened.store.rescue() == 1
    (again,) = await opened.store.claim(claim.hook, 1)
    assert await opened.store.record([result_of(claim, opened.clock)]) == [False]
    assert (await the_delivery(opened.store)).status == "sending"
    assert await opened.store.record([result_of(again, opened.clock)]) == [True]
    record = await record_of(opened, claim)
    assert [made.outcome for made in record.attempts] == ["interrupted", "delivered"]
    assert (again.number, again.tries, again.interruptions) == (2, 0, 1)


async def test_the_same_result_twice_is_stored_once(opened: Opened) -> None:
    claim = await claimed(opened)
    result = result_of(claim, opened.clock, 500)
    assert await opened.store.record([result]) == [True]
    assert await opened.store.record([result]) == [True]
    assert len((await record_of(opened, claim)).attempts) == 1
    assert (await the_hook(opened.store, claim.hook)).stats.hourly[-1] == (0, 1)


@pytest.mark.parametrize("status", [200, 500])
async def test_the_same_result_twice_in_a_batch_is_stored_once(opened: Opened, status: int) -> None:
    claim = await claimed(opened)
    result = result_of(claim, opened.clock, status)
    assert await opened.store.record([result, result]) == [True, True]
    assert len((await record_of(opened, claim)).attempts) == 1
    assert sum((await the_hook(opened.store, claim.hook)).stats.hourly[-1]) == 1


async def test_of_a_batch_only_the_stale_result_is_left_out(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store, 3)
    claims = await opened.store.claim(HookId(hook.id), 3)
    claims[1] = replace(claims[1], number=7)
    held = await opened.store.record([result_of(claim, opened.clock) for claim in claims])
    assert held == [True, False, True]


# Red when the results that held are known by their delivery alone: then nothing was recorded.
async def test_a_late_result_and_the_current_one_may_come_in_one_batch(opened: Opened) -> None:
    claim = await claimed(opened)
    opened.clock.advance(LEASE_S + 1)
    await opened.store.rescue()
    (again,) = await opened.store.claim(claim.hook, 1)
    for batch, held in (([claim, again], [False, True]), ([again, claim], [True, False])):
        results = [result_of(one, opened.clock) for one in batch]
        assert await opened.store.record(results) == held
    assert (await the_delivery(opened.store)).status == "delivered"


async def test_a_restart_makes_what_was_being_sent_due_at_once(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store, 600)
    assert len(await opened.store.claim(HookId(hook.id), 600)) == 600
    store = await opened.again()
    assert await store.next_due() == {hook.id: opened.clock.ms}
    claims = await store.claim(HookId(hook.id), 1000)
    assert len(claims) == 600
    assert {(claim.number, claim.tries, claim.interruptions) for claim in claims} == {(2, 0, 1)}
    assert (await the_hook(store, hook)).stats.waiting == 600


async def test_a_crash_loop_never_uses_up_the_schedule(opened: Opened) -> None:
    claim = await claimed(opened)
    for _ in range(12):
        store = await opened.again()
        delivery = await the_delivery(store)
        assert delivery.status == "pending"
        if delivery.reason is not None:
            assert delivery.reason == "interrupted 10 times in a row"
            opened.clock.advance(300)
        (again,) = await store.claim(claim.hook, 1)
    assert (again.number, again.tries) == (13, 0)


async def test_a_lease_that_runs_is_not_rescued(opened: Opened) -> None:
    await claimed(opened)
    opened.clock.advance(LEASE_S - 1)
    assert await opened.store.rescue() == 0


async def test_released_jobs_are_due_at_once_and_uncounted(opened: Opened) -> None:
    claim = await claimed(opened)
    heard = Heard(opened.store)
    await opened.store.release([claim])
    assert heard.due == {claim.hook: opened.clock.ms}
    (again,) = await opened.store.claim(claim.hook, 1)
    assert (again.number, again.tries, again.interruptions) == (1, 0, 0)
    await opened.store.release([claim, replace(again, number=5)])
    assert (await the_delivery(opened.store)).status == "pending"


# Red when it is due from now on: behind a backlog of an hour it waits for another hour.
async def test_a_released_first_attempt_is_before_what_came_later(opened: Opened) -> None:
    claim = await claimed(opened)
    opened.clock.advance(1)
    await emit(opened.store)
    opened.clock.advance(3_600)
    await opened.store.release([claim])
    (again,) = await opened.store.claim(claim.hook, 1)
    assert again.delivery == claim.delivery


# Red when what was given back is known by its delivery alone.
async def test_a_stale_job_released_beside_the_current_one_notifies_nobody(
    opened: Opened,
) -> None:
    store = opened.store
    claim = await claimed(opened)
    opened.clock.advance(LEASE_S + 1)
    await store.rescue()
    (again,) = await store.claim(claim.hook, 1)
    end = store.feed_end()
    await store.release([claim, again, claim])
    told = [item.object for item in (await store.feed(end, 10)).items]
    assert told == [await the_delivery(store)]


async def test_claims_take_the_oldest_due_first(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    for body in (b"1", b"2", b"3"):
        await emit(opened.store, body=body)
        opened.clock.advance(1)
    (first,) = await opened.store.claim(HookId(hook.id), 1)
    rest = await opened.store.claim(HookId(hook.id), 10)
    assert [claim.body for claim in (first, *rest)] == [b"1", b"2", b"3"]


async def one_retry_and_then_first_tries(opened: Opened) -> HookId:
    """A retry that is due for long, and two first tries that are due since."""
    store, clock = opened.store, opened.clock
    hook = await make_hook(store)
    await emit(store, body=b"again")
    await attempt(store, clock, hook, 500)
    clock.advance(60)
    for body in (b"1", b"2"):
        await emit(store, body=body)
        clock.advance(1)
    return HookId(hook.id)


# Red when both are claimed by one index over the due time.
async def test_first_tries_go_before_late_retries(opened: Opened) -> None:
    hook = await one_retry_and_then_first_tries(opened)
    (first,) = await opened.store.claim(hook, 1)
    rest = await opened.store.claim(hook, 10)
    assert [claim.body for claim in (first, *rest)] == [b"1", b"2", b"again"]


async def test_by_age_the_oldest_due_goes_first_whether_it_was_tried_or_not(
    opened: Opened,
) -> None:
    hook = await one_retry_and_then_first_tries(opened)
    (first,) = await opened.store.claim(hook, 1, by_age=True)
    rest = await opened.store.claim(hook, 10, by_age=True)
    assert [claim.body for claim in (first, *rest)] == [b"again", b"1", b"2"]


async def test_an_interrupted_first_try_is_still_one(opened: Opened) -> None:
    hook = await one_retry_and_then_first_tries(opened)
    await opened.store.claim(hook, 1)
    opened.clock.advance(LEASE_S + 1)
    await opened.store.rescue()
    claims = await opened.store.claim(hook, 10)
    assert [(claim.body, claim.number) for claim in claims] == [(b"2", 1), (b"1", 2), (b"again", 2)]


async def test_the_next_due_is_the_earlier_of_first_tries_and_retries(opened: Opened) -> None:
    store, clock = opened.store, opened.clock
    hook = await one_retry_and_then_first_tries(opened)
    oldest_ms = clock.ms - 57_000  # the retry, which came 62 s ago and was to wait for 5
    assert await store.next_due() == {hook: oldest_ms}
    backlog = await store.read(queries.backlog, DEFAULT, clock.ms)
    assert from_rfc3339(backlog.oldest_due_at or "") == oldest_ms
    await store.claim(hook, 1, by_age=True)
    assert await store.next_due() == {hook: clock.ms - 2000}


async def test_an_ordered_hook_sends_one_at_a_time_and_a_retry_holds_the_line(
    opened: Opened,
) -> None:
    store, clock = opened.store, opened.clock
    hook = await make_hook(store, ordered=True)
    await emit(store, body=b"1")
    await emit(store, body=b"2")
    (first,) = await store.claim(HookId(hook.id), 10)
    assert first.body == b"1"
    assert await store.claim(HookId(hook.id), 10) == []
    assert await store.next_due() == {}
    await store.record([result_of(first, clock, 500)])
    assert await store.claim(HookId(hook.id), 10) == []
    assert await store.next_due() == {hook.id: clock.ms + 5000}
    clock.advance(6)
    (again,) = await store.claim(HookId(hook.id), 10)
    assert again.body == b"1"
    await store.record([result_of(again, clock)])
    assert [claim.body for claim in await store.claim(HookId(hook.id), 10)] == [b"2"]


async def test_the_end_of_one_delivery_tells_that_the_next_of_an_ordered_hook_is_due(
    opened: Opened,
) -> None:
    store, clock = opened.store, opened.clock
    hook = await make_hook(store, ordered=True)
    await emit(store, 2)
    (first,) = await store.claim(HookId(hook.id), 1)
    # The engine has a free slot before the result is stored: it asks in vain and learns no time.
    assert await store.claim(HookId(hook.id), 1) == []
    assert await store.next_due([HookId(hook.id)]) == {}
    heard = Heard(store)
    await store.record([result_of(first, clock)])
    assert heard.due == {hook.id: clock.ms}


async def test_a_410_disables_the_hook_and_holds_the_rest(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    await emit(store, 2)
    (claim,) = await store.claim(HookId(hook.id), 1)
    heard = Heard(store)
    await store.record([result_of(claim, opened.clock, 410)])
    assert heard.changed == {hook.id}
    assert not store.hooks()[hook.id].active
    after = await the_hook(store, hook)
    assert (after.active, after.disabled_reason) == (False, "receiver answered 410 Gone")
    assert (after.version, after.stats.waiting, after.stats.held) == (2, 0, 1)
    assert [(one.status, one.held) for one in await deliveries(store)] == [
        ("failed", False),
        ("pending", True),
    ]
    assert await store.claim(HookId(hook.id), 10) == []
    assert await store.next_due() == {}
    assert (await emit(store))[0].skipped == 1
    await assert_audited(opened, hook, "receiver answered 410 Gone")


async def assert_audited(opened: Opened, hook: Hook, reason: str) -> None:
    """See that the server wrote down what it did itself, once, at the end of the chain."""
    store = opened.store
    trail = select(AUDIT).order_by(AUDIT.c.id.desc())
    newest, before = await store.read(lambda conn: conn.execute(trail).mappings().fetchmany(2))
    assert (newest["user"], newest["origin"]) == ("hooktui", "the server itself")
    assert (newest["action"], newest["target"]) == ("hook.change", f"hook {hook.id}")
    assert newest["account_id"] == DEFAULT
    assert json.loads(newest["before"]) == {"active": True}
    assert json.loads(newest["after"]) == {"active": False, "disabled_reason": reason}
    assert before["user"] == "ada"
    assert (await store.read(check_chain, store.vault)).broken is None


async def test_what_was_held_goes_on_when_the_hook_is_enabled(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    await emit(store)
    for active in (False, True):
        edit = settings(active=active)
        heard = Heard(store)
        await store.write(changes.change_hook, ADA, DEFAULT, hook.id, lambda _, e=edit: e)
        assert (await the_delivery(store)).held != active
    assert heard.due == {hook.id: opened.clock.ms}
    assert await attempt(store, opened.clock, hook) == [True]


async def test_a_result_for_a_hook_deleted_meanwhile_is_kept_and_not_retried(
    opened: Opened,
) -> None:
    claim = await claimed(opened)
    await opened.store.write(changes.delete_hook, ADA, DEFAULT, claim.hook)
    assert (await the_delivery(opened.store)).status == "sending"
    assert await opened.store.record([result_of(claim, opened.clock, 500)]) == [True]
    record = await record_of(opened, claim)
    assert (record.delivery.status, record.delivery.reason) == ("cancelled", "hook deleted")
    assert len(record.attempts) == 1


async def test_a_ping_is_leased_from_the_start_also_on_an_inactive_hook(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store, active=False)
    claim = await store.claim_ping(HookId(hook.id), b'{"ping": 1}')
    assert (claim.trigger, claim.event_type, claim.number) == (Trigger.PING, "ping", 1)
    await store.record([result_of(claim, opened.clock, 500)])
    delivery = await the_delivery(store)
    assert (delivery.status, delivery.trigger) == ("failed", "ping")
    stats = (await the_hook(store, hook)).stats
    assert (stats.last_status, stats.success_24h, stats.held) == (500, None, 0)


async def test_a_ping_to_a_hook_that_is_not_there_is_not_found(opened: Opened) -> None:
    with pytest.raises(NotFound, match="hook 9"):
        await opened.store.claim_ping(HookId(9), b"{}")


async def test_a_ping_that_was_not_sent_is_cancelled(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    claim = await opened.store.claim_ping(HookId(hook.id), b"{}")
    await opened.store.release([claim])
    assert (await the_delivery(opened.store)).status == "cancelled"
    assert (await the_hook(opened.store, hook)).stats.waiting == 0


async def test_statistics_count_attempts_and_their_durations(opened: Opened) -> None:
    store, clock = opened.store, opened.clock
    hook = await make_hook(store)
    _, claims = await store.accept([offer()] * 100, always)
    results = [
        result_of(claim, clock, 200 if place < 90 else 503, took_ms=40 if place < 95 else 1500)
        for place, claim in enumerate(claims)
    ]
    await store.record(results)
    stats = (await the_hook(store, hook)).stats
    assert (stats.success_24h, stats.p95_ms, stats.last_status) == (0.9, 50, 503)
    assert stats.hourly[-1] == (90, 10)
    assert (stats.waiting, sum(map(sum, stats.hourly))) == (10, 100)


# Red when they count until then: all attempts failed, as the certificates had ended by that clock.
async def test_what_a_clock_far_ahead_counted_is_not_of_the_last_day(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    opened.clock.jump(400 * 86_400)
    await emit(opened.store, 2)
    await attempt(opened.store, opened.clock, hook, 500)
    opened.clock.jump(-400 * 86_400)
    _, claims = await opened.store.accept([offer()], always)
    await opened.store.record([result_of(claim, opened.clock) for claim in claims])
    stats = (await the_hook(opened.store, hook)).stats
    assert (stats.success_24h, sum(map(sum, stats.hourly))) == (1.0, 1)


# Red when a hook whose receiver breaks off its 200 was shown as active, last 200.
@pytest.mark.parametrize(
    ("code", "error", "last"),
    [
        (None, ErrorClass.TLS, "tls"), (200, ErrorClass.RESET, "reset"),
        (302, ErrorClass.REDIRECT, 302),
    ],
)  # fmt: skip
async def test_an_error_without_a_complete_answer_is_the_last_status(
    opened: Opened, code: int | None, error: ErrorClass, last: int | str
) -> None:
    claim = await claimed(opened)
    await opened.store.record([result_of(claim, opened.clock, code, error)])
    assert (await the_hook(opened.store, claim.hook)).stats.last_status == last
    record = await record_of(opened, claim)
    assert (record.delivery.last_status, record.attempts[0].error) == (last, error)
    found = await opened.store.read(
        queries.list_hooks, DEFAULT, PageRequest(sort="id"), "status:retrying"
    )
    assert [hook.id for hook in found.data] == [claim.hook]


async def test_the_secrets_that_signed_can_be_had_again_after_a_rotation(opened: Opened) -> None:
    claim = await claimed(opened)
    store = opened.store
    (secret,) = store.hooks()[claim.hook].secrets
    await store.record([result_of(claim, opened.clock, secret_ids=(secret.id,))])
    await store.write(changes.rotate_secret, ADA, DEFAULT, claim.hook, "x" * 20, 0)
    record = await record_of(opened, claim)
    assert record.last_secret_ids == (secret.id,)
    (again,) = await store.signing_secrets(claim.hook, record.last_secret_ids)
    assert (again.id, again.value) == (secret.id, secret.value)
    assert record.last_started_at_ms == opened.clock.ms - 20


async def test_a_delivery_shows_the_id_that_its_job_has(opened: Opened) -> None:
    claim = await claimed(opened)
    delivery = await the_delivery(opened.store)
    assert decode("dlv", delivery.id) == claim.delivery
    assert delivery.status == DeliveryStatus.SENDING


async def moved(opened: Opened, claims: int) -> list[ClaimedDelivery]:
    """Claim deliveries of a hook, then change its URL."""
    hook = await make_hook(opened.store)
    await emit(opened.store, claims)
    found = await opened.store.claim(HookId(hook.id), claims)
    edited = settings(url="https://new.example.com/in")
    await opened.store.write(changes.change_hook, ADA, DEFAULT, hook.id, lambda _: edited)
    return found


# Red when a result does not say where it comes from: the hook with the new URL was disabled.
async def test_a_late_410_of_an_earlier_url_does_not_disable_a_hook(opened: Opened) -> None:
    late, current = await moved(opened, 2)
    old, new = settings().url, "https://new.example.com/in"
    result = result_of(late, opened.clock, 410)
    assert result.decision.disable is not None
    assert await opened.store.record([replace(result, url=old)]) == [True]
    hook = await the_hook(opened.store, late.hook)
    assert (hook.active, hook.stats.last_status) == (True, 410)
    first, _ = await deliveries(opened.store)
    assert first.status == "failed"
    (alert,) = await alerts(opened)
    assert alert.key == f"delivery.gave_up:{late.hook}:http_410"
    again = replace(result_of(current, opened.clock, 410), url=new)
    await opened.store.record([again])
    assert not (await the_hook(opened.store, late.hook)).active


async def test_late_failures_of_an_earlier_url_do_not_open_the_breaker(opened: Opened) -> None:
    late = await moved(opened, FAILURES_TO_OPEN + 1)
    old = settings().url
    results = [replace(result_of(claim, opened.clock, 503), url=old) for claim in late]
    await opened.store.record(results)
    hook = await the_hook(opened.store, late[0].hook)
    assert (hook.stats.breaker, hook.stats.failing) == ("closed", False)
    assert hook.stats.hourly[-1] == (0, len(late))


# Red when it is a ping by its trigger alone: it was tried for three days, and opened an alert.
async def test_a_ping_that_is_resent_is_not_retried_and_counts_for_nothing(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    claim = await opened.store.claim_ping(HookId(hook.id), b"{}")
    await opened.store.record([result_of(claim, opened.clock, 422)])
    ping = await the_delivery(opened.store)
    identity = DeliveryId(decode("dlv", ping.id))
    again, is_new = await opened.store.write(changes.resend, ADA, None, identity)
    assert is_new
    (claim,) = await opened.store.claim(HookId(hook.id), 1)
    assert encode("dlv", claim.delivery) == again.id
    assert (claim.trigger, claim.retry_state.trigger) == (Trigger.RESEND, Trigger.PING)
    exchange = Exchange(status_code=500, error=ErrorClass.STATUS, total_ms=1.0)
    decision = after_exchange(claim.retry_state, exchange, (5, 5), 0.5, None)
    result = result_of(claim, opened.clock, 500, decision=decision)
    assert await opened.store.record([result]) == [True]
    assert [row.status for row in await deliveries(opened.store)] == ["failed", "failed"]
    query = select(HOOK_STATE.c.failed_since_success).where(HOOK_STATE.c.hook_id == hook.id)
    assert (await opened.store.read(lambda conn: conn.execute(query).one()))[0] == 0
