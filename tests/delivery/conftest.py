"""Receivers on loopback, each with one bad habit, and a transport that may reach them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest
import uvloop

from hooktui.delivery.resolver import Lookup, Resolver
from hooktui.delivery.transport import Exchange, ExchangeLimits, Transport
from hooktui.domain.addresses import Networks, ParsedUrl, parse_networks, parse_url

LOOPBACK = parse_networks("127.0.0.0/8, ::1")
# Short, so that a hang is seen in a fraction of a second; the relations are the real ones.
SHORT = ExchangeLimits(dns_s=0.3, connect_s=0.3, tls_s=0.3, first_byte_s=0.3)

# The transport promises the same on both loops; the rest of the engine runs on one.
ON_BOTH_LOOPS = (
    "test_attempt_results",
    "test_fuzzed_responses",
    "test_kept_connections",
    "test_outbound_tls",
    "test_misbehaving_receivers",
)

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.path.stem in ON_BOTH_LOOPS:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Return one request, head and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return head + await reader.readexactly(int(value))
    return head


@dataclass
class Receiver:
    """A running server: where it is, and what it saw."""

    target: ParsedUrl
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    closed_by_peer: asyncio.Event = field(default_factory=asyncio.Event)


class Receivers:
    """Starts receivers and stops them all at the end."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def behaving(
        self, behaviour: Behaviour, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> Receiver:
        """Start a receiver that does with each connection what ``behaviour`` does."""
        receiver: Receiver

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            receiver.connections += 1
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            try:
                await behaviour(reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                receiver.closed_by_peer.set()
            finally:
                writer.close()

        server = await asyncio.start_server(serve, host, 0, ssl=tls)
        self._servers.append(server)
        port = server.sockets[0].getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        scheme = "https" if tls else "http"
        receiver = Receiver(parse_url(f"{scheme}://{shown}:{port}/in"))
        return receiver

    async def answering(self, *answers: bytes, tls: ssl.SSLContext | None = None) -> Receiver:
        """Start a receiver that gives these answers in turn on each connection, then waits.

        An empty answer closes the connection.
        """
        receiver: Receiver

        async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for answer in answers:
                receiver.requests.append(await read_request(reader))
                if not answer:
                    return
                writer.write(answer)
                await writer.drain()
            await reader.read()  # until the client closes
            receiver.closed_by_peer.set()

        receiver = await self.behaving(behaviour, tls=tls)
        return receiver

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def receivers() -> AsyncIterator[Receivers]:
    started = Receivers()
    yield started
    await started.stop()


@dataclass
class Client:
    """A transport with the request made for it."""

    transport: Transport

    async def post(
        self,
        target: ParsedUrl,
        *,
        pool: str = "hook",
        body: bytes = b"{}",
        timeout_s: float = 2.0,
        verify_tls: bool = True,
    ) -> Exchange:
        head = (
            f"POST {target.path} HTTP/1.1\r\nHost: {target.host_header}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        return await self.transport.send(
            pool, target, head, body, verify_tls=verify_tls, timeout_s=timeout_s
        )


class Clients:
    """Makes transports and closes them all at the end."""

    def __init__(self) -> None:
        self._made: list[Transport] = []

    def with_(
        self,
        *,
        allowed: Networks = LOOPBACK,
        lookup: Lookup | None = None,
        verified: ssl.SSLContext | None = None,
        **limits: float,
    ) -> Client:
        resolver = Resolver(lookup) if lookup is not None else Resolver()
        transport = Transport(allowed, resolver, replace(SHORT, **limits), verified)
        self._made.append(transport)
        return Client(transport)

    def close(self) -> None:
        for transport in self._made:
            transport.close()


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    made = Clients()
    yield made
    made.close()


@pytest.fixture
def client(clients: Clients) -> Client:
    return clients.with_()
