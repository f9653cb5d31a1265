"""The hot statements of SQLite, by name."""

# ruff: noqa: S105, S608 - statements are built from our own constants only

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hooktui.store.attempt_stats import COUNTS
from hooktui.store.tables import ATTEMPT

INSERT_EVENT = """
INSERT INTO event (id, account_id, type, created_at, size, deliveries, skipped, skips, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""

# Constant values are literals in the statement: binding a NULL costs more than a number.

_NEW_DELIVERY = """
INSERT INTO delivery (id, account_id, hook_id, event_id, event_type, created_at, "trigger", status,
    attempts, next_attempt_at, lease_token, lease_until, tries, interruptions)
VALUES (?, ?, ?, ?, ?, ?, {rest}, 0, 0)"""

INSERT_PENDING = _NEW_DELIVERY.format(rest="'event', 'pending', 0, ?, NULL, NULL")

INSERT_LEASED = _NEW_DELIVERY.format(rest="'event', 'sending', 1, NULL, ?, ?")

INSERT_LEASED_PING = _NEW_DELIVERY.format(rest="'ping', 'sending', 1, NULL, ?, ?")

INSERT_KEY = """
INSERT INTO idempotency_key (account_id, "key", event_id, type, body_sha256, deliveries, skipped,
    created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, "key") DO UPDATE SET event_id = excluded.event_id, type = excluded.type,
    body_sha256 = excluded.body_sha256, deliveries = excluded.deliveries,
    skipped = excluded.skipped, created_at = excluded.created_at"""

FIND_KEY = """
SELECT event_id, type, body_sha256, deliveries, skipped FROM idempotency_key
WHERE account_id = ? AND "key" = ? AND created_at > ?"""

FORGET_KEYS = """
DELETE FROM idempotency_key WHERE (account_id, "key") IN
    (SELECT account_id, "key" FROM idempotency_key WHERE created_at <= ? LIMIT ?)"""

ADD_WAITING = "UPDATE hook_state SET waiting = waiting + ? WHERE hook_id = ?"

ADD_SKIPPED = """
UPDATE hook_state SET skipped = skipped + ?, skipped_first = COALESCE(skipped_first, ?),
    skipped_last = ?
WHERE hook_id = ?"""

_CLAIM_COLUMNS = """d.id, d.event_id, d.event_type, d.hook_id, d.account_id, d."trigger",
    d.attempts, d.tries, d.interruptions"""

_FIND_DUE = f"""
SELECT {_CLAIM_COLUMNS}, e.body, d.next_attempt_at FROM delivery d JOIN event e ON e.id = d.event_id
WHERE d.status = 'pending' AND d.tries {{tries}} AND d.hook_id = ? AND d.next_attempt_at <= ?
ORDER BY d.next_attempt_at, d.id LIMIT ?"""

FIND_FIRST_TRIES = _FIND_DUE.format(tries="= 0")

FIND_RETRIES = _FIND_DUE.format(tries="> 0")

FIND_FIRST_IN_LINE = f"""
SELECT {_CLAIM_COLUMNS}, e.body, d.status, d.next_attempt_at
FROM delivery d JOIN event e ON e.id = d.event_id
WHERE d.status IN ('pending', 'sending') AND d.hook_id = ? AND d."trigger" <> 'ping'
ORDER BY d.id LIMIT 1"""

LEASE = """
UPDATE delivery SET status = 'sending', attempts = attempts + 1, next_attempt_at = NULL,
    lease_token = ?, lease_until = ?
WHERE id = ? AND status = 'pending'"""

_FENCE = "id = ? AND status = 'sending' AND attempts = ? AND lease_token = ?"

_CAUSE = """CASE ? WHEN '' THEN cause ELSE iif(EXISTS (
    SELECT 1 FROM delivery newer WHERE newer.event_id = delivery.event_id
        AND newer.hook_id = delivery.hook_id AND newer.id > delivery.id), NULL, ?) END"""
"""Only the newest delivery of an event to a hook has a cause; the cause is bound twice."""

FINISH = f"""
UPDATE delivery SET status = ?, tries = ?, interruptions = ?, next_attempt_at = ?,
    lease_token = NULL, lease_until = NULL, finished_at = ?, duration_ms = ?, last_code = ?,
    last_error = ?, reason = ?, cause = {_CAUSE}
