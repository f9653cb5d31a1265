"""The hot statements of PostgreSQL, by name: many rows in one round trip, as column arrays."""

# ruff: noqa: S608 - statements are built from our own constants only

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Float, Integer, LargeBinary, Table, Text

from hooktui.domain.ids import MAX_SERVER_NUMBER
from hooktui.store.attempt_stats import COUNTS
from hooktui.store.postgres import locks
from hooktui.store.tables import ATTEMPT, EVENT, IDEMPOTENCY_KEY, Big

BEGIN: Final = f"BEGIN; SELECT pg_advisory_xact_lock_shared({locks.HOOKS})"
BEGIN_ALONE: Final = f"BEGIN; SELECT pg_advisory_xact_lock({locks.HOOKS})"
"""The lock is a separate statement: only the statements after it see all commits."""

NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

INSTALLATION_STATE: Final = (
    f"SELECT live_version, {NOW}, (SELECT MAX(pos) FROM feed) FROM installation"
)

NEW_VERSION: Final = "UPDATE installation SET live_version = live_version + 1"
"""Makes every server read the changes of people before its next transaction."""

TAKE_NUMBER: Final = f"""
SELECT number FROM generate_series(0, {MAX_SERVER_NUMBER}) AS number
WHERE pg_try_advisory_lock({locks.SERVERS}, number) LIMIT 1"""

LOCK_SHARED: Final = "SELECT pg_advisory_lock_shared(key) FROM unnest($1::bigint[]) AS key"

HIGHEST_IDS: Final = """
SELECT GREATEST((SELECT MAX(id) FROM event), (SELECT MAX(id) FROM delivery),
    (SELECT MAX(id) FROM replay), (SELECT MAX(id) FROM alert), 0)"""

CHANGED_HOOKS: Final = """
SELECT hook_id FROM live_change WHERE version > :known ORDER BY hook_id"""


def _arrays(*types: str, first: int = 1) -> str:
    """Return ``unnest($1::bigint[], …)``: rows from one array for each column."""
    return f"unnest({', '.join(f'${n}::{kind}[]' for n, kind in enumerate(types, first))})"


def _type_of(column_type: object) -> str:
    for kind, name in (
        (Big, "bigint"), (Boolean, "boolean"), (Float, "float8"), (LargeBinary, "bytea"),
        (Text, "text"), (Integer, "integer"),
    ):  # fmt: skip
        if isinstance(column_type, kind):
            return name
    raise TypeError(f"no array type for {column_type!r}")


