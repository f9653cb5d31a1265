"""What a measurement ran on: processor, versions, and how fast the disk syncs."""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from hooktui import __version__

_SYNCS = 200
_BLOCK = b"x" * 4096


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine and the versions; fsync is of a 4 KiB append, in ms."""

    cpus: int
    processor: str
    kernel: str
    python: str
    sqlite: str
    uvloop: str
    hooktui: str
    fsync_p50_ms: float
    fsync_p99_ms: float


def this_machine() -> Machine:
    """Look at this machine; syncs a file in the folder for temporary files for a moment."""
    p50_ms, p99_ms = _fsync_ms()
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        processor=_processor(),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        uvloop=version("uvloop"),
        hooktui=__version__,
        fsync_p50_ms=round(p50_ms, 3),
        fsync_p99_ms=round(p99_ms, 3),
    )


def _fsync_ms() -> tuple[float, float]:
    took: list[float] = []
    with tempfile.TemporaryFile(prefix="hooktui-bench-") as file:
        for _ in range(_SYNCS):
            file.write(_BLOCK)
            file.flush()
            begun = time.perf_counter()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - begun) * 1000)
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
