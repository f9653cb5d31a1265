"""The receiver of a measurement: a separate process with minimal cost.

    python -m hooktui.bench.sink CERTIFICATE

It prints its ports (plain, and TLS with the certificate and key of that file) in one line, then
responds to one JSON command a line: ``count``, ``at_once`` (requests in progress: median, most),
``save`` (verify everything, write it to a file, clear) and ``clear``; it ends with its stdin.
Requests are stored unparsed. Its certificate for 127.0.0.1 is self-signed. The response depends on
the path:

* ``/ok``: 200 immediately
* ``/late``: 200 after 50 ms
* ``/soon``, ``/quick``: 200 after 20 ms, after 5 ms
* ``/flaky``: 500 for every twentieth request
* ``/capped``: after 50 ms 200, or 503 if more than 20 requests were in progress
* ``/poisoned``: after 50 ms 200, or 503 for every attempt of 2 % of the events
* ``/worker``: 200 from one worker, which takes 10 ms for each request
* ``/hung``: none
"""

from __future__ import annotations

import asyncio
import datetime
import errno
import gc
import json
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from statistics import median_low
from time import monotonic_ns
from typing import cast
from zlib import crc32

import uvloop

from hooktui import sockets
from hooktui.bench.processes import child_process
from hooktui.bench.reconcile import RawRequest, SinkRequest, decode, encode, read_requests
from hooktui.client.start import own_environment

_DAYS = 7


def write_certificate(file: Path) -> None:
    """Write a new key and its certificate (PEM), readable by their owner only."""
    # Importing cryptography takes a tenth of a second, which only the start of a sink should cost.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooktui measurement")])
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    hosts = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=_DAYS))
        .add_extension(hosts, critical=False)
        .sign(key, hashes.SHA256())
    )
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )


OK, LATE, FLAKY, HUNG = "/ok", "/late", "/flaky", "/hung"
SOON, QUICK = "/soon", "/quick"
CAPPED, POISONED, WORKER = "/capped", "/poisoned", "/worker"
LATE_S, WORKER_S = 0.05, 0.01
_WAITS_S = {b"l": LATE_S, b"s": 0.02, b"q": 0.005}
"""Before a 200, by the first letter of a path."""
FAILS_EVERY, POISONED_EVERY, CAPPED_AT = 20, 50, 20
CAPACITY_PER_S = {CAPPED: CAPPED_AT / LATE_S, WORKER: 1 / WORKER_S}
"""The most requests per second that the receiver of a path can take."""
HOSTS = 100
"""The sink listens on 127.0.0.1 to 127.0.0.100, all on one port."""
_PORT_TRIES = 20
"""A port that is free at the first address may be used at another one."""

_TAKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_RESPONSES = {
    200: _TAKEN,
    500: b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno",
    503: b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno",
}
RESPONSE_BYTES = len(_TAKEN)


class _Ledger:
    """All received requests in their order, and what the responses depend on.

    Attributes:
        arrivals: the requests.
        taken: those that got, or will get, a 2xx.
        flaky: requests of ``/flaky``.
        in_progress: requests that wait for their response.
        at_once: requests in progress at each arrival, itself included.
        worker_free_s: when the worker has finished its requests, in the time of the loop.
    """

    def __init__(self) -> None:
        self.arrivals: list[RawRequest] = []
        self.taken = self.flaky = self.in_progress = 0
        self.at_once: list[int] = []
        self.worker_free_s = 0.0

    def clear(self) -> None:
        """Remove all requests."""
        self.arrivals, self.at_once = [], []
        self.taken = self.flaky = 0

    def save(self, status: int, request: bytes) -> None:
        """Add a request with the status of its response."""
        self.taken += status == 200
        self.arrivals.append((monotonic_ns(), status, request))


class _Receiver(asyncio.Protocol):
    """One connection; supports only the HTTP that hooktui and its measurements send."""

    def __init__(self, ledger: _Ledger) -> None:
        self._ledger = ledger
        self._begun = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._begun + data if self._begun else data
        while data:
            head_end = data.find(b"\r\n\r\n")
            if head_end < 0:
                break
            position = data.rfind(b"Content-Length: ", 0, head_end) + 16
            line_end = data.find(b"\r", position)
            end = head_end + 4 + int(data[position:line_end])
            if len(data) < end:
                break
            if len(data) == end:
                self._respond(data)
                data = b""
            else:
                self._respond(data[:end])
                data = data[end:]
        self._begun = data

    def _respond(self, request: bytes) -> None:
        if self._transport is None:
            return
        ledger = self._ledger
        kind = request[6:7]  # of POST /ok, /late, /flaky, ...
        if kind == b"o":
            ledger.save(200, request)
            self._transport.write(_TAKEN)
        elif kind in _WAITS_S:
            self._respond_after(_WAITS_S[kind], 200, request)
        elif kind == b"f":
            ledger.flaky += 1
            status = 500 if ledger.flaky % FAILS_EVERY == 0 else 200
            ledger.save(status, request)
            self._transport.write(_RESPONSES[status])
        elif kind == b"c":
            is_full = ledger.in_progress >= CAPPED_AT
            self._respond_after(LATE_S, 503 if is_full else 200, request)
        elif kind == b"p":
            self._respond_after(LATE_S, 503 if is_poisoned(_event_of(request)) else 200, request)
        elif kind == b"w":
            now_s = asyncio.get_running_loop().time()
            ledger.worker_free_s = max(ledger.worker_free_s, now_s) + WORKER_S
            self._respond_after(ledger.worker_free_s - now_s, 200, request)
        elif kind != b"h":  # /measure: the limits of sink and client, not stored
            self._transport.write(_TAKEN)

    def _respond_after(self, wait_s: float, status: int, request: bytes) -> None:
        self._ledger.save(status, request)
        self._ledger.in_progress += 1
        self._ledger.at_once.append(self._ledger.in_progress)
        asyncio.get_running_loop().call_later(wait_s, self._finish, _RESPONSES[status])

    def _finish(self, response: bytes) -> None:
        self._ledger.in_progress -= 1
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(response)


