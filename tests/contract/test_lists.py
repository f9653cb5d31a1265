"""Lists: keyset pages both ways, sorts, totals, filters."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import replace
from functools import partial
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import update

from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.deliveries import ErrorClass, Trigger
from hooktui.domain.errors import Refused
from hooktui.domain.filters.parser import parse
from hooktui.domain.filters.terms import Subject
from hooktui.domain.ids import AccountId, DeliveryId, HookId, decode, encode
from hooktui.domain.wire.events import EventCounts, HookDecision
from hooktui.store import changes, queries
from hooktui.store.base import Store
from hooktui.store.queries.pages import PageRequest
from hooktui.store.tables import EVENT
from hooktui.store.tx import Tx
from tests.support.stores import (
    ADA,
    DEFAULT,
    Opened,
    always,
    attempt,
    deliveries,
    delivery_query,
    emit,
    make_hook,
    offer,
    result_of,
)


async def walk(store: Store, query, account, *args, limit: int, from_end: bool = False, **wanted):
    """Return all ids by following next (or prev from the end), and how many pages that took."""
    found, pages, cursor = [], 0, None
    while True:
        request = PageRequest(limit=limit, cursor=cursor, from_end=from_end and not pages, **wanted)
        page = await store.read(query, account, request, *args)
        ids = [one.id for one in page.data]
        found = ids + found if from_end else found + ids
        cursor, pages = page.prev if from_end else page.next, pages + 1
        if cursor is None:
            return found, pages


SORTS = ("id", "name", "created_at", "updated_at", "last_at", "waiting")


@hypothesis_settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    names=st.lists(st.sampled_from(["a", "b", "B", "ä", "z"]), min_size=0, max_size=8),
    limit=st.integers(1, 5),
    sort=st.sampled_from(SORTS),
    order=st.sampled_from(["asc", "desc"]),
)
async def test_pages_forward_and_backward_hold_every_hook_once_in_one_order(
    opened: Opened, names: list[str], limit: int, sort: str, order: str
) -> None:
    store = opened.store
    # An account for each example, so that it does not page the hooks of all earlier ones.
    new = await store.write(changes.create_account, ADA, str(uuid4()))
    account = AccountId(new.id)
    ids = []
    for name in names:
        opened.clock.advance(1)
        ids.append((await make_hook(store, account, name=name)).id)
    walk_hooks = partial(walk, store, queries.list_hooks, account)
    wanted = {"sort": sort, "order": order}
    whole, _ = await walk_hooks(limit=500, **wanted)
    assert sorted(whole) == ids
    forward, pages = await walk_hooks(limit=limit, **wanted)
    assert forward == whole
    assert pages == max(1, math.ceil(len(whole) / limit))
    backward, _ = await walk_hooks(limit=limit, from_end=True, **wanted)
    assert backward == whole
    reverse = {"sort": sort, "order": "desc" if order == "asc" else "asc"}
    other, _ = await walk_hooks(limit=limit, **reverse)
    assert other == whole[::-1]


async def test_a_page_leads_to_the_one_before_it(opened: Opened) -> None:
    store = opened.store
    ids = [(await make_hook(store)).id for _ in range(7)]

    async def page_at(cursor: str | None):
        request = PageRequest(limit=3, cursor=cursor, sort=None if cursor else "id")
        return await store.read(queries.list_hooks, DEFAULT, request)

    first = await page_at(None)
    second = await page_at(first.next)
    third = await page_at(second.next)
    assert [one.id for one in third.data] == ids[6:]
    assert (first.prev, third.next) == (None, None)
    back = await page_at(third.prev)
    assert back.data == second.data
    front = await page_at(back.prev)
    assert (front.data, front.prev) == (first.data, None)
    assert (await page_at(front.next)).data == second.data


async def test_pages_stay_right_while_rows_come_and_go(opened: Opened) -> None:
    store = opened.store
    ids = [(await make_hook(store)).id for _ in range(6)]
    page = await store.read(queries.list_hooks, DEFAULT, PageRequest(limit=2))
    assert [one.id for one in page.data] == ids[:-3:-1]
    await make_hook(store)
    for gone in (ids[4], ids[3]):
        await store.write(changes.delete_hook, ADA, DEFAULT, HookId(gone))
    after = await store.read(queries.list_hooks, DEFAULT, PageRequest(limit=2, cursor=page.next))
    assert [one.id for one in after.data] == [ids[2], ids[1]]
    for gone in ids[:3]:
        await store.write(changes.delete_hook, ADA, DEFAULT, HookId(gone))
    empty = await store.read(queries.list_hooks, DEFAULT, PageRequest(limit=2, cursor=after.next))
    assert (empty.data, empty.next) == ([], None)
    last = await store.read(queries.list_hooks, DEFAULT, PageRequest(limit=1, cursor=empty.prev))
    assert [one.id for one in last.data] == [ids[5]]


async def test_a_bad_cursor_is_refused(opened: Opened) -> None:
    for cursor in ("", "x", "%%%", "WzFd", "bnVsbA", "Ä", "W10"):
        with pytest.raises(Refused) as refused:
            await opened.store.read(queries.list_hooks, DEFAULT, PageRequest(cursor=cursor))
        assert [error.pointer for error in refused.value.errors] == ["/cursor"], cursor


# Red when a value of another type reaches the database: PostgreSQL does not compare such.
async def test_a_cursor_with_a_value_of_another_type_is_refused(opened: Opened) -> None:
    others = (("name", 1), ("name", "a\0"), ("last_at", "x"), ("waiting", 1.5), ("id", "1"))
    for sort, value in others:
        values = ["hook.id", sort, "asc", False, 1, value]
        cursor = base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()
        with pytest.raises(Refused, match="invalid cursor"):
            await opened.store.read(queries.list_hooks, DEFAULT, PageRequest(cursor=cursor))


async def test_a_cursor_of_another_list_is_refused(opened: Opened) -> None:
    store = opened.store
    for _ in range(2):
        await make_hook(store)
    await emit(store, 2)
    one = PageRequest(limit=1)
    lists = {
        "hooks": queries.list_hooks,
        "events": queries.list_events,
        "deliveries": queries.list_deliveries,
    }
    cursors = {name: (await store.read(query, DEFAULT, one)).next for name, query in lists.items()}
    for name, query in lists.items():
        for other, cursor in cursors.items():
            request = PageRequest(limit=1, cursor=cursor)
            if other == name:
                assert (await store.read(query, DEFAULT, request)).data
            else:
                with pytest.raises(Refused, match="invalid cursor for this list"):
                    await store.read(query, DEFAULT, request)


async def test_a_cursor_of_another_sort_is_refused(opened: Opened) -> None:
    await make_hook(opened.store)
    await make_hook(opened.store)
    page = await opened.store.read(queries.list_hooks, DEFAULT, PageRequest(limit=1, sort="name"))
    request = PageRequest(limit=1, sort="waiting", cursor=page.next)
    with pytest.raises(Refused, match="another sort"):
        await opened.store.read(queries.list_hooks, DEFAULT, request)
    request = PageRequest(limit=1, cursor=page.next)
    with pytest.raises(Refused, match="cursor"):
        await opened.store.read(queries.list_deliveries, DEFAULT, request)


async def test_an_unknown_sort_is_refused_and_the_known_ones_named(opened: Opened) -> None:
    with pytest.raises(Refused, match="id, name, created_at, updated_at, last_at, waiting"):
        await opened.store.read(queries.list_hooks, DEFAULT, PageRequest(sort="url"))


async def test_words_find_hooks_by_name_url_and_events(opened: Opened) -> None:
    store = opened.store
    await make_hook(store, name="Billing", url="http://127.0.0.2/a_b")
    await make_hook(store, name="other", events=("cluster.error",))

    async def found(words: str) -> list[str]:
        page = await store.read(queries.list_hooks, DEFAULT, PageRequest(sort="id"), words)
        return [one.name for one in page.data]

    assert await found("billing") == ["Billing"]
    assert await found("a_b") == ["Billing"]
    assert await found("a%b") == []
    assert await found("cluster oth") == ["other"]
    assert await found("  ") == ["Billing", "other"]


# Red when the database folds the case: SQLite and PostgreSQL without a locale fold ASCII alone.
async def test_words_find_hooks_in_any_case_of_any_letter(opened: Opened) -> None:
    store = opened.store
    cases = {
        "\u00dcbergabe": "\u00fcBERGABE",
        "STRASSE": "stra\u00dfe",
        "\u0395\u03a1\u0393\u039f\u03a3": "\u03b5\u03c1\u03b3\u03bf\u03c2",  # both kinds of sigma
    }
    for name in cases:
        await make_hook(store, name=name)

    async def found(words: str) -> list[str]:
        page = await store.read(queries.list_hooks, DEFAULT, PageRequest(sort="id"), words)
        return [one.name for one in page.data]

    for name, word in cases.items():
        assert await found(word) == [name]
        assert await found(f"-{word}") == [other for other in cases if other != name]


async def test_hooks_are_found_by_how_they_do(opened: Opened) -> None:
    """Red when a state is not what the console shows as that state, or is negated wrongly."""
    store = opened.store
    new = await make_hook(store, name="new", events=("cluster",))
    good, bad = await make_hook(store, name="good"), await make_hook(store, name="bad")
    dns, off = await make_hook(store, name="dns"), await make_hook(store, name="off")
    assert new.stats.last_status is None
    late = await make_hook(store, name="late")
    await emit(store, 2)
    await attempt(store, opened.clock, good)
    for hook, code, error in ((bad, 500, None), (dns, None, ErrorClass.DNS)):
        first, second = await store.claim(HookId(hook.id), 2)
        await store.record([result_of(first, opened.clock, code, error)])
        gave_up = result_of(second, opened.clock, code, error, schedule_s=())
        await store.record([gave_up])
    await attempt(store, opened.clock, late, 500)
    await store.write(
        changes.change_hook, ADA, DEFAULT, HookId(off.id), lambda s: replace(s, active=False), None
    )

    async def found(search: str) -> str:
        page = await store.read(queries.list_hooks, DEFAULT, PageRequest(sort="id"), search)
        return " ".join(one.name for one in page.data)

    assert await found("status:failing") == "bad dns"
    assert await found("-status:failing") == "new good off late"
    assert await found("status:retrying") == "late"
    assert await found("status:active -status:failing,retrying") == "new good"
    assert await found("status:disabled") == "off"
    assert await found("status:held") == "off"
    assert await found("status:waiting") == "bad dns late"
    assert await found("status:failing,disabled -dns") == "bad off"
    assert await found("-cluster status:active goo") == "good"


# Red when hooks are counted as far as deliveries only: End went to row 10,001 of 100,000.
async def test_hooks_are_counted_however_many_they_are(opened: Opened, monkeypatch) -> None:
    monkeypatch.setattr("hooktui.store.queries.pages.EXACT_TOTAL", 2)
    for name in ("zq 1", "zq 2", "zq 3", "other"):
        await make_hook(opened.store, name=name)
    for search, total in ((None, 4), ("zq", 3), ("status:active", 4), ("-status:active", 0)):
        page = await opened.store.read(queries.list_hooks, DEFAULT, PageRequest(limit=1), search)
        assert (page.total, page.total_is_estimate) == (total, False)


async def test_totals_are_exact_to_ten_thousand(opened: Opened) -> None:
    store = opened.store
    await make_hook(store)
    for _ in range(10):
        await emit(store, 1000)
    page = await store.read(queries.list_deliveries, DEFAULT, PageRequest(limit=2))
    assert (page.total, page.total_is_estimate) == (10_000, False)
    await emit(store, 500)
    page = await store.read(queries.list_deliveries, DEFAULT, PageRequest(limit=2))
    assert (page.total, page.total_is_estimate) == (10_500, True)
    narrow = await store.read(queries.list_events, DEFAULT, PageRequest(limit=2), "job.started")
    assert (narrow.total, narrow.total_is_estimate, narrow.data) == (0, False, [])


@pytest.fixture
async def varied(opened: Opened) -> dict[str, str]:
    """Deliveries of every kind, by a name each."""
    opened.clock.ms = now_ms() - 3600_000  # filters count back from the real time
    store, clock = opened.store, opened.clock
    hook = await make_hook(store, name="Main")
    named = {}

    async def one(name, status_code=None, error=None, body=b"{}", kind="job.failed", **details):
        _, (claim,) = await store.accept([offer(body, kind)], always)
        named[name] = claim.delivery
        if status_code or error:
            await store.record([result_of(claim, clock, status_code, error, **details)])
        clock.advance(1)

    await one("delivered", 200, body=b'{"cluster_id": 52}', took_ms=3000)
    await one("failed", 503, body=b'{"errors": ["no disk left"]}', schedule_s=())
    await one("retrying", 404, kind="job.started")
    await one("tls", None, ErrorClass.TLS_CERTIFICATE, error_detail="expired yesterday")
    await one("sending")
    ping = await store.claim_ping(HookId(hook.id), b'{"pong": 1}')
    named["ping"] = ping.delivery
    await store.record([result_of(ping, clock, 200, body=b"Thanks")])
    off = await make_hook(store, events=("cluster",), name="Off")
    await emit(store, event_type="cluster.error")
    (held,) = await deliveries(store, hook=off.id)
    await store.write(
        changes.change_hook, ADA, DEFAULT, HookId(off.id), lambda s: replace(s, active=False), None
    )
    named["held"] = decode("dlv", held.id)
    return {identity: name for name, identity in named.items()}


FILTERS = {
    "": "delivered failed retrying tls sending ping held",
    "status:delivered": "delivered ping",
    "status:failed": "failed",
    "status:pending": "retrying tls held",
    "status:held": "held",
    "status:sending,failed": "failed sending",
    "-status:delivered": "failed retrying tls sending held",
    "hook:2": "held",
    "event:job.failed": "delivered failed tls sending",
    "event:job": "delivered failed retrying tls sending",
    "event:job.*": "delivered failed retrying tls sending",
    "event:*.error,ping": "ping held",
    "code:5xx": "failed",
    "code:>=404": "failed retrying",
    "-code:2xx": "failed retrying tls sending held",
    "took:>2s": "delivered",
    "took:<=2s": "failed retrying tls ping",
    "error:tls": "tls",
    "error:status": "failed retrying",
    "status:waiting": "retrying tls sending",
    "-status:waiting": "delivered failed ping held",
    "status:retrying": "retrying tls",
    "status:undelivered": "failed retrying tls",
    "status:undelivered,held": "failed retrying tls held",
    "-status:undelivered": "delivered sending ping held",
    "cause:*": "failed retrying tls",
    "cause:http_5xx": "failed",
    "cause:http_4*,tls*": "retrying tls",
    "cause:http_* -status:retrying": "failed",
    "-cause:http*": "delivered tls sending ping held",
    "cause:http_* cause:*5xx since:2h": "failed",
    "cause:dns": "",
    "cause:http_* code:404": "retrying",
    "hook:2 cause:*": "",
    "replay:rpl_01JDG3R8Z4000": "",
    "-replay:rpl_01JDG3R8Z4000": "delivered failed retrying tls sending ping held",
    "trigger:ping": "ping",
    "since:30m": "",
    "since:2h": "delivered failed retrying tls sending ping held",
    "until:30m since:2h": "delivered failed retrying tls sending ping held",
    "until:2h": "",
    "data.cluster_id:52": "delivered",
    "data.errors:*disk*": "failed",
    "-data.cluster_id:52 event:job.failed": "failed tls sending",
    "yesterday": "tls",
    "thanks": "ping",
    "main": "delivered failed retrying tls sending ping",
    '"disk left" status:failed': "failed",
    "nowhere": "",
}


async def test_filters_find(opened: Opened, varied) -> None:
    found = {q: await named(opened, varied, q=parse(q)) for q in FILTERS}
    assert found == FILTERS


CONDITIONS: list[tuple[dict, str]] = [
    ({"status": "held"}, "held"),
    ({"status": "interrupted"}, ""),
    ({"hook": 2}, "held"),
    ({"event_type": "cluster"}, "held"),
    ({"event_type": "job.started"}, "retrying"),
    ({"trigger": Trigger.PING}, "ping"),
    ({"q": "code:404", "status": "pending"}, "retrying"),
]


async def test_conditions_find(opened: Opened, varied) -> None:
    found = [(wanted, await named(opened, varied, **wanted)) for wanted, _ in CONDITIONS]
    assert found == CONDITIONS


async def named(opened: Opened, varied: dict[str, str], **wanted) -> str:
    """Return the names of the deliveries that a list holds."""
    found = await deliveries(opened.store, **wanted)
    return " ".join(varied[decode("dlv", one.id)] for one in found)


async def test_times_bound_a_list(opened: Opened) -> None:
    store, clock = opened.store, opened.clock
    await make_hook(store)
    for _ in range(3):
        await emit(store)
        clock.advance(1)
    found = await deliveries(store, since_ms=clock.ms - 2000, until_ms=clock.ms - 2000)
    assert [one.created_at for one in found] == ["2027-01-15T08:00:01.000Z"]


async def test_one_event_has_its_deliveries(opened: Opened) -> None:
    store = opened.store
    await make_hook(store)
    await make_hook(store)
    await emit(store)
    (accepted,) = await emit(store)
    assert len(await deliveries(store, event=accepted.id)) == 2


@pytest.mark.parametrize("most", [50, pytest.param(5_000, marks=pytest.mark.soak)])
async def test_searching_words_pages_over_many_rows_that_do_not_fit(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("hooktui.store.queries.pages._MAX_SCANNED", most)
    store = opened.store
    await make_hook(store)
    (early,) = await emit(store, body=b'{"a": "needle"}')
    for _ in range(12):
        await emit(store, most // 5)
    (late,) = await emit(store, body=b'{"a": "needle"}')
    query = delivery_query(q="needle")
    events = []
    cursor, pages = None, 0
    while True:
        request = PageRequest(limit=10, cursor=cursor)
        page = await store.read(queries.list_deliveries, DEFAULT, request, query)
        events += [decode("evt", one.event) for one in page.data]
        assert page.total_is_estimate is (most > 500)
        cursor, pages = page.next, pages + 1
        if cursor is None:
            break
    assert events == [late.id, early.id]
    assert pages > 1


async def test_events_are_listed_by_type_and_filter(opened: Opened) -> None:
    store = opened.store
    await emit(store, body=b'{"a": 1}')
    await emit(store, event_type="cluster.error", body=b'{"a": 2}')

    async def found(*wanted) -> list[str]:
        return [
            one.type
            for one in (await store.read(queries.list_events, DEFAULT, PageRequest(), *wanted)).data
        ]

    assert await found() == ["cluster.error", "job.failed"]
    assert await found("job") == ["job.failed"]
    assert await found(None, parse("data.a:2")) == ["cluster.error"]
    assert await found(None, parse("event:job.* since:3000d")) == ["job.failed"]


# Red when an id is searched in texts, or an id of a delivery finds an event.
async def test_ids_find_deliveries_and_events(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    (first,) = await emit(store)
    evt = encode("evt", first.id)
    (late,) = await emit(store, body=b'{"about": "%b"}' % evt.encode())
    (dlv,) = [one.id for one in await deliveries(store, event=first.id)]
    other = encode("evt", late.id)

    async def found(q: str) -> tuple[list[str], list[str]]:
        sent = await deliveries(store, q=parse(q))
        events = await store.read(queries.list_events, DEFAULT, PageRequest(), None, parse(q))
        return [one.event for one in sent], [one.id for one in events.data]

    assert await found(evt) == ([evt], [evt])
    assert await found(f"id:{evt},{other} {evt}") == ([evt], [evt])
    assert await found(f"{evt} hook:{hook.id + 1}") == ([], [])
    assert await found(f"{dlv} status:pending") == ([evt], [])
    assert await found(f"-{evt}") == ([other], [other])
    assert await found(f'"{evt}"') == ([evt, other], [other, evt])


# Red when a type is taken for a group: deliveries of another type were cancelled.
async def test_a_type_is_no_group_of_longer_types(opened: Opened) -> None:
    types = ("order.paid", "order.paid.late", "order.lost", "orders.paid")
    await make_hook(opened.store, events=types)
    for name in types:
        await emit(opened.store, event_type=name)
    rows = await deliveries(opened.store)
    far_ms = opened.clock.ms + 1
    for text in ("event:order.paid", "event:order", "-event:order.paid", "event:o*d"):
        parsed = parse(text)
        wanted = {
            row.event_type
            for row in rows
            if parsed.matches(Subject(at_ms=0, event_type=row.event_type), 0)
        }
        assert {row.event_type for row in await deliveries(opened.store, q=text)} == wanted
        found = await opened.store.read(queries.find_open, DEFAULT, parsed, far_ms, (0, 0))
        assert len(found.pending) == len(wanted)
        assert 0 < len(wanted) < len(types)


async def test_events_of_a_type_are_not_those_of_longer_types(opened: Opened) -> None:
    for name in ("order.paid", "order.paid.late", "order.lost"):
        await emit(opened.store, event_type=name)

    async def found(event_type: str) -> list[str]:
        page = PageRequest(sort="id", order="asc")
        listed = await opened.store.read(queries.list_events, DEFAULT, page, event_type)
        return [event.type for event in listed.data]

    assert await found("order.paid") == ["order.paid"]
    assert await found("order") == ["order.paid", "order.paid.late", "order.lost"]
    assert await found("ORDER") == []


async def test_events_are_found_up_to_a_time(opened: Opened) -> None:
    store, clock = opened.store, opened.clock
    for kind in ("job.failed", "cluster.error"):
        await emit(store, event_type=kind)
        clock.advance(60)
    page = PageRequest()
    until = parse("until:2027-01-15T08:00:59Z")
    found = await store.read(queries.list_events, DEFAULT, page, None, until)
    assert [event.type for event in found.data] == ["job.failed"]


# Red when the time in an id counts: it is later than that of the event if the machine is busy, or
# its clock was set back.
async def test_an_event_is_found_up_to_its_time_however_far_its_id_is_ahead(opened: Opened) -> None:
    store, clock = opened.store, opened.clock
    await emit(store)
    clock.jump(-30)
    await emit(store, event_type="job.started")
    page, until = PageRequest(), parse(f"until:{to_rfc3339(clock.now_ms() + 1)}")
    found = await store.read(queries.list_events, DEFAULT, page, None, until)
    assert [event.type for event in found.data] == ["job.started"]


async def test_a_delivery_is_found_up_to_its_time_however_far_its_id_is_ahead(
    opened: Opened,
) -> None:
    store, clock = opened.store, opened.clock
    await make_hook(store)
    await emit(store)
    clock.jump(-30)
    await emit(store, event_type="job.started")
    moment = to_rfc3339(clock.now_ms() + 1)
    for q, expected in ((f"until:{moment}", "job.started"), (f"-until:{moment}", "job.failed")):
        query = delivery_query(q=q)
        found = await store.read(queries.list_deliveries, DEFAULT, PageRequest(), query)
        assert [one.event_type for one in found.data] == [expected]


async def test_an_event_tells_how_its_deliveries_stand(opened: Opened) -> None:
    """Red when a delivery is counted for another event, or in another state."""
    store = opened.store
    good, bad = await make_hook(store), await make_hook(store)
    await make_hook(store, active=False)
    await emit(store)
    await attempt(store, opened.clock, good)
    await attempt(store, opened.clock, bad, 404)
    await emit(store)
    page = await store.read(queries.list_events, DEFAULT, PageRequest())
    assert [event.counts for event in page.data] == [
        EventCounts(waiting=2),
        EventCounts(delivered=1, waiting=1),
    ]


async def test_a_failed_delivery_is_superseded_by_a_better_one_of_its_hook(opened: Opened) -> None:
    # Red when one of another hook, a failed or a cancelled one supersedes it.
    store = opened.store
    hook, other = await make_hook(store), await make_hook(store)
    await emit(store)
    seen = []

    async def resend() -> DeliveryId:
        failed = await deliveries(store, hook=HookId(hook.id), status="failed")
        first = DeliveryId(decode("dlv", failed[0].id))
        again, _ = await store.write(changes.resend, ADA, None, first)
        return DeliveryId(decode("dlv", again.id))

    async def note() -> None:
        page = await store.read(queries.list_events, DEFAULT, PageRequest())
        (counts,) = [event.counts for event in page.data]
        assert counts is not None
        seen.append((counts.failed, counts.superseded))

    for code in (404, 404, 200):
        (claim,) = await store.claim(HookId(hook.id), 1)
        await store.record([result_of(claim, opened.clock, code, schedule_s=())])
        await note()
        if code != 200:
            await store.write(changes.cancel, ADA, None, await resend())
            await note()
            await resend()
            await note()
    await attempt(store, opened.clock, other, 200)
    assert seen == [(1, 0), (1, 0), (1, 1), (2, 0), (2, 0), (2, 2), (2, 2)]


async def test_every_hook_has_a_decision_about_an_event(opened: Opened) -> None:
    """Red when a page leaves a hook out, or another hook's delivery stands beside it."""
    store = opened.store
    sent = await make_hook(store)
    off = await make_hook(store, active=False)
    narrow = await make_hook(store, filter="data.a:1")
    (accepted,) = await emit(store, body=b'{"a":2}')
    opened.clock.advance(60)
    late = await make_hook(store)
    await store.write(changes.delete_hook, ADA, DEFAULT, HookId(narrow.id))

    async def decided(concerned: bool | None = None, **wanted: object) -> list[HookDecision]:
        request = PageRequest(sort="id", **wanted)
        page = await store.read(queries.list_decisions, DEFAULT, accepted.id, request, concerned)
        return page.data

    everything = await decided()
    assert [(one.hook, one.decision) for one in everything] == [
        (sent.id, "sent"), (off.id, "disabled"), (narrow.id, "filter"), (late.id, "later"),
    ]  # fmt: skip
    assert [one.deleted for one in everything] == [False, False, True, False]
    assert everything[0].delivery is not None
    assert everything[0].delivery.hook == sent.id
    assert await decided(True) == everything[:3]
    assert await decided(False) == everything[3:]
    assert await decided(limit=2) == everything[:2]


