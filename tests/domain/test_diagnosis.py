"""From findings to a verdict and a fix: the worst line, the first on the way of a delivery."""

from dataclasses import replace

import pytest

from hooktui.domain.addresses import parse_url
from hooktui.domain.clock import DAY_MS, from_rfc3339
from hooktui.domain.deliveries import NOT_ACKNOWLEDGED, ErrorClass
from hooktui.domain.diagnosis import DiagnosisInput, diagnose
from hooktui.domain.diagnosis_tls import assess_certificate, assess_own_certificate
from hooktui.domain.wire.deliveries import Phases, Response
from hooktui.domain.wire.diagnosis import (
    AddressFinding,
    Certificate,
    ConnectionFindings,
    TlsFinding,
)
from hooktui.domain.wire.hooks import HookStats
from tests.support.wire_objects import AT, AT_MS, attempt, hook

URL = "https://example.com/in"
MET = AddressFinding(address="127.0.0.2", connect_ms=12.0)
LEAF = Certificate(
    subject="example.com", issuer="Some authority", names=("example.com",),
    not_before="2026-10-01T00:00:00.000Z", not_after="2027-01-01T00:00:00.000Z", days_left=36,
)  # fmt: skip
TLS = TlsFinding(
    demanded=True, version="TLSv1.3", cipher="C", chain=(LEAF,), fits_host=True, verified=True
)
FINDINGS = ConnectionFindings(
    addresses=(MET,), tls=TLS, phases_ms=Phases(dns=3.0, connect=12.0, tls=20.0)
)


def answered(status=200, *, headers=(), body="ok", error=None, total=80.0, **more):
    error = error if error or status < 300 else "redirect" if status < 400 else "status"
    return attempt(
        status_code=status, outcome="delivered" if error is None else "failed", error=error,
        phases_ms=Phases(first_byte=total - 10, total=total),
        response=Response(headers=tuple(headers), body=body, size=len(body)), **more,
    )  # fmt: skip


def said(ping=None, *, findings=FINDINGS, url=URL, breaker_until_ms=None, paused=False, **fields):
    return diagnose(
        DiagnosisInput(
            hook=hook(url=url, **fields), target=parse_url(url), findings=findings, ping=ping,
            breaker_until_ms=breaker_until_ms, paused=paused, started_at=AT, now_ms=AT_MS,
        )
    )  # fmt: skip


def test_all_is_well_has_no_fix():
    found = said(answered())
    assert (found.state, found.fix) == ("ok", "")
    assert found.verdict == "no problems: the receiver accepted a signed ping, 200 after 80ms"
    assert [check.name for check in found.checks] == [
        "name", "address", "connect", "tls", "certificate", "ping", "hook",
    ]  # fmt: skip
    assert found.phases_ms == Phases(dns=3.0, connect=12.0, tls=20.0, first_byte=70.0, total=115.0)


# Red when a receiver that requires a client certificate is said to refuse the body.
@pytest.mark.parametrize(
    ("status", "body", "wanted"),
    [
        (400, "<html><center>No required SSL certificate was sent</center></html>", True),
        (400, "The SSL certificate error", True),
        (403, "client certificate required", True),
        (496, "", True),
        (400, "birth certificate missing", False),
        (500, "SSL certificate", False),
    ],
)
def test_a_receiver_that_requires_a_client_certificate_is_named(status, body, wanted):
    found = said(answered(status, body=body))
    assert ("mutual TLS" in found.verdict) is wanted


@pytest.mark.parametrize(
    ("status", "fix"),
    [(400, "rejects the body"), (401, "authentication"), (403, "allow this server's address"),
     (404, "path"), (405, "does not accept POST"), (410, "hooktui hooks delete 12"), (413, "limit"),
     (415, "application/json"), (422, "unknown events"), (429, "--rate"), (500, "see its log"),
     (502, "upstream is down"), (503, "overloaded"), (504, "too slow"), (418, "log"), (599, "log")],
)  # fmt: skip
def test_each_status_has_a_fix_of_its_own(status, fix):
    found = said(answered(status))
    assert found.state == "fail"
    assert found.verdict.startswith(f"the receiver responded {status}")
    assert fix in found.fix


# Red when the advice for 429 is what the hook has already.
def test_a_hook_that_adapts_its_pace_is_not_told_to_do_so():
    assert "auto" in said(answered(429)).fix
    adapts = said(answered(429), max_in_flight=None).fix
    assert "auto" not in adapts
    assert "--rate" in adapts