def _insert(table: Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    arrays = _arrays(*(_type_of(column.type) for column in table.columns))
    return f"INSERT INTO {table.name} ({names}) SELECT * FROM {arrays}"


_EVENT = tuple(_type_of(column.type) for column in EVENT.columns)
_PENDING = ("bigint", "bigint", "bigint", "bigint", "text", "bigint", "bigint")
_LEASED = (*_PENDING, "bigint")
_DELIVERY = """id, account_id, hook_id, event_id, event_type, created_at, {at}, "trigger", status,
    attempts, tries, interruptions"""
_PENDING_FROM = 1 + len(_EVENT)
_LEASED_FROM = _PENDING_FROM + len(_PENDING)

INSERT_ACCEPTED: Final = f"""
WITH events AS ({_insert(EVENT)}),
pending AS (
    INSERT INTO delivery ({_DELIVERY.format(at="next_attempt_at")})
    SELECT *, 'event', 'pending', 0, 0, 0 FROM {_arrays(*_PENDING, first=_PENDING_FROM)})
INSERT INTO delivery ({_DELIVERY.format(at="lease_token, lease_until")})
SELECT *, 'event', 'sending', 1, 0, 0 FROM {_arrays(*_LEASED, first=_LEASED_FROM)}"""
"""Events, pending and leased deliveries; the columns of ``planning.accept.Plan`` in their order."""

INSERT_PING: Final = f"""
WITH events AS ({_insert(EVENT)})
INSERT INTO delivery ({_DELIVERY.format(at="lease_token, lease_until")})
SELECT *, 'ping', 'sending', 1, 0, 0 FROM {_arrays(*_LEASED, first=_PENDING_FROM)}"""

RESERVE_KEYS: Final = f"""
INSERT INTO idempotency_key (account_id, "key", event_id, type, body_sha256, deliveries, skipped,
    created_at)
SELECT account, name, 0, '', ''::bytea, 0, 0, $3::bigint
FROM {_arrays("bigint", "text")} AS want (account, name)
ORDER BY account, name
ON CONFLICT (account_id, "key") DO UPDATE SET event_id = 0, created_at = excluded.created_at
WHERE idempotency_key.created_at <= $4"""
"""Takes keys that are free or expired; waits for others that are taking the same.

It also locks the keys that are in use: a transaction that writes nothing would not wait for a
synchronous standby, and the first use may not have got there."""

FIND_KEYS: Final = f"""
SELECT account_id, "key", event_id, type, body_sha256, deliveries, skipped
FROM idempotency_key JOIN {_arrays("bigint", "text")} AS want (account, name)
    ON account_id = account AND "key" = name
WHERE event_id <> 0"""

FREE_KEYS: Final = f"""
DELETE FROM idempotency_key USING {_arrays("bigint", "text")} AS want (account, name)
WHERE account_id = account AND "key" = name AND event_id = 0"""

INSERT_KEYS: Final = f"""
{_insert(IDEMPOTENCY_KEY)}
ON CONFLICT (account_id, "key") DO UPDATE SET event_id = excluded.event_id, type = excluded.type,
    body_sha256 = excluded.body_sha256, deliveries = excluded.deliveries,
    skipped = excluded.skipped, created_at = excluded.created_at"""

FORGET_KEYS: Final = """
WITH old AS (
    SELECT account_id, "key" FROM idempotency_key WHERE created_at <= $1
    LIMIT $2 FOR UPDATE SKIP LOCKED)
DELETE FROM idempotency_key k USING old WHERE (k.account_id, k."key") = (old.account_id, old."key")
"""
"""Skips those that events take meanwhile, which lock them in another order."""

_CLAIM_COLUMNS = """d.id, d.event_id, d.event_type, d.hook_id, d.account_id, d."trigger",
    d.attempts, d.tries, d.interruptions"""

_FIND_DUE = """
SELECT d.id, d.next_attempt_at, want.ordinal
FROM unnest($1::bigint[], $2::integer[], {start_ms}::bigint[], {start_id}::bigint[])
    WITH ORDINALITY AS want (hook, most, start_ms, start_id, ordinal)
CROSS JOIN LATERAL (
    SELECT id, next_attempt_at FROM delivery
    WHERE status = 'pending' AND tries {tries} AND hook_id = want.hook
        AND (next_attempt_at, id) >= (want.start_ms, want.start_id) AND next_attempt_at <= $3
    ORDER BY next_attempt_at, id LIMIT want.most FOR UPDATE SKIP LOCKED
) AS d"""

FIND_DUE: Final = f"""
{_FIND_DUE.format(tries="= 0", start_ms="$4", start_id="$5")}
UNION ALL {_FIND_DUE.format(tries="> 0", start_ms="$6", start_id="$7")}"""

_LEASE = f"""
leased AS (
    UPDATE delivery d SET status = 'sending', attempts = attempts + 1, next_attempt_at = NULL,
        lease_token = $4, lease_until = $5
    FROM due WHERE d.id = due.id RETURNING {_CLAIM_COLUMNS}, due.next_attempt_at, due.ordinal)
SELECT leased.*, e.body FROM leased JOIN event e ON e.id = leased.event_id
ORDER BY leased.ordinal, leased.next_attempt_at, leased.id"""

CLAIM_FIRST_TRIES, CLAIM_RETRIES = (
    f"WITH due AS ({_FIND_DUE.format(tries=tries, start_ms='$6', start_id='$7')}), {_LEASE}"
    for tries in ("= 0", "> 0")
)

CLAIM_THESE: Final = f"""
WITH due AS (
    SELECT id, next_attempt_at, ordinal
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS due (id, next_attempt_at, ordinal)),
{_LEASE}"""

LOCK_ORDER: Final = "SELECT pg_advisory_xact_lock($1)"

_OF_HOOK = "hook_id BETWEEN $1 AND $1"
"""With an order that begins with ``hook_id``: with ``hook_id = $1`` and the order of ``id`` alone,
the planner may read all deliveries by id until it finds one of the hook."""

LAST_IN_LINE: Final = f"""
SELECT id FROM delivery WHERE {_OF_HOOK} ORDER BY hook_id DESC, id DESC LIMIT 1"""

FIND_FIRST_IN_LINE: Final = f"""
WITH leased AS MATERIALIZED (
    SELECT hook_id FROM delivery
    WHERE status = 'sending' AND lease_until > 0 AND "trigger" <> 'ping')
SELECT first.id, first.next_attempt_at FROM (
    SELECT id, status, next_attempt_at FROM delivery
    WHERE status IN ('pending', 'sending') AND {_OF_HOOK} AND "trigger" <> 'ping' AND id >= $3
    ORDER BY hook_id, id LIMIT 1) AS first
WHERE first.status = 'pending' AND first.next_attempt_at <= $2
  AND NOT EXISTS (SELECT 1 FROM leased WHERE leased.hook_id = $1)"""
"""Under the lock of the hook's order, so no other claim takes the same row.

The leases are read by their index: joined, PostgreSQL would search all that waits for the hook.
"""

_FENCE = """d.id = n.id AND d.status = $1 AND d.attempts = n.number
    AND d.lease_token = n.token"""
# The status is a parameter, always 'sending': a constant would let the planner scan the index of
# all leases for each row, instead of finding the row by its id.

_FINISH = {
    "id": "bigint", "number": "integer", "token": "bigint", "status": "text", "tries": "integer",
    "interruptions": "integer", "next_at": "bigint", "ended_at": "bigint", "duration_ms": "bigint",
    "code": "integer", "error_class": "text", "reason": "text", "cause": "text",
}  # fmt: skip
_ATTEMPT = {column.name: _type_of(column.type) for column in ATTEMPT.columns}

_CAUSE = """CASE WHEN n.cause = '' THEN d.cause WHEN n.cause IS NULL THEN NULL
        WHEN EXISTS (SELECT 1 FROM delivery newer WHERE newer.event_id = d.event_id
            AND newer.hook_id = d.hook_id AND newer.id > d.id) THEN NULL
        ELSE n.cause END"""
"""Only the newest delivery of an event to a hook has a cause."""

RECORD: Final = f"""
WITH finished AS (
    UPDATE delivery d SET status = n.status, tries = n.tries, interruptions = n.interruptions,
        next_attempt_at = n.next_at, lease_token = NULL, lease_until = NULL,
        finished_at = n.ended_at, duration_ms = n.duration_ms, last_code = n.code,
        last_error = n.error_class, reason = n.reason, cause = {_CAUSE}
    FROM {_arrays(*_FINISH.values(), *_ATTEMPT.values(), first=2)}
        AS n ({", ".join(_FINISH)}, {", ".join(f"a_{name}" for name in _ATTEMPT)})
    WHERE {_FENCE}
    RETURNING {", ".join(f"n.a_{name}" for name in _ATTEMPT)}),
attempts AS (INSERT INTO attempt ({", ".join(_ATTEMPT)}) SELECT * FROM finished)
SELECT a_delivery_id, a_number FROM finished"""
"""Ends deliveries with their fences, and stores the attempts of those whose fence held."""

RELEASE: Final = f"""
UPDATE delivery d SET status = n.status, attempts = d.attempts - 1, next_attempt_at = n.next_at,
    lease_token = NULL, lease_until = NULL, finished_at = n.finished_at, reason = n.reason
FROM {_arrays("bigint", "integer", "bigint", "text", "bigint", "bigint", "text", first=2)}
    AS n (id, number, token, status, next_at, finished_at, reason)
WHERE {_FENCE} RETURNING d.id, d.attempts + 1"""

_FIND_LEASED = f"""
SELECT {_CLAIM_COLUMNS}, d.lease_token, d.lease_until FROM delivery d
WHERE d.status = 'sending' AND {{which}} ORDER BY d.lease_until LIMIT $2
FOR UPDATE OF d SKIP LOCKED"""

FIND_LEASED: Final = _FIND_LEASED.format(
    which="d.lease_until <= $1 AND NOT (d.lease_token = $3 AND d.id = ANY($4::bigint[]))"
)

FIND_LEASED_BY: Final = _FIND_LEASED.format(which="d.lease_token = $1")

FIND_SAME_ATTEMPTS: Final = f"""
SELECT a.delivery_id, a.number, a.started_at, a.finished_at, a.outcome
FROM attempt a JOIN {_arrays("bigint", "integer")} AS n (id, number)
    ON a.delivery_id = n.id AND a.number = n.number"""

LOCK_STATES: Final = """
SELECT hook_id, failures_in_a_row, breaker_until, failing_since, failed_since_success
FROM hook_state WHERE hook_id = ANY($1::bigint[]) ORDER BY hook_id FOR UPDATE"""

FIND_STREAKS: Final = """
SELECT hook_id, failing_since, failed_since_success
FROM hook_state WHERE hook_id = ANY($1::bigint[])"""

ADD_STATS: Final = f"""
INSERT INTO hook_stats AS s (hook_id, bucket, {", ".join(COUNTS)}) VALUES {{rows}}
ON CONFLICT (hook_id, bucket) DO UPDATE SET
    {", ".join(f"{name} = s.{name} + excluded.{name}" for name in COUNTS)}"""

FAILED_BY_AGE: Final = """
SELECT ($1::bigint - bucket) / $2::bigint, SUM(failed) FROM hook_stats
WHERE hook_id = $3 AND bucket > $4 GROUP BY 1"""

LOCK_AUDIT: Final = f"SELECT pg_advisory_xact_lock({locks.AUDIT})"

LOCK_ALERTS: Final = f"SELECT pg_advisory_xact_lock({locks.ALERTS})"

USE_SECRETS: Final = f"""
UPDATE secret SET last_used_at = GREATEST(last_used_at, n.at_ms)
FROM {_arrays("bigint", "bigint")} AS n (id, at_ms) WHERE secret.id = n.id"""

_WANTED = """
FROM unnest(CAST(:hooks AS bigint[]), CAST(:first_ms AS bigint[]), CAST(:first_id AS bigint[]),
    CAST(:again_ms AS bigint[]), CAST(:again_id AS bigint[]), CAST(:in_line AS bigint[]))
    AS want (hook, first_ms, first_id, again_ms, again_id, in_line)"""

_NEXT_DUE = """(
    SELECT next_attempt_at FROM delivery
    WHERE status = 'pending' AND tries {tries} AND hook_id = want.hook
        AND (next_attempt_at, id) >= (COALESCE(want.{kind}_ms, 0), COALESCE(want.{kind}_id, 0))
    ORDER BY next_attempt_at, id LIMIT 1)"""

NEXT_DUE: Final = f"""
SELECT hook, due_ms FROM (SELECT want.hook, LEAST(
    {_NEXT_DUE.format(tries="= 0", kind="first")},
    {_NEXT_DUE.format(tries="> 0", kind="again")})
{_WANTED} OFFSET 0) AS found (hook, due_ms) WHERE due_ms IS NOT NULL"""
"""``OFFSET 0``: else each search is made twice, for the condition as well."""

FIRST_IN_LINE_DUE: Final = f"""
SELECT hook, due_ms FROM (SELECT want.hook, (
    SELECT next_attempt_at FROM delivery
    WHERE status IN ('pending', 'sending') AND hook_id BETWEEN want.hook AND want.hook
        AND "trigger" <> 'ping' AND id >= COALESCE(want.in_line, 0)
    ORDER BY hook_id, id LIMIT 1)
{_WANTED} OFFSET 0) AS found (hook, due_ms) WHERE due_ms IS NOT NULL"""

LAST_LINE: Final = "SELECT lastval()"

COUNT_FEED: Final = "SELECT COUNT(*), COALESCE(SUM(items), 0) FROM feed"

OLDEST_FEED: Final = "SELECT pos, items FROM feed ORDER BY pos LIMIT :most"

TRIM_FEED: Final = "DELETE FROM feed WHERE pos <= $1"

_IN_USE = """(SELECT 1 FROM delivery d WHERE d.event_id = e.id
    AND (d.status IN ('pending', 'sending') OR d.finished_at >= {before}) LIMIT 1) IS NOT NULL"""

_UNDELIVERED = """(SELECT 1 FROM delivery d WHERE d.event_id = e.id
    AND (d.status <> 'delivered' OR d.finished_at >= {before}) LIMIT 1) IS NOT NULL"""

SCAN_OLD_EVENTS: Final = f"""
SELECT e.id, e.created_at < :before AND NOT {_IN_USE.format(before=":before")} FROM event e
WHERE e.id > :after AND e.id < :floor
    AND (CAST(:account AS bigint) IS NULL OR e.account_id = :account) ORDER BY e.id LIMIT :most"""

SCAN_OLD_BODIES: Final = f"""
SELECT e.id, e.body IS NOT NULL AND e.deliveries > 0
    AND e.created_at < :before AND NOT {_UNDELIVERED.format(before=":before")}
FROM event e WHERE e.id > :after AND e.id < :floor ORDER BY e.id LIMIT :most"""

LOCK_EVENTS: Final = """
SELECT id FROM event WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE SKIP LOCKED"""

UNUSED_EVENTS: Final = f"""
SELECT e.id FROM event e WHERE e.id = ANY($1::bigint[]) AND NOT {_IN_USE.format(before="$2")}"""

DROP_DELIVERIES: Final = """
WITH going AS (SELECT id FROM delivery WHERE event_id = ANY($1::bigint[]) LIMIT $2),
attempts AS (DELETE FROM attempt USING going WHERE delivery_id = going.id RETURNING 1),
deliveries AS
    (DELETE FROM delivery USING going WHERE delivery.id = going.id RETURNING hook_id, cause)
SELECT NULL::bigint, NULL, (SELECT COUNT(*) FROM deliveries), (SELECT COUNT(*) FROM attempts)
UNION ALL
(SELECT hook_id, cause, COUNT(*), 0 FROM deliveries WHERE cause IS NOT NULL GROUP BY 1, 2)"""
"""All of them in the first row, then the dead letters by hook and cause."""

DROP_EVENTS: Final = """
DELETE FROM event e WHERE id = ANY($1::bigint[])
    AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event_id = e.id) RETURNING id"""

DROP_BODIES: Final = f"""
UPDATE event e SET body = NULL WHERE id = ANY($1::bigint[]) AND body IS NOT NULL
    AND NOT {_UNDELIVERED.format(before="$2")} RETURNING id"""

DROP_STATS: Final = """
DELETE FROM hook_stats WHERE (hook_id, bucket) IN
    (SELECT s.hook_id, s.bucket FROM hook h JOIN hook_stats s ON s.hook_id = h.id AND s.bucket < $1
     LIMIT $2)"""

# Replays

FIND_REPLAY_PROGRESS: Final = """
SELECT r.account_id, r.state, r.owner_token, r.max_deliveries, h.state, h.cursor, h.skipped,
    (SELECT SUM(o.sent + o.retried) FROM replay_hook o WHERE o.replay_id = r.id)::bigint
FROM replay r JOIN replay_hook h ON h.replay_id = r.id WHERE r.id = $1 AND h.hook_id = $2"""

LOCK_REPLAY: Final = "SELECT 1 FROM replay WHERE id = $1 FOR UPDATE"
"""Before the progress is read: a former owner may be in a step of it."""

FIND_REPLAY_EVENTS: Final = """
SELECT id, type, deliveries, body FROM event WHERE id = ANY($1::bigint[])
ORDER BY id FOR KEY SHARE"""
"""Retention takes no event that is locked, and skips those that it finds locked."""

_NEWEST = 'd.cause, d.replay_id, d.event_id, d."trigger", d.attempts, d.tries, d.interruptions'

FIND_NEWEST: Final = f"""
WITH pair AS MATERIALIZED (
    SELECT (SELECT MAX(n.id + 0) FROM delivery n WHERE n.event_id = want.event AND n.hook_id = $2)
    FROM unnest($1::bigint[]) AS want (event)),
free AS MATERIALIZED (
    SELECT d.id, d.status, {_NEWEST} FROM delivery d WHERE d.id = ANY (ARRAY(TABLE pair))
    ORDER BY d.id FOR UPDATE SKIP LOCKED)
SELECT * FROM free UNION ALL
SELECT d.id, 'sending', {_NEWEST} FROM delivery d
WHERE d.id = ANY (ARRAY(TABLE pair EXCEPT SELECT id FROM free))"""
"""Locked: a claim or a result may change them meanwhile. Those that it is changing are in flight.

A wait for these could be a deadlock: a result that opens an alert waits for the line of an ordered
hook, which this step holds. As an array, because a join would read all deliveries; ``+ 0``, or
those of the hook may be read from the newest on.
"""

FIND_LINE: Final = f"""
SELECT id FROM delivery
WHERE status IN ('pending', 'sending') AND {_OF_HOOK} AND "trigger" <> 'ping'
ORDER BY hook_id, id LIMIT 2"""

INSERT_REPLAYED: Final = f"""
INSERT INTO delivery ({_DELIVERY.format(at="lease_token, lease_until")}, replay_id)
SELECT *, 'replay', 'sending', 1, 0, 0, $1::bigint FROM {_arrays(*_LEASED, first=2)}"""

INSERT_REPLAYED_IN_LINE: Final = f"""
INSERT INTO delivery ({_DELIVERY.format(at="next_attempt_at")}, replay_id)
SELECT *, 'replay', 'pending', 0, 0, 0, $1::bigint FROM {_arrays(*_PENDING, first=2)}"""

LEASE_EARLY: Final = """
UPDATE delivery SET status = 'sending', attempts = attempts + 1, next_attempt_at = NULL,
    lease_token = $1, lease_until = $2, replay_id = $3
WHERE id = ANY($4::bigint[])"""

MAKE_DUE: Final = """
UPDATE delivery SET next_attempt_at = $1, replay_id = $2 WHERE id = ANY($3::bigint[])"""

FORGET_OLDER_CAUSES: Final = f"""
UPDATE delivery d SET cause = NULL FROM {_arrays("bigint", "bigint", first=2)} AS n (event, id)
WHERE d.event_id = n.event AND d.hook_id = $1 AND d.id < n.id AND COALESCE(d.cause, '') <> ''"""
"""``IS NOT NULL`` would let the planner read all dead letters of the hook."""

COUNT_FIRST_DELIVERY: Final = """
UPDATE event SET deliveries = 1 WHERE id = ANY($1::bigint[]) AND deliveries = 0"""

MOVE_WALK: Final = """
UPDATE replay_hook SET state = $1, reason = $2, cursor = $3, sent = sent + $4,
    retried = retried + $5, skipped = $6
WHERE replay_id = $7 AND hook_id = $8"""

RENEW_REPLAY: Final = "UPDATE replay SET lease_until = $1 WHERE id = $2"

DROP_REPLAYS: Final = """
WITH old AS (SELECT id FROM replay WHERE ended_at < $1 ORDER BY id LIMIT 1 FOR UPDATE),
walks AS (DELETE FROM replay_hook USING old WHERE replay_id = old.id)
DELETE FROM replay USING old WHERE replay.id = old.id"""
"""One at a time: a replay may have a thousand hooks."""

END_REPLAY_LEASES: Final = """
UPDATE replay SET lease_until = $1
WHERE state = 'running' AND lease_until > $1 AND owner_token = $2"""

DROP_ALERTS: Final = """
DELETE FROM alert WHERE id IN
    (SELECT id FROM alert WHERE state = 'resolved' AND resolved_at < $1 LIMIT $2)"""
