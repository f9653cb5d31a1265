"""Texts for deliveries and attempts: the state, its reason, and the remaining attempts.

All texts use clock times in the user's time zone; the current time is always an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hooktui.console.formatting import ago, moment, took
from hooktui.console.registry import KeyOf
from hooktui.console.widgets.styled import StyleName
from hooktui.domain.clock import format_duration, from_rfc3339
from hooktui.domain.deliveries import RETRY_AFTER_STATUSES, DeliveryStatus, ErrorClass, Outcome
from hooktui.domain.schedule import JITTER
from hooktui.domain.text import counted, number_text
from hooktui.domain.wire.deliveries import Attempt, Delivery, DeliveryDetail, Phases, next_at_ms
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.server import ServerStatus

STATUS_TONES: Final[dict[str, StyleName]] = {
    DeliveryStatus.PENDING: "warn",
    DeliveryStatus.SENDING: "accent",
    DeliveryStatus.DELIVERED: "good",
    DeliveryStatus.FAILED: "bad",
    DeliveryStatus.CANCELLED: "quiet",
}

OUTCOME_TONES: Final[dict[str, StyleName]] = {
    Outcome.DELIVERED: "good",
    Outcome.FAILED: "bad",
    Outcome.INTERRUPTED: "warn",
}

_ERRORS: Final[dict[str, str]] = {
    ErrorClass.ADDRESS_REFUSED: "address refused by policy",
    ErrorClass.DNS: "host name not resolved",
    ErrorClass.CONNECT_REFUSED: "connection refused",
    ErrorClass.CONNECT_TIMEOUT: "no connection in time",
    ErrorClass.CONNECT: "no connection",
    ErrorClass.TLS: "TLS failed",
    ErrorClass.TLS_CERTIFICATE: "certificate not trusted",
    ErrorClass.TIMEOUT: "no response in time",
    ErrorClass.RESET: "connection closed early",
    ErrorClass.PROTOCOL: "not an HTTP response",
    ErrorClass.RESPONSE_TOO_LARGE: "response too large",
    ErrorClass.REDIRECT: "redirects are never followed",
    ErrorClass.STATUS: "not a 2xx status",
    ErrorClass.INTERRUPTED: "interrupted by a stop or crash",
}


def attempt_times(schedule_s: Sequence[float], now_ms: int) -> list[str]:
    """Return the clock times of all attempts of a delivery that starts now and keeps failing."""
    times = [moment(now_ms, now_ms)]
    at_ms = now_ms
    for wait_s in schedule_s:
        at_ms += round(wait_s * 1000)
        times.append(moment(at_ms, now_ms))
    return times


def status_word(delivery: Delivery | DeliveryDetail) -> str:
    """Return the status as one word for lists; that of a held delivery is ``held``."""
    if delivery.held and delivery.status == DeliveryStatus.PENDING:
        return "held"
    if delivery.status == DeliveryStatus.PENDING:
        return "retrying" if delivery.cause else "waiting"  # after a failure, as in status:retrying
    return delivery.status


def next_words(delivery: Delivery | DeliveryDetail, now_ms: int, *, with_wait: bool = False) -> str:
    """Return the next attempt's time; empty: none.

    ``at 14:03:07``, ``due now``, ``due 4m ago`` (its hook's limits or order hold it), ``paused``.
    """
    at_ms = next_at_ms(delivery, now_ms)
    if at_ms is None:
        return "paused" if delivery.paused and not delivery.held else ""
    left_s = (at_ms - now_ms) / 1000
    if left_s < 1:
        since = "now" if delivery.probe_at else ago(delivery.next_attempt_at, now_ms) or "now"
        return "due now" if since == "now" else f"due {since} ago"
    wait = f", in {format_duration(left_s)}" if with_wait else ""
    return f"at {moment(at_ms, now_ms)}{wait}"


_GAVE_UP: Final = ": gave up after "
"""Beginning of the reason of a delivery whose retry schedule is used up."""


def next_step(delivery: Delivery | DeliveryDetail, now_ms: int, key: KeyOf) -> str:
    """Return the next step of a delivery, or its final result.

    ``key`` returns an empty text for a command that the role may not run.
    """
    reason = f": {delivery.reason}" if delivery.reason else ""
    again = f"; {key('resend')} sends it again" if key("resend") else ""
    match delivery.status:
        case DeliveryStatus.PENDING if delivery.held:
            return f"waits until hook {delivery.hook} is enabled"
        case DeliveryStatus.PENDING:
            return f"next attempt {next_words(delivery, now_ms, with_wait=True)}{reason}"
        case DeliveryStatus.SENDING:
            return "an attempt is in progress"
        case DeliveryStatus.DELIVERED:
            return f"delivered {_ended(delivery, now_ms)}"
        case DeliveryStatus.FAILED:
            ended = f"gave up {_ended(delivery, now_ms)}"
            if reason.startswith(_GAVE_UP):  # on 80 columns a repetition would cut the key
                joint = " and " if ", after " in ended else ", after "
                reason = joint + reason.removeprefix(_GAVE_UP)
            return f"{ended}{reason}{again}"
        case _:
            return f"cancelled {_ended(delivery, now_ms)}{reason}{again}"


def neighbours_words(delivery: str, family: Sequence[Delivery]) -> str:
    """Return the previous and the next delivery of the same event to the same hook; empty: none.

    ``family`` has all deliveries of the event to the hook, oldest first.
    """
    ids = [member.id for member in family]
    if delivery not in ids or len(ids) < 2:
        return ""
    index = ids.index(delivery)
    others = []
    if index:
        before = family[index - 1]
        others.append(f"after {before.id}, {status_word(before)}")
    if index < len(ids) - 1:
        after = family[index + 1]
        others.append(f"sent again as {after.id}, {status_word(after)}")
    return f" ({'; '.join(others)})"


def _ended(delivery: Delivery | DeliveryDetail, now_ms: int) -> str:
    if delivery.finished_at is None:
        return ""
    finished_ms = from_rfc3339(delivery.finished_at)
    ended = f"at {moment(finished_ms, now_ms)}"
    after_s = (finished_ms - from_rfc3339(delivery.created_at)) / 1000
    if after_s > 0:
        ended += f", after {format_duration(after_s)}"
    return ended


def error_words(error: str | None, detail: str | None = None) -> str:
    """Return why an attempt failed: the text of the error class, with the detail if known."""
    if error is None:
        return ""
    words = _ERRORS.get(error, error)
    return f"{words} ({detail})" if detail else words


def response_words(attempt: Attempt) -> str:
    """Return the response in short: the status code, or why there was no response."""
    if attempt.status_code is not None:
        reason = "" if attempt.error in (None, ErrorClass.STATUS) else error_words(attempt.error)
        return f"{attempt.status_code} {reason}".rstrip()
    return error_words(attempt.error) or "in flight"


def phases_words(phases: Phases) -> str:
    """Return the phases of an attempt: ``dns 2ms, connect 8ms, tls 21ms, first byte 90ms``."""
    return ", ".join(f"{name} {took(took_ms)}" for name, took_ms in phases.happened())


def used_attempts(delivery: DeliveryDetail) -> int:
    """Return how many steps of the schedule are used; interrupted attempts do not count."""
    return sum(attempt.outcome != Outcome.INTERRUPTED for attempt in delivery.attempts)


def remaining_attempts(
    delivery: DeliveryDetail, schedule_s: Sequence[float], now_ms: int
) -> list[tuple[int, int]]:
    """Return number and time (ms, without jitter) of each remaining attempt if all of them fail."""
    at_ms = next_at_ms(delivery, now_ms)
    if at_ms is None:
        return []
    number = delivery.attempts[-1].number + 1 if delivery.attempts else 1
    coming = [(number, at_ms)]
    for wait_s in schedule_s[used_attempts(delivery) :]:
        at_ms += round(wait_s * 1000)
        coming.append((coming[-1][0] + 1, at_ms))
    return coming


def remaining_pairs(
    coming: Sequence[tuple[int, int]], now_ms: int, key: KeyOf
) -> tuple[tuple[str, str], ...]:
    """Return each remaining attempt with its clock time, and the result if the last one fails.

    ``coming`` is what `remaining_attempts` returns.
    """
    pairs = []
    before_ms: int | None = None
    for number, at_ms in coming:
        wait = "" if before_ms is None else f", {format_duration((at_ms - before_ms) / 1000)} later"
        pairs.append((f"attempt {number}", f"{moment(at_ms, now_ms)}{wait}"))
        before_ms = at_ms
    if pairs:
        again = f"; {key('resend')} sends it again" if key("resend") else ""
        pairs.append(("after that", f"failed{again}"))
    return tuple(pairs)


def wait_reason(
    delivery: DeliveryDetail, hook: Hook | None, server: ServerStatus | None, now_ms: int
) -> str:
    """Return why a pending delivery is not sent yet; empty if there is no particular reason.

    ``hook`` is None while it is not loaded.
    """
    if delivery.status != DeliveryStatus.PENDING:
        return ""
    if server is not None and server.paused is not None:
        since = moment(server.paused.at, now_ms)
        return f"all sending has been paused since {since}, by {server.paused.by}"
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
    return (
        _schedule(delivery.attempts[-1], used_attempts(delivery), hook) if delivery.attempts else ""
    )


def _disabled(hook: Hook, now_ms: int) -> str:
    state = "is disabled"
    if hook.disabled_at is not None:
        state = f"has been disabled since {moment(hook.disabled_at, now_ms)}"
    reason = f" ({hook.disabled_reason})" if hook.disabled_reason else ""
    return f"hook {hook.id} {state}{reason}"


def _breaker(hook: Hook, server: ServerStatus | None, due_ms: int, now_ms: int) -> str:
    """Return that an open breaker delays a delivery that is due then; empty if it does not."""
    if hook.stats.breaker == "closed":
        return ""
    breakers = () if server is None else server.breakers
    breaker = next((breaker for breaker in breakers if breaker.hook == hook.id), None)
    if breaker is None:
        failed = "its breaker is open: the last attempts of the hook failed"
        return "" if due_ms > now_ms else failed
    probe_ms = from_rfc3339(breaker.probe_at)
    if due_ms > max(probe_ms, now_ms):
        return ""
    failures = counted(breaker.failures, "failure")
    at = moment(probe_ms, now_ms)
    return f"its breaker is open ({failures} in a row); probe attempt at {at}"


def _in_line(hook: Hook) -> str:
    """Return the limits that a due delivery waits for."""
    most = hook.in_flight_limit or hook.max_in_flight or hook.max_in_flight_cap
    many = "as many as the receiver takes" if most is None else f"at most {most}"
    limits = [f"{many} at once"]
    if hook.rate_per_s is not None:
        limits.append(f"at most {number_text(hook.rate_per_s)} a second")
    if hook.ordered:
        limits.append("in order, after the earlier ones")
    return f"queued: {', '.join(limits)}"


def _schedule(last: Attempt, tries: int, hook: Hook) -> str:
    if last.outcome == Outcome.INTERRUPTED:
        return "the last attempt was interrupted; that does not use up the schedule"
    if not 0 < tries <= len(hook.retry_schedule_s):
        return ""
    wait_s = hook.retry_schedule_s[tries - 1]
    asked_s = last.retry_after_s
    if asked_s is not None and last.status_code in RETRY_AFTER_STATUSES and asked_s > wait_s:
        return f"the receiver asked for {format_duration(asked_s)} (Retry-After)"
    return f"retry schedule: {format_duration(wait_s)} after attempt {last.number} (±{JITTER:.0%})"
