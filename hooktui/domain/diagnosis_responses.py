"""Assesses a receiver's response to a ping, and suggests a fix."""

from __future__ import annotations

from typing import Final
from urllib.parse import urljoin

from hooktui.domain.addresses import ParsedUrl, parse_url
from hooktui.domain.clock import format_duration, parse_http_date_s
from hooktui.domain.deliveries import NOT_ACKNOWLEDGED, ErrorClass
from hooktui.domain.errors import Refused
from hooktui.domain.hook_fields import FIRST_BYTE_S, HOOK_SETTINGS, MAX_TIMEOUT_S
from hooktui.domain.wire.deliveries import Attempt
from hooktui.domain.wire.diagnosis import Check
from hooktui.domain.wire.hooks import Hook

SLOW_MS: Final = 5_000.0
"""Or half of the hook's timeout; receivers should respond first and work later."""

_MAX_URL_LENGTH = 200
_MAX_BODY_LENGTH = 2000

_STATUS_FIXES: Final = {
    400: "it rejects the body: see its response, and whether it expects another type",
    401: (
        "it requires authentication: set --basic-auth or --header of the hook; if it verifies"
        " signatures, check that it has this hook's secret"
    ),
    403: (
        "it, or a proxy before it, forbids this caller: allow this server's address there, and"
        " check that it verifies with this hook's secret"
    ),
    404: "there is nothing at this path: correct the path in the hook's URL",
    405: "it does not accept POST here: correct the path in the hook's URL",
    406: "it responds in another format only: let it accept requests with Accept: */*",
    408: "it, or a proxy before it, did not wait for the request: check its load",
    413: "it, or a proxy before it, accepts only smaller bodies: raise its limit",
    415: "it rejects application/json: let it accept that, or set the hook's Content-Type header",
    422: "it rejects the content of a ping: let it ignore unknown events",
    429: "it limits requests: use --max-in-flight auto, which adapts to it, or --rate",
    500: "it failed at this request: see its log",
    501: "it does not accept POST: correct the hook's URL",
    502: "the proxy responds but its upstream is down; start the upstream",
    503: "it is overloaded or in maintenance: check it",
    504: "the proxy responds but its upstream is too slow: check the upstream",
}  # fmt: skip

_PACE_ADAPTS: Final = "it limits requests: the hook's pace adapts to it; --rate sets a fixed limit"

_ERROR_FIXES: Final = {
    ErrorClass.RESET: "it, or a proxy before it, closed the connection at the request: see its log",
    ErrorClass.PROTOCOL: "it does not speak HTTP/1.1: correct it, or the port in the hook's URL",
    ErrorClass.RESPONSE_TOO_LARGE: "let it send a smaller response; the response is not used",
    ErrorClass.TLS: "it ended TLS after the handshake; some receivers require a client certificate",
    ErrorClass.INTERRUPTED: "run it again",
}  # fmt: skip

_LOST_ON_THE_WAY: Final = (
    "a firewall drops them, or they are too large for the way: let it pass ICMP, or lower the MTU"
    " of this machine or of the tunnel between"
)


def assess_response(ping: Attempt, hook: Hook, target: ParsedUrl) -> Check:
    """Assess the response to a ping."""
    total_ms = ping.phases_ms.total or 0.0
    took = format_duration(total_ms / 1000)
    status = ping.status_code
    if ping.error == ErrorClass.REDIRECT:
        return _redirect(ping, target)
    if ping.error == ErrorClass.STATUS and status is not None:
        return _status(status, ping, hook)
    if ping.error is not None:
        fix = _ERROR_FIXES.get(ErrorClass(ping.error), "run it again")
        if ping.error == ErrorClass.TIMEOUT:
            fix = _timeout_fix(ping, hook)
        no_http = status is None and ping.error in (ErrorClass.RESET, ErrorClass.PROTOCOL)
        if target.scheme == "http" and no_http:
            fix += "; or does it require https://?"
        return Check("ping", "fail", ping.error_detail or ping.error, fix)
    if _is_web_page(ping):
        said = f"the receiver responded {status} with a web page for people, not for programs"
        advice = "is it a login or start page? it would lose events: check the hook's URL"
        return Check("ping", "warn", said, advice)
    if total_ms > min(SLOW_MS, hook.timeout_s * 500):
        said = f"the receiver is slow: it responded {status} after {took} of at most"
        advice = "let it respond first and work later"
        return Check("ping", "warn", f"{said} {hook.timeout_s:g} s", advice)
    size = ping.response.size if ping.response is not None else 0
    return Check("ping", "ok", f"responded {status} after {took}, {size:,} bytes")


