"""Offers prepared events over the Unix socket, as fast as they are accepted or on a schedule.

All requests are built before the clock starts. A closed loop keeps a few requests in flight. An
open loop sends each event at its time whatever the server does, so that a slow response is not
hidden by events that were never sent meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic_ns

from hooktui import sockets
from hooktui.bench.reconcile import Offered, body_hash
from hooktui.domain.errors import Unavailable

EVENT_TYPE = "job.failed"
_CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """One request, ready to be written, and the hashes of its bodies."""

    content: bytes
    bodies: tuple[bytes, ...]


def prepare(events: int, lines: int, body_bytes: int) -> list[PreparedRequest]:
    """Return requests for a number of events: NDJSON of ``lines`` each, or 1 for single events."""
    bodies = [_body(number, body_bytes) for number in range(events)]
    if lines == 1:
        path = f"/v1/events/{EVENT_TYPE}"
        return [_request(path, "application/json", body, [body]) for body in bodies]
    line = b'{"type":"%b","data":%%b}\n' % EVENT_TYPE.encode("ascii")
    batches = [bodies[start : start + lines] for start in range(0, events, lines)]
    return [
        _request("/v1/events", "application/x-ndjson", b"".join([line % b for b in batch]), batch)
        for batch in batches
    ]


def _body(number: int, size: int) -> bytes:
    run = os.urandom(8).hex()  # makes each body unique
    text = f'{{"job_id":{number},"cluster_id":{number % 50},"run":"{run}","log":"'
    return f'{text}{"x" * (size - len(text) - 2)}"}}'.encode("ascii")


def _request(
    path: str, media_type: str, content: bytes, bodies: Sequence[bytes]
) -> PreparedRequest:
    head = (
        f"POST {path}?account=1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return PreparedRequest(head.encode("ascii") + content, tuple(map(body_hash, bodies)))


async def offer_all(
    paths: Sequence[Path],
    requests: Sequence[PreparedRequest],
    in_flight: int,
    per_s: float | None = None,
) -> list[Offered]:
    """Send all requests and return the accepted events.

    Args:
        paths: the servers' sockets; each gets a share.
        requests: the requests to send.
        in_flight: requests in flight at once; for an open loop, the maximum.
        per_s: an open loop of this many requests per second; None: a closed loop.

    Raises:
        Unavailable: the server refused one.
    """
    connections = [await connect(paths[index % len(paths)]) for index in range(in_flight)]
    offered: list[Offered] = []
    left = iter(enumerate(requests))
    begun_ns = monotonic_ns()

    async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for index, request in left:
            due_ns = monotonic_ns()
            if per_s is not None:
                due_ns = begun_ns + round(index / per_s * 1e9)
                await asyncio.sleep((due_ns - monotonic_ns()) / 1e9)
            writer.write(request.content)
            offered.extend(_offered(request, due_ns, *await read_response(reader)))

    try:
        await asyncio.gather(*(work(*connection) for connection in connections))
    finally:
        for _, writer in connections:
            writer.close()
    return offered


def _offered(request: PreparedRequest, due_ns: int, head: bytes, body: bytes) -> Iterator[Offered]:
    """Yield the events of a request that the server accepted, which are all of them.

    Raises:
        Unavailable: it refused the request.
    """
    if not head.startswith(b"HTTP/1.1 202"):
        raise Unavailable(f"the server refused an event: {body.decode('utf-8', 'replace')}")
    answer = json.loads(body)
    for event, digest in zip(answer.get("data", [answer]), request.bodies, strict=True):
        yield Offered(event["id"], digest, due_ns)


async def connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a server.

    Raises:
        NoServer: it does not listen there.
    """
    connected = await asyncio.to_thread(sockets.connect, path, _CONNECT_S)
    connected.setblocking(False)
    return await asyncio.open_unix_connection(sock=connected, limit=1 << 22)


async def read_response(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return head and body of a response."""
    head = await reader.readuntil(b"\r\n\r\n")
    position = head.lower().index(b"content-length: ") + 16
    return head, await reader.readexactly(int(head[position : head.index(b"\r", position)]))
