"""Receivers on loopback, transports that may reach them, and an engine that sends to them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import uvloop

from hooktui.delivery.engine import Engine
from hooktui.delivery.limits import ExchangeLimits
from hooktui.delivery.resolver import Lookup, Resolver
from hooktui.delivery.transport import Transport
from hooktui.domain.addresses import Networks, ParsedUrl, parse_networks
from hooktui.domain.deliveries import Exchange
from hooktui.store.sqlite.store import SqliteStore
from tests.delivery.receivers import Receivers
from tests.delivery.running_engine import RunningEngine
from tests.support.certificates import Authority
from tests.support.clocks import RunningClock
from tests.support.stores import lay_new_database

LOOPBACK = parse_networks("127.0.0.0/8, ::1")
# A busy machine may keep this process from running for seconds, and must not look like a receiver
# that hangs; the test of one that does hang shortens the limit that it is about.
PATIENT_S = 20.0
PATIENT = ExchangeLimits(
    dns_s=PATIENT_S, connect_s=PATIENT_S, tls_s=PATIENT_S, first_byte_s=PATIENT_S
)

# The transport promises the same on both loops; the rest of the engine runs on one.
ON_BOTH_LOOPS = (
    "test_attempt_results",
    "test_fuzzed_responses",
    "test_kept_connections",
    "test_outbound_tls",
    "test_misbehaving_receivers",
)


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.path.stem in ON_BOTH_LOOPS:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


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
        timeout_s: float = PATIENT_S,
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
        transport = Transport(allowed, resolver, replace(PATIENT, **limits), verified)
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


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def clock() -> RunningClock:
    return RunningClock()


@pytest.fixture
async def running(tmp_path: Path, clock: RunningClock) -> AsyncIterator[RunningEngine]:
    lay_new_database(tmp_path)
    store = await SqliteStore.open(
        tmp_path / "hooktui.db",
        key_file=tmp_path / "hooktui.key",
        clock=clock.now_ms,
        steady=clock.steady_ms,
    )
    transport = Transport(LOOPBACK, Resolver())
    engine = Engine(store, transport, clock=clock.now_ms)
    await engine.start()
    one = RunningEngine(store, engine)
    yield one
    await one.engine.stop()
    transport.close()
    await store.close()
