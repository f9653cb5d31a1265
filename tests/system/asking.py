"""Asks ``/healthz`` all the time, each time on a new connection, from a process of its own.

    python -m tests.system.asking SOCKET

The test's own threads would wait for each other. It ends with its stdin, and prints a JSON object:
how long each answer took in milliseconds, and what failed.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_EVERY_S = 0.01
_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@dataclass
class Asked:
    """What came of it, once the block has ended."""

    took_ms: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        took = sorted(self.took_ms)
        return (
            f"healthz {len(took)} times, p50 {took[len(took) // 2]:.1f},"
            f" p99 {took[len(took) * 99 // 100]:.1f}, max {took[-1]:.1f} ms"
        )


@contextmanager
def asking(path: Path) -> Iterator[Asked]:
    asked = Asked()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.system.asking", str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield asked
        finally:
            found = json.loads(process.communicate()[0])
            asked.took_ms, asked.failed = found["took_ms"], found["failed"]


def _main(path: str) -> None:
    took_ms, failed = [], []
    while not select.select([sys.stdin], [], [], _EVERY_S)[0]:
        began = time.perf_counter()
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(path)
                client.sendall(_REQUEST)
                answer = client.recv(4096)
        except OSError as error:
            answer = str(error).encode()
        if not answer.startswith(b"HTTP/1.1 200 "):
            failed.append(repr(answer))
        took_ms.append((time.perf_counter() - began) * 1000)
    print(json.dumps({"took_ms": took_ms, "failed": failed}))


if __name__ == "__main__":
    _main(sys.argv[1])
