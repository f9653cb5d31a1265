"""Assesses a TLS handshake and its certificates, and suggests a fix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from hooktui.domain.addresses import ParsedUrl
from hooktui.domain.clock import DAY_MS, from_rfc3339, to_rfc3339
from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.text import counted, cut
from hooktui.domain.wire.diagnosis import Certificate, Check, ConnectionFindings, TlsFinding

# OpenSSL's X509_V_ERR_*.
_NOT_YET, _EXPIRED = 9, 10
_SELF_SIGNED, _SELF_SIGNED_ABOVE = 18, 19
_NO_ISSUER = (20, 21)
_OTHER_NAME = (62, 64)

_SOON_DAYS: Final = 14
"""Automatic renewal has happened by then."""
_SOON_SHARE: Final = 0.25
"""Share of its lifetime: some certificates are valid for six days."""
_MAX_NAMES = 4
_LONGEST = 60
"""Characters of a name or an issuer, whatever its content, so that the rest of a line fits."""


def assess_handshake(findings: ConnectionFindings, target: ParsedUrl, hook: int) -> Check:
    """Assess whether TLS works at all."""
    if findings.tls is not None:
        took_ms = findings.phases_ms.tls or 0.0
        value = f"{findings.tls.version}, {findings.tls.cipher}, in {took_ms:.0f} ms"
        return Check("tls", "ok", value)
    if findings.detail is not None and "wrong version number" in findings.detail:
        advice = f"that port does not speak TLS: use http:// in hook {hook}'s URL, or another port"
        return Check("tls", "fail", findings.detail, advice)
    if findings.error == ErrorClass.TIMEOUT:
        advice = "it is overloaded or does not speak TLS, or large packets are lost (see the MTU)"
        return Check("tls", "fail", findings.detail or "", advice)
    advice = "the receiver needs TLS 1.2 or newer and a certificate; see: openssl s_client -connect"
    return Check("tls", "fail", findings.detail or "", f"{advice} {target.host}:{target.port}")


def assess_certificate(tls: TlsFinding, host: str, hook: int, now_ms: int) -> Check:
    """Assess the receiver's certificates; at most a hint if the hook does not verify."""
    if not tls.verified:
        value, advice = _not_verified(tls, host, hook)
        if tls.demanded:
            return Check("certificate", "fail", value, advice)
        given = f"not verified, as set in the hook; otherwise: {value}"
        return Check(
            "certificate", "ok", given, "others on the network could read deliveries and respond"
        )
    shown = tls.chain[0] if tls.chain else None
    if shown is None:
        return Check("certificate", "ok", f"trusted for {host}")
    value = f"trusted for {host}, by {cut(shown.issuer, _LONGEST)}, {_for_days(shown.days_left)}"
    if _ends_soon(from_rfc3339(shown.not_before), from_rfc3339(shown.not_after), now_ms):
        said = f"the certificate of {host} expires {_in_days(shown.days_left)}"
        advice = "renew it at the receiver, and check its automatic renewal"
        return Check("certificate", "warn", said, advice)
    advice = "" if tls.demanded else f"verify it: hooktui hooks edit {hook} --verify-tls"
    return Check("certificate", "ok", value, advice)


def assess_own_certificate(file: str, begin_ms: int, end_ms: int, now_ms: int) -> Check:
    """Assess how long the certificate is valid that the API uses on TCP."""
    days = math.floor((end_ms - now_ms) / DAY_MS)
    advice = "renew it; the server loads the new one within a minute"
    if now_ms < begin_ms:
        value = f"{file} is valid only from {to_rfc3339(begin_ms)[:10]} on"
        return Check("certificate", "fail", value, "check the clock of this machine (timedatectl)")
    if end_ms <= now_ms:
        value = f"{file} expired {_days_ago(days)}, on {to_rfc3339(end_ms)[:10]}"
        return Check("certificate", "fail", value, advice)
    state = "warn" if _ends_soon(begin_ms, end_ms, now_ms) else "ok"
    value = f"{file} expires {_in_days(days)}"
    return Check("certificate", state, value, advice if state == "warn" else "")