def test_how_long_a_receiver_asks_to_wait_is_reported():
    found = said(answered(429, headers=[("retry-after", "60")], retry_after_s=60))
    assert found.verdict == "the receiver responded 429 and asks to wait 60 s"


@pytest.mark.parametrize(
    ("location", "fix"),
    [("/new", "set the hook's URL to https://example.com/new"),
     ("https://example.com/in/", "set the hook's URL to https://example.com/in/"),
     ("//other.test/x", "set the hook's URL to https://other.test/x (other.test is another host"),
     ("javascript:alert(1)", "use a URL that responds directly"),
     ("http://a b/\x1b[2J", "use a URL that responds directly"),
     ("https://[bad", "use a URL that responds directly"),
     (None, "use a URL that responds directly")],
)  # fmt: skip
def test_a_redirect_names_its_target_where_that_is_a_url(location, fix):
    headers = [] if location is None else [("location", location)]
    found = said(answered(308, headers=headers))
    assert found.verdict.startswith("the receiver redirects (308), which deliveries never follow")
    assert found.fix.startswith(fix)


@pytest.mark.parametrize("error", [one for one in ErrorClass if one not in ("redirect", "status")])
def test_each_error_of_a_ping_has_a_verdict_and_a_fix(error):
    ping = answered(200, error=error, error_detail="it broke off")
    found = said(replace(ping, status_code=None, response=None))
    assert (found.state, found.verdict) == ("fail", "it broke off")
    assert found.fix


# Red when the record is blamed although no name server answered.
@pytest.mark.parametrize(
    ("detail", "fix"),
    [
        ("example.com was not found (Name or service not known)", "its DNS record"),
        ("example.com has no address", "its DNS record"),
        ("the name servers could not look up example.com (as if)", "/etc/resolv.conf"),
        ("looking up example.com took longer than 5 s", "/etc/resolv.conf"),
    ],
)
def test_a_name_without_an_answer_leads_to_the_name_servers(detail, fix):
    found = said(findings=ConnectionFindings(error=ErrorClass.DNS, detail=detail))
    assert (found.state, found.verdict) == ("fail", detail)
    assert fix in found.fix
    assert found.fix.endswith("getent ahosts example.com")


# Red when a lost request is taken for a slow receiver: to respond first would change nothing.
@pytest.mark.parametrize(
    ("detail", "fix"),
    [
        ("no response within 15 s", "let it respond first and work later"),
        (f"no response within 15 s; 9 of 9 bytes of the request {NOT_ACKNOWLEDGED}", "MTU"),
    ],
)
def test_a_timeout_says_whether_the_network_lost_the_request(detail, fix):
    found = said(answered(error="timeout", error_detail=detail))
    assert (found.state, found.verdict) == ("fail", detail)
    assert fix in found.fix


# Red when a hook that has 30 s already is told to allow more: the response begins within 15 s.
@pytest.mark.parametrize(
    ("timeout_s", "first_byte_ms", "more"),
    [(30, None, ""), (15, None, ""), (14, None, "(up to 15 s)"),
     (29, 70.0, "(up to 30 s)"), (30, 70.0, "")],
)  # fmt: skip
def test_more_time_is_offered_only_where_there_is_more(timeout_s, first_byte_ms, more):
    phases = Phases(first_byte=first_byte_ms, total=timeout_s * 1000.0)
    ping = replace(answered(error="timeout", error_detail="too late"), phases_ms=phases)
    fix = said(ping, timeout_s=timeout_s).fix
    assert ("--timeout" in fix, fix.endswith(more)) == (bool(more), True)


def test_a_handshake_that_hangs_is_not_blamed_on_the_version_of_tls():
    hangs = "example.com did not finish the TLS handshake within 5 s"
    found = said(findings=replace(FINDINGS, tls=None, error=ErrorClass.TIMEOUT, detail=hangs))
    assert (found.state, found.verdict) == ("fail", hangs)
    assert "large packets are lost" in found.fix
    assert "1.2" not in found.fix


# Red when it is asked of a receiver that broke off its response: it speaks HTTP.
@pytest.mark.parametrize(("code", "asks"), [(None, True), (200, False)])
def test_no_http_on_a_plain_port_asks_whether_it_wants_tls(code, asks):
    ping = answered(200, error="reset", error_detail="closed")
    findings = replace(FINDINGS, tls=None)
    found = said(replace(ping, status_code=code), findings=findings, url="http://example.com/in")
    assert found.fix.endswith("or does it require https://?") is asks