WHERE {_FENCE}"""

FINISH_DELIVERED = f"""
UPDATE delivery SET status = 'delivered', tries = ?, interruptions = 0, next_attempt_at = NULL,
    lease_token = NULL, lease_until = NULL, finished_at = ?, duration_ms = ?, last_code = ?,
    last_error = NULL, reason = NULL, cause = NULL
WHERE {_FENCE}"""

FINISHED_JUST_NOW = """
SELECT 1 FROM delivery d WHERE id = ? AND status = 'delivered' AND attempts = ? AND finished_at = ?
    AND NOT EXISTS (SELECT 1 FROM attempt WHERE delivery_id = d.id AND number = d.attempts)"""

RELEASE = f"""
UPDATE delivery SET status = ?, attempts = attempts - 1, next_attempt_at = ?, lease_token = NULL,
    lease_until = NULL, finished_at = ?, reason = ?
WHERE {_FENCE}"""

FIND_LEASED = f"""
SELECT {_CLAIM_COLUMNS}, d.lease_token, d.lease_until FROM delivery d
WHERE d.status = 'sending' AND d.lease_until <= ? ORDER BY d.lease_until LIMIT ?"""

FIND_SAME_ATTEMPT = """
SELECT 1 FROM attempt WHERE delivery_id = ? AND number = ? AND started_at = ? AND finished_at = ?
    AND outcome = ?"""

PLAIN_ATTEMPT: Final[dict[str, object]] = {
    "outcome": "delivered", "error": None, "error_detail": None, "dns_ms": None, "connect_ms": None,
    "tls_ms": None, "reused_connection": True, "retry_after_s": None, "truncated": False,
}  # fmt: skip
"""The usual values of an attempt: delivered, over a reused connection."""


def _insert_attempt(constants: Mapping[str, object]) -> str:
    literals: dict[object, str] = {None: "NULL", True: "1", False: "0"}
    fixed = {name: literals.get(value, f"'{value}'") for name, value in constants.items()}
    values = ", ".join(fixed.get(column.name, "?") for column in ATTEMPT.columns)
    return f"INSERT INTO attempt ({', '.join(ATTEMPT.columns.keys())}) VALUES ({values})"


INSERT_ATTEMPT = _insert_attempt({})

INSERT_PLAIN_ATTEMPT = _insert_attempt(PLAIN_ATTEMPT)

FIND_STATE = """
SELECT failures_in_a_row, breaker_until, failing_since, failed_since_success
FROM hook_state WHERE hook_id = ?"""

FAILED_BY_AGE = """
SELECT (? - bucket) / ?, SUM(failed) FROM hook_stats WHERE hook_id = ? AND bucket > ?
GROUP BY 1"""

CHANGE_STATE = """
UPDATE hook_state SET
    waiting = waiting - :finished,
    last_code = CASE WHEN :last_at > 0 THEN :last_code ELSE last_code END,
    last_error = CASE WHEN :last_at > 0 THEN :last_error ELSE last_error END,
    last_at = CASE WHEN :last_at > 0 THEN :last_at ELSE last_at END,
    failures_in_a_row = :failures, breaker = :breaker, breaker_until = :breaker_until,
    failed_since_success = :failed, failing_since = :failing_since,
    last_success_at = COALESCE(:success_at, last_success_at)