def _not_verified(tls: TlsFinding, host: str, hook: int) -> tuple[str, str]:
    """Return what is wrong with the certificates, and how to fix it."""
    shown = tls.chain[0] if tls.chain else None
    if shown is None or tls.code is None:
        return f"the certificate of {host} was not accepted: {tls.why_not}", ""
    if tls.code == _EXPIRED:
        return _expired(tls.chain, host)
    if tls.code == _NOT_YET:
        return (
            f"the certificate of {host} is valid only from {shown.not_before[:10]} on",
            "check the clock of this machine (timedatectl); else renew the certificate",
        )
    if tls.code in _OTHER_NAME:
        return (
            f"the certificate is for {_names(shown)}, not for {host}",
            "use one of its names in the hook's URL, or get a certificate with this one",
        )
    also, above = _also(tls, shown), cut(tls.chain[-1].issuer, _LONGEST)
    trust = "add its authority to this machine's (update-ca-certificates), and restart the server"
    anyhow = f"if the network is trusted: hooktui hooks edit {hook} --no-verify-tls"
    if tls.code == _SELF_SIGNED:
        return (
            f"the certificate of {host} is self-signed: no authority vouches for it{also}",
            f"get one from an authority; or {trust}; or, {anyhow}",
        )
    if tls.code == _SELF_SIGNED_ABOVE:
        return (
            f"this machine does not trust {above}, which signed for {host}{also}",
            f"{trust}; or, {anyhow}",
        )
    if tls.code in _NO_ISSUER and len(tls.chain) == 1:
        return (
            f"{host} sends its certificate without that of its signer {above}{also}",
            "let the receiver send the whole chain, with intermediate certificates (often"
            f" fullchain.pem); if the signer is your own authority: {trust}",
        )
    if tls.code in _NO_ISSUER:
        return f"this machine does not trust {above}, which signed for {host}{also}", trust
    return f"the certificate of {host} was not accepted: {tls.why_not}", anyhow


def _also(tls: TlsFinding, shown: Certificate) -> str:
    """Return further faults, which a handshake does not reach."""
    faults = [] if tls.fits_host else [f"it is for {_names(shown)}"]
    if shown.days_left < 0:
        faults.append("it has expired")
    return f"; and {', and '.join(faults)}" if faults else ""


def _expired(chain: Sequence[Certificate], host: str) -> tuple[str, str]:
    ended = next((certificate for certificate in chain if certificate.days_left < 0), chain[0])
    whose = "" if ended is chain[0] else f" (that of {cut(ended.subject, _LONGEST)}, above it)"
    ago = _days_ago(ended.days_left)
    return (
        f"the certificate of {host}{whose} expired {ago}, on {ended.not_after[:10]}",
        "renew it at the receiver, and automate the renewal (ACME)",
    )


def _days_ago(days_left: int) -> str:
    days = -days_left - 1  # whole days, not dates
    return "less than a day ago" if days < 1 else f"{counted(days, 'day')} ago"


def _ends_soon(begin_ms: int, end_ms: int, now_ms: int) -> bool:
    soon_ms = min(_SOON_DAYS * DAY_MS, (end_ms - begin_ms) * _SOON_SHARE)
    return end_ms - now_ms < soon_ms


def _for_days(days: int) -> str:
    return f"for {days} more day{'' if days == 1 else 's'}"


def _in_days(days: int) -> str:
    return "within a day" if days < 1 else f"in {days} day{'' if days == 1 else 's'}"


def _names(shown: Certificate) -> str:
    names = shown.names or (shown.subject,)
    rest = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(cut(name, _LONGEST) for name in names[:_MAX_NAMES]) + rest
