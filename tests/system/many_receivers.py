"""Thousands of receivers in one process: writes down each request, then answers by its path.

    python -m tests.system.many_receivers FILE

It prints its port in one line and ends with its stdin. ``/in/...`` is answered at once, ``/10/...``
after ten seconds. A line of the file is hook, event and the most requests that were open at once.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hooktui.sockets import raise_file_limit

_PATH = re.compile(rb"^POST /(\d+|in)/")
_HOOK = re.compile(rb"^x-hook-id: (\d+)\r$", re.I | re.M)
_EVENT = re.compile(rb"^webhook-id: (\S+)\r$", re.I | re.M)
_LENGTH = re.compile(rb"^content-length: (\d+)\r$", re.I | re.M)
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class ManyReceivers:
    """A running process: where it listens, and the file that it writes."""

    port: int
    file: Path

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{path}"

    def _lines(self) -> list[list[str]]:
        text = self.file.read_text()
        return [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]

    def count(self) -> int:
        """Return how many requests came; cheap."""
        return self.file.read_bytes().count(b"\n")

    def arrived(self) -> Counter[tuple[str, str]]:
        """Return how often each event came for each hook."""
        return Counter((hook, event) for hook, event, _ in self._lines())

    def most_open(self) -> int:
        """Return how many requests were open at once, at the most."""
        return max((int(most) for _, _, most in self._lines()), default=0)


@contextmanager
def many_receivers(file: Path) -> Iterator[ManyReceivers]:
    file.touch()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.system.many_receivers", str(file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            yield ManyReceivers(int(process.stdout.readline()), file)
        finally:
            process.kill()


class _Talk(asyncio.Protocol):
    now = most = 0

    def __init__(self, file: int) -> None:
        self._file = file
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, blank, rest = self._read.partition(b"\r\n\r\n")
        if not blank:
            return
        head += b"\r\n"
        length = _LENGTH.search(head)
        assert length is not None
        if len(rest) < int(length[1]):
            return
        self._read = rest[int(length[1]) :]
        path, hook, event = (_only(one, head) for one in (_PATH, _HOOK, _EVENT))
        _Talk.now += 1
        _Talk.most = max(_Talk.most, _Talk.now)
        os.write(self._file, f"{hook} {event} {_Talk.most}\n".encode())
        if path == "in":
            self._answer()
        else:
            asyncio.get_running_loop().call_later(int(path), self._answer)

    def _answer(self) -> None:
        _Talk.now -= 1
        if not self._transport.is_closing():  # else the server was killed meanwhile
            self._transport.write(_OK)


def _only(pattern: re.Pattern[bytes], head: bytes) -> str:
    found = pattern.search(head)
    assert found is not None, head
    return found[1].decode()


async def _main(file: str) -> None:
    raise_file_limit()
    handle = os.open(file, os.O_WRONLY | os.O_APPEND)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Talk(handle), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(sys.argv[1]))
