"""Opens outbound connections to checked addresses only; no other module dials.

The order makes it safe (docs/understand/security.md): resolve once, check every address of the
result, dial a checked one, verify the peer, then TLS with the host *name*. There is no second
look-up, so DNS rebinding has no effect. Proxy settings of the environment are ignored.

A shortage of this machine (files, ports, memory) is not the receiver's fault and is raised as
`MachineShort`, without waiting for its end. The number of connections that start in one pass of the
event loop is limited, and accounts take turns.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address
from time import monotonic

from hooktui.delivery.connection import ReceiverConnection
from hooktui.delivery.limits import ConnectPhases, ExchangeFailure, ExchangeLimits, one_line
from hooktui.delivery.resolver import Address, NameLookupError, Resolver
from hooktui.delivery.shortage import MachineShort
from hooktui.delivery.tls import unverified_context, verified_context
from hooktui.domain.addresses import Networks, ParsedUrl, how_to_allow, refusal_reason
from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.machine import Condition, condition_of
from hooktui.domain.text import tls_reason
from hooktui.slices import LoopTurns
from hooktui.sockets import no_file_left

MAX_DIALS = 25
"""Connections that start in one pass of the event loop. Otherwise an event for 200 hooks would dial
200 receivers before the first of them gets its request (measured: p99 26 instead of 19 ms)."""

MAX_SECOND_DIALS = 8
"""Attempts that connect to two addresses at once. The budget of open files has one file for each
attempt; names with dead addresses would otherwise take those of callers."""

# How long an address may hang until the next is tried as well; a lost packet is repeated after 1 s.
_HEAD_START_S = 1.0
# The event loop waits this long for a receiver's close_notify of TLS; nothing depends on it.
_TLS_GOODBYE_S = 1.0


class ConnectError(Exception):
    """A connection could not be opened."""

    def __init__(self, fault: ExchangeFailure) -> None:
        super().__init__(fault.detail)
        self.fault = fault


class Dialer:
    """Dials for one transport.

    Attributes:
        limits: of each step.
        own_listeners: address and port of everything this server listens on; ``0.0.0.0`` and
            ``::`` stand for every address of this machine. Hooks never reach them.
    """

    def __init__(
        self,
        allowed: Networks,
        resolver: Resolver,
        limits: ExchangeLimits,
        verified: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = allowed
        self._resolver = resolver
        self.limits = limits
        self._verified = verified
        self._turns = LoopTurns(MAX_DIALS)
        self._second_dials = 0
        self.own_listeners: frozenset[tuple[Address, int]] = frozenset()

    async def dial(
        self,
        pool_key: Hashable,
        target: ParsedUrl,
        *,
        verify_tls: bool,
        deadline_s: float,
        phases: ConnectPhases,
        on_lost: Callable[[ReceiverConnection], None],
        account: Hashable,
    ) -> ReceiverConnection:
        """Return an open connection to the target.

        Args:
            pool_key: the hook, for the resolver's fairness.
            target: the URL to connect to.
            verify_tls: whether certificates are checked.
            deadline_s: monotonic seconds at which the whole attempt is over.
            phases: gets the duration of each step, also of a failed one.
            on_lost: called once when the connection has ended.
            account: of the hook; accounts take turns to connect.

        Raises:
            ConnectError: with the failure.
            MachineShort: this machine lacks a resource; nothing was sent.
        """
        addresses = await self.resolve(pool_key, target, deadline_s, phases, account)
        for address in addresses:  # one forbidden address makes the name untrusted
            self.check(target, address)
        await self._turns.enter(account)
        began_s = monotonic()
        try:
            sock, address = await self._connect_any(target, addresses, deadline_s)
        finally:
            phases.connect_ms = (monotonic() - began_s) * 1000
        label = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
        connection = ReceiverConnection(
            asyncio.get_running_loop(),
            self.limits,
            f"{label}:{target.port}",
            (*target.origin, verify_tls),
            on_lost,
        )
        if target.scheme == "http":
            await self._hand_over(sock, connection)
        else:
            await self.handshake(sock, target, lambda: connection, verify_tls, deadline_s, phases)
        return connection

    # Step 1: addresses

    async def resolve(
        self,
        pool_key: Hashable,
        target: ParsedUrl,
        deadline_s: float,
        phases: ConnectPhases,
        account: Hashable = None,
    ) -> tuple[Address, ...]:
        """Return the addresses of a target, unchecked.

        Raises:
            ConnectError: its name has no address.
            MachineShort: this machine lacks a resource for the look-up.
        """
        if target.literal is not None:
            return (target.literal,)
        began_s = monotonic()
        limit_s = max(0.0, min(self.limits.dns_s, deadline_s - began_s))
        try:
            return await self._resolver.resolve(
                pool_key, target.host, target.port, limit_s, account
            )
        except NameLookupError as failure:
            raise ConnectError(ExchangeFailure(ErrorClass.DNS, str(failure))) from None
        finally:
            phases.dns_ms = (monotonic() - began_s) * 1000

    def check(self, target: ParsedUrl, address: Address) -> None:
        """Check that hooks may reach an address.

        Raises:
            ConnectError: they may not; names the reason and how to allow it.
        """
        reason = refusal_reason(address, self._allowed)
        if reason is not None:
            detail = f"{reason}. {how_to_allow(address, self._allowed)}"
            if target.literal is None:
                detail = f"{target.host} leads to an address that hooks may not reach: {detail}"
            raise ConnectError(ExchangeFailure(ErrorClass.ADDRESS_REFUSED, detail))
        self._refuse_own_listener(address, target.port)

    def _refuse_own_listener(self, address: Address, port: int, *, met: bool = False) -> None:
        """Refuse an address of this server; ``met`` if a connect showed it is this machine's."""
        plain = _plain(address)
        for own_address, own_port in self.own_listeners:
            if own_port != port:
                continue
            everywhere = own_address.is_unspecified
            if _plain(own_address) == plain or (everywhere and (met or _is_this_machine(plain))):
                detail = f"{address} port {port} is this hooktui server itself; use another URL"
                raise ConnectError(ExchangeFailure(ErrorClass.ADDRESS_REFUSED, detail))

    # Step 2: TCP

    async def _connect_any(
        self, target: ParsedUrl, addresses: tuple[Address, ...], deadline_s: float
    ) -> tuple[socket.socket, Address]:
        """Try the addresses in turn, two at once at most; the first that accepts is taken.

        The next one begins when one failed, or hangs for its head start: a slow link delays all of
        them, and a dead address only the first. While `MAX_SECOND_DIALS` connect to two, the one
        that hangs is given up instead.
        """
        short: MachineShort | None = None
        until_s = min(deadline_s, monotonic() + self.limits.connect_s)
        waiting = list(addresses[: self.limits.addresses])
        if len(waiting) == 1 and deadline_s > monotonic():
            return await self.connect(waiting[0], target.port, until_s - monotonic()), waiting[0]
        head_start_s = min(_HEAD_START_S, max(until_s - monotonic(), 0) / len(waiting))
        fault: ExchangeFailure | None = None
        second = False
        tasks: dict[asyncio.Task[socket.socket], Address] = {}
        try:
            while waiting or tasks:
                left_s = until_s - monotonic()
                if waiting and left_s > 0:
                    if tasks and not second and self._second_dials < MAX_SECOND_DIALS:
                        self._second_dials += 1
                        second = True
                    elif len(tasks) > int(second):
                        # Also the first of two: a blocked event loop delays the end of its limit.
                        first, hanging = next(iter(tasks.items()))
                        fault = _hangs(hanging, target.port)
                        del tasks[first]
                        _give_up([first])
                    address = waiting.pop(0)
                    limit_s = min(2 * head_start_s, left_s) if len(waiting) > 1 else left_s
                    connecting = self.connect(address, target.port, limit_s)
                    tasks[asyncio.ensure_future(connecting)] = address
                elif not tasks:
                    break
                ended, _ = await asyncio.wait(
                    tasks,
                    timeout=head_start_s if waiting else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in ended:
                    accepting = tasks.pop(task)
                    try:
                        return task.result(), accepting
                    except ConnectError as failure:
                        if failure.fault.error is ErrorClass.ADDRESS_REFUSED:
                            raise
                        fault = failure.fault
                    except MachineShort as missing:
                        if missing.condition is not Condition.PORTS:
                            raise
                        short = missing  # of ports to this address; the next may have some
        finally:
            self._second_dials -= second
            _give_up(tasks)
        if fault is None and short is not None:
            raise short
        no_time = f"no time left to connect to {target.host}"
        raise ConnectError(fault or ExchangeFailure(ErrorClass.CONNECT_TIMEOUT, no_time))

    async def connect(self, address: Address, port: int, timeout_s: float) -> socket.socket:
        """Return a socket that is connected to an address that passed `check`.

        Raises:
            ConnectError: with the failure.
            MachineShort: this machine lacks a resource.
        """
        try:
            return await self._connect(address, port, timeout_s)
        except TimeoutError:
            fault = _hangs(address, port)
        except ConnectionRefusedError:
            detail = f"nothing listens at {address} port {port}"
            fault = ExchangeFailure(ErrorClass.CONNECT_REFUSED, detail)
        except OSError as error:
            condition = condition_of(error)
            if condition is Condition.PORTS and not _has_source_for(address, port):
                condition = None  # waiting for a port would not help
            if condition is not None:
                raise MachineShort(condition) from None
            # The event loop puts words of its own in the place of the system's.
            reason = one_line(os.strerror(error.errno) if error.errno else error)
            detail = f"connecting to {address} port {port} failed: {reason}"
            fault = ExchangeFailure(ErrorClass.CONNECT, detail)
        raise ConnectError(fault)

    async def _connect(self, address: Address, port: int, timeout_s: float) -> socket.socket:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(timeout_s):
                await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
            peer = ip_address(sock.getpeername()[0])
            if peer != address:
                detail = f"dialled {address}, but {peer} accepted"
                raise ConnectError(ExchangeFailure(ErrorClass.ADDRESS_REFUSED, detail))
            # If the local address is the dialled one, the peer is this machine.
            if ip_address(sock.getsockname()[0]) == peer:
                self._refuse_own_listener(address, port, met=True)
        except BaseException:
            sock.close()
            raise
        return sock

    # Step 3: TLS, or nothing

    def _context_for(self, sock: socket.socket, *, verify_tls: bool) -> ssl.SSLContext:
        """Return the TLS context for a socket; close the socket if there is none.

        Raises:
            ConnectError: the certificate authorities cannot be read.
            MachineShort: they cannot, because this machine lacks a resource.
        """
        try:
            if not verify_tls:
                return unverified_context()
            return self._verified or verified_context()
        except (OSError, MemoryError) as error:
            sock.close()
            _raise_if_short(error)
            detail = f"the certificate authorities could not be read: {one_line(error)}"
            raise ConnectError(ExchangeFailure(ErrorClass.TLS, detail)) from None

    async def _hand_over(self, sock: socket.socket, connection: ReceiverConnection) -> None:
        """Pass the socket to the connection; from then on the event loop owns and closes it."""
        loop = asyncio.get_running_loop()
        try:
            with _owned_by(loop, sock):
                await loop.create_connection(lambda: connection, sock=sock)
        except OSError as error:
            sock.close()
            _raise_if_short(error)
            detail = f"the connection broke at once: {one_line(error)}"
            raise ConnectError(ExchangeFailure(ErrorClass.CONNECT, detail)) from None

    async def handshake(
        self,
        sock: socket.socket,
        target: ParsedUrl,
        protocol: Callable[[], asyncio.Protocol],
        verify_tls: bool,
        deadline_s: float,
        phases: ConnectPhases,
    ) -> asyncio.Transport:
        """Do the TLS handshake on a socket, which the event loop owns from then on.

        Raises:
            ConnectError: with the failure; its cause is the error of the handshake.
            MachineShort: this machine lacks a resource.
        """
        context = self._context_for(sock, verify_tls=verify_tls)
        began_s = monotonic()
        limit_s = max(0.001, min(self.limits.tls_s, deadline_s - began_s))
        loop = asyncio.get_running_loop()
        try:
            with _owned_by(loop, sock):
                transport, _ = await loop.create_connection(
                    protocol,
                    sock=sock,
                    ssl=context,
                    server_hostname=target.host.rstrip("."),
                    ssl_handshake_timeout=limit_s,
                    ssl_shutdown_timeout=_TLS_GOODBYE_S,
                )
        except OSError as error:  # includes ssl.SSLError
            _raise_if_short(error)
            raise ConnectError(_tls_fault(error, target, monotonic() - began_s, limit_s)) from error
        finally:
            phases.tls_ms = (monotonic() - began_s) * 1000
        return transport


@contextmanager
def _owned_by(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> Iterator[None]:
    """Let the loop alone close the file of a socket that it gets in the block.

    If the connection breaks at once, uvloop closes the file, but the socket object keeps the number
    and closes it once more when it is deleted: then it may be another connection, or the database.
    """
    try:
        yield
    finally:
        if not isinstance(loop, asyncio.BaseEventLoop):  # which closes by the socket object
            sock.detach()


def _hangs(address: Address, port: int) -> ExchangeFailure:
    detail = f"{address} port {port} did not accept the connection in time"
    return ExchangeFailure(ErrorClass.CONNECT_TIMEOUT, detail)


def _give_up(connecting: Iterable[asyncio.Task[socket.socket]]) -> None:
    for task in connecting:
        task.cancel()
        task.add_done_callback(_close_unused)


def _close_unused(connecting: asyncio.Task[socket.socket]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().close()


def _raise_if_short(error: BaseException) -> None:
    """Raise MachineShort if an error of TLS is caused by a shortage of this machine.

    OpenSSL reports a missing authority if it cannot open the authority's file.
    """
    condition = condition_of(error)
    if condition is None and isinstance(error, ssl.SSLCertVerificationError) and no_file_left():
        condition = Condition.FILES
    if condition is not None:
        raise MachineShort(condition) from None


def _tls_fault(error: OSError, target: ParsedUrl, took_s: float, limit_s: float) -> ExchangeFailure:
    """Return the failure of a TLS handshake; ``limit_s`` was its time limit."""
    if isinstance(error, ssl.SSLCertVerificationError):
        detail = f"the certificate of {target.host} was not accepted: {error.verify_message}"
        return ExchangeFailure(ErrorClass.TLS_CERTIFICATE, detail)
    # The event loop reports its handshake timeout as an aborted connection.
    if isinstance(error, ConnectionAbortedError) and took_s >= limit_s * 0.9:
        detail = f"{target.host} did not finish the TLS handshake within {limit_s:.3g} s"
        return ExchangeFailure(ErrorClass.TIMEOUT, detail)
    if isinstance(error, ssl.SSLError):
        detail = f"no TLS with {target.host}: {one_line(tls_reason(error))}"
        return ExchangeFailure(ErrorClass.TLS, detail)
    how = one_line(error.strerror or str(error) or "connection closed")
    return ExchangeFailure(ErrorClass.TLS, f"{target.host} broke off the TLS handshake: {how}")


def _plain(address: Address) -> Address:
    """Return the IPv4 address inside an IPv4-mapped one."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _is_this_machine(address: Address) -> bool:
    """Return whether an address is one of this machine's: only those can be bound. Sends nothing.

    If foreign addresses can be bound, too (``ip_nonlocal_bind``), this returns False; the connect
    then detects most of them.
    """
    if address.is_loopback:
        return True
    foreign = "192.0.2.1" if address.version == 4 else "2001:db8::1"  # documentation only
    return _can_bind(str(address)) and not _can_bind(foreign)


def _can_bind(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((address, 0))
    except OSError as error:
        condition = condition_of(error)
        if condition not in (None, Condition.PORTS):  # PORTS: not an address of this machine
            raise MachineShort(condition) from None
        return False
    return True


def _has_source_for(address: Address, port: int) -> bool:
    """Return whether this machine has a source address for it; a UDP connect sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((str(address), port))
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    return True
