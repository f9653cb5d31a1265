"""The change feed: every change once, in order, whatever is written while it is read."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hooktui.domain.errors import Refused
from hooktui.domain.ids import AccountId, HookId, encode
from hooktui.store import changes, feed
from hooktui.store.contract import FeedFilter, FeedItem, NewEvent
from tests.support.stores import (
    ADA,
    DEFAULT,
    Opened,
    always,
    attempt,
    emit,
    make_hook,
    offer,
    result_of,
)
from tests.support.waiting import LIMIT_S


def line(item: FeedItem) -> tuple[object, ...]:
    """An item in short."""
    match item.kind:
        case "delivery":
            return ("delivery", item.object.id, item.object.status, item.object.attempts)
        case "attempt":
            return ("attempt", item.object.delivery, item.object.number, item.delivery.status)
        case "hook":
            return ("hook", item.object.id, item.object.version)
        case _:
            return (item.kind, item.object.id)


async def test_a_delivery_is_followed_from_event_to_end(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    (((accepted,), (claim,))) = await store.accept([offer()], always)
    await store.record([result_of(claim, opened.clock, 500)])
    opened.clock.advance(6)
    await attempt(store, opened.clock, hook)
    page = await store.feed(None, 100)
    dlv = encode("dlv", claim.delivery)
    assert [line(item) for item in page.items] == [
        ("hook", hook.id, 1),
        ("event", encode("evt", accepted.id)),
        ("delivery", dlv, "sending", 1),
        ("attempt", dlv, 1, "pending"),
        ("delivery", dlv, "pending", 1),
        ("delivery", dlv, "sending", 2),
        ("attempt", dlv, 2, "delivered"),
        ("delivery", dlv, "delivered", 2),
    ]
    pending = page.items[4].object
    assert (pending.next_attempt_at, pending.finished_at) == ("2027-01-15T08:00:05.000Z", None)
    assert page.next == store.feed_end()
    assert (await store.feed(page.next, 100)).items == ()


async def test_pages_of_any_size_hold_every_change_once(opened: Opened) -> None:
    store = opened.store
    await make_hook(store)
    await make_hook(store)
    for count in (1, 2, 5):
        await emit(store, count)
    whole = [line(item) for item in (await store.feed(None, 1000)).items]
    assert len(whole) == 2 + 3 * (1 + 2 + 5)
    for limit in (1, 2, 3, 7, 100):
        got, position = [], None
        while items := (page := await store.feed(position, limit)).items:
            assert len(items) <= limit
            got += [line(item) for item in items]
            position = page.next
        assert got == whole, limit


@hypothesis_settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)), min_size=1, max_size=12))
async def test_interleaved_writes_are_seen_exactly_once(
    opened: Opened, steps: list[tuple[int, int]]
) -> None:
    store = opened.store
    if not store.hooks():
        await make_hook(store)
    position = store.feed_end()
    expected, got = [], []
    for written, limit in steps:
        if written:
            expected += [encode("evt", one.id) for one in await emit(store, written)]
        page = await store.feed(position, limit)
        assert len(page.items) <= limit
        got += page.items
        position = page.next
    while items := (page := await store.feed(position, 3)).items:
        got += items
        position = page.next
    assert [item.object.id for item in got if item.kind == "event"] == expected
    assert sum(item.kind == "delivery" for item in got) == len(expected)


async def test_one_account_sees_its_own_changes_only(opened: Opened) -> None:
    store = opened.store
    account = await store.write(changes.create_account, ADA, "another")
    mine = await make_hook(store)
    theirs = await make_hook(store, account=AccountId(account.id))
    await store.accept([NewEvent(AccountId(account.id), "job.failed", b"{}")])
    page = await store.feed(None, 1, DEFAULT)
    assert [item.object.id for item in page.items] == [mine.id]
    rest = await store.feed(page.next, 100, DEFAULT)
    assert (rest.items, rest.next) == ((), store.feed_end())
    other = await store.feed(None, 100, AccountId(account.id))
    assert [item.kind for item in other.items] == ["hook", "event", "delivery"]
    assert other.items[0].object.id == theirs.id


def events_pass(_: object, items: Sequence[FeedItem]) -> Iterator[tuple[FeedItem, bool] | None]:
    for item in items:
        yield None
        yield item, item.kind == "event"


events_alone = FeedFilter(events_pass)


async def test_the_tail_is_the_newest_oldest_first(opened: Opened) -> None:
    store = opened.store
    await make_hook(store)
    ids = [encode("evt", (await emit(store))[0].id) for _ in range(120)]
    tail = await store.feed_tail(4)
    assert [item.kind for item in tail.items] == ["event", "delivery"] * 2
    assert tail.next == store.feed_end()
    kept = await store.feed_tail(100, DEFAULT, events_alone)
    assert [item.object.id for item in kept.items] == ids[-100:]
    nothing = await store.feed_tail(5, AccountId(9))
    assert (nothing.items, nothing.before) == ((), None)


async def test_a_waiting_reader_wakes_at_the_commit(opened: Opened) -> None:
    store = opened.store
    end = store.feed_end()
    waiting = asyncio.create_task(store.wait_for_change(end, 2 * LIMIT_S))
    await asyncio.sleep(0)
    assert not waiting.done()
    await emit(store)
    async with asyncio.timeout(LIMIT_S):
        await waiting
        await store.wait_for_change(end, 2 * LIMIT_S)  # already there


async def test_a_wait_ends_with_its_time(opened: Opened) -> None:
    async with asyncio.timeout(LIMIT_S):
        await opened.store.wait_for_change(opened.store.feed_end(), 0.01)


async def test_closing_wakes_the_waiting(opened: Opened) -> None:
    end = opened.store.feed_end()
    waiting = asyncio.create_task(opened.store.wait_for_change(end, 2 * LIMIT_S))
    await asyncio.sleep(0)
    await opened.again()
    async with asyncio.timeout(LIMIT_S):
        await waiting


async def test_a_position_of_nobody_is_refused(opened: Opened) -> None:
    for text in ("", "x", "1", "1.x", "-1.0", "1.0.0", "\u0661.\u0660", "1" * 50 + ".0"):
        with pytest.raises(Refused, match="position"):
            await opened.store.feed(text, 10)


async def test_a_position_of_another_history_is_a_reset(opened: Opened) -> None:
    await emit(opened.store)
    page = await opened.store.feed("99.0", 10)
    assert (page.reset, page.items, page.next) == (True, (), opened.store.feed_end())


async def test_the_feed_goes_on_after_a_restart(opened: Opened) -> None:
    await emit(opened.store)
    end = opened.store.feed_end()
    store = await opened.again()
    assert store.feed_end() == end
    (accepted,) = await emit(store)
    (item,) = (await store.feed(end, 10)).items
    assert item.object.id == encode("evt", accepted.id)


async def test_hooks_in_the_feed_are_as_they_are_now(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store)
    await attempt(opened.store, opened.clock, hook)
    (item, *_) = (await opened.store.feed(None, 10)).items
    assert item.object.stats.last_status == 200
    assert HookId(item.object.id) in opened.store.hooks()


# Red when lines of a hook are told from its row: three of them said "deleted" (B9).
async def test_each_line_of_a_hook_says_what_happened_then(opened: Opened) -> None:
    hook = HookId((await make_hook(opened.store)).id)
    for active in (False, True):
        await opened.store.write(
            changes.change_hook, ADA, DEFAULT, hook, partial(replace, active=active)
        )
    await opened.store.write(changes.change_hook, ADA, DEFAULT, hook, partial(replace, name="b"))
    await opened.store.write(changes.rotate_secret, ADA, DEFAULT, hook, "t" * 20, 60)
    await opened.store.write(changes.delete_hook, ADA, DEFAULT, hook)
    items = [item for item in (await opened.store.feed(None, 10)).items if item.kind == "hook"]
    assert [item.change for item in items] == [
        "created", "disabled", "enabled", "changed", "secret changed", "deleted",
    ]  # fmt: skip


async def test_a_hook_that_is_disabled_by_its_receiver_is_a_line_with_the_reason(
    opened: Opened,
) -> None:
    hook = HookId((await make_hook(opened.store)).id)
    await emit(opened.store)
    (claim,) = await opened.store.claim(hook, 1)
    await opened.store.record([result_of(claim, opened.clock, 410)])
    items = [item for item in (await opened.store.feed(None, 20)).items if item.kind == "hook"]
    assert (items[-1].change, items[-1].reason) == ("disabled", "receiver answered 410 Gone")


# Red when a page holds whatever its lines do: 500 attempts with answers of 16 KiB are 8 MB, and
# 25 MB once they are written.
async def test_a_page_ends_at_1_mib_and_the_next_one_goes_on(opened: Opened) -> None:
    store = opened.store
    hook = await make_hook(store)
    await emit(store, 150)
    claims = await store.claim(HookId(hook.id), 150)
    assert all(
        await store.record([result_of(claim, opened.clock, body=b"x" * 16_384) for claim in claims])
    )
    seen: list[str] = []
    places: list[str] = []
    pages, after = 0, None
    while after != store.feed_end():
        page = await store.feed(after, 500, DEFAULT)
        attempts = [item.object for item in page.items if item.kind == "attempt"]
        size = 500 * len(page.items) + sum(len(one.response.body) for one in attempts)
        assert size <= 1 << 20, "a line without its body counts 500 bytes"
        seen += [one.delivery for one in attempts]
        places += [item.next for item in page.items]
        after, pages = page.next, pages + 1
    assert len(seen) == len(set(seen)) == 150
    assert pages > 1
    tail = await store.feed_tail(500, DEFAULT)
    newest = [item.object.delivery for item in tail.items if item.kind == "attempt"]
    assert 50 < len(newest) < 100
    assert newest == seen[-len(newest) :]
    # Red when it goes on behind a gap, with the next 100 lines, once it is full.
    assert [item.next for item in tail.items] == places[-len(tail.items) :]


# Red when a search goes on to the end of the feed, however long that takes.
async def test_a_search_that_takes_too_long_says_where_it_goes_on(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened.store
    monkeypatch.setattr("hooktui.store.feed.SEARCH_S", -1)
    await make_hook(store)
    await emit(store, 3)
    after, pages, events = None, 0, 0
    while after != store.feed_end():
        page = await store.feed(after, 500, DEFAULT, events_alone)
        after, pages, events = page.next, pages + 1, events + len(page.items)
        assert (page.searched_to_ms is None) == (after == store.feed_end())
    assert events == 3
    assert pages > 3


async def test_a_search_for_ids_reads_only_what_has_them(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when a change is missed, or all deliveries are read to find the few."""
    store = opened.store
    hook = await make_hook(store)
    await make_hook(store)
    accepted = await emit(store, 4)
    for job in await store.claim(HookId(hook.id), 10):
        await store.record([result_of(job, opened.clock, 200)])
    whole = (await store.feed(None, 1000)).items
    wanted = encode("evt", accepted[1].id)
    of_event = [item for item in whole if wanted in ids_of(item)]
    assert {item.kind for item in of_event} == {"event", "delivery", "attempt"}
    delivery = next(item.object.id for item in of_event if item.kind == "delivery")
    of_delivery = [item for item in whole if delivery in ids_of(item)]
    assert len(of_delivery) < len(of_event)
    read: set[int] = set()
    monkeypatch.setattr(feed, "deliveries_by_id", partial(noted, read, feed.deliveries_by_id))
    for identity, expected in ((wanted, of_event), (delivery, of_delivery)):
        only = FeedFilter(all_pass, (identity,))
        for page in (
            await store.feed(None, 1000, None, only),
            await store.feed_tail(99, None, only),
        ):
            assert [item.next for item in page.items] == [item.next for item in expected]
    assert len(read) == 2


