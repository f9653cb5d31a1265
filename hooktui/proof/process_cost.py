"""What a running process costs, as the kernel counts it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used, user and system."""
    fields = _fields(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _fields(pid: int) -> list[str]:
    """Return what ``stat`` tells of a process, from its state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def family_cpu_s(pid: int) -> float | None:
    """Return the CPU seconds of the siblings of a process, and of their parent; None: not here.

    So that the number of one PostgreSQL backend tells of the whole server, if that is on this
    machine.
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
        with contextlib.suppress(OSError):  # it ended just now, and counts as such the next time
            used += cpu_s(int(child))
    return used


def memory_mb(pid: int, *, most: bool) -> float:
    """Return the memory that a process holds now, or the most that it held."""
    wanted = "VmHWM:" if most else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(wanted):
            return int(line.split()[1]) / 1024
    return 0.0


def written_bytes(pid: int) -> int:
    """Return how much a process has caused to be written to disks."""
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0
