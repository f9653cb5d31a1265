"""Turns the findings of a diagnosis into one line per step, a verdict and a fix.

Pure: `diagnose` gets the findings and the ping's attempt. The verdict is the worst line, the first
of equals in the order of a delivery's steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address

from hooktui.domain.addresses import ParsedUrl
from hooktui.domain.clock import format_duration, from_rfc3339
from hooktui.domain.deliveries import DeliveryStatus, ErrorClass
from hooktui.domain.diagnosis_responses import assess_response, date_of
from hooktui.domain.diagnosis_tls import assess_certificate, assess_handshake
from hooktui.domain.signatures import TOLERANCE_S
from hooktui.domain.text import counted
from hooktui.domain.wire.deliveries import Attempt, Phases
from hooktui.domain.wire.diagnosis import Check, ConnectionFindings, Diagnosis
from hooktui.domain.wire.hooks import Hook, pace_in_words

_NOTICED_S = 60  # a Date header has whole seconds, and a response takes time
_LOOKED_UP = ("was not found", "has no address")  # results of a name server
_MAY_BE_THE_CLOCK = frozenset({400, 401, 403})
_SLOW_STEP_MS = 2_000.0  # a lost packet costs a look-up or connect one second


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisInput:
    """The input of a diagnosis.

    Attributes:
        hook: as it is after the ping.
        findings: those of the probe, up to the request.
        ping: the ping's attempt, if one was sent.
        breaker_until_ms: when the next probe may be sent, while the hook's breaker is open.
        now_ms: end of the diagnosis.
    """

    hook: Hook
    target: ParsedUrl
    findings: ConnectionFindings
    ping: Attempt | None
    breaker_until_ms: int | None
    paused: bool
    started_at: str
    now_ms: int


def diagnose(given: DiagnosisInput) -> Diagnosis:
    """Return lines, verdict and fix."""
    skew_s = _skew_s(given.ping)
    checks = tuple(_checks(given, skew_s))
    worst = _worst(checks)
    state, verdict, fix = "ok", "the receiver can be reached; no ping was sent", ""
    if worst is not None:
        state, verdict, fix = worst.state, worst.value, worst.advice
    elif given.ping is not None:
        took = format_duration((given.ping.phases_ms.total or 0) / 1000)
        verdict = f"no problems: the receiver accepted a signed ping, {given.ping.status_code}"
        verdict += f" after {took}"
    return Diagnosis(
        hook=given.hook.id,
        url=given.hook.url,
        started_at=given.started_at,
        state=state,
        verdict=verdict,
        fix=fix,
        checks=checks,
        phases_ms=_phases(given.findings.phases_ms, given.ping),
        addresses=given.findings.addresses,
        tls=given.findings.tls,
        ping=given.ping,
        clock_skew_s=skew_s,
    )


def _worst(checks: Sequence[Check]) -> Check | None:
    """Return the first failed check, else the first with a warning; None: all are well."""
    bad = (check for state in ("fail", "warn") for check in checks if check.state == state)
    return next(bad, None)


def _phases(probed: Phases, ping: Attempt | None) -> Phases:
    """Merge the durations of probe and ping; the ping may have reused a connection."""
    first_byte, total_ms = None, _set_up_ms(probed)
    if ping is not None:
        own = ping.phases_ms
        first_byte = own.first_byte
        total_ms += max((own.total or 0.0) - _set_up_ms(own), 0.0)
    return replace(probed, first_byte=first_byte, total=total_ms)


def _set_up_ms(phases: Phases) -> float:
    return sum(step or 0.0 for step in (phases.dns, phases.connect, phases.tls))


def _checks(given: DiagnosisInput, skew_s: int | None) -> list[Check]:
    target = given.target
    checks = connection_checks(given.findings, target, given.hook.id, given.now_ms)
    if skew_s is not None:
        checks.append(_clock(skew_s, given.ping))
    if given.ping is not None:
        checks.append(assess_response(given.ping, given.hook, target))
    checks.append(_hook(given))
    pace = pace_in_words(given.hook, partial(_ago, given.now_ms))
    if pace and given.hook.active:
        checks.append(Check("pace", "ok", f"in flight {pace}"))
    return checks


# Up to the request


def connection_checks(
    findings: ConnectionFindings, target: ParsedUrl, hook: int, now_ms: int
) -> list[Check]:
    """Return a line for each step up to the request; later steps may be missing."""
    checks = [_name(findings, target)]
    if findings.addresses:
        checks.append(_address(findings))
    tried = any(
        address.error is not None or address.connect_ms is not None
        for address in findings.addresses
    )
    if tried and findings.error != ErrorClass.ADDRESS_REFUSED:
        checks.append(_connect(findings, target))
    if findings.tls is not None or findings.error in (ErrorClass.TLS, ErrorClass.TIMEOUT):
        checks.append(assess_handshake(findings, target, hook))
    if findings.tls is not None:
        checks.append(assess_certificate(findings.tls, target.host, hook, now_ms))
    elif findings.error == ErrorClass.TLS_CERTIFICATE:  # and reading it without verification failed
        checks.append(Check("certificate", "fail", findings.detail or "", "run it again"))
    return checks


def _name(findings: ConnectionFindings, target: ParsedUrl) -> Check:
    if findings.error == ErrorClass.DNS:
        detail = findings.detail or ""
        advice = "check the host in the hook's URL, and its DNS record as this machine sees it"
        if not any(words in detail for words in _LOOKED_UP):
            advice = "see the name servers in /etc/resolv.conf, and whether a firewall drops DNS"
        return Check("name", "fail", detail, f"{advice}: getent ahosts {target.host}")
    if target.literal is not None:
        return Check("name", "ok", f"{target.host} is an address already")
    number = len(findings.addresses)
    leads = findings.addresses[0].address if number == 1 else f"{number} addresses"
    took_ms = findings.phases_ms.dns or 0.0
    value = f"{target.host} leads to {leads}, found in {format_duration(took_ms / 1000)}"
    if took_ms > _SLOW_STEP_MS:
        advice = "looking up names is slow here: see the name servers in /etc/resolv.conf"
        return Check("name", "warn", value, advice)
    return Check("name", "ok", value)


def _address(findings: ConnectionFindings) -> Check:
    refused = [
        address for address in findings.addresses if address.error == ErrorClass.ADDRESS_REFUSED
    ]
    if refused:
        # The dialer's text: the forbidden address, then how to allow it.
        what, _, way_out = (refused[0].detail or "").partition(". ")
        return Check("address", "fail", what, way_out)
    number = len(findings.addresses)
    return Check("address", "ok", "allowed" if number == 1 else f"all {number} allowed")


_CONNECT_FIXES = {
    ErrorClass.CONNECT_REFUSED: (
        "start the receiver, or correct the port in the hook's URL; a firewall may refuse it, too"
    ),
    ErrorClass.CONNECT_TIMEOUT: (
        "the machine is down or a firewall drops the packets: let this server reach that port"
    ),
    ErrorClass.CONNECT: (
        "there is no network route, or a firewall rejects the packets: see the routes of this"
        " machine, and the firewalls from here to the receiver"
    ),
}


def _connect(findings: ConnectionFindings, target: ParsedUrl) -> Check:
    met = [address for address in findings.addresses if address.connect_ms is not None]
    missed = [address for address in findings.addresses if address.error is not None]
    if not met:
        error = ErrorClass(missed[0].error or ErrorClass.CONNECT)
        others = f" (nor at {len(missed) - 1} more)" if len(missed) > 1 else ""
        return Check(
            "connect", "fail", f"{missed[0].detail}{others}", _CONNECT_FIXES.get(error, "")
        )
    times = [address.connect_ms or 0.0 for address in met]
    quickest = format_duration(min(times) / 1000)
    value = f"{met[0].address} port {target.port} in {quickest}"
    if len(met) > 1:
        slowest = format_duration(max(times) / 1000)
        value = f"{len(met)} addresses, port {target.port}, in {quickest} to {slowest}"
    # Many machines have no IPv6: a connect fails immediately there and does not delay deliveries.
    bad = [
        address
        for address in missed
        if address.error != ErrorClass.CONNECT or ip_address(address.address).version == 4
    ]
    if bad:
        said = (
            f"{len(bad)} of {len(findings.addresses)} addresses cannot be reached: {bad[0].detail}"
        )
        advice = "deliveries that try it are delayed: fix it, or remove it from the name's records"
        return Check("connect", "warn", said, advice)
    if min(times) > _SLOW_STEP_MS:
        advice = "packets are lost, or the receiver is overloaded"
        return Check("connect", "warn", f"connecting is slow: {value}", advice)
    return Check("connect", "ok", value)


# Clocks, and the hook


def _skew_s(ping: Attempt | None) -> int | None:
    """Return how many seconds the receiver's clock is ahead, by the Date of its response."""
    if ping is None or (sent_s := date_of(ping)) is None:
        return None
    took_ms = ping.phases_ms.total or 0.0
    return round(sent_s - (from_rfc3339(ping.started_at) + took_ms) / 1000)


