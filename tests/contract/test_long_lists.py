"""Lists so long that a filter looks at a part of them for each page."""

from __future__ import annotations

import pytest

from hooktui.domain.filters.parser import parse
from hooktui.store import changes, queries
from hooktui.store.queries import pages
from hooktui.store.queries.pages import PageRequest
from tests.contract.test_lists import walk
from tests.support.stores import ADA, DEFAULT, Opened, attempt, delivery_query, emit, make_hook


@pytest.fixture
async def long(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """200 events for two hooks, 2 of them delivered by the first; 50 rows are a long list."""
    monkeypatch.setattr(pages, "WINDOW", 50)
    store = opened.store
    first = await make_hook(store)
    await make_hook(store, active=False)
    await emit(store, 100)
    await attempt(store, opened.clock, first)
    await emit(store, 100, event_type="job.started")
    return opened


@pytest.mark.parametrize("from_end", [False, True])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_filter_finds_each_once_in_one_order(long: Opened, from_end, order) -> None:
    everything, _ = await walk(long.store, queries.list_deliveries, DEFAULT, limit=500, order=order)
    page = await long.store.read(
        queries.list_deliveries, DEFAULT, PageRequest(limit=500), queries.DeliveryQuery()
    )
    types = {one.id: one.event_type for one in page.data}
    for wanted in ({"event_type": "job.failed"}, {"q": "event:*.failed"}, {"q": parse("failed")}):
        query = delivery_query(**wanted)
        found, count = await walk(
            long.store,
            queries.list_deliveries,
            DEFAULT,
            query,
            limit=7,
            from_end=from_end,
            order=order,
        )
        assert found == [one for one in everything if types[one] == "job.failed"]
        assert len(found) == 100
        assert count > 100 / 7


async def test_a_page_without_a_match_leads_on(long: Opened) -> None:
    query = queries.DeliveryQuery(event_type="job.failed")
    page = await long.store.read(queries.list_deliveries, DEFAULT, PageRequest(), query)
    assert (page.data, page.prev, page.total_is_estimate) == ([], None, True)
    assert page.next is not None


async def test_the_share_of_the_newest_stands_for_all(long: Opened) -> None:
    async def total(**wanted) -> tuple[int, bool]:
        query = delivery_query(**wanted)
        page = await long.store.read(queries.list_deliveries, DEFAULT, PageRequest(limit=5), query)
        return page.total, page.total_is_estimate

    assert await total(event_type="job.started") == (200, True)  # all of the newest 50
    assert await total(event_type="cluster") == (0, True)
    assert await total() == (200, False)


async def test_what_an_index_holds_is_counted_exactly_however_long_the_list(long: Opened) -> None:
    async def total(**wanted) -> tuple[int, bool]:
        query = delivery_query(**wanted)
        page = await long.store.read(queries.list_deliveries, DEFAULT, PageRequest(limit=1), query)
        return page.total, page.total_is_estimate

    assert await total(hook=1) == (200, False)
    assert await total(status="failed") == (0, False)
    assert await total(q="since:1970-01-01T00:00:00Z") == (200, False)


async def test_a_hook_of_another_account_has_no_deliveries_there(long: Opened) -> None:
    other = await long.store.write(changes.create_account, ADA, "other")
    query = queries.DeliveryQuery(hook=1)
    page = await long.store.read(queries.list_deliveries, other.id, PageRequest(limit=5), query)
    assert (page.data, page.total, page.next) == ([], 0, None)


FILTERS = {"event:job.failed": 122, "event:job.failed since:1h": 122, "job.failed": 122,
           "event:job.started -event:cluster": 183, "data.n:2": 0, "event:*": 305}  # fmt: skip


# Red when the share of the rows of a page stands for all: 11, 20, 76, 151 of really 199 events.
@pytest.mark.parametrize("filter_", FILTERS)
@pytest.mark.parametrize("list_", [queries.list_events, queries.list_deliveries])
async def test_a_filter_of_a_short_list_has_an_exact_total_on_pages_of_any_size(
    opened: Opened, filter_: str, list_
) -> None:
    store = opened.store
    await make_hook(store)
    await emit(store, 122)
    await emit(store, 183, event_type="job.started")
    for limit in (1, 2, 10, 50, 100, 305):
        for from_end in (False, True):
            request = PageRequest(limit=limit, from_end=from_end)
            if list_ is queries.list_events:
                page = await store.read(list_, DEFAULT, request, None, parse(filter_))
            else:
                page = await store.read(list_, DEFAULT, request, delivery_query(q=filter_))
            assert (page.total, page.total_is_estimate) == (FILTERS[filter_], False), limit


# Red when the few rows of a small page are the sample.
async def test_a_filter_of_a_long_list_is_estimated_from_its_newest_rows(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_SAMPLED", 102)
    store = opened.store
    await make_hook(store)
    for _ in range(50):
        await emit(store, 4)
        await emit(store, 2, event_type="job.started")
    query = parse("event:job.started")
    for limit in (1, 10, 30):
        page = await store.read(queries.list_events, DEFAULT, PageRequest(limit=limit), None, query)
        assert (page.total, page.total_is_estimate) == (100, True)
