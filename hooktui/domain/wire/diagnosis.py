"""Checks of an installation, and the findings of a diagnosis of a receiver, step by step.

Texts of certificates and responses come from the receiver; they are cut, and shown through
`visible`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hooktui.domain.wire.deliveries import Attempt, Phases


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was checked, its state, the measured value, and the fix.

    ``state`` is ``ok``, ``warn`` or ``fail``; a newer server may send other values.
    """

    name: str
    state: str
    value: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """All checks and the worst state of them."""

    state: str
    checks: tuple[Check, ...]


def report_of(checks: Sequence[Check]) -> DoctorReport:
    """Return checks with the worst of their states."""
    states = {check.state for check in checks}
    worst = "fail" if "fail" in states else "warn" if "warn" in states else "ok"
    return DoctorReport(worst, tuple(checks))


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressFinding:
    """One address of the URL's host.

    ``error`` is an error class of the contract. It is None for an address that accepted the
    connection (then ``connect_ms`` is set) or was not tried because another one is forbidden.
    """

    address: str
    error: str | None = None
    detail: str | None = None
    connect_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate of the receiver; ``days_left`` is negative once it has expired."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: str
    not_after: str
    days_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFinding:
    """The result of the TLS handshake.

    ``chain`` is what the receiver sends, its own certificate first. ``fits_host`` says whether that
    one names the URL's host, ``verified`` whether a hook that verifies accepts it; ``why_not`` and
    ``code`` (OpenSSL's X509_V_ERR_*) give the reason. ``demanded``: the hook verifies.
    """

    demanded: bool
    version: str | None = None
    cipher: str | None = None
    chain: tuple[Certificate, ...] = ()
    fits_host: bool = False
    verified: bool = False
    why_not: str | None = None
    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFindings:
    """The findings up to the request: name, addresses, connections, TLS. Nothing was sent.

    ``error`` and ``detail`` describe the step that blocks deliveries; None: none does.
    """

    addresses: tuple[AddressFinding, ...] = ()
    tls: TlsFinding | None = None
    phases_ms: Phases = field(default_factory=Phases)
    error: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The response of ``POST /v1/hooks/{id}/diagnose``.

    ``verdict`` says in one line what is wrong, or that all is well, and ``fix`` how to fix it
    (empty: nothing). ``ping`` is the attempt of the ping that was sent; None if the steps before it
    show that it would not arrive. ``clock_skew_s`` is how far the receiver's clock is ahead.
    """

    hook: int
    url: str
    started_at: str
    state: str
    verdict: str
    fix: str
    checks: tuple[Check, ...]
    phases_ms: Phases
    addresses: tuple[AddressFinding, ...]
    tls: TlsFinding | None
    ping: Attempt | None
    clock_skew_s: int | None


Step = Literal["name", "connect", "TLS", "ping"]
"""The steps of a diagnosis in their order; each ends in one or two checks."""

ProgressCallback = Callable[[ConnectionFindings, Step], None]
"""Called with the findings so far and the step that begins, as long as nothing is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisLine:
    """One line of a running diagnosis.

    ``checks`` are those of the step that has ended, ``running`` is the step that begins. The last
    line has the whole ``diagnosis`` instead, or the ``problem`` (RFC 9457) that ended it.
    """

    checks: tuple[Check, ...] = ()
    running: str | None = None
    diagnosis: Diagnosis | None = None
    problem: Mapping[str, object] | None = None
