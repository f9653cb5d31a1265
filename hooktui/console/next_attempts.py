"""The attempts of a delivery that are still to come, and why the next one comes when it comes."""

from __future__ import annotations

from collections.abc import Sequence

from hooktui.console.delivery_words import moment
from hooktui.console.keys import KeyOf
from hooktui.console.times import counted
from hooktui.domain.clock import format_duration, from_rfc3339
from hooktui.domain.deliveries import RETRY_AFTER_STATUSES, Outcome, Status
from hooktui.domain.schedule import JITTER
from hooktui.domain.wire.deliveries import Attempt, DeliveryDetail
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.server import Status as ServerStatus


def tries_of(delivery: DeliveryDetail) -> int:
    """Return how much of the schedule is used up: attempts that were cut off do not count."""
    return sum(one.outcome != Outcome.INTERRUPTED for one in delivery.attempts)


def to_come(delivery: DeliveryDetail, schedule_s: Sequence[float]) -> list[tuple[int, int]]:
    """Return number and time (ms, without jitter) of each attempt to come if all of them fail."""
    if delivery.status != Status.PENDING or delivery.held or delivery.next_attempt_at is None:
        return []
    number = delivery.attempts[-1].number + 1 if delivery.attempts else 1
    at_ms = from_rfc3339(delivery.next_attempt_at)
    coming = [(number, at_ms)]
    for wait_s in schedule_s[tries_of(delivery) :]:
        at_ms += round(wait_s * 1000)
        coming.append((coming[-1][0] + 1, at_ms))
    return coming


def to_come_pairs(
    delivery: DeliveryDetail, schedule_s: Sequence[float], now_ms: int, key: KeyOf
) -> tuple[tuple[str, str], ...]:
    """Return each attempt to come and its clock time, then what follows the last."""
    coming = to_come(delivery, schedule_s)
    pairs = []
    before_ms: int | None = None
    for number, at_ms in coming:
        wait = "" if before_ms is None else f", {format_duration((at_ms - before_ms) / 1000)} later"
        pairs.append((f"attempt {number}", f"{moment(at_ms, now_ms)}{wait}"))
        before_ms = at_ms
    if pairs:
        pairs.append(("then", f"it has failed, and {key('resend')} sends it again"))
    return tuple(pairs)


def why_then(
    delivery: DeliveryDetail, hook: Hook | None, server: ServerStatus | None, now_ms: int
) -> str:
    """Return why a delivery that waits does so until then; empty where there is nothing to say.

    Args:
        delivery: the delivery.
        hook: its hook; None while that is not known.
        server: how the server was last time.
        now_ms: now.
    """
    if delivery.status != Status.PENDING:
        return ""
    if server is not None and server.paused is not None:
        since = moment(from_rfc3339(server.paused.at), now_ms)
        return f"all sending is paused since {since}, by {server.paused.by}"
    if hook is None:
        return ""
    if delivery.held:
        return _disabled(hook, now_ms)
    due_ms = 0 if delivery.next_attempt_at is None else from_rfc3339(delivery.next_attempt_at)
    breaker = _breaker(hook, server, max(due_ms, now_ms), now_ms)
    if breaker:
        return breaker
    if due_ms <= now_ms:
        return _in_line(hook)
    return _schedule(delivery.attempts[-1], tries_of(delivery), hook) if delivery.attempts else ""


def _disabled(hook: Hook, now_ms: int) -> str:
    since = ""
    if hook.disabled_at is not None:
        since = f" since {moment(from_rfc3339(hook.disabled_at), now_ms)}"
    reason = f" ({hook.disabled_reason})" if hook.disabled_reason else ""
    return f"hook {hook.id} is not active{since}{reason}"


def _breaker(hook: Hook, server: ServerStatus | None, due_ms: int, now_ms: int) -> str:
    """Return that a breaker holds up what is due then; empty where it does not."""
    if hook.stats.breaker == "closed":
        return ""
    for one in () if server is None else server.breakers:
        if one.hook == hook.id:
            probe_ms = from_rfc3339(one.probe_at)
            if due_ms > max(probe_ms, now_ms):
                return ""
            failures = counted(one.failures, "failure")
            at = moment(probe_ms, now_ms)
            return f"its breaker is open ({failures} in a row); it is probed at {at}"
    if due_ms > now_ms:
        return ""
    return "its breaker is open, for the last attempts of the hook failed"


def _in_line(hook: Hook) -> str:
    """Return what a delivery that is due waits for."""
    limits = [f"at most {hook.max_in_flight} at once"]
    if hook.rate_per_s is not None:
        limits.append(f"at most {hook.rate_per_s:g} a second")
    if hook.ordered:
        limits.append("in order, behind those before it")
    return f"waits for its turn: {', '.join(limits)}"


def _schedule(last: Attempt, tries: int, hook: Hook) -> str:
    if last.outcome == Outcome.INTERRUPTED:
        return "the last attempt was cut off; that does not use up the schedule"
    if not 0 < tries <= len(hook.retry_schedule_s):
        return ""
    wait_s = hook.retry_schedule_s[tries - 1]
    asked = last.retry_after_s
    if asked is not None and last.status_code in RETRY_AFTER_STATUSES and asked > wait_s:
        return f"the receiver asked for {format_duration(asked)} (Retry-After)"
    return (
        f"the schedule says {format_duration(wait_s)} after attempt {last.number} (±{JITTER:.0%})"
    )
