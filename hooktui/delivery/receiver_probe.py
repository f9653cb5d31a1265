"""Checks one hook's receiver step by step, like a delivery, up to the request.

Name, addresses, connections and TLS use the same dialer as deliveries, so the same checks apply. A
forbidden address is not dialled, and nothing is sent: the request is the ping that follows.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import replace
from time import monotonic
from typing import NamedTuple

from hooktui.delivery.dial import ConnectError, Dialer
from hooktui.delivery.limits import ConnectPhases, ExchangeFailure
from hooktui.delivery.resolver import Address
from hooktui.delivery.shortage import MachineShort, Shortages
from hooktui.delivery.tls import fits, read_chain
from hooktui.domain.addresses import ParsedUrl
from hooktui.domain.clock import now_ms
from hooktui.domain.errors import Unavailable
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.wire.deliveries import Phases
from hooktui.domain.wire.diagnosis import (
    AddressFinding,
    ConnectionFindings,
    ProgressCallback,
    TlsFinding,
)

PROBE_S = 20.0
"""Time for all steps together; each step also has its limit of a delivery."""


class ReceiverProbe:
    """Checks receivers.

    Args:
        dialer: the dialer of deliveries.
        at_once: maximum number of concurrent probes; others wait.
        shortages: records resource shortages of this machine.
    """

    def __init__(self, dialer: Dialer, at_once: int, shortages: Shortages) -> None:
        self._dialer = dialer
        self._turns = asyncio.Semaphore(at_once)
        self._shortages = shortages

    async def __call__(self, hook: LiveHook, notify: ProgressCallback) -> ConnectionFindings:
        """Return the findings about a hook's receiver; takes 20 s at most.

        ``notify`` is called after each step except the last.

        Raises:
            Unavailable: this machine lacks a resource, or too many probes are running.
        """
        try:
            async with asyncio.timeout(PROBE_S):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("too many diagnoses are in progress; try again in a moment") from None
        try:
            return await self._probe(hook, notify)
        except MachineShort as missing:
            self._shortages.note(missing.condition, "a diagnosis")
            raise Unavailable(
                f"{missing}, so the receiver could not be diagnosed; {missing.condition.advice}"
            ) from None
        finally:
            self._turns.release()

    async def _probe(self, hook: LiveHook, notify: ProgressCallback) -> ConnectionFindings:
        target, deadline_s = hook.target, monotonic() + PROBE_S
        phases = ConnectPhases()
        try:
            addresses = await self._dialer.resolve(
                ("diagnose", hook.id), target, deadline_s, phases
            )
        except ConnectError as failure:
            error, detail = failure.fault
            return ConnectionFindings(phases_ms=_wire(phases), error=error, detail=detail)
        checked = [self._check_address(target, address) for address in addresses]
        findings = ConnectionFindings(addresses=tuple(checked), phases_ms=_wire(phases))
        refused = next((finding for finding in checked if finding.error is not None), None)
        if refused is not None:
            return replace(findings, error=refused.error, detail=refused.detail)
        notify(findings, "connect")
        began_s = monotonic()
        met, chosen = await self._connect_all(target, addresses, deadline_s)
        took_ms = (monotonic() - began_s) * 1000
        connected_ms = (finding.connect_ms for finding in met if finding.connect_ms is not None)
        phases.connect_ms = next(connected_ms, took_ms)
        addresses_met = (*met, *checked[len(met) :])
        findings = replace(findings, addresses=addresses_met, phases_ms=_wire(phases))
        if chosen is None:
            return replace(findings, error=met[0].error, detail=met[0].detail)
        address, sock = chosen
        if target.scheme == "http":
            sock.close()
            return findings
        notify(findings, "TLS")
        return await self._probe_tls(hook, findings, sock, address, deadline_s, phases)

    # Step 1: may it be reached

    def _check_address(self, target: ParsedUrl, address: Address) -> AddressFinding:
        try:
            self._dialer.check(target, address)
        except ConnectError as failure:
            error, detail = failure.fault
            return AddressFinding(address=str(address), error=error, detail=detail)
        return AddressFinding(address=str(address))

    # Step 2: can it be reached

    async def _connect_all(
        self, target: ParsedUrl, addresses: tuple[Address, ...], deadline_s: float
    ) -> tuple[list[AddressFinding], tuple[Address, socket.socket] | None]:
        """Try all addresses at once, and keep the connection that a delivery would use."""
        tried = addresses[: self._dialer.limits.addresses]
        limit_s = self._connect_limit_s(deadline_s)
        sockets: dict[Address, socket.socket] = {}

        async def connect(address: Address) -> AddressFinding:
            began_s = monotonic()
            try:
                sockets[address] = await self._dialer.connect(address, target.port, limit_s)
            except ConnectError as failure:
                error, detail = failure.fault
                return AddressFinding(address=str(address), error=error, detail=detail)
            return AddressFinding(address=str(address), connect_ms=(monotonic() - began_s) * 1000)

        chosen: tuple[Address, socket.socket] | None = None
        met: list[AddressFinding] = []
        try:
            for ended in await asyncio.gather(*map(connect, tried), return_exceptions=True):
                if isinstance(ended, BaseException):
                    raise ended
                met.append(ended)
            chosen = next(
                ((address, sockets.pop(address)) for address in tried if address in sockets), None
            )
        finally:
            for sock in sockets.values():
                sock.close()
        return met, chosen

    # Step 3: TLS

    async def _probe_tls(
        self,
        hook: LiveHook,
        findings: ConnectionFindings,
        sock: socket.socket,
        address: Address,
        deadline_s: float,
        phases: ConnectPhases,
    ) -> ConnectionFindings:
        """Do the TLS handshake as the hook does, and then with the opposite verification."""
        demanded = hook.settings.verify_tls
        phases.tls_ms = 0.0  # also if the authorities cannot be read
        handshake = await self._handshake(hook.target, sock, demanded, deadline_s, phases)
        error, detail = handshake.fault if handshake.fault is not None else (None, None)
        findings = replace(findings, phases_ms=_wire(phases), error=error, detail=detail)
        seen: _Handshake | None = handshake
        checked: _Handshake | None = handshake
        if demanded and handshake.code is not None:
            # The certificate failed: read it without verification.
            seen = await self._handshake_again(hook.target, address, deadline_s, verify_tls=False)
        elif not demanded and handshake.fault is None:
            checked = await self._handshake_again(hook.target, address, deadline_s, verify_tls=True)
        if seen is None or checked is None or seen.fault is not None:
            return findings
        chain = read_chain(seen.chain, now_ms())
        verified = checked.fault is None
        return replace(
            findings,
            tls=TlsFinding(
                demanded=demanded,
                version=seen.version,
                cipher=seen.cipher,
                chain=chain,
                fits_host=verified or fits(hook.target.host, chain),
                verified=verified,
                why_not=checked.why_not,
                code=checked.code,
            ),
        )

    async def _handshake_again(
        self, target: ParsedUrl, address: Address, deadline_s: float, *, verify_tls: bool
    ) -> _Handshake | None:
        try:
            sock = await self._dialer.connect(
                address, target.port, self._connect_limit_s(deadline_s)
            )
        except ConnectError:
            return None
        return await self._handshake(target, sock, verify_tls, deadline_s, ConnectPhases())

    def _connect_limit_s(self, deadline_s: float) -> float:
        return max(0.001, min(self._dialer.limits.connect_s, deadline_s - monotonic()))

    async def _handshake(
        self,
        target: ParsedUrl,
        sock: socket.socket,
        verify_tls: bool,
        deadline_s: float,
        phases: ConnectPhases,
    ) -> _Handshake:
        try:
            transport = await self._dialer.handshake(
                sock, target, asyncio.Protocol, verify_tls, deadline_s, phases
            )
        except ConnectError as failure:
            error = failure.__cause__
            if isinstance(error, ssl.SSLCertVerificationError):
                return _Handshake(failure.fault, error.verify_message, error.verify_code)
            return _Handshake(failure.fault, failure.fault.detail)
        tls = transport.get_extra_info("ssl_object")
        cipher = tls.cipher()
        handshake = _Handshake(
            version=tls.version(),
            cipher=None if cipher is None else cipher[0],
            chain=_chain_of(tls),
        )
        transport.abort()
        return handshake


class _Handshake(NamedTuple):
    """One handshake: its result, or its failure."""

    fault: ExchangeFailure | None = None
    why_not: str | None = None
    code: int | None = None
    version: str | None = None
    cipher: str | None = None
    chain: tuple[bytes, ...] = ()


def _chain_of(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the chain that the receiver sent, in DER."""
    public = getattr(tls, "get_unverified_chain", None)
    if public is not None:
        return tuple(public())
    # Python 3.11 and 3.12 have it only in the inner object, as objects of their own.
    below = getattr(tls, "_sslobj", None)
    sent = () if below is None else below.get_unverified_chain() or ()
    return tuple(ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in sent)


def _wire(phases: ConnectPhases) -> Phases:
    return Phases(dns=phases.dns_ms, connect=phases.connect_ms, tls=phases.tls_ms)