WHERE hook_id = :hook"""

ADD_STATS = f"""
INSERT INTO hook_stats (hook_id, bucket, {", ".join(COUNTS)})
VALUES (?, ?, {", ".join("?" for _ in COUNTS)})
ON CONFLICT (hook_id, bucket) DO UPDATE SET
    {", ".join(f"{name} = {name} + excluded.{name}" for name in COUNTS)}"""

USE_SECRET = "UPDATE secret SET last_used_at = ? WHERE id = ?"

_MOVE_WAITING = """
UPDATE delivery SET next_attempt_at = next_attempt_at + ?
WHERE status = 'pending' AND tries {tries} AND hook_id = ?"""

MOVE_FIRST_TRIES, MOVE_RETRIES = (_MOVE_WAITING.format(tries=tries) for tries in ("= 0", "> 0"))

_FIND_MOVED = """
SELECT id, account_id, attempts, next_attempt_at, duration_ms, reason FROM delivery
WHERE status = 'pending' AND tries {tries} AND hook_id = ? ORDER BY next_attempt_at LIMIT ?"""

FIND_MOVED_FIRST_TRIES, FIND_MOVED_RETRIES = (
    _FIND_MOVED.format(tries=tries) for tries in ("= 0", "> 0")
)

MOVE_LEASES = """
UPDATE delivery SET lease_until = lease_until + ? WHERE status = 'sending' AND lease_until > 0"""

MOVE_REPLAY_LEASES = """
UPDATE replay SET lease_until = lease_until + ? WHERE state = 'running' AND lease_until > 0"""

FIND_SNOOZES = """
SELECT id, account_id FROM alert WHERE state = 'snoozed' AND snoozed_until > ?"""

MOVE_SNOOZES = """
UPDATE alert SET snoozed_until = snoozed_until + ? WHERE state = 'snoozed' AND snoozed_until > ?"""

MOVE_FAILURES = "UPDATE hook_state SET failing_since = failing_since + ? WHERE failing_since > ?"

MOVE_OVERLAPS = "UPDATE secret SET expires_at = expires_at + ? WHERE expires_at > ?"

FIND_OVERLAPS = "SELECT DISTINCT hook_id FROM secret WHERE expires_at > ?"

_NEXT_DUE = """
SELECT MIN(next_attempt_at) FROM delivery
WHERE status = 'pending' AND tries {tries} AND hook_id = ?"""

NEXT_FIRST_TRY, NEXT_RETRY = _NEXT_DUE.format(tries="= 0"), _NEXT_DUE.format(tries="> 0")

FIRST_IN_LINE_DUE = """
SELECT next_attempt_at FROM delivery
WHERE status IN ('pending', 'sending') AND hook_id = ? AND "trigger" <> 'ping'
ORDER BY id LIMIT 1"""

INSERT_FEED = "INSERT INTO feed (at_ms, items, changes) VALUES (?, ?, ?)"

OLDEST_FEED = "SELECT pos, items FROM feed ORDER BY pos LIMIT ?"

COUNT_FEED = "SELECT COUNT(*), COALESCE(SUM(items), 0), COALESCE(MAX(pos), 0) FROM feed"

NEWEST_FEED = "SELECT at_ms FROM feed ORDER BY pos DESC LIMIT 1"

TRIM_FEED = "DELETE FROM feed WHERE pos <= ?"

HIGHEST_IDS = """
SELECT MAX(id) FROM (
    SELECT MAX(id) AS id FROM event UNION ALL SELECT MAX(id) FROM delivery
    UNION ALL SELECT MAX(id) FROM replay UNION ALL SELECT MAX(id) FROM alert UNION ALL SELECT 0)"""

_IN_USE = """EXISTS (SELECT 1 FROM delivery d WHERE d.event_id = {event}
    AND (d.status IN ('pending', 'sending') OR d.finished_at >= {before}))"""

_UNDELIVERED = """EXISTS (SELECT 1 FROM delivery d WHERE d.event_id = {event}
    AND (d.status <> 'delivered' OR d.finished_at >= {before}))"""

SCAN_OLD_EVENTS = f"""
SELECT e.id, e.size,
    e.created_at < :before AND NOT {_IN_USE.format(event="e.id", before=":before")}
FROM event e WHERE e.id > :after AND e.id < :floor
    AND (:account IS NULL OR e.account_id = :account)
ORDER BY e.id LIMIT :most"""

SCAN_OLD_BODIES = f"""
SELECT e.id, e.size, e.body IS NOT NULL AND e.deliveries > 0
    AND e.created_at < :before AND NOT {_UNDELIVERED.format(event="e.id", before=":before")}
