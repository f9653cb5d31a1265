"""All queries for people: functions over a SQLAlchemy connection, run by ``Store.read``."""

from __future__ import annotations

from hooktui.store.access_queries import (
    TokenRecord,
    get_account,
    list_accounts,
    list_tokens,
    token_by_hash,
)
from hooktui.store.audit import KnownEntry, check_chain
from hooktui.store.audit_queries import AuditQuery, list_audit
from hooktui.store.breaker_queries import open_breakers
from hooktui.store.delivery_queries import DeliveryRecord, get_delivery, list_deliveries
from hooktui.store.delivery_walks import DeliveryQuery
from hooktui.store.dry_run_queries import try_hook
from hooktui.store.event_decisions import list_decisions
from hooktui.store.event_queries import bodies_by_id, get_event, list_events
from hooktui.store.health_queries import hook_health
from hooktui.store.hook_queries import backlog, get_hook, list_hooks, waiting_of
from hooktui.store.metric_queries import hooks_by_state
from hooktui.store.pause import engine_state

__all__ = [
    "AuditQuery", "DeliveryQuery", "DeliveryRecord", "KnownEntry", "TokenRecord", "backlog",
    "bodies_by_id", "check_chain", "engine_state", "get_account", "get_delivery", "get_event",
    "get_hook", "hook_health", "hooks_by_state",
    "list_accounts", "list_audit", "list_decisions", "list_deliveries",
    "list_events", "list_hooks", "list_tokens", "open_breakers", "token_by_hash", "try_hook",
    "waiting_of",
]  # fmt: skip