def _event_of(request: bytes) -> bytes:
    start = request.find(b"webhook-id: ") + 12
    return request[start : request.find(b"\r", start)]


def is_poisoned(event: bytes) -> bool:
    """Return whether ``/poisoned`` refuses every attempt of an event."""
    return crc32(event) % POISONED_EVERY == 0


async def _listen_everywhere(protocol: Callable[[], asyncio.Protocol]) -> int:
    """Listen at one port of all addresses, and return it.

    Raises:
        OSError: no port that is free at the first address is free at all others.
    """
    loop = asyncio.get_running_loop()
    others = [f"127.0.0.{number}" for number in range(2, HOSTS + 1)]
    tries = _PORT_TRIES
    while True:
        first = await loop.create_server(protocol, "127.0.0.1", 0, backlog=1024)
        port: int = first.sockets[0].getsockname()[1]
        try:
            await loop.create_server(protocol, others, port, backlog=1024)
        except OSError as error:
            first.close()
            tries -= 1
            if error.errno != errno.EADDRINUSE or not tries:
                raise
        else:
            return port


async def _serve(certificate: str) -> None:
    sockets.raise_file_limit()
    loop = asyncio.get_running_loop()
    ledger = _Ledger()
    port = await _listen_everywhere(lambda: _Receiver(ledger))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    private = await loop.create_server(lambda: _Receiver(ledger), "127.0.0.1", 0, ssl=tls)
    _write_line({"port": port, "tls_port": private.sockets[0].getsockname()[1]})
    commands = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    gc.disable()  # stored requests have no cycles, and a collection would be measured
    while line := await commands.readline():
        command = json.loads(line)
        if command["do"] == "save":
            secrets = {int(hook): secret for hook, secret in command["secrets"].items()}
            content = encode(read_requests(ledger.arrivals, secrets))
            Path(command["file"]).write_bytes(content)  # noqa: ASYNC240 - the clock has stopped
        reply = {"taken": ledger.taken}
        if command["do"] == "at_once":
            at_once = ledger.at_once or [0]
            reply = {"median": median_low(at_once), "most": max(at_once)}
        elif command["do"] != "count":
            ledger.clear()
        _write_line(reply)


def _write_line(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


class Sink:
    """A running sink, controlled by the process that started it; ``folder`` is for its ledger."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._file = folder / "arrivals"
        ports = self._read()
        self.pid = process.pid
        self.port, self._tls_port = ports["port"], ports["tls_port"]

    def url(self, path: str, host: str = "127.0.0.1", *, tls: bool = False) -> str:
        """Return the URL of a path; with TLS for 127.0.0.1 only."""
        if tls:
            return f"https://127.0.0.1:{self._tls_port}{path}"
        return f"http://{host}:{self.port}{path}"

    def taken(self) -> int:
        """Return how many requests got a 2xx since the ledger was last read."""
        return self._command(do="count")["taken"]

    def at_once(self) -> tuple[int, int]:
        """Return the median and the most of the requests in progress at each arrival.

        Paths that respond immediately do not count.
        """
        reply = self._command(do="at_once")
        return reply["median"], reply["most"]

    def clear(self) -> None:
        """Remove all requests."""
        self._command(do="clear")

    def requests(self, secrets: Mapping[int, str]) -> list[SinkRequest]:
        """Return all requests, verified, and remove them."""
        self._command(do="save", file=str(self._file), secrets=dict(secrets))
        return decode(self._file.read_bytes())

    def _command(self, **command: object) -> dict[str, int]:
        if self._process.stdin is None:
            raise RuntimeError("the sink has no stdin")
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, int]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError("the sink ended; is there enough memory?")
        reply: dict[str, int] = json.loads(line)
        return reply


@contextmanager
def running_sink(folder: Path, environ: Mapping[str, str]) -> Iterator[Sink]:
    """Run a sink until the block ends."""
    certificate = folder / "sink.pem"
    write_certificate(certificate)
    env = own_environment(environ)
    with child_process(env, "hooktui.bench.sink", str(certificate)) as process:
        yield Sink(process, folder)


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