def _timeout_fix(ping: Attempt, hook: Hook) -> str:
    if NOT_ACKNOWLEDGED in (ping.error_detail or ""):
        return _LOST_ON_THE_WAY
    fix = "let it respond first and work later"
    longest_s = FIRST_BYTE_S if ping.phases_ms.first_byte is None else MAX_TIMEOUT_S
    if hook.timeout_s >= longest_s:
        return fix
    option = HOOK_SETTINGS["timeout_s"].option
    return f"{fix}; or allow more time with --{option} (up to {longest_s} s)"


def _status(status: int, ping: Attempt, hook: Hook) -> Check:
    value = f"the receiver responded {status}"
    if _wants_client_certificate(status, ping):
        return Check(
            "ping", "fail", f"{value}: it requires a client certificate (mutual TLS)",
            "hooktui sends none: let it, or its proxy, accept this server without one and"
            " verify the signature of each delivery",
        )  # fmt: skip
    if status == 410:
        return Check(
            "ping", "fail", f"{value} (Gone): it wants no more events, so the hook is disabled",
            f"give the hook another URL, or delete it: hooktui hooks delete {hook.id}",
        )  # fmt: skip
    if status in (429, 503) and ping.retry_after_s:
        value += f" and asks to wait {ping.retry_after_s} s"
    if status == 429 and hook.max_in_flight is None:
        fix = _PACE_ADAPTS
    else:
        other = _STATUS_FIXES[500] if status >= 500 else "see its response or its log"
        fix = _STATUS_FIXES.get(status, other)
    return Check("ping", "fail", value, fix)


def _wants_client_certificate(status: int, ping: Attempt) -> bool:
    """Return whether a receiver refused TLS without a client certificate, as nginx words it."""
    body = _body_of(ping)[:_MAX_BODY_LENGTH].lower()
    return status in (495, 496) or (
        status in (400, 401, 403) and "certificate" in body and ("ssl" in body or "client" in body)
    )


def _redirect(ping: Attempt, target: ParsedUrl) -> Check:
    leads = _header_of(ping, "Location")
    value = f"the receiver redirects ({ping.status_code}), which deliveries never follow"
    if not leads:
        return Check("ping", "fail", value, "use a URL that responds directly")
    try:
        there = parse_url(urljoin(target.url, leads))
    except (Refused, ValueError):
        shown = leads[:_MAX_URL_LENGTH]
        return Check("ping", "fail", f"{value}, to {shown}", "use a URL that responds directly")
    other = ""
    if there.host != target.host:
        other = f" ({there.host} is another host: make sure that it is the receiver's)"
    return Check("ping", "fail", value, f"set the hook's URL to {there.url}{other}")


def _body_of(ping: Attempt) -> str:
    return ping.response.body if ping.response is not None else ""


def _header_of(ping: Attempt, name: str) -> str | None:
    headers = ping.response.headers if ping.response is not None else ()
    return next((value for key, value in headers if key.lower() == name.lower()), None)


def date_of(ping: Attempt) -> float | None:
    """Return the Date of the response in seconds since the epoch, if it has a valid one."""
    text = _header_of(ping, "Date")
    return None if text is None else parse_http_date_s(text)


def _is_web_page(ping: Attempt) -> bool:
    kind = (_header_of(ping, "Content-Type") or "").partition(";")[0].strip().lower()
    body = _body_of(ping).lstrip()[:15].lower()
    return kind in ("text/html", "application/xhtml+xml") and body.startswith("<")
