"""The machine of a measurement (processor, versions, disk sync), and the cost of processes."""

from __future__ import annotations

import contextlib
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
    """Describe this machine; briefly syncs a file in the folder for temporary files."""
    p50_ms, p99_ms = _fsync_ms()
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        processor=_value("/proc/cpuinfo", "model name") or platform.machine(),
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


def _value(file: str, label: str) -> str:
    """Return the first value with a label in a file of ``/proc``; "" if there is none."""
    for line in Path(file).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == label:
            return value.strip()
    return ""


_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process, user and system."""
    fields = _fields(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _fields(pid: int) -> list[str]:
    """Return the fields of a process's ``stat``, from its state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def family_cpu_s(pid: int) -> float | None:
    """Return the CPU seconds of the siblings of a process and of their parent; None: not local.

    With the pid of one PostgreSQL backend this covers the whole server, if it is on this machine.
    """
    try:
        if "postgres" not in Path(f"/proc/{pid}/comm").read_text():
            return None
        parent = int(_fields(pid)[1])
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        ended = sum(int(ticks) for ticks in _fields(parent)[13:15]) / _TICKS
        used = cpu_s(parent) + ended
    except OSError:  # it runs on another machine
        return None
    for child in children:
        with contextlib.suppress(OSError):  # it has just ended
            used += cpu_s(int(child))
    return used


def memory_mb(pid: int, *, most: bool) -> float:
    """Return the memory that a process holds now, or the most that it held."""
    size = _value(f"/proc/{pid}/status", "VmHWM" if most else "VmRSS")
    return int(size.removesuffix(" kB") or 0) / 1024


def written_bytes(pid: int) -> int:
    """Return how much a process has caused to be written to disks."""
    return int(_value(f"/proc/{pid}/io", "write_bytes") or 0)
