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
from hooktui.store.queries.hooks import backlog, get_hook, list_hooks
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
    status_of,
)
from hooktui.store.queries.undelivered import (
    UndeliveredQuery,
    get_undelivered,
    list_undelivered,
    undelivered_totals,
)
