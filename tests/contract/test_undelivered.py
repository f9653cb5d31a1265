"""Groups of undelivered events: what they count, and how they are given up or cancelled."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import insert, select, update

from hooktui.domain.clock import from_rfc3339, to_rfc3339
from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.errors import Conflict, NotFound
from hooktui.domain.filters.parser import parse
from hooktui.domain.ids import AccountId, DeliveryId, HookId, decode, encode
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.undelivered import UndeliveredGroup, UndeliveredPage
from hooktui.store import changes, queries
from hooktui.store.changes import deliveries as delivery_changes
from hooktui.store.contract import ClaimedDelivery
from hooktui.store.queries import deliveries as delivery_queries
from hooktui.store.queries import delivery_indexes, pace, pages, undelivered
from hooktui.store.queries.pace import Pace
from hooktui.store.queries.pages import PageRequest
from hooktui.store.sqlite.store import SqliteStore
from hooktui.store.tables import ALERT, CAUSE_BACKFILL, DELIVERY, HOOK_STATE
from hooktui.store.tx import Tx
from tests.support.stores import (
    ADA,
    BOB,
    DEFAULT,
    Opened,
    attempt,
    deliveries,
    delivery_query,
    emit,
    make_hook,
    result_of,
)

FIRST = PageRequest()
NEWEST = PageRequest(order="desc")


async def listed(
    opened: Opened,
    page: PageRequest = FIRST,
    account: AccountId = DEFAULT,
    kept_since_ms: int = 0,
    **wanted: object,
) -> UndeliveredPage:
    return await opened.store.read(
        queries.list_undelivered,
        account,
        page,
        queries.UndeliveredQuery(**wanted),
        now_ms=opened.clock.ms,
        kept_since_ms=kept_since_ms,
    )


async def counts(opened: Opened, **wanted: object) -> dict[tuple[int, str], tuple[int, int, int]]:
    found = await listed(opened, **wanted)
    return {(g.hook, g.cause): (g.count, g.gave_up, g.retrying) for g in found.data}


async def the_group(opened: Opened, **wanted: object) -> UndeliveredGroup:
    (group,) = (await listed(opened, **wanted)).data
    return group


async def fail(
    opened: Opened,
    hook: Hook,
    count: int = 1,
    code: int | None = 503,
    error: ErrorClass | None = None,
    *,
    gave_up: bool = True,
) -> list[ClaimedDelivery]:
    """Send events that fail; the schedule ends with them, or goes on."""
    await emit(opened.store, count)
    opened.clock.advance(1)
    claims = await opened.store.claim(HookId(hook.id), count)
    schedule = () if gave_up else (5, 300)
    await opened.store.record(
        [result_of(claim, opened.clock, code, error, schedule_s=schedule) for claim in claims]
    )
    return claims


async def set_active(opened: Opened, hook: Hook, active: bool, actor=ADA) -> None:
    await opened.store.write(
        changes.change_hook,
        actor,
        DEFAULT,
        HookId(hook.id),
        lambda settings: replace(settings, active=active),
    )


async def give_up(
    opened: Opened, hook: Hook, cause: str, until_ms: int | None = None, after=None
) -> tuple[int, int, int | None]:
    until_ms = opened.clock.ms if until_ms is None else until_ms
    write = opened.store.write
    return await write(changes.give_up, BOB, None, HookId(hook.id), cause, until_ms, after)


async def test_groups_are_hooks_with_a_cause(opened: Opened) -> None:
    hook = await make_hook(opened.store, name="Slack relay")
    await fail(opened, hook, 2)
    await fail(opened, hook, 1, gave_up=False)
    await fail(opened, hook, 1, None, ErrorClass.DNS)
    assert await counts(opened) == {(hook.id, "dns"): (1, 1, 0), (hook.id, "http_5xx"): (3, 2, 1)}
    found = await listed(opened)
    totals = found.totals
    assert (totals.count, totals.gave_up, totals.retrying) == (4, 3, 1)
    assert (totals.held, totals.skipped) == (0, 0)
    assert (found.total, found.total_is_estimate, found.counting_until) == (2, False, None)
    group = found.data[1]
    of_group = await deliveries(opened.store, q="cause:http_5xx")
    assert (group.oldest_at, group.newest_at) == (of_group[0].created_at, of_group[-1].created_at)
    assert group.example is not None
    assert group.example.delivery == of_group[-1].id
    assert (group.example.event_type, group.example.last_status) == ("job.failed", 503)
    assert (group.name, group.waits_for, group.count_is_estimate) == ("Slack relay", None, False)
    assert (group.state, group.state_by, group.state_until) == ("open", None, None)
    assert group.alert is not None


async def test_a_delivered_event_leaves_its_group(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await fail(opened, hook, gave_up=False)
    opened.clock.advance(10_000)
    await attempt(opened.store, opened.clock, hook, 200)
    assert await counts(opened) == {}


async def test_groups_of_other_accounts_and_deleted_hooks_are_not_shown(opened: Opened) -> None:
    other = (await opened.store.write(changes.create_account, ADA, "other")).id
    hook = await make_hook(opened.store)
    await fail(opened, hook)
    await set_active(opened, hook, False)
    await emit(opened.store)
    assert len(await counts(opened)) == 2
    assert (await listed(opened, account=other)).totals.count == 0
    await opened.store.write(changes.delete_hook, ADA, None, HookId(hook.id))
    assert await counts(opened) == {}


async def test_what_waits_for_a_disabled_hook_is_held(opened: Opened) -> None:
    # Red when retrying deliveries count as held ones too.
    hook = await make_hook(opened.store)
    await fail(opened, hook, 2, gave_up=False)
    await emit(opened.store)
    opened.clock.advance(1)
    await emit(opened.store)
    assert (hook.id, "held") not in await counts(opened)
    await set_active(opened, hook, False)
    assert await counts(opened) == {
        (hook.id, "held"): (2, 0, 0), (hook.id, "http_5xx"): (2, 0, 2),
    }  # fmt: skip
    found = await listed(opened)
    assert (found.totals.count, found.totals.held, found.totals.retrying) == (4, 2, 2)
    group = await the_group(opened, cause="held")
    held = await deliveries(opened.store, q="status:held -cause:*")
    assert (group.oldest_at, group.newest_at) == (held[0].created_at, held[-1].created_at)
    assert group.example is not None
    assert group.example.delivery == held[-1].id
    assert group.waits_for == "disabled"
    await set_active(opened, hook, True)
    assert await counts(opened) == {(hook.id, "http_5xx"): (2, 0, 2)}


# Red when held deliveries are ordered by their next attempt: a resend makes the first the last.
async def test_a_held_group_is_from_its_oldest_to_its_newest_delivery(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    for _ in range(3):
        await emit(opened.store)
        opened.clock.advance(1)
    await set_active(opened, hook, False)
    held = await deliveries(opened.store)
    await opened.store.write(changes.resend, ADA, None, DeliveryId(decode("dlv", held[0].id)))
    group = await the_group(opened, cause="held")
    assert (group.oldest_at, group.newest_at) == (held[0].created_at, held[2].created_at)
    assert group.example is not None
    assert group.example.delivery == held[2].id
    until_ms = from_rfc3339(group.newest_at)
    args = (ADA, None, HookId(hook.id), "held", until_ms)
    assert (await opened.store.write(changes.give_up, *args)).cancelled == 3


async def test_skipped_events_stay_a_group_after_the_hook_is_enabled(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await set_active(opened, hook, False, BOB)
    first, _ = await emit(opened.store, 2)
    opened.clock.advance(5)
    (last,) = await emit(opened.store)
    await opened.store.write(  # a later change of another user, who did not disable it
        changes.change_hook, ADA, DEFAULT, HookId(hook.id), lambda s: replace(s, name="new")
    )
    group = await the_group(opened)
    assert (group.cause, group.count, group.gave_up, group.retrying) == ("skipped", 3, 0, 0)
    events = (await opened.store.read(queries.list_events, DEFAULT, FIRST)).data
    created = {event.id: event.created_at for event in events}
    assert group.oldest_at == created[encode("evt", first.id)]
    assert group.newest_at == created[encode("evt", last.id)]
    assert group.example is None
    assert (group.state, group.state_by) == ("acknowledged", "bob")
    assert await counts(opened, state="open") == {}
    assert (await listed(opened)).totals.skipped == 3
    await set_active(opened, hook, True)
    group = await the_group(opened)
    assert (group.count, group.state, group.state_by) == (3, "open", None)


async def test_a_hook_that_the_server_disabled_leaves_its_skipped_events_open(
    opened: Opened,
) -> None:
    hook = await make_hook(opened.store)
    await fail(opened, hook, code=410)
    await emit(opened.store)
    group = await the_group(opened, cause="skipped")
    assert (group.state, group.waits_for) == ("open", "disabled")


async def test_old_skipped_events_are_an_estimate(opened: Opened) -> None:
    hook = await make_hook(opened.store, active=False)
    await emit(opened.store)
    at_ms = opened.clock.ms
    assert not (await listed(opened, kept_since_ms=at_ms)).data[0].count_is_estimate
    opened.clock.advance(10_000)
    group = (await listed(opened, kept_since_ms=at_ms + 1)).data[0]
    assert (group.hook, group.count_is_estimate) == (hook.id, True)


async def test_a_purge_shrinks_groups(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await fail(opened, hook, 2)
    opened.clock.advance(10_000)
    await fail(opened, hook)
    await opened.store.purge(opened.clock.ms - 5_000, within_s=60)
    assert await counts(opened) == {(hook.id, "http_5xx"): (1, 1, 0)}


async def test_the_alert_of_a_group_is_its_state(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await fail(opened, hook, gave_up=False)
    assert (await the_group(opened)).alert is None
    await fail(opened, hook)
    group = await the_group(opened)
    assert group.alert is not None
    assert (group.state, group.state_by) == ("open", None)
    alert = decode("alr", group.alert)
    await opened.store.write(changes.acknowledge_alert, ADA, None, alert)
    group = await the_group(opened)
    assert (group.state, group.state_by) == ("acknowledged", "ada")
    assert await counts(opened, state="open") == {}
    assert len(await counts(opened, state="acknowledged")) == 1
    for_s = 1_800_000_000 - opened.clock.ms / 1000
    await opened.store.write(changes.snooze_alert, ADA, None, alert, for_s)
    group = await the_group(opened)
    assert (group.state, group.state_until) == ("snoozed", "2027-01-15T08:00:00.000Z")
    resolved = update(ALERT).where(ALERT.c.id == alert).values(state="resolved")
    await opened.store.write(lambda tx: tx.conn.execute(resolved) and None)
    assert (await the_group(opened)).alert is None


async def open_breaker(opened: Opened, hook: Hook) -> str:
    """Open the breaker of a hook; return when it is probed."""
    until_ms = opened.clock.ms + 60_000
    state = update(HOOK_STATE).where(HOOK_STATE.c.hook_id == hook.id)
    opening = state.values(breaker="open", breaker_until=until_ms)
    await opened.store.write(lambda tx: tx.conn.execute(opening) and None)
    return to_rfc3339(until_ms)


async def held_up(opened: Opened) -> list[tuple[str, str | None, bool]]:
    """What holds up the deliveries, the newest first."""
    found = await opened.store.read(queries.list_deliveries, DEFAULT, NEWEST)
    return [(one.status, one.probe_at, one.paused) for one in found.data]


async def test_groups_wait_for_a_breaker_or_the_end_of_a_pause(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await fail(opened, hook)
    await opened.store.write(changes.pause, ADA)
    assert (await the_group(opened)).waits_for == "paused"
    await open_breaker(opened, hook)
    assert (await the_group(opened)).waits_for == "breaker"
    await set_active(opened, hook, False)
    assert (await the_group(opened)).waits_for == "disabled"


# Red when a list does not say what holds a delivery up, or says it of one that has ended.
async def test_deliveries_say_that_a_breaker_or_a_pause_holds_them_up(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await fail(opened, hook)
    await emit(opened.store)
    failed = ("failed", None, False)
    assert await held_up(opened) == [("pending", None, False), failed]
    await opened.store.write(changes.pause, ADA)
    assert await held_up(opened) == [("pending", None, True), failed]
    probe_at = await open_breaker(opened, hook)
    assert await held_up(opened) == [("pending", probe_at, True), failed]
    await opened.store.write(changes.resume, ADA)
    assert await held_up(opened) == [("pending", probe_at, False), failed]


async def test_a_page_says_what_is_not_counted_yet(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    (claim,) = await fail(opened, hook)

    def note(tx) -> None:
        tx.conn.execute(insert(CAUSE_BACKFILL).values(id=1, after=claim.delivery, until=2**62))

    await opened.store.write(note)
    found = await listed(opened)
    assert found.counting_until is not None
    assert found.counting_until[:20] == found.data[0].newest_at[:20]


@pytest.fixture
async def many(opened: Opened) -> list[tuple[int, str]]:
    """Groups of three hooks, by hook and cause, the oldest first."""
    made = []
    for number in range(3):
        hook = await make_hook(opened.store, name=f"h{number}")
        for code, count in ((404, 2), (500, 3 - number), (302, 1)):
            await fail(opened, hook, count, code)
            made.append((hook.id, {404: "http_404", 500: "http_5xx"}.get(code, "redirect")))
            opened.clock.advance(1000)
        await set_active(opened, hook, False)
    await opened.store.write(
        lambda tx: tx.conn.execute(update(HOOK_STATE).values(skipped=0)) and None
    )
    return made


async def test_groups_are_paged_both_ways_in_every_order(opened: Opened, many) -> None:
    for sort in (None, "newest_at", "oldest_at", "count", "hook"):
        for order in (None, "asc", "desc"):
            await check_pages(opened, many, sort, order)


async def check_pages(opened: Opened, many, sort: str | None, order: str | None) -> None:
    whole = await listed(opened, PageRequest(sort=sort, order=order))
    names = [(group.hook, group.cause) for group in whole.data]
    assert Counter(names) == Counter(many)
    assert (whole.next, whole.prev, whole.total) == (None, None, 9)
    values = {
        "count": [group.count for group in whole.data],
        "hook": [group.hook for group in whole.data],
        "oldest_at": [group.oldest_at for group in whole.data],
    }.get(sort or "", [group.newest_at for group in whole.data])
    falls = order == "desc" or (sort is None and order is None)
    assert values == sorted(values, reverse=falls)
    walked, request, last = [], PageRequest(sort=sort, order=order, limit=4), None
    while True:
        page = await listed(opened, request)
        assert (page.total, page.totals.count) == (9, whole.totals.count)
        walked += page.data
        last = page
        if page.next is None:
            break
        request = PageRequest(limit=4, cursor=page.next)
    assert [(group.hook, group.cause) for group in walked] == names
    back = await listed(opened, PageRequest(limit=4, cursor=last.prev))
    assert [(group.hook, group.cause) for group in back.data] == names[4:8]
    end = await listed(opened, PageRequest(sort=sort, order=order, limit=2, from_end=True))
    assert [(group.hook, group.cause) for group in end.data] == names[-2:]
    assert end.next is None


async def test_groups_are_narrowed_but_not_their_totals(opened: Opened, many) -> None:
    hooks = sorted({hook for hook, _ in many})
    assert len(await counts(opened, hooks=hooks[:2])) == 6
    assert len(await counts(opened, cause="http_404")) == 3
    assert list(await counts(opened, hooks=hooks[:1], cause="http_404")) == [(hooks[0], "http_404")]
    assert (await listed(opened, hooks=hooks[:1])).totals.count == 15


async def test_more_entries_than_are_counted_are_estimated(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = await make_hook(opened.store)
    for _ in range(10):
        await fail(opened, hook, 2)
        opened.clock.advance(1000)
    await fail(opened, hook, 1, None, ErrorClass.DNS)
    monkeypatch.setattr(undelivered, "_MAX_COUNTED", 21)
    assert (hook.id, "dns") in await counts(opened)
    assert not any(group.count_is_estimate for group in (await listed(opened)).data)
    monkeypatch.setattr(undelivered, "_MAX_COUNTED", 12)
    monkeypatch.setattr(undelivered, "_MIN_COUNTED", 1)
    groups = {group.cause: group for group in (await listed(opened)).data}
    assert groups["http_5xx"].count_is_estimate
    assert 15 <= groups["http_5xx"].count <= 30
    assert groups["http_5xx"].gave_up == groups["http_5xx"].count
    assert (groups["dns"].count, groups["dns"].count_is_estimate) == (1, False)


# Red when a query inside of a change ends its slice: on SQLite that committed the change.
async def test_a_query_of_a_change_does_not_pause(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = await make_hook(opened.store)
    await fail(opened, hook, 2)
    monkeypatch.setattr(pace, "SLICE_S", 0)
    if isinstance(opened.store, SqliteStore):
        monkeypatch.setattr(opened.store._writer, "_threaded", True)

    def run(tx: Tx) -> int:
        pauses = Pace(tx.conn)
        queries.get_undelivered(tx.conn, DEFAULT, HookId(hook.id), "http_5xx", now_ms=tx.now_ms)
        pauses.rest_when_due()
        return pauses.rests

    assert await opened.store.write(run) == 0


# Giving up


async def test_give_up_forgets_dead_letters_and_cancels_the_rest(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    dead = await fail(opened, hook, 2)
    retrying = await fail(opened, hook, 1, gave_up=False)
    opened.clock.advance(10_000)
    until_ms = opened.clock.ms
    opened.clock.advance(10_000)
    (sending,) = await opened.store.claim(HookId(hook.id), 1)
    assert sending.delivery == retrying[0].delivery
    await opened.store.release([sending])
    await fail(opened, hook)
    await fail(opened, hook, 1, 404)
    before = opened.store.feed_end()
    assert await give_up(opened, hook, "http_5xx", until_ms) == (2, 1, None)
    assert await counts(opened) == {
        (hook.id, "http_404"): (1, 1, 0),
        (hook.id, "http_5xx"): (1, 1, 0),
    }
    by_id = {decode("dlv", one.id): one for one in await deliveries(opened.store)}
    assert [by_id[one.delivery].status for one in dead] == ["failed", "failed"]
    cancelled = by_id[retrying[0].delivery]
    assert (cancelled.status, cancelled.reason) == ("cancelled", "given up by bob")
    assert (await opened.store.read(queries.get_hook, None, HookId(hook.id))).stats.waiting == 0
    lines = (await opened.store.feed(before, 100)).items
    changed = {line.object.id: line.object.cause for line in lines}
    expected = {encode("dlv", one.delivery) for one in (*dead, *retrying)}
    assert changed == dict.fromkeys(expected)


async def test_give_up_leaves_what_is_being_sent(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await fail(opened, hook, 1, gave_up=False)
    opened.clock.advance(10_000)
    (claim,) = await opened.store.claim(HookId(hook.id), 1)
    assert await give_up(opened, hook, "http_5xx") == (0, 0, None)
    assert await opened.store.record([result_of(claim, opened.clock, 503, schedule_s=())]) == [True]
    assert await counts(opened) == {(hook.id, "http_5xx"): (1, 1, 0)}


async def test_give_up_works_in_parts_and_each_part_stays(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_changes, "_CANCELLED_AT_ONCE", 2)
    hook = await make_hook(opened.store)
    await fail(opened, hook, 3)
    await fail(opened, hook, 2, gave_up=False)
    given_up, cancelled, after = await give_up(opened, hook, "http_5xx")
    assert (given_up, cancelled) == (2, 0)
    await opened.again()
    assert await counts(opened) == {(hook.id, "http_5xx"): (3, 1, 2)}
    given_up, cancelled, after = await give_up(opened, hook, "http_5xx", after=after)
    assert (given_up, cancelled) == (1, 1)
    given_up, cancelled, after = await give_up(opened, hook, "http_5xx", after=after)
    assert (given_up, cancelled, after) == (0, 1, None)
    assert await counts(opened) == {}


async def audited(opened: Opened) -> list[tuple[str, str, object]]:
    page = await opened.store.read(
        queries.list_audit, None, PageRequest(), queries.AuditQuery(user="bob")
    )
    return [(entry.action, entry.target, entry.after) for entry in reversed(page.data)]


async def test_the_first_part_of_a_give_up_writes_its_audit_entry(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Red when the entry follows in a later transaction: a kill in between leaves none.
    monkeypatch.setattr(delivery_changes, "_CANCELLED_AT_ONCE", 1)
    hook = await make_hook(opened.store)
    await fail(opened, hook, 3)
    assert await give_up(opened, hook, "http_5xx", until_ms=0) == (0, 0, None)
    assert await audited(opened) == []
    *_, after = await give_up(opened, hook, "http_5xx")
    scope = {"cause": "http_5xx", "until": to_rfc3339(opened.clock.ms)}
    assert await audited(opened) == [("undelivered.give_up", f"hook {hook.id}", scope)]
    args = (BOB, None, HookId(hook.id), "http_5xx", opened.clock.ms, after)
    assert (await opened.store.write(changes.give_up, *args, audited=True)).given_up == 1
    assert len(await audited(opened)) == 1


async def test_giving_up_skipped_events_is_audited(opened: Opened) -> None:
    hook = await make_hook(opened.store, active=False)
    await emit(opened.store, 2)
    assert await give_up(opened, hook, "skipped") == (2, 0, None)
    scope = {"cause": "skipped", "until": to_rfc3339(opened.clock.ms)}
    assert await audited(opened) == [("undelivered.give_up", f"hook {hook.id}", scope)]


async def test_give_up_cancels_held_deliveries_only_while_held(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await fail(opened, hook, 1, gave_up=False)
    await emit(opened.store, 2)
    with pytest.raises(NotFound):
        await give_up(opened, hook, "held")
    await set_active(opened, hook, False)
    until_ms = opened.clock.ms
    assert await give_up(opened, hook, "held", until_ms) == (0, 2, None)
    assert await counts(opened) == {(hook.id, "http_5xx"): (1, 0, 1)}


async def test_give_up_of_skipped_events_leaves_later_ones(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Red when the count is set to 0 whatever was skipped after the given time.
    hook = await make_hook(opened.store, active=False)
    await make_hook(opened.store, filter="data.a:1")
    await emit(opened.store, 3)
    until_ms = opened.clock.ms
    opened.clock.advance(10)
    first, last = await emit(opened.store, 2)
    assert await give_up(opened, hook, "skipped", until_ms) == (3, 0, None)
    columns = (HOOK_STATE.c.skipped, HOOK_STATE.c.skipped_first, HOOK_STATE.c.skipped_last)
    state = select(*columns).where(HOOK_STATE.c.hook_id == hook.id)
    found = await opened.store.read(lambda conn: tuple(conn.execute(state).one()))
    assert found == (2, first.id, last.id)
    monkeypatch.setattr(delivery_changes, "_SKIPS_READ", 1)
    with pytest.raises(Conflict, match="later time"):
        await give_up(opened, hook, "skipped", until_ms)
    assert await give_up(opened, hook, "skipped") == (2, 0, None)
    found = await opened.store.read(lambda conn: tuple(conn.execute(state).one()))
    assert found == (0, None, None)
    with pytest.raises(NotFound, match="no undelivered events with cause skipped"):
        await give_up(opened, hook, "skipped")


async def test_give_up_knows_its_hook_account_and_group(opened: Opened) -> None:
    other = (await opened.store.write(changes.create_account, ADA, "other")).id
    hook = await make_hook(opened.store)
    await fail(opened, hook)
    args = (HookId(hook.id), "http_5xx", opened.clock.ms)
    with pytest.raises(NotFound, match="no hook"):
        await opened.store.write(changes.give_up, BOB, other, *args)
    with pytest.raises(NotFound, match="cause dns"):
        await give_up(opened, hook, "dns")
    assert (await the_group(opened)).count == 1


async def test_one_group_is_read_as_in_the_list(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await fail(opened, hook)
    now_ms = opened.clock.ms
    group = await opened.store.read(
        queries.get_undelivered, None, HookId(hook.id), "http_5xx", now_ms=now_ms
    )
    assert group == await the_group(opened)
    for account, cause in ((AccountId(7), "http_5xx"), (None, "dns")):
        with pytest.raises(NotFound):
            await opened.store.read(
                queries.get_undelivered, account, HookId(hook.id), cause, now_ms=now_ms
            )


# Cancelling by filter


async def found_open(
    opened: Opened, q: str, until_ms: int | None = None
) -> tuple[list[int], int, int]:
    """Return the pending deliveries that match, how many are being sent, and the parts."""
    place, pending, sending, parts = (0, 0), [], 0, 0
    until_ms = opened.clock.ms if until_ms is None else until_ms
    while place is not None:
        part = await opened.store.read(queries.find_open, DEFAULT, parse(q), until_ms, place)
        pending, sending, parts = pending + part.pending, sending + part.sending, parts + 1
        place = part.after
    return pending, sending, parts


@pytest.mark.parametrize("q", ["event:job", "data.a:1", "hook:1,2 -status:retrying", "since:1h"])
async def test_open_deliveries_are_found_in_parts(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, q: str
) -> None:
    monkeypatch.setattr(delivery_queries, "_OPEN_READ", 2)
    monkeypatch.setattr(delivery_queries, "_OPEN_READ_WITH_BODIES", 2)
    hook = await make_hook(opened.store)
    held = await make_hook(opened.store)
    await emit(opened.store, 5, body=b'{"a": 1}')
    await set_active(opened, held, False)
    (claim,) = await opened.store.claim(HookId(hook.id), 1)
    until_ms = opened.clock.ms
    opened.clock.advance(10)
    await emit(opened.store, 1, body=b'{"a": 1}')
    *old, newest = await deliveries(opened.store)
    assert newest.created_at > old[-1].created_at
    pending, sending, parts = await found_open(opened, q, until_ms)
    assert set(pending) == {decode("dlv", one.id) for one in old} - {claim.delivery}
    assert (len(pending), sending) == (9, 1)
    assert parts > 5


async def test_cancelling_some_leaves_what_is_sent_meanwhile(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    other = await make_hook(opened.store)
    await emit(opened.store, 2)
    pending, _, _ = await found_open(opened, "event:job")
    (claim,) = await opened.store.claim(HookId(hook.id), 1)
    scope = {"q": "event:job"}
    assert await opened.store.write(changes.cancel_some, BOB, DEFAULT, pending, scope) == 3
    left = {decode("dlv", one.id): one for one in await deliveries(opened.store)}
    assert left.pop(claim.delivery).status == "sending"
    assert {(one.status, one.reason) for one in left.values()} == {
        ("cancelled", "cancelled by bob")
    }
    for one, waiting in ((hook, 1), (other, 0)):
        stats = (await opened.store.read(queries.get_hook, None, HookId(one.id))).stats
        assert stats.waiting == waiting


async def test_the_first_part_of_a_cancel_writes_its_audit_entry(opened: Opened) -> None:
    # Red when the entry follows in a later transaction, or when nothing was cancelled.
    await make_hook(opened.store)
    await emit(opened.store, 2)
    one, two = [decode("dlv", row.id) for row in await deliveries(opened.store)]
    cancel = partial(opened.store.write, changes.cancel_some, BOB, DEFAULT)
    scope = {"q": "event:job"}
    assert await cancel([one], scope) == 1
    assert await audited(opened) == [("delivery.cancel_many", "deliveries", scope)]
    assert await cancel([one], scope) == 0
    assert await cancel([two], None) == 1
    assert len(await audited(opened)) == 1


# Lists of the deliveries of groups


async def test_lists_of_many_groups_are_the_same_by_any_index(
    opened: Opened, many, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "WINDOW", 4)
    hook = await make_hook(opened.store)
    await emit(opened.store, 2)
    await attempt(opened.store, opened.clock, hook)

    async def walked(q: str, *, backwards: bool = False) -> list[str]:
        found: list[str] = []
        request = PageRequest(limit=2, from_end=backwards)
        query = delivery_query(q=q)
        while True:
            page = await opened.store.read(queries.list_deliveries, DEFAULT, request, query)
            some = [one.id for one in page.data]
            found = some + found if backwards else found + some
            cursor = page.prev if backwards else page.next
            if cursor is None:
                return found
            request = PageRequest(limit=2, cursor=cursor)

    wanted = ("status:undelivered", "cause:http_4*,redirect", "cause:* code:5xx", "cause:dns",
              "hook:1 cause:http_404", "status:undelivered data.a:1")  # fmt: skip
    everything = await deliveries(opened.store)
    for q in wanted:
        by_group = await walked(q)
        assert await walked(q, backwards=True) == by_group, q
        with monkeypatch.context() as patched:
            patched.setattr(delivery_indexes, "_MAX_PARTS", 1)
            assert await walked(q) == by_group, q
            patched.setattr(delivery_indexes, "_FEW", 0)
            assert await walked(q) == by_group, q
    expected = [one.id for one in reversed(everything) if one.cause is not None]
    assert await walked("status:undelivered") == expected
    counted = select(DELIVERY.c.id).where(DELIVERY.c.cause.is_not(None))
    assert len(expected) == len(await opened.store.read(lambda conn: conn.execute(counted).all()))
