"""Sends prepared requests over connections that are kept per hook: one call, one bounded attempt.

The engine calls `Transport.send` with bytes; the result is always an `Exchange`, whatever the
receiver or the network did. Delivery is at least once: if a *kept* connection breaks before any
byte of a response, or the network acknowledges nothing of the request for 5 s, it most likely ended
while it was idle, and the request is sent once more on a new connection within the same deadline,
as every HTTP client does. A receiver that read the request and then crashed gets it twice and
recognises it by `webhook-id`. The same holds for a response of 408 that closes a kept connection:
a server that gives up an idle connection sends it, and it may meet the next request (RFC 9110,
section 15.5.9).

Idle connections use files, too: if attempts need them, the connections idle for longest are
closed, whichever hook they belong to.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from ipaddress import ip_address
from time import monotonic

from hooktui.delivery.connection import ReceiverConnection
from hooktui.delivery.dial import ConnectError, Dialer
from hooktui.delivery.limits import ConnectPhases, ExchangeFailure, ExchangeLimits
from hooktui.delivery.resolver import Resolver
from hooktui.delivery.shortage import MachineShort
from hooktui.domain.addresses import Networks, ParsedUrl
from hooktui.domain.deliveries import ErrorClass, Exchange, error_of_status
from hooktui.domain.file_budget import DEFAULT_OUTBOUND
from hooktui.domain.machine import Condition

_SWEEP_S = 5.0
_BROKEN = frozenset({ErrorClass.RESET, ErrorClass.TLS})
_IDLE_TIMEOUT = 408
_NO_PHASES = ConnectPhases()


class Transport:
    """Sends all outbound requests of the program; belongs to one event loop.

    Args:
        allowed: networks that hooks may reach although they are not public.
        resolver: looks up names.
        limits: of each attempt.
        verified: the TLS context for hooks that verify certificates; by default with the system's
            authorities.
        limit: maximum number of open connections, idle ones included; the caller limits the number
            of attempts.

    Attributes:
        dialer: of its connections; also for probes that send nothing.
    """

    def __init__(
        self,
        allowed: Networks,
        resolver: Resolver,
        limits: ExchangeLimits | None = None,
        verified: ssl.SSLContext | None = None,
        limit: int = DEFAULT_OUTBOUND,
    ) -> None:
        self._limits = limits or ExchangeLimits()
        self._limit = limit
        self._in_flight = 0
        self.dialer = Dialer(allowed, resolver, self._limits, verified)
        self._pools: dict[Hashable, _ConnectionPool] = {}
        self._all_idle = _IdleConnections()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def idle(self) -> int:
        """The number of idle connections."""
        return len(self._all_idle.by_age)

    def refuse_own_listeners(self, listeners: Iterable[tuple[str, int]]) -> None:
        """Set the addresses that this server listens on, so that no hook sends to them.

        ``0.0.0.0`` and ``::`` stand for every address of this machine.
        """
        self.dialer.own_listeners = frozenset(
            (ip_address(address), port) for address, port in listeners
        )

    async def send(
        self,
        pool_key: Hashable,
        target: ParsedUrl,
        head: bytes,
        body: bytes,
        *,
        verify_tls: bool,
        timeout_s: float,
        account: Hashable = None,
    ) -> Exchange:
        """Make one attempt.

        Args:
            pool_key: the hook; connections are shared within it only.
            target: the URL to send to.
            head: request line and headers, blank line included, exactly as they are sent.
            body: the body; ``head`` names its length.
            verify_tls: whether the certificate is checked.
            timeout_s: for the whole attempt.
            account: of the hook; it leaves look-ups to the others.

        Raises:
            RuntimeError: the transport is closed.
            MachineShort: nothing was sent because this machine lacks a resource.
        """
        if self._closed:
            raise RuntimeError("the transport is closed")
        started_s = monotonic()
        deadline_s = started_s + timeout_s
        request = head + body
        pool = self._pools.get(pool_key) or self._open_pool(pool_key)
        pool.enter()
        self._in_flight += 1
        try:
            connection = pool.take((*target.origin, verify_tls))
            if connection is not None:
                fault = await _converse(connection, request, deadline_s, timeout_s)
                if not _ended_idle(connection, fault):
                    exchange = self._exchange_of(connection, fault, started_s)
                    pool.put_back(connection)
                    return exchange
                if connection.silent:  # those that were idle at that time are no better
                    pool.close_idle_since(connection.sent_at_s)
            if self._in_flight + len(self._all_idle.by_age) > self._limit:
                await self._make_room()
            phases = ConnectPhases()
            try:
                connection = await self.dialer.dial(
                    pool_key,
                    target,
                    verify_tls=verify_tls,
                    deadline_s=deadline_s,
                    phases=phases,
                    on_lost=pool.drop,
                    account=account,
                )
            except ConnectError as failure:
                return _not_dialled(failure.fault, started_s, phases)
            except MemoryError:
                raise MachineShort(Condition.MEMORY) from None
            fault = await _converse(connection, request, deadline_s, timeout_s)
            exchange = self._exchange_of(connection, fault, started_s, phases)
            pool.put_back(connection)
            return exchange
        finally:
            pool.in_flight -= 1
            self._in_flight -= 1

    def forget(self, pool_key: Hashable) -> None:
        """Close a hook's idle connections (it was edited or deleted); running attempts continue."""
        pool = self._pools.pop(pool_key, None)
        if pool is not None:
            pool.retire()

    def close_idle(self) -> None:
        """Close all idle connections to free their files."""
        self._all_idle.drop_oldest(len(self._all_idle.by_age))

    async def _make_room(self) -> None:
        self._all_idle.drop_oldest(self._in_flight + len(self._all_idle.by_age) - self._limit)
        await asyncio.sleep(0)  # the event loop closes aborted connections in its next turn

    def close(self) -> None:
        """Close all idle connections; running attempts must have ended or been cancelled."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for pool in self._pools.values():
            pool.retire()
        self._pools.clear()

    def _open_pool(self, pool_key: Hashable) -> _ConnectionPool:
        pool = self._pools[pool_key] = _ConnectionPool(self._limits, self._all_idle)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)
        return pool

    def _sweep(self) -> None:
        """Close connections that were idle for too long: one timer for all, not one each."""
        before_s = monotonic() - self._limits.idle_s
        for pool_key, pool in list(self._pools.items()):
            pool.close_idle_since(before_s)
            pool.forget_peak()
            if not pool.idle and not pool.in_flight:
                del self._pools[pool_key]
        self._sweeper = None
        if self._pools:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def _exchange_of(
        self,
        connection: ReceiverConnection,
        fault: ExchangeFailure | None,
        started_s: float,
        phases: ConnectPhases = _NO_PHASES,
    ) -> Exchange:
        """Return the exchange of a connection; a reused connection has no phases."""
        limits = self._limits
        status_code, first_byte_at_s = connection.status_code, connection.first_byte_at_s
        error, detail = fault if fault is not None else (None, None)
        if status_code is not None and error is None:
            error = error_of_status(status_code)
        body = bytes(connection.body)
        return Exchange(
            status_code=status_code,
            error=error,
            error_detail=detail,
            headers=tuple(
                [
                    _stored_header(name, value, limits.stored_header_bytes)
                    for name, value in connection.headers[: limits.stored_headers]
                ]
            ),
            body=body,
            truncated=connection.truncated or len(body) < connection.size,
            size=connection.size,
            retry_after=None if error is None else _retry_after(connection, limits),
            dns_ms=phases.dns_ms,
            connect_ms=phases.connect_ms,
            tls_ms=phases.tls_ms,
            first_byte_ms=(
                None if first_byte_at_s is None else (first_byte_at_s - connection.sent_at_s) * 1000
            ),
            total_ms=(connection.finished_at_s - started_s) * 1000,
            reused_connection=phases is _NO_PHASES,
            address=connection.address,
        )


class _IdleConnections:
    """The idle connections of all pools, least recently used first, and how many have TLS."""

    __slots__ = ("by_age", "tls")

    def __init__(self) -> None:
        self.by_age: OrderedDict[ReceiverConnection, _ConnectionPool] = OrderedDict()
        self.tls = 0

    def drop_oldest(self, count: int) -> None:
        """Abort this many: a clean close of TLS would keep the file for a second."""
        for _ in range(min(count, len(self.by_age))):
            connection, pool = next(iter(self.by_age.items()))
            pool.drop(connection)
            connection.abort()


class _ConnectionPool:
    """The connections of one hook; the most recently used one is reused first.

    As many are kept idle as were in flight at once in the last seconds: otherwise a hook with 256
    slots would open every fourth connection again, with TLS at twice the memory.
    """

    __slots__ = ("_all_idle", "_limits", "_peak", "_previous_peak", "_retired", "idle", "in_flight")

    def __init__(self, limits: ExchangeLimits, idle: _IdleConnections) -> None:
        self.idle: list[ReceiverConnection] = []
        self.in_flight = self._peak = self._previous_peak = 0
        self._limits = limits
        self._all_idle = idle
        self._retired = False

    def enter(self) -> None:
        self.in_flight += 1
        self._peak = max(self._peak, self.in_flight)

    def forget_peak(self) -> None:
        self._previous_peak, self._peak = self._peak, self.in_flight

    def take(self, origin: tuple[str, str, int, bool]) -> ReceiverConnection | None:
        while self.idle:
            connection = self._remove(self.idle.pop())
            if connection.origin == origin and not connection.closed:
                return connection
            connection.close()  # the hook's URL has changed
        return None

    def put_back(self, connection: ReceiverConnection) -> None:
        connection.forget_response()
        if connection.closed or not connection.reusable:
            connection.abort()
        elif self._retired or self._is_full(connection) or self._is_old(connection):
            connection.close()
        else:
            connection.idle_since_s = connection.finished_at_s
            self._all_idle.tls += connection.is_tls
            self._all_idle.by_age[connection] = self
            self.idle.append(connection)

    def drop(self, connection: ReceiverConnection) -> None:
        if connection in self.idle:
            self.idle.remove(self._remove(connection))

    def close_idle_since(self, before_s: float) -> None:
        while self.idle and self.idle[0].idle_since_s < before_s:
            self._remove(self.idle.pop(0)).close()

    def retire(self) -> None:
        self._retired = True
        while self.idle:
            self._remove(self.idle.pop()).close()

    def _is_full(self, connection: ReceiverConnection) -> bool:
        if len(self.idle) >= max(self._limits.idle_connections, self._peak, self._previous_peak):
            return True
        return connection.is_tls and self._all_idle.tls >= self._limits.idle_tls_connections

    def _is_old(self, connection: ReceiverConnection) -> bool:
        return connection.finished_at_s - connection.opened_at_s >= self._limits.age_s

    def _remove(self, connection: ReceiverConnection) -> ReceiverConnection:
        self._all_idle.tls -= connection.is_tls
        del self._all_idle.by_age[connection]
        return connection


async def _converse(
    connection: ReceiverConnection, request: bytes, deadline_s: float, timeout_s: float
) -> ExchangeFailure | None:
    """Make an exchange; raise MachineShort if it lacked a resource before any response."""
    try:
        fault = await connection.exchange(request, deadline_s, timeout_s)
    except asyncio.CancelledError:
        connection.abort()  # a late response must not reach the next request
        raise
    if connection.lacked is not None and connection.first_byte_at_s is None:
        raise MachineShort(connection.lacked)
    return fault


def _ended_idle(connection: ReceiverConnection, fault: ExchangeFailure | None) -> bool:
    """Whether a kept connection most likely ended while it was idle, before the request."""
    if fault is None:
        return connection.status_code == _IDLE_TIMEOUT and not connection.reusable
    return fault.error in _BROKEN and connection.first_byte_at_s is None


def _not_dialled(fault: ExchangeFailure, started_s: float, phases: ConnectPhases) -> Exchange:
    return Exchange(
        error=fault.error,
        error_detail=fault.detail,
        dns_ms=phases.dns_ms,
        connect_ms=phases.connect_ms,
        tls_ms=phases.tls_ms,
        total_ms=(monotonic() - started_s) * 1000,
    )


def _stored_header(name: bytes, value: bytes, limit: int) -> tuple[str, str]:
    if len(name) + len(value) > limit:
        name = name[:limit]
        value = value[: limit - len(name)]
    return name.decode("latin-1"), value.decode("latin-1")


def _retry_after(connection: ReceiverConnection, limits: ExchangeLimits) -> str | None:
    for name, value in connection.headers:
        if name.lower() == b"retry-after":
            return value[: limits.stored_header_bytes].decode("latin-1")
    return None