async def test_a_search_for_ids_from_the_end_stops_before_older_events(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when the whole feed is read for a new event, or the search stops too early."""
    store = opened.store
    hook = await make_hook(store)
    accepted = []
    for _ in range(6):
        accepted += await emit(store)
        for job in await store.claim(HookId(hook.id), 10):
            await store.record([result_of(job, opened.clock, 200)])
        opened.clock.advance(90)
    whole = (await store.feed(None, 1000)).items
    read: list[int] = []
    monkeypatch.setattr(feed, "_ROWS_AT_ONCE", 1)
    monkeypatch.setattr(feed, "_rows", partial(counted, read, feed._rows))
    for age, event in enumerate(reversed(accepted), 1):
        read.clear()
        wanted = encode("evt", event.id)
        page = await store.feed_tail(99, None, FeedFilter(all_pass, (wanted,)))
        expected = [item.next for item in whole if wanted in ids_of(item)]
        assert [item.next for item in page.items] == expected
        assert page.before is None
        assert max(read) <= 3 * (age + 1)


def counted(read: list[int], query: Callable, *arguments: object) -> Sequence[object]:
    """Run a query of rows, and note how many have been read."""
    rows = query(*arguments)
    read.append(len(rows) + (read[-1] if read else 0))
    return rows


def ids_of(item: FeedItem) -> tuple[str, ...]:
    """Return the ids of the event and the delivery that a change is about."""
    match item.kind:
        case "event":
            return (item.object.id,)
        case "delivery":
            return (item.object.id, item.object.event)
        case "attempt":
            return (item.delivery.id, item.delivery.event)
        case _:
            return ()


def all_pass(_: object, items: Sequence[FeedItem]) -> Iterator[tuple[FeedItem, bool]]:
    return ((item, True) for item in items)


def noted(read: set[int], query: Callable, conn: object, deliveries: Iterable[int]) -> object:
    """Run a query of deliveries, and note their ids."""
    read |= set(deliveries)
    return query(conn, deliveries)


# Red when a page from the end that holds too little does not say where the search ended.
@pytest.mark.parametrize("search_s", [-1, 60])
async def test_a_search_from_the_end_continues_before_the_last_page(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, search_s: int
) -> None:
    store = opened.store
    monkeypatch.setattr("hooktui.store.feed.SEARCH_S", search_s)
    await make_hook(store)
    for count in (1, 2, 5):
        await emit(store, count)
    whole = (await store.feed(None, 1000)).items
    for limit, feed_filter in itertools.product((1, 2, 3, 7, 100), (None, events_alone)):
        page = await store.feed_tail(limit, None, feed_filter)
        assert page.next == store.feed_end()
        found = list(page.items)
        while (before := page.before) is not None:
            assert page.searched_to_ms is not None
            page = await store.feed_tail(limit, None, feed_filter, before)
            assert page.next == before
            assert len(page.items) <= limit
            found = [*page.items, *found]
        assert page.searched_to_ms is None
        wanted = whole if feed_filter is None else [item for item in whole if item.kind == "event"]
        assert [item.next for item in found] == [item.next for item in wanted]
    beyond = await store.feed_tail(1, None, None, f"{10**18}.0")
    assert (beyond.items, beyond.reset) == ((), True)
