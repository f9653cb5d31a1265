"""Ports for programs that are told where to listen.

A port that the kernel has just given away and taken back is one that it gives to the next
connection or server of any test. So these are below the range from which Linux chooses (32768 and
above), each worker has some of its own, and none is given twice. Where they begin depends on the
run, so that two runs with workers seldom share them.
"""

from __future__ import annotations

import os
import random
import socket
import zlib
from contextlib import suppress

_FIRST, _PER_WORKER, _WORKERS = 20_000, 200, 60


def _of_this_worker() -> list[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    run = zlib.crc32(os.environ.get("PYTEST_XDIST_TESTRUNUID", "").encode())
    first = _FIRST + (run + worker) % _WORKERS * _PER_WORKER
    return random.sample(range(first, first + _PER_WORKER), _PER_WORKER)


_left = _of_this_worker()


def free_port() -> int:
    """Return a port of 127.0.0.1 where nothing listens, and which no other test gets."""
    while True:
        port = _left.pop()
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
