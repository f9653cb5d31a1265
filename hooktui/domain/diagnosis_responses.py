"""What a receiver's answer to a ping says, and what to do about it."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urljoin

from hooktui.domain.addresses import ParsedUrl, parse_url
from hooktui.domain.clock import format_duration
from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.errors import Refused
from hooktui.domain.wire.deliveries import Attempt
from hooktui.domain.wire.diagnosis import Check
from hooktui.domain.wire.hooks import Hook

SLOW_MS: Final = 5_000.0
"""Or half of what the hook allows; receivers are told to answer first and work later."""

_MOST_OF_A_URL = 200
_MOST_OF_A_BODY = 2000

_STATUS_FIXES: Final = {
    400: "it does not take the body: see what it answered, and whether it expects another type",
    401: (
        "it wants to know who calls: give the hook its --basic-auth or --header; where it verifies"
        " signatures, see that it has this hook's secret"
    ),
    403: (
        "it, or a proxy before it, lets this caller not in: allow this server's address there, and"
        " see that it verifies with this hook's secret"
    ),
    404: "there is nothing at this path: correct the path in the hook's URL",
    405: "it takes no POST here: correct the path in the hook's URL",
    406: "it wants to answer in another form: have it take requests with Accept: */*",
    408: "it, or a proxy before it, did not wait for the request: look at its load",
    413: "it, or a proxy before it, takes only smaller bodies: raise its limit",
    415: "it takes no application/json: have it do so, or set --header Content-Type=… of the hook",
    422: "it does not take what a ping holds: have it ignore events that it does not know",
    429: "it takes fewer requests: send slower, with --rate or --max-in-flight of the hook",
    500: "it failed at this request: its own log says why",
    501: "it takes no POST: correct the hook's URL",
    502: "a proxy is there, the receiver behind it is not: start that",
    503: "it is overrun or being worked on: look at it",
    504: "a proxy is there, the receiver behind it does not answer in time: look at that",
}  # fmt: skip

_ERROR_FIXES: Final = {
    ErrorClass.TIMEOUT: (
        "have it answer at once and work afterwards; else allow more time with --timeout (30 s at"
        " most)"
    ),
    ErrorClass.RESET: "it, or a proxy before it, gave up at the request: its own log says why",
    ErrorClass.PROTOCOL: "that port speaks no HTTP/1.1: correct it in the hook's URL",
    ErrorClass.RESPONSE_TOO_LARGE: "have it answer with less; nobody reads the answer",
    ErrorClass.TLS: "it ended TLS after the handshake; some want a client's certificate then",
    ErrorClass.INTERRUPTED: "run it again",
}  # fmt: skip


def judge_answer(ping: Attempt, hook: Hook, target: ParsedUrl) -> Check:
    """Judge how a ping was answered."""
    total_ms = ping.phases_ms.total or 0.0
    took = format_duration(total_ms / 1000)
    status = ping.status_code
    if ping.error == ErrorClass.REDIRECT:
        return _redirect(ping, target)
    if ping.error == ErrorClass.STATUS and status is not None:
        return _status(status, ping, hook)
    if ping.error is not None:
        fix = _ERROR_FIXES.get(ErrorClass(ping.error), "run it again")
        if target.scheme == "http" and ping.error in (ErrorClass.RESET, ErrorClass.PROTOCOL):
            fix += "; or does it want https:// there?"
        return Check("ping", "fail", ping.error_detail or ping.error, fix)
    if _is_web_page(ping):
        said = f"the receiver answers {status} with a web page: a person's, not a program's"
        advice = "is it a login or start page? events would be lost there: see the hook's URL"
        return Check("ping", "warn", said, advice)
    if total_ms > min(SLOW_MS, hook.timeout_s * 500):
        said = f"the receiver is slow: it answered {status} after {took} of at most"
        advice = "have it answer at once and work afterwards"
        return Check("ping", "warn", f"{said} {hook.timeout_s:g} s", advice)
    size = ping.response.size if ping.response is not None else 0
    return Check("ping", "ok", f"answered {status} after {took}, {size:,} bytes")


def _status(status: int, ping: Attempt, hook: Hook) -> Check:
    value = f"the receiver answers {status}"
    if _wants_client_certificate(status, ping):
        return Check(
            "ping", "fail", f"{value}: it requires a client certificate (mutual TLS)",
            "hooktui sends none: let it, or its proxy, accept this server without one, and"
            " verify the signature of each delivery",
        )  # fmt: skip
    if status == 410:
        return Check(
            "ping", "fail", f"{value} (Gone): it wants no more, so the hook is switched off",
            f"give the hook another URL, or delete it: hooktui hooks delete {hook.id}",
        )  # fmt: skip
    later = header_of(ping, "Retry-After") if status in (429, 503) else None
    if later:
        value += f", and asks to wait {ping.retry_after_s} s" if ping.retry_after_s else ""
    if status in _STATUS_FIXES:
        fix = _STATUS_FIXES[status]
    elif status >= 500:
        fix = _STATUS_FIXES[500]
    else:
        fix = "its answer, or its own log, says why"
    return Check("ping", "fail", value, fix)


def _wants_client_certificate(status: int, ping: Attempt) -> bool:
    """Whether a receiver refused TLS without a client certificate, as nginx and others say it."""
    body = (ping.response.body if ping.response is not None else "")[:_MOST_OF_A_BODY].lower()
    return status in (495, 496) or (
        status in (400, 401, 403) and "certificate" in body and ("ssl" in body or "client" in body)
    )


def _redirect(ping: Attempt, target: ParsedUrl) -> Check:
    leads = header_of(ping, "Location")
    value = f"the receiver redirects ({ping.status_code}), which deliveries never follow"
    if not leads:
        return Check("ping", "fail", value, "use a URL that answers by itself")
    try:
        there = parse_url(urljoin(target.url, leads))
    except (Refused, ValueError):
        shown = leads[:_MOST_OF_A_URL]
        return Check("ping", "fail", f"{value}, to {shown}", "use a URL that answers by itself")
    other = ""
    if there.host != target.host:
        other = f" ({there.host} is another host: be sure that it is the receiver's)"
    return Check("ping", "fail", value, f"set the hook's URL to {there.url}{other}")


def header_of(ping: Attempt, name: str) -> str | None:
    """Return a header of the answer to a ping."""
    headers = ping.response.headers if ping.response is not None else ()
    return next((value for key, value in headers if key.lower() == name.lower()), None)


def date_of(ping: Attempt) -> float | None:
    """Return the Date of the answer in seconds since the epoch, if there is a good one."""
    text = header_of(ping, "Date")
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def _is_web_page(ping: Attempt) -> bool:
    kind = (header_of(ping, "Content-Type") or "").partition(";")[0].strip().lower()
    body = (ping.response.body if ping.response is not None else "").lstrip()[:15].lower()
    return kind in ("text/html", "application/xhtml+xml") and body.startswith("<")