FROM event e WHERE e.id > :after AND e.id < :floor ORDER BY e.id LIMIT :most"""

EVENT_IN_USE = f"SELECT 1 WHERE {_IN_USE.format(event='?', before='?')}"

DELIVERY_OF_EVENT = "SELECT 1 FROM delivery WHERE event_id = ? LIMIT 1"

DELIVERIES_OF_EVENT = "SELECT id, hook_id, cause FROM delivery WHERE event_id = ? LIMIT ?"

SIZE_OF_ATTEMPTS = """
SELECT COUNT(*), COALESCE(SUM(COALESCE(LENGTH(body), 0) + COALESCE(LENGTH(headers), 0)), 0)
FROM attempt WHERE delivery_id = ?"""

DROP_ATTEMPTS = "DELETE FROM attempt WHERE delivery_id = ?"

DROP_DELIVERY = "DELETE FROM delivery WHERE id = ?"

DROP_EVENT = "DELETE FROM event WHERE id = ?"

DROP_BODY = f"""
UPDATE event SET body = NULL
WHERE id = ? AND body IS NOT NULL AND NOT {_UNDELIVERED.format(event="event.id", before="?")}"""

DROP_STATS = """
DELETE FROM hook_stats WHERE (hook_id, bucket) IN
    (SELECT s.hook_id, s.bucket FROM hook h JOIN hook_stats s ON s.hook_id = h.id AND s.bucket < ?
     LIMIT ?)"""

# Replays

FIND_REPLAY_PROGRESS = """
SELECT r.account_id, r.state, r.owner_token, r.max_deliveries, h.state, h.cursor, h.skipped,
    (SELECT SUM(o.sent + o.retried) FROM replay_hook o WHERE o.replay_id = r.id)
FROM replay r JOIN replay_hook h ON h.replay_id = r.id WHERE r.id = ? AND h.hook_id = ?"""

FIND_REPLAY_EVENT = "SELECT id, type, deliveries, body FROM event WHERE id = ?"

FIND_NEWEST = """
SELECT id, status, cause, replay_id, event_id, "trigger", attempts, tries, interruptions
FROM delivery WHERE event_id = ? AND hook_id = ? ORDER BY id DESC LIMIT 1"""

FIND_LINE = """
SELECT id FROM delivery
WHERE status IN ('pending', 'sending') AND hook_id = ? AND "trigger" <> 'ping'
ORDER BY id LIMIT 2"""

_NEW_REPLAYED = """
INSERT INTO delivery (id, account_id, hook_id, event_id, event_type, created_at, "trigger", status,
    attempts, next_attempt_at, lease_token, lease_until, replay_id, tries, interruptions)
VALUES (?, ?, ?, ?, ?, ?, 'replay', {rest}, ?, 0, 0)"""

INSERT_REPLAYED = _NEW_REPLAYED.format(rest="'sending', 1, NULL, ?, ?")

INSERT_REPLAYED_IN_LINE = _NEW_REPLAYED.format(rest="'pending', 0, ?, NULL, NULL")

LEASE_EARLY = """
UPDATE delivery SET status = 'sending', attempts = attempts + 1, next_attempt_at = NULL,
    lease_token = ?, lease_until = ?, replay_id = ?
WHERE id = ? AND status = 'pending'"""

MAKE_DUE = "UPDATE delivery SET next_attempt_at = ?, replay_id = ? WHERE id = ?"

FORGET_OLDER_CAUSES = """
UPDATE delivery SET cause = NULL
WHERE event_id = ? AND hook_id = ? AND id < ? AND cause IS NOT NULL"""

COUNT_FIRST_DELIVERY = "UPDATE event SET deliveries = 1 WHERE id = ? AND deliveries = 0"

MOVE_WALK = """
UPDATE replay_hook SET state = ?, reason = ?, cursor = ?, sent = sent + ?, retried = retried + ?,
    skipped = ?
WHERE replay_id = ? AND hook_id = ?"""

RENEW_REPLAY = "UPDATE replay SET lease_until = ? WHERE id = ?"

OLD_REPLAY = "SELECT id FROM replay WHERE ended_at < ? ORDER BY id LIMIT 1"

DROP_WALKS = "DELETE FROM replay_hook WHERE replay_id = ?"

DROP_REPLAY = "DELETE FROM replay WHERE id = ?"

END_REPLAY_LEASES = """
UPDATE replay SET lease_until = ? WHERE state = 'running' AND lease_until > ?"""

DROP_ALERTS = """
DELETE FROM alert WHERE id IN
    (SELECT id FROM alert WHERE state = 'resolved' AND resolved_at < ? LIMIT ?)"""