def test_a_web_page_is_a_warning_and_json_that_looks_like_one_is_none():
    page = [("content-type", "text/html; charset=utf-8")]
    assert said(answered(headers=page, body=" <!doctype html>")).state == "warn"
    assert "web page" in said(answered(headers=page, body="<html>")).verdict
    assert said(answered(headers=page, body="ok")).state == "ok"
    assert said(answered(headers=[("content-type", "application/json")], body="<")).state == "ok"


def test_slow_is_five_seconds_or_half_of_what_the_hook_allows():
    assert said(answered(total=4_900.0)).state == "ok"
    assert "the receiver is slow" in said(answered(total=5_100.0)).verdict
    assert said(answered(total=1_100.0), timeout_s=2.0).state == "warn"


def dated(seconds, status=200):
    from email.utils import formatdate

    at = from_rfc3339(AT) / 1000 + seconds
    return answered(status, headers=[("date", formatdate(at, usegmt=True))])


@pytest.mark.parametrize("seconds", [0, 30, -30])
def test_a_clock_that_is_nearly_right_is_well(seconds):
    assert said(dated(seconds)).state == "ok"


def test_a_wrong_clock_is_reported_with_its_direction():
    ahead, behind = said(dated(3600)), said(dated(-600))
    assert ahead.clock_skew_s == 3600
    assert ahead.verdict == "the receiver's clock is 1h ahead of this machine's"
    assert behind.verdict == "the receiver's clock is 10m behind this machine's"
    assert "webhook-timestamp" in behind.fix
    assert (ahead.state, behind.state) == ("warn", "warn")


def test_a_wrong_clock_is_the_verdict_where_it_explains_the_refusal():
    # Red when the clock is judged after the answer.
    assert "clock" in said(dated(-600, 401)).verdict
    assert said(dated(-600, 401)).state == "fail"
    assert "responded 401" in said(dated(-120, 401)).verdict
    assert "responded 500" in said(dated(-600, 500)).verdict


@pytest.mark.parametrize("date", ["", "yesterday", "Wed, 99 Nov 2026 99:00:00 GMT", "\x1b[2J"])
def test_a_date_that_is_none_says_nothing(date):
    assert said(answered(headers=[("Date", date)])).clock_skew_s is None


def test_our_side_is_the_verdict_when_the_receiver_is_well():
    off = said(answered(), active=False, disabled_reason="disabled by hand",
               stats=HookStats(held=3))  # fmt: skip
    assert off.verdict == (
        "the hook is disabled (disabled by hand), 3 deliveries held: only pings are sent"
    )
    assert off.fix == "enable it: hooktui hooks enable 12"
    broken = said(answered(), breaker_until_ms=AT_MS + 30_000, stats=HookStats(waiting=7))
    assert "the next attempt is in 30s, 7 deliveries waiting" in broken.verdict
    # Red when the ping that was just delivered seems to close it, or only a success does.
    closes = "a delivery with any response except 429 and 5xx closes it; a ping does not"
    now = "to close it now, disable and enable the hook: events in between are skipped"
    assert broken.fix == f"{closes}; {now}"
    down = said(answered(503), breaker_until_ms=AT_MS + 30_000)
    assert down.checks[-1].advice == closes  # it would open again
    paused = said(answered(), paused=True, stats=HookStats(waiting=7))
    assert paused.verdict == "all sending is paused, 7 deliveries of this hook are waiting"
    assert said(answered(500), active=False).verdict == "the receiver responded 500"


# Red while one delivery was "1 deliveries".
def test_a_single_delivery_is_counted_as_one():
    one = HookStats(waiting=1, held=1)
    off = said(answered(), active=False, disabled_reason="by hand", stats=one)
    assert off.verdict == "the hook is disabled (by hand), 1 delivery held: only pings are sent"
    paused = said(answered(), paused=True, stats=one)
    assert paused.verdict == "all sending is paused, 1 delivery of this hook is waiting"
    broken = said(answered(), breaker_until_ms=AT_MS + 30_000, stats=one)
    assert broken.verdict.endswith("in 30s, 1 delivery waiting")