async def test_an_event_may_have_skipped_more_hooks_than_a_statement_takes_numbers(
    opened: Opened,
) -> None:
    """Red when each of them is a parameter: PostgreSQL takes 32,767 of these."""
    off, other = await make_hook(opened.store, active=False), await make_hook(opened.store)
    (accepted,) = await emit(opened.store)
    many = [["filter", list(range(1_000_000, 1_070_000))], ["disabled", [off.id]]]

    def skip_many(tx: Tx) -> None:
        values = {"skips": msgspec.json.encode(many).decode()}
        tx.conn.execute(update(EVENT).where(EVENT.c.id == accepted.id).values(**values))

    await opened.store.write(skip_many)
    for concerned, ids in ((True, [off.id, other.id]), (False, [])):
        page = await opened.store.read(
            queries.list_decisions, DEFAULT, accepted.id, PageRequest(sort="id"), concerned
        )
        assert [one.hook for one in page.data] == ids


async def test_the_list_of_hooks_shows_how_they_do(opened: Opened) -> None:
    store = opened.store
    opened.clock.ms = now_ms()
    good, bad = await make_hook(store), await make_hook(store)
    await emit(store, 4)
    await attempt(store, opened.clock, good)
    await attempt(store, opened.clock, bad, 500)
    page = await store.read(queries.list_hooks, DEFAULT, PageRequest(sort="waiting", order="desc"))
    shown = [(one.id, one.stats.success_24h, one.stats.waiting) for one in page.data]
    assert shown == [(bad.id, 0.0, 4), (good.id, 1.0, 0)]
