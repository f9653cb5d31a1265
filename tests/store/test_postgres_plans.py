"""No list reads past its index or sorts what waits, on a database that was never analysed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, event

from hooktui.domain.filters.parser import parse
from hooktui.domain.ids import HookId
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.replays import ReplayMode, check_selection
from hooktui.domain.wire.replays import ReplaySelection
from hooktui.store import feed, queries
from hooktui.store.planning.retention import scan_old
from hooktui.store.postgres import queue, sql
from hooktui.store.postgres.store import PostgresStore
from hooktui.store.queries.alert_check import check_input, expiring
from hooktui.store.queries.pages import PageRequest
from hooktui.store.queries.replay_plans import PlanPosition, count_pairs
from hooktui.store.queries.replays import hooks_to_replay
from tests.store.backlog import SERIES, inserts, nodes
from tests.store.servers import Servers, connected
from tests.support.clocks import START_MS
from tests.support.stores import DEFAULT, delivery_query, make_hook

WAITING = 20_000
GROWING = ("delivery", "event", "attempt", "feed", "hook_stats")


def deliveries(**wanted: object) -> Callable[[Connection], object]:
    query = delivery_query(**wanted)
    return lambda conn: queries.list_deliveries(conn, DEFAULT, PageRequest(), query)


def events(event_type: str | None = None) -> Callable[[Connection], object]:
    return lambda conn: queries.list_events(conn, DEFAULT, PageRequest(), event_type)


def walk(hook: LiveHook, mode: str) -> Callable[[Connection], object]:
    """Return the queries of a step and of a plan of a replay."""
    given = ReplaySelection(hooks=(hook.id,), mode=mode, since="1d")
    selection = check_selection(given, START_MS)

    def run(conn: Connection) -> None:
        queries.next_candidates(conn, queries.ReplayWalk(selection, hook, WAITING, WAITING), 0)
        count_pairs(conn, selection, [hook], PlanPosition(0, 0, WAITING))

    return run


WALKS = {
    "failed": "delivery_undelivered",
    "sent": "delivery_by_hook",
    "never-sent": "event_by_account",
    "all": "event_by_account",
}
PAIR = "delivery_by_event delivery_pkey event_pkey"
"""The indexes of an event, its deliveries at a hook, and the newest of them."""
LISTS = {
    "deliveries": (deliveries(), "delivery_by_account"),
    "of a hook": (deliveries(hook=1), "delivery_by_hook"),
    "of an event": (deliveries(event=5), "delivery_by_event"),
    "pending": (deliveries(status="pending"), "delivery_by_account"),
    "pending of a hook": (deliveries(status="pending", hook=1), "delivery_by_hook delivery_open"),
    "failed": (deliveries(status="failed"), "delivery_failed"),
    "undelivered": (deliveries(status="undelivered"), "delivery_undelivered delivery_pkey"),
    "of a cause": (deliveries(q="cause:http_* code:503"), "delivery_undelivered delivery_pkey"),
    "of a group": (deliveries(q="hook:1 cause:dns"), "delivery_undelivered"),
    "groups": (
        lambda conn: queries.list_undelivered(
            conn, DEFAULT, PageRequest(), queries.UndeliveredQuery(), now_ms=START_MS
        ),
        "delivery_undelivered delivery_open delivery_pkey",
    ),
    "expiring": (lambda conn: expiring(conn, START_MS), "delivery_undelivered"),
    "hooks to replay": (
        lambda conn: hooks_to_replay(conn, DEFAULT, ReplayMode.FAILED, None), "delivery_undelivered"
    ),
    "hooks to replay of a cause": (
        lambda conn: hooks_to_replay(conn, DEFAULT, ReplayMode.FAILED, "dns"),
        "delivery_undelivered",
    ),
    "results of replays": (
        lambda conn: queries.list_replays(conn, DEFAULT, PageRequest()), "delivery_of_replay"
    ),
    "open that match": (
        lambda conn: queries.find_open(conn, DEFAULT, parse("event:job"), START_MS, (0, 0)),
        "delivery_open delivery_pkey",
    ),
    "events": (events(), "event_by_account delivery_by_event"),
    "events of a type": (events("job"), "event_by_account delivery_by_event"),
    "backlog": (
        lambda conn: queries.backlog(conn, DEFAULT, START_MS),
        "delivery_open delivery_due_first delivery_due_again",
    ),
    "health": (
        lambda conn: queries.hook_health(conn, DEFAULT, 1, 24, START_MS),
        "delivery_by_hook hook_stats_pkey",
    ),
    "feed": (
        lambda conn: feed.read_feed(conn, None, 50, DEFAULT, None), "feed_pkey hook_stats_pkey",
    ),
    "end of the feed": (
        lambda conn: feed.read_tail(conn, 50, DEFAULT, None, None), "feed_pkey hook_stats_pkey",
    ),
    "old events": (
        lambda conn: scan_old(conn, sql.SCAN_OLD_EVENTS, 0, START_MS),
        "event_pkey delivery_by_event",
    ),
    "old bodies": (
        lambda conn: scan_old(conn, sql.SCAN_OLD_BODIES, 0, START_MS),
        "event_pkey delivery_by_event",
    ),
}  # fmt: skip


async def plans(store: PostgresStore, query: Callable[[Connection], object]) -> list[Any]:
    """Return the nodes of the plans of all statements of a query, as they ran."""

    def run(conn: Connection) -> list[Any]:
        ran: list[tuple[str, Any]] = []

        def note(_: object, cursor: object, statement: str, values: Any, *rest: object) -> None:
            ran.append((statement, values))

        event.listen(conn, "before_cursor_execute", note)
        query(conn)
        event.remove(conn, "before_cursor_execute", note)
        found = []
        for statement, values in ran:
            if statement.startswith("SET LOCAL"):
                conn.exec_driver_sql(statement)
                continue
            explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
            plan = conn.exec_driver_sql(explain, values).scalar_one()
            found += nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])
        return found

    return await store.read(run)


# Red where the planner may read an index as a bitmap, which it then sorts.
async def test_no_list_reads_past_its_index(servers: Servers) -> None:
    store = await servers.another()
    hook = await make_hook(store)
    async with connected(servers.url) as raw:
        await raw.execute("ALTER TABLE delivery SET (autovacuum_enabled = off)")
        await raw.execute("ALTER TABLE event SET (autovacuum_enabled = off)")
        for statement in inserts(SERIES, 1, WAITING, hook.id):
            await raw.execute(statement)
        await raw.execute(f"UPDATE hook_state SET waiting = {WAITING}")
        causes = "CASE WHEN id % 20 = 0 THEN 'dns' ELSE 'http_5xx' END"
        await raw.execute(f"UPDATE delivery SET cause = {causes} WHERE id % 10 = 0")
    live = store.hooks()[HookId(hook.id)]
    walks = {
        f"replay of {mode}": (walk(live, mode), f"{index} {PAIR}") for mode, index in WALKS.items()
    }
    for name, (query, indexes) in (LISTS | walks).items():
        found = await plans(store, query)
        assert found, name
        reads = [node for node in found if node.get("Relation Name") in GROWING]
        used = {node.get("Index Name", node["Node Type"]) for node in reads}
        assert used <= set(indexes.split()), (name, used)
        sorts = [node["Actual Rows"] for node in found if "Sort" in node["Node Type"]]
        # The health of a hook groups its newest deliveries, up to a bound.
        assert name == "health" or max(sorts, default=0) <= 1_000, name


# Red when a search for what is due first may sort, or take the minimum of, all that waits. The
# index of retries has one level more than that of open deliveries, which looks cheaper then.
async def test_what_is_due_first_is_found_whatever_the_statistics_say(servers: Servers) -> None:
    store = await servers.another()
    hooks = [HookId((await make_hook(store)).id) for _ in range(3)]
    searches: dict[str, Callable[[Connection], object]] = {
        "due of hooks": lambda conn: queue.next_due(conn, [(hook, False) for hook in hooks], {}),
        "due of a hook": lambda conn: queries.hooks.next_due(conn, hooks[0]),
        "backlog": lambda conn: queries.backlog(conn, DEFAULT, START_MS),
        "late accounts": lambda conn: check_input(conn, START_MS, [DEFAULT]),
    }
    async with connected(servers.url) as raw:
        await raw.execute("ALTER TABLE delivery SET (autovacuum_enabled = off)")
        for statement in inserts(SERIES, 1, 1_000, hooks[0], len(hooks)):
            await raw.execute(statement)
        await raw.execute("UPDATE delivery SET status = 'delivered', next_attempt_at = NULL")
        await raw.execute("ANALYZE")
        for statement in inserts(SERIES, 1_001, 3 * WAITING, hooks[0], len(hooks), tries=1):
            await raw.execute(statement)
        await raw.execute(f"UPDATE hook_state SET waiting = {WAITING}")
        for statistics, change in (
            ("stale", "SELECT 1"),
            ("missing", "DELETE FROM pg_statistic WHERE starelid = 'delivery'::regclass"),
            ("fresh", "ANALYZE delivery"),
        ):
            await raw.execute(change)
            for name, search in searches.items():
                found = await plans(store, search)
                reads = [node for node in found if node.get("Relation Name") == "delivery"]
                assert reads, name
                rows = [node["Actual Rows"] * node["Actual Loops"] for node in reads]
                assert max(rows) <= len(hooks), (statistics, name, rows)
