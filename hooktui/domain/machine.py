"""Resource shortages of this machine, for which no receiver is to blame.

An affected attempt does not count: its delivery is returned unchanged.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FIRST_WAIT_S: Final = 0.25
LONGEST_WAIT_S: Final = 10.0


class Condition(StrEnum):
    """The missing resource."""

    FILES = "open_files"
    SYSTEM_FILES = "system_open_files"
    MEMORY = "memory"
    BUFFERS = "buffers"
    PORTS = "ports"
    LOOKUPS = "lookups"

    @property
    def words(self) -> str:
        """The condition as the end of "this machine ..."."""
        return _WORDS[self][0]

    @property
    def advice(self) -> str:
        """How to fix it."""
        return _WORDS[self][1]

    @property
    def of_one_hook(self) -> bool:
        """Whether it affects only one receiver, so that the other hooks need not wait.

        Ports are short for one address at a time, and look-ups for one name server.
        """
        return self in (Condition.PORTS, Condition.LOOKUPS)


_WORDS: Final = {
    Condition.FILES: (
        "has no file descriptor left for this process",
        "raise the limit of open files: LimitNOFILE in the service, or ulimit -n",
    ),
    Condition.SYSTEM_FILES: (
        "has no file descriptor left for any process",
        "raise fs.file-max (sysctl), or stop the programs that hold so many files",
    ),
    Condition.MEMORY: ("has no memory left", "give it more memory, or lower max_outbound"),
    Condition.BUFFERS: (
        "has no network buffers left",
        "raise net.core.wmem_max and net.ipv4.tcp_mem (sysctl), or lower max_outbound",
    ),
    Condition.PORTS: (
        "has no local port left for connections to this receiver",
        "widen net.ipv4.ip_local_port_range (sysctl)",
    ),
    Condition.LOOKUPS: (
        "could not start the name look-up in time",
        "check the name servers in /etc/resolv.conf",
    ),
}


@dataclass(frozen=True, slots=True)
class Shortage:
    """The last shortage of this machine, its time (ms since the epoch), and the total count."""

    condition: Condition
    at_ms: int
    counts: Mapping[Condition, int]


_OF_ERRNO: Final = {
    errno.EMFILE: Condition.FILES,
    errno.ENFILE: Condition.SYSTEM_FILES,
    errno.ENOMEM: Condition.MEMORY,
    errno.ENOBUFS: Condition.BUFFERS,
    errno.EADDRNOTAVAIL: Condition.PORTS,
}


def condition_of(error: BaseException) -> Condition | None:
    """Return the shortage that caused an error; None: another cause."""
    if isinstance(error, MemoryError):
        return Condition.MEMORY
    if isinstance(error, OSError) and error.errno is not None:
        return _OF_ERRNO.get(error.errno)
    return None


def next_wait_s(last_s: float, since_s: float | None) -> float:
    """Return how long to wait after a shortage: twice as long if the last wait ended recently.

    Args:
        last_s: the wait before this one; 0: there was none.
        since_s: seconds since the end of that wait.
    """
    if not last_s or since_s is None or since_s > 2 * last_s + 1:
        return FIRST_WAIT_S
    return min(2 * last_s, LONGEST_WAIT_S)