def test_a_refused_connection_names_the_others_too():
    one = AddressFinding(address="127.0.0.2", error="connect_timeout", detail="127.0.0.2 is silent")
    findings = ConnectionFindings(addresses=(one, one), error=one.error, detail=one.detail)
    found = said(findings=findings)
    assert found.verdict == "127.0.0.2 is silent (nor at 1 more)"
    assert "firewall" in found.fix


def test_no_route_to_ipv6_is_no_fault_while_ipv4_is_there():
    unreachable = AddressFinding(address="2001:db8::1", error="connect", detail="unreachable")
    assert said(answered(), findings=replace(FINDINGS, addresses=(unreachable, MET))).state == "ok"
    refused = replace(unreachable, error="connect_refused", detail="nothing listens")
    assert said(answered(), findings=replace(FINDINGS, addresses=(refused, MET))).state == "warn"


def test_a_slow_look_up_is_a_warning():
    slow = replace(FINDINGS, phases_ms=Phases(dns=3_000.0))
    assert "found in 3s" in said(answered(), findings=slow).verdict


def test_a_certificate_is_renewed_by_its_own_measure():
    long, short = LEAF, replace(LEAF, not_before="2026-11-22T00:00:00.000Z",
                                not_after="2026-11-28T00:00:00.000Z", days_left=2)  # fmt: skip
    day = 86_400_000
    ends = from_rfc3339(long.not_after)

    def state(one, now_ms):
        return assess_certificate(replace(TLS, chain=(one,)), "example.com", 12, now_ms).state

    assert (state(long, ends - 15 * day), state(long, ends - 13 * day)) == ("ok", "warn")
    ends = from_rfc3339(short.not_after)
    assert (state(short, ends - 2 * day), state(short, ends - day)) == ("ok", "warn")


@pytest.mark.parametrize(
    ("code", "words"),
    [(9, "valid only from 2026-10-01 on"), (10, "expired"), (18, "self-signed"),
     (19, "does not trust"), (20, "without that of its signer Some authority"), (62, "not for"),
     (64, "not for"), (1, "was not accepted: odd"), (None, "was not accepted: odd")],
)  # fmt: skip
def test_each_reason_of_openssl_has_its_words(code, words):
    tls = replace(TLS, verified=False, why_not="odd", code=code)
    check = assess_certificate(tls, "example.com", 12, AT_MS)
    assert check.state == "fail"
    assert words in check.value


# Red when 24 hours are a date: expired "today, on 2026-11-30", read on 2026-12-01.
@pytest.mark.parametrize(
    ("from_now_ms", "state", "words"),
    [
        (DAY_MS * 30, "ok", "/c.pem expires in 30 days"),
        (DAY_MS * 13, "warn", "/c.pem expires in 13 days"),
        (1, "warn", "/c.pem expires within a day"),
        (0, "fail", "/c.pem expired less than a day ago, on 2026-11-25"),
        (-DAY_MS * 3 - 1, "fail", "/c.pem expired 3 days ago, on 2026-11-22"),
        (DAY_MS * 91, "fail", "/c.pem is valid only from 2026-11-26 on"),
    ],
)
def test_the_certificate_of_the_api_is_assessed_by_its_lifetime(from_now_ms, state, words):
    end_ms = AT_MS + from_now_ms
    check = assess_own_certificate("/c.pem", end_ms - DAY_MS * 90, end_ms, AT_MS)
    assert (check.state, check.value) == (state, words)
    assert bool(check.advice) is (state != "ok")


@pytest.mark.parametrize(
    ("days_left", "words"),
    [(-1, "less than a day ago"), (-2, "1 day ago"), (-3, "2 days ago"), (-4000, "3,999 days ago")],
)
def test_an_expired_certificate_says_how_long_ago(days_left, words):
    one = replace(LEAF, days_left=days_left, not_after="2026-11-30T20:00:00.000Z")
    tls = replace(TLS, chain=(one,), verified=False, why_not="odd", code=10)
    value = assess_certificate(tls, "example.com", 12, AT_MS).value
    assert value == f"the certificate of example.com expired {words}, on 2026-11-30"


def test_long_names_leave_room_for_the_verdict():
    one = replace(LEAF, names=tuple(f"{n}{'x' * 200}" for n in range(9)))
    tls = replace(TLS, chain=(one,), verified=False, fits_host=False, code=62)
    value = assess_certificate(tls, "example.com", 12, AT_MS).value
    assert len(value) < 330
    assert "and 5 more" in value
