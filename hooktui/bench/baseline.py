"""The baselines of a measurement: the same client without a store, and the sink alone.

    python -m hooktui.bench.baseline client|transport|sink PORT COUNT

It prints the requests per second that got a response. ``client`` makes attempts as the engine does,
with address check and both signatures, as many at once as a measured hook has slots: a delivery
without its store. ``transport`` sends a prepared request instead. ``sink`` writes many requests to
few connections, so that the sink is the bottleneck.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from time import perf_counter

import uvloop

from hooktui.bench.cases import BODY_BYTES, IN_FLIGHT
from hooktui.bench.processes import child_command
from hooktui.bench.producer import EVENT_TYPE
from hooktui.bench.sink import RESPONSE_BYTES
from hooktui.client.start import own_environment
from hooktui.delivery.resolver import Resolver
from hooktui.delivery.sender import Sender
from hooktui.delivery.transport import Transport
from hooktui.domain.addresses import parse_networks, parse_url
from hooktui.domain.clock import now_ms
from hooktui.domain.deliveries import Exchange, Trigger
from hooktui.domain.hook_settings import HookSettings
from hooktui.domain.ids import AccountId, DeliveryId, EventId, HookId, IdClock
from hooktui.domain.live_hook import LiveHook, LiveSecret
from hooktui.domain.signatures import make_secret
from hooktui.store.contract import ClaimedDelivery

_PATH = "/measure"
_PIPES, _PIPELINED = 8, 16
_TIMEOUT_S = 10.0


def measure(kind: str, port: int, count: int, environ: Mapping[str, str]) -> float:
    """Return the requests per second of a baseline, measured in a separate process."""
    done = subprocess.run(  # noqa: S603 - our own module
        child_command("hooktui.bench.baseline", kind, str(port), str(count)),
        env=own_environment(environ),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


async def _client(port: int, count: int) -> None:
    sender = Sender(transport := Transport(parse_networks("127.0.0.0/8"), Resolver()))
    hook = _hook(port)
    _, body = _request(port)
    ids = IdClock()

    async def attempt() -> Exchange:
        event, delivery = EventId(ids.next()), DeliveryId(ids.next())
        claim = ClaimedDelivery(
            delivery, event, EVENT_TYPE, hook.id, hook.account, Trigger.EVENT, 1, 0, 0, body
        )
        return (await sender.attempt(hook, claim, now_ms())).exchange

    await _repeat(attempt, count)
    transport.close()


async def _transport(port: int, count: int) -> None:
    transport = Transport(parse_networks("127.0.0.0/8"), Resolver())
    target = parse_url(f"http://127.0.0.1:{port}{_PATH}")
    head, body = _request(port)
    send = partial(transport.send, 1, target, head, body, verify_tls=True, timeout_s=_TIMEOUT_S)
    await _repeat(send, count)
    transport.close()


async def _repeat(attempt: Callable[[], Awaitable[Exchange]], count: int) -> None:
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            error = (await attempt()).error
            if error is not None:
                raise RuntimeError(f"the sink did not respond: {error}")

    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


async def _sink(port: int, count: int) -> None:
    request = b"".join(_request(port)) * _PIPELINED

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(count // _PIPES // _PIPELINED):
            writer.write(request)
            await reader.readexactly(RESPONSE_BYTES * _PIPELINED)
        writer.close()

    await asyncio.gather(*(work() for _ in range(_PIPES)))


def _hook(port: int) -> LiveHook:
    settings = HookSettings(url=f"http://127.0.0.1:{port}{_PATH}", events=(EVENT_TYPE,))
    return LiveHook(
        id=HookId(1),
        account=AccountId(1),
        version=1,
        settings=settings,
        target=parse_url(settings.url),
        subscriptions=frozenset(settings.events),
        filter=None,
        secrets=(LiveSecret(1, make_secret()),),
    )


def _request(port: int) -> tuple[bytes, bytes]:
    """Return a request of a hook's usual size."""
    body = b'{"data":"%b"}' % (b"x" * (BODY_BYTES - 11))
    signatures = "".join(f"X-Header-{number}: {'0' * 40}\r\n" for number in range(6))
    head = (
        f"POST {_PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"{signatures}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii"), body


_KINDS = {"client": _client, "transport": _transport, "sink": _sink}


def main(arguments: list[str]) -> None:
    """Measure, and print the requests per second."""
    kind, port, count = arguments[0], int(arguments[1]), int(arguments[2])
    count -= count % (_PIPES * _PIPELINED)
    begun = perf_counter()
    uvloop.run(_KINDS[kind](port, count))
    sys.stdout.write(f"{count / (perf_counter() - begun):.1f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
