"""A receiver that is never killed and records each request before it responds.

    python -m hooktui.selftest.ledger FILE

It prints its port in one line and ends with its stdin. The response depends on the path only:
``/steady`` is 200 immediately; ``/unreliable`` responds 500 to the first attempt of every fourth
delivery and delays others, so that a kill always interrupts some attempts. ``/refusing`` responds
404 to every fourth event.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hooktui.bench.processes import child_process
from hooktui.client.start import own_environment

STEADY, UNRELIABLE, REFUSING = "/steady", "/unreliable", "/refusing"
_SLOW_S = 0.05


class ReceivedRequest(msgspec.Struct, frozen=True):
    """One request, and the status of its response."""

    path: str
    event: str
    delivery: str
    body: str
    status: int

    @property
    def accepted(self) -> bool:
        """Whether the receiver accepted the event."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class RecordingReceiver:
    """A running receiver: its address, and the file that it writes."""

    port: int
    file: Path

    def url(self, path: str) -> str:
        """Return the URL of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def entries(self) -> list[ReceivedRequest]:
        """Return all requests so far."""
        written = self.file.read_bytes()
        whole = written[: written.rfind(b"\n") + 1]  # the last line may be half written
        decode = msgspec.json.Decoder(ReceivedRequest).decode
        return [decode(line) for line in whole.splitlines()]


@contextmanager
def recording_receiver(file: Path) -> Iterator[RecordingReceiver]:
    """Run a receiver as a separate process until the block ends."""
    env = own_environment(os.environ)
    with child_process(env, "hooktui.selftest.ledger", str(file)) as process:
        if process.stdout is None:
            raise RuntimeError("the process has no stdout pipe")
        yield RecordingReceiver(int(process.stdout.readline()), file)


class _Ledger:
    """Responds to requests, each after it is recorded."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._seen: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the client closes it."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                pairs = (line.partition(":") for line in head[1:] if line)
                fields = {name.lower(): value.strip() for name, _, value in pairs}
                body = await reader.readexactly(int(fields["content-length"]))
                status = await self._respond(head[0].split(" ")[1], fields, body)
                writer.write(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % status)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()  # expected: a server was killed

    async def _respond(self, path: str, fields: dict[str, str], body: bytes) -> int:
        event, delivery = fields["webhook-id"], fields["x-hook-delivery"]
        self._seen[delivery] += 1
        status = 200
        if path == UNRELIABLE:
            quarter = _quarter(delivery)
            if quarter == 0 and self._seen[delivery] == 1:
                status = 500
            elif quarter == 1:
                await asyncio.sleep(_SLOW_S)
        elif path == REFUSING and _quarter(event) == 0:
            status = 404
        entry = ReceivedRequest(path, event, delivery, hashlib.sha256(body).hexdigest(), status)
        # One write to a file opened for appending: complete, and in the file before the response.
        os.write(self._file, msgspec.json.encode(entry) + b"\n")
        return status


def _quarter(identity: str) -> int:
    """Return a number from 0 to 3 that depends on an id only."""
    return int(hashlib.sha256(identity.encode()).hexdigest(), 16) % 4


async def _serve(file: Path) -> None:
    ledger = _Ledger(file)
    server = await asyncio.start_server(ledger.serve, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, over.set)  # nothing is ever written to it
    await over.wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
