"""No list walks through a table: each goes along an index, whatever it is asked for.

A plan does not change with the number of rows, as nothing here gathers statistics, so that an
empty database shows what a full one would do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Connection, event

from hooktui.domain.deliveries import Trigger
from hooktui.domain.errors import NotFound
from hooktui.domain.filters.parser import STATUSES, parse
from hooktui.domain.ids import HookId
from hooktui.domain.replays import ReplayMode, check_selection
from hooktui.domain.wire.replays import ReplaySelection
from hooktui.store import changes, queries
from hooktui.store.queries import AuditQuery
from hooktui.store.queries.alert_check import check_input, expiring
from hooktui.store.queries.alerts import newest_alert, unresolved
from hooktui.store.queries.hooks import hooks_by_id
from hooktui.store.queries.pages import PageRequest, _Cursor, _write
from hooktui.store.queries.replay_plans import PlanPosition, count_pairs
from hooktui.store.queries.replays import hooks_to_replay
from hooktui.store.queries.undelivered import get_undelivered
from hooktui.store.sqlite.store import SqliteStore
from tests.support.clocks import START_MS
from tests.support.stores import ADA, DEFAULT, attempt, delivery_query, emit, make_hook

GROWING = ("delivery", "event", "attempt", "hook_stats", "feed")


def pages(key: str) -> dict[str, PageRequest]:
    """Return one request of each kind for the list with a key."""
    return {
        "newest": PageRequest(),
        "oldest": PageRequest(sort="created_at", order="asc"),
        "from the end": PageRequest(from_end=True),
        "a later page": PageRequest(cursor=_write(_Cursor("id", "desc", False, 5, 5), key)),
        "a page before": PageRequest(cursor=_write(_Cursor("id", "desc", True, 5, 5), key)),
    }


DELIVERY_PAGES, EVENT_PAGES = pages("delivery.id"), pages("event.id")
CONDITIONS = {
    "nothing": {},
    **{f"status {name}": {"status": name} for name in STATUSES},
    **{f"hook and {name}": {"hook": 1, "status": name} for name in STATUSES},
    **{f"trigger {one}": {"trigger": one} for one in Trigger},
    "hook": {"hook": 1},
    "event": {"event": 1},
    "event and hook": {"event": 1, "hook": 1},
    "type": {"event_type": "job"},
    "times": {"since_ms": 1, "until_ms": 2},
    "times of a hook": {"since_ms": 1, "until_ms": 2, "hook": 1},
    **{
        q: {"q": q}
        for q in (
            "status:pending,sending",
            "status:failed,cancelled",
            "-status:delivered",
            "hook:1",
            "hook:1,2",
            "-hook:1",
            "event:job.*",
            "event:*.error",
            "code:5xx",
            "took:>2s",
            "since:10m",
            "-since:10m",
            "error:tls",
            "trigger:ping",
            "cause:*",
            "cause:http_5xx hook:1",
            "-cause:dns",
            "status:undelivered,held",
            "replay:rpl_01JDG3R8Z4000",
            "evt_01JDG3R8Z4000",
            "dlv_01JDG3R8Z4000",
            "id:evt_01JDG3R8Z4000,dlv_01JDG3R8Z4000 status:failed",
            "a word",
            "data.a:1",
            "hook:1 status:failed since:1h a word data.a:1 -code:2xx",
        )
    },
}


@contextmanager
def plans_of(conn: Connection) -> Iterator[list[str]]:
    """Collect the plan of every statement that a block runs."""
    found: list[str] = []

    def explain(_, cursor, statement, parameters, *rest) -> None:
        raw = cursor.connection
        rows = raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        found.extend(row[3].replace(" TABLE ", " ") for row in rows)  # before SQLite 3.36

    event.listen(conn, "before_cursor_execute", explain)
    yield found
    event.remove(conn, "before_cursor_execute", explain)


async def plans(store: SqliteStore, query: Callable, *args) -> list[str]:
    def run(conn: Connection) -> list[str]:
        with plans_of(conn) as found:
            query(conn, *args)
        return found

    found = await store.read(run)
    assert found, "the statements were not seen"
    return found


def walked_through(found: list[str]) -> list[str]:
    growing = rf"SCAN ({'|'.join(GROWING)})\b"
    return [step for step in found if re.match(growing, step)]


def sorted_by_hand(found: list[str]) -> bool:
    return any("TEMP B-TREE FOR" in step and "ORDER BY" in step for step in found)


@pytest.mark.parametrize("wanted", CONDITIONS.values(), ids=CONDITIONS)
async def test_a_list_of_deliveries_walks_along_an_index(store, wanted) -> None:
    for page in DELIVERY_PAGES.values():
        found = await plans(store, queries.list_deliveries, 1, page, delivery_query(**wanted))
        assert not walked_through(found)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "delivery_by_account"),
        ({"status": "delivered"}, "delivery_by_account"),
        ({"q": "code:5xx since:10m"}, "delivery_by_account"),
        ({"hook": 1}, "delivery_by_hook"),
        ({"q": "hook:1 -status:delivered"}, "delivery_by_hook"),
        ({"status": "failed"}, "delivery_failed"),
        ({"q": "hook:1 status:failed"}, "delivery_failed"),
        ({"q": "hook:1 cause:http_5xx since:1h"}, "delivery_undelivered"),
    ],
    ids=str,
)
async def test_nothing_that_may_be_long_is_sorted(store, wanted, index) -> None:
    for page in DELIVERY_PAGES.values():
        found = await plans(store, queries.list_deliveries, 1, page, delivery_query(**wanted))
        walks = [step for step in found if step.startswith("SEARCH delivery")]
        assert walks
        assert all(f"INDEX {index} " in step for step in walks)
        assert not sorted_by_hand(found)


@pytest.mark.parametrize("q", ["status:undelivered", "cause:http_*"])
async def test_groups_are_merged_from_ranges_of_one_index(store, clock, q) -> None:
    for code in (404, 503):
        hook = await make_hook(store)
        await emit(store)
        await attempt(store, clock, hook, code)
    for page in DELIVERY_PAGES.values():
        found = await plans(store, queries.list_deliveries, 1, page, delivery_query(q=q))
        walks = [step for step in found if step.startswith("SEARCH delivery")]
        in_groups = [step for step in walks if "hook_id=? AND cause" in step]
        by_id = [step for step in walks if "INTEGER PRIMARY KEY (rowid=?)" in step]
        assert in_groups
        assert len(walks) == len(in_groups) + len(by_id)
        assert not sorted_by_hand(found)


@pytest.mark.parametrize(
    "wanted",
    [{"status": "pending"}, {"q": "hook:1 status:held,sending"}, {"status": "retrying"}],
    ids=str,
)
async def test_what_waits_is_found_among_what_waits(store, wanted) -> None:
    found = await plans(store, queries.list_deliveries, 1, PageRequest(), delivery_query(**wanted))
    walks = [step for step in found if step.startswith("SEARCH delivery")]
    assert walks
    assert all("INDEX delivery_open " in step for step in walks)


@pytest.mark.parametrize("page", EVENT_PAGES.values(), ids=EVENT_PAGES)
@pytest.mark.parametrize(
    "wanted",
    [
        (None, None),
        ("job", None),
        (None, "since:10m"),
        (None, "event:job a word data.a:1"),
        ("job", "a word"),
    ],
    ids=str,
)
async def test_a_list_of_events_walks_along_an_index(store, wanted, page) -> None:
    event_type, q = wanted
    parsed = None if q is None else parse(q)
    found = await plans(store, queries.list_events, 1, page, event_type, parsed)
    assert not walked_through(found)
    assert not sorted_by_hand(found)


@pytest.mark.parametrize("sort", ["id", "name", "created_at", "updated_at", "last_at", "waiting"])
async def test_a_list_of_hooks_looks_at_nothing_that_grows_with_deliveries(store, sort) -> None:
    found = await plans(store, queries.list_hooks, 1, PageRequest(sort=sort), "a word")
    assert not walked_through(found)
    assert not walked_through(await plans(store, hooks_by_id, [1]))


# Red when the deliveries of all hooks are walked through, or sorted, to count those of one.
async def test_the_health_of_a_hook_looks_at_its_own_deliveries_and_counts_alone(store) -> None:
    hook = await make_hook(store)
    found = await plans(store, queries.hook_health, 1, hook.id, 24, START_MS)
    assert not walked_through(found)
    assert not sorted_by_hand(found)
    assert any("INDEX delivery_by_hook " in step for step in found)
    assert any("SEARCH hook_stats" in step and "bucket>" in step for step in found)


# Red when all events are read to find the latest ones of an account.
async def test_a_dry_run_looks_at_the_latest_events_of_its_account_alone(store) -> None:
    hook = await make_hook(store)
    found = await plans(store, queries.try_hook, None, hook.id, ["job"], "data.a:1")
    assert not walked_through(found)
    assert not sorted_by_hand(found)


# Red when the groups are counted from the deliveries themselves.
async def test_groups_are_counted_from_one_index(store) -> None:
    hooks = [await make_hook(store) for _ in range(2)]
    await emit(store)
    query = queries.UndeliveredQuery(hooks=[HookId(hooks[0].id)], cause="dns")
    args = (1, PageRequest(), query)
    found = await plans(store, partial(queries.list_undelivered, now_ms=START_MS), *args)
    assert not walked_through(found)
    assert not any("TEMP B-TREE FOR GROUP BY" in step for step in found)
    counted = [step for step in found if step.startswith("SEARCH delivery USING COVERING INDEX")]
    assert len(counted) == 2
    assert all("delivery_undelivered" in step for step in counted)
    held = [step for step in found if step.startswith("SEARCH delivery USING INDEX")]
    assert len(held) == 2
    assert all("delivery_open (hook_id=?)" in step for step in held)
    assert not sorted_by_hand(found)
    found = await plans(store, expiring, START_MS)
    assert any("USING COVERING INDEX delivery_undelivered" in step for step in found)


async def test_open_deliveries_are_found_among_the_open_ones(store) -> None:
    hook = await make_hook(store)
    await emit(store, 3)
    found = await plans(store, queries.find_open, 1, parse("hook:1 data.a:1"), START_MS, (0, 0))
    assert hook.id
    assert not walked_through(found)
    assert any("INDEX delivery_open " in step for step in found)


@pytest.mark.parametrize("account", [1, None])
async def test_the_backlog_is_read_from_the_counters(store, account) -> None:
    found = await plans(store, queries.backlog, account, 0)
    assert not walked_through(found)
    looked_up = [step for step in found if step.startswith("SEARCH delivery")]
    assert len(looked_up) == 3, "in one statement for all hooks"
    assert "INDEX delivery_open (hook_id=?)" in looked_up[0]  # of ordered hooks
    assert "INDEX delivery_due_first " in looked_up[1]
    assert "INDEX delivery_due_again " in looked_up[2]


# Red when what waits is counted among the deliveries.
async def test_accounts_and_breakers_are_read_from_the_counters(store) -> None:
    page = PageRequest(limit=50)
    for found in (
        await plans(store, queries.list_accounts, page),
        await plans(store, queries.open_breakers, None),
    ):
        assert not walked_through(found)
        assert not [step for step in found if "delivery" in step or "event" in step]


async def test_one_delivery_and_one_event_are_looked_up(store) -> None:
    def both(conn: Connection) -> None:
        with pytest.raises(NotFound):
            queries.get_delivery(conn, 1, 5)
        with pytest.raises(NotFound):
            queries.get_event(conn, 1, 5)

    assert not walked_through(await plans(store, both))


# Red when the whole trail is walked through to tell what was done to one hook.
@pytest.mark.parametrize("account", [None, 1])
@pytest.mark.parametrize("more", [{}, {"user": "ada", "since_ms": 1}], ids=str)
async def test_what_was_done_to_one_thing_is_found_by_the_thing(store, account, more) -> None:
    for page in pages("audit.id").values():
        page = replace(page, sort=None, order=None)
        wanted = AuditQuery(target="hook 12", **more)
        found = await plans(store, queries.list_audit, account, page, wanted)
        assert not sorted_by_hand(found)
        steps = [step for step in found if "audit" in step]
        assert steps
        assert all("INDEX audit_by_target (" in step for step in steps)


# Red when the deliveries of all events are read to tell how those of a page stand.
async def test_what_became_of_an_event_is_found_by_the_event(store) -> None:
    await make_hook(store)
    (accepted,) = await emit(store)
    found = await plans(store, queries.list_events, 1, PageRequest())
    for concerned in (None, True, False):
        page = PageRequest(sort="id")
        found += await plans(store, queries.list_decisions, 1, accepted.id, page, concerned)
    assert not walked_through(found)
    looked_up = [step for step in found if step.startswith("SEARCH delivery")]
    assert len(looked_up) >= 4
    assert all("INDEX delivery_by_event " in step for step in looked_up)


async def test_a_check_of_alerts_reads_the_unresolved_ones_and_no_delivery_of_others(store) -> None:
    found = await plans(store, check_input, START_MS, [1])
    assert not walked_through(found)
    assert any("alert_unresolved" in step for step in found)
    assert any("delivery_undelivered" in step for step in found)
    assert not any(step.startswith("SCAN alert") and "USING" not in step for step in found)


async def test_an_alert_is_found_by_its_key(store) -> None:
    found = await plans(store, newest_alert, "disk.low")
    assert any("alert_by_key" in step for step in found)
    found = await plans(store, unresolved, ["disk.low", "queue.behind:1"])
    assert any("alert_unresolved" in step or "alert_by_key" in step for step in found)


async def test_a_group_is_counted_along_its_index(store) -> None:
    hook = await make_hook(store)

    def group(conn: Connection) -> None:
        with suppress(NotFound):
            get_undelivered(conn, None, HookId(hook.id), "dns", now_ms=START_MS)

    found = await plans(store, group)
    assert any("delivery_undelivered" in step for step in found)
    assert not walked_through(found)


WALKS = {
    ReplayMode.FAILED: ("delivery_undelivered", "delivery_by_event"),
    ReplayMode.SENT: ("delivery_by_hook", "delivery_by_event"),
    ReplayMode.NEVER_SENT: ("delivery_by_event",),
    ReplayMode.ALL: ("delivery_by_event",),
}


# Red when a step or a plan reads the deliveries of a hook that its mode does not ask for.
@pytest.mark.parametrize("q", [None, "event:job"])
@pytest.mark.parametrize(("mode", "indexes"), WALKS.items(), ids=str)
async def test_a_walk_of_a_replay_goes_along_an_index(store, clock, mode, indexes, q) -> None:
    hook = await make_hook(store)
    await emit(store)
    await attempt(store, clock, hook, 404)
    live = store.hooks()[HookId(hook.id)]
    given = ReplaySelection(hooks=(hook.id,), mode=mode.value, since="1h", filter=q)
    selection = check_selection(given, clock.ms)
    bound = 2**62
    found = await plans(
        store, queries.next_candidates, queries.ReplayWalk(selection, live, bound, bound), 0
    )
    found += await plans(store, count_pairs, selection, [live], PlanPosition(0, 0, bound))
    assert not walked_through(found)
    read = [step for step in found if step.startswith("SEARCH") and "INDEX delivery" in step]
    assert {index for step in read for index in indexes if index in step} == set(indexes)
    assert all(any(index in step for index in indexes) for step in read)


async def test_the_results_of_replays_are_counted_along_their_index(store, clock) -> None:
    hook = await make_hook(store)
    await emit(store)
    await attempt(store, clock, hook, 404)
    selection = check_selection(ReplaySelection(hooks=(hook.id,)), clock.ms)
    await store.write(changes.create_replay, ADA, DEFAULT, selection, 50, None)
    found = await plans(store, queries.list_replays, DEFAULT, PageRequest())
    found += await plans(store, queries.is_sending, 1)
    counted = [step for step in found if step.startswith("SEARCH delivery")]
    assert len(counted) == 2
    assert all("INDEX delivery_of_replay " in step for step in counted)
    for query, args in ((queries.may_be_taken, [START_MS]), (queries.count_running, [])):
        found += await plans(store, query, *args)
        assert any("INDEX replay_running" in step for step in found)
    for cause in (None, "dns"):
        found += await plans(store, hooks_to_replay, DEFAULT, ReplayMode.FAILED, cause)
    assert not walked_through(found)
