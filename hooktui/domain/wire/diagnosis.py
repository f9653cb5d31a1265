"""Checks of an installation, and the findings of a diagnosis of a receiver, step by step.

Texts of certificates and responses are the receiver's own; they are cut, and shown through
`visible`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hooktui.domain.wire.deliveries import Attempt, Phases

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, how it is, what was measured, and what to do about it.

    ``state`` is a `State`; a newer server may send another word.
    """

    name: str
    state: str
    value: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Checkup:
    """All lines, and the worst state of them."""

    state: str
    checks: tuple[Check, ...]


def checkup_of(checks: Sequence[Check]) -> Checkup:
    """Return checks with the worst of their states."""
    states = {check.state for check in checks}
    worst: State = "fail" if "fail" in states else "warn" if "warn" in states else "ok"
    return Checkup(worst, tuple(checks))


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressFinding:
    """One address that the URL leads to.

    ``error`` is an error class of the contract, and None for an address that took the connection
    (then ``connect_ms`` is set) or was not tried, because another one is forbidden.
    """

    address: str
    error: str | None = None
    detail: str | None = None
    connect_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate that the receiver shows; ``days_left`` is below 0 once it has expired."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: str
    not_after: str
    days_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFinding:
    """What the TLS handshake came to.

    ``chain`` is what the receiver sends, its own certificate first. ``fits_host`` says whether that
    one names the URL's host, ``verified`` whether a hook that verifies takes it; ``why_not`` and
    ``code`` (OpenSSL's X509_V_ERR_*) say why not. ``demanded``: the hook verifies.
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
class Look:
    """Everything up to the request: name, addresses, connections, TLS. Nothing was sent.

    ``error`` and ``detail`` name the step that keeps deliveries from the receiver; None: none does.
    """

    addresses: tuple[AddressFinding, ...] = ()
    tls: TlsFinding | None = None
    phases_ms: Phases = field(default_factory=Phases)
    error: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What ``POST /v1/hooks/{id}/diagnose`` answers.

    ``verdict`` says in one line what is wrong, or that all is well, and ``fix`` what to do about it
    (empty: nothing). ``ping`` is the attempt of the ping that was sent; None where the steps before
    it show that none would arrive. ``clock_skew_s`` is how far the receiver's clock is ahead.
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
"""What a diagnosis does one after another; each ends in one line of checks or in two."""

Tell = Callable[[Look, Step], None]
"""Takes what is known so far and the step that begins; called only while nothing is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisLine:
    """One line of a diagnosis that is told while it runs.

    ``checks`` are those of the step that has ended, ``running`` is the step that begins. The last
    line has the whole ``diagnosis`` instead, or the ``problem`` (RFC 9457) that ended it.
    """

    checks: tuple[Check, ...] = ()
    running: str | None = None
    diagnosis: Diagnosis | None = None
    problem: Mapping[str, object] | None = None
