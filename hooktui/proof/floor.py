"""The floors of a measurement: the same client without a store, and the sink by itself.

    python -m hooktui.proof.floor client|sink PORT COUNT

It prints how many requests a second were answered. ``client`` is the transport of the engine with a
prepared request, as many at once as a measured hook has slots; ``sink`` writes many requests to
few connections, so that the sink is what it measures.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from time import perf_counter

import uvloop

from hooktui.client.start import own_environment
from hooktui.delivery.resolver import Resolver
from hooktui.delivery.transport import Transport
from hooktui.domain.addresses import parse_networks, parse_url
from hooktui.proof.sink import ANSWER_BYTES

IN_FLIGHT = 64
BODY_BYTES = 1024
_PATH = "/measure"
_PIPES, _PIPELINED = 8, 16
_TIMEOUT_S = 10.0


def measure(kind: str, port: int, count: int, environ: Mapping[str, str]) -> float:
    """Return the requests a second of a floor, measured in a process of its own."""
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", "hooktui.proof.floor", kind, str(port), str(count)],
        env=own_environment(environ),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


async def _client(port: int, count: int) -> None:
    transport = Transport(parse_networks("127.0.0.0/8"), Resolver())
    target = parse_url(f"http://127.0.0.1:{port}{_PATH}")
    head, body = _request(port)
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            answered = await transport.send(
                1, target, head, body, verify_tls=True, timeout_s=_TIMEOUT_S
            )
            if answered.error is not None:
                raise RuntimeError(f"the sink did not answer: {answered.error_detail}")

    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    transport.close()


async def _sink(port: int, count: int) -> None:
    request = b"".join(_request(port)) * _PIPELINED

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(count // _PIPES // _PIPELINED):
            writer.write(request)
            await reader.readexactly(ANSWER_BYTES * _PIPELINED)
        writer.close()

    await asyncio.gather(*(work() for _ in range(_PIPES)))


def _request(port: int) -> tuple[bytes, bytes]:
    """Return a request of the size that a hook's has."""
    body = b'{"data":"%b"}' % (b"x" * (BODY_BYTES - 11))
    signatures = "".join(f"X-Header-{number}: {'0' * 40}\r\n" for number in range(6))
    head = (
        f"POST {_PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"{signatures}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii"), body


def main(arguments: list[str]) -> None:
    """Measure, and print the requests a second."""
    kind, port, count = arguments[0], int(arguments[1]), int(arguments[2])
    count -= count % (_PIPES * _PIPELINED)
    begun = perf_counter()
    uvloop.run(_client(port, count) if kind == "client" else _sink(port, count))
    sys.stdout.write(f"{count / (perf_counter() - begun):.1f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
