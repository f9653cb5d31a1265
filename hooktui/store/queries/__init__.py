"""The queries that the API and the engine run: functions ``query(conn, …)``; see ``Store.read``."""

from __future__ import annotations

from hooktui.store.audit import KnownEntry, check_chain
from hooktui.store.queries.access import (
    TokenRecord,
    account_row,
    get_account,
    list_accounts,
    list_tokens,
    token_by_hash,
)
from hooktui.store.queries.alerts import (
    AlertQuery,
    alert_counts,
    alert_path,
    alerts_by_type,
    get_alert,
    list_alerts,
)
from hooktui.store.queries.audit import AuditQuery, list_audit
from hooktui.store.queries.deliveries import (
    DeliveryRecord,
    find_open,
    get_delivery,
    list_deliveries,
)
from hooktui.store.queries.delivery_indexes import DeliveryQuery
from hooktui.store.queries.dry_run import try_hook
from hooktui.store.queries.engine import engine_state, hooks_by_state, open_breakers
from hooktui.store.queries.event_outcomes import list_decisions
from hooktui.store.queries.events import bodies_by_id, get_event, list_events
from hooktui.store.queries.health import hook_health
from hooktui.store.queries.hooks import backlog, get_hook, list_hooks, waiting_of
from hooktui.store.queries.replay_candidates import ReplayWalk, next_candidates
from hooktui.store.queries.replays import (
    RunningReplay,
    count_running,
    get_replay,
    is_sending,
    list_replays,
    may_be_taken,
    replay_results,
    replays_of,
)
from hooktui.store.queries.undelivered import (
    UndeliveredQuery,
    get_undelivered,
    list_undelivered,
    undelivered_totals,
)

__all__ = [
    "AlertQuery",
    "AuditQuery",
    "DeliveryQuery",
    "DeliveryRecord",
    "KnownEntry",
    "ReplayWalk",
    "RunningReplay",
    "TokenRecord",
    "UndeliveredQuery",
    "account_row",
    "alert_counts",
    "alert_path",
    "alerts_by_type",
    "backlog",
    "bodies_by_id",
    "check_chain",
    "count_running",
    "engine_state",
    "find_open",
    "get_account",
    "get_alert",
    "get_delivery",
    "get_event",
    "get_hook",
    "get_replay",
    "get_undelivered",
    "hook_health",
    "hooks_by_state",
    "is_sending",
    "list_accounts",
    "list_alerts",
    "list_audit",
    "list_decisions",
    "list_deliveries",
    "list_events",
    "list_hooks",
    "list_replays",
    "list_tokens",
    "list_undelivered",
    "may_be_taken",
    "next_candidates",
    "open_breakers",
    "replay_results",
    "replays_of",
    "token_by_hash",
    "try_hook",
    "undelivered_totals",
    "waiting_of",
]