def _clock(skew_s: int, ping: Attempt | None) -> Check:
    if abs(skew_s) < _NOTICED_S:
        return Check("clock", "ok", "the receiver's clock is the same as this machine's")
    way = "ahead of" if skew_s > 0 else "behind"
    value = f"the receiver's clock is {format_duration(abs(skew_s))} {way} this machine's"
    advice = "correct the wrong one (see timedatectl here)"
    if abs(skew_s) > TOLERANCE_S:
        advice += "; receivers that check webhook-timestamp reject over 5 minutes"
        if ping is not None and ping.status_code in _MAY_BE_THE_CLOCK:
            return Check("clock", "fail", value, advice)
    return Check("clock", "warn", value, advice)


def _hook(given: DiagnosisInput) -> Check:
    hook, stats = given.hook, given.hook.stats
    if not hook.active:
        held = f", {counted(stats.held, 'delivery')} held" if stats.held else ""
        value = f"the hook is disabled ({hook.disabled_reason or '?'}){held}: only pings are sent"
        return Check("hook", "warn", value, f"enable it: hooktui hooks enable {hook.id}")
    if given.paused:
        are = "is" if stats.waiting == 1 else "are"
        waiting = f"{counted(stats.waiting, 'delivery')} of this hook {are} waiting"
        value = f"all sending is paused, {waiting}"
        return Check("hook", "warn", value, "resume with: hooktui resume")
    waits = f", {counted(stats.waiting, 'delivery')} waiting" if stats.waiting else ", none waiting"
    if given.breaker_until_ms is not None:
        left_s = (given.breaker_until_ms - given.now_ms) / 1000
        when = f"in {format_duration(left_s)}" if left_s > 0 else "now"
        value = f"the breaker is open after many failures: the next attempt is {when}{waits}"
        advice = "a delivery with any response except 429 and 5xx closes it; a ping does not"
        if given.ping is not None and given.ping.outcome == DeliveryStatus.DELIVERED:
            advice += (
                "; to close it now, disable and enable the hook: events in between are skipped"
            )
        return Check("hook", "warn", value, advice)
    return Check("hook", "ok", f"active{waits}")


def _ago(now_ms: int, then: str | None) -> str:
    return "" if then is None else f"{format_duration((now_ms - from_rfc3339(then)) / 1000)} ago"
