"""How the open files of a server are shared out: who may hold how many descriptors at once.

A process may open so many files and connections and no more (``RLIMIT_NOFILE``). Each use gets a
share, so that none can take what another needs: the API answers while a thousand receivers hang.
What is left over is for connections to receivers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from hooktui.domain.errors import HooktuiError

_PROCESS: Final = 32
"""Streams, event loop, listening sockets, lock, log, modules that are imported late."""
_STORE: Final = 24
"""SQLite: a writer (3 files) and 4 readers (2 each), and what ``doctor`` and a backup open;
PostgreSQL: about ten connections in all pools, and those of ``doctor``."""
_FILES: Final = 16
"""TLS certificates and authorities, the log, a backup: each opened for a moment."""
_LOOKUP_FILES: Final = 3
"""One name look-up: a configuration file, and sockets to two name servers."""
_DIAGNOSIS_FILES: Final = 9
"""A diagnosis dials up to eight addresses of a name at once, and reads authorities."""
_LEAST_API: Final = 24
_LEAST_RECEIVERS: Final = 8
DEFAULT_OUTBOUND: Final = 10_000
"""More are no use on one machine: each connection costs memory, one with TLS 270 KB."""


@dataclass(frozen=True, slots=True)
class FileBudget:
    """The shares, in descriptors unless said.

    Attributes:
        limit: what the process may have open.
        store: database files or connections.
        api: connections to the API, over TCP and the Unix socket together.
        lookup_threads: name look-ups at once (threads).
        diagnoses: diagnoses at once.
        pings: test deliveries at once.
        reserve: never given to anybody, for what is opened unforeseen.
        receivers: what is left for connections of deliveries.
        outbound: how many of those are used: the setting, or a default.
    """

    limit: int
    store: int
    api: int
    lookup_threads: int
    diagnoses: int
    pings: int
    reserve: int
    receivers: int
    outbound: int

    @property
    def in_all(self) -> int:
        """Return the sum of all shares: at most the limit."""
        return _taken(self) + self.receivers


class TooFewFiles(HooktuiError):
    """The process may open fewer files than a server needs."""

    status = 422
    title = "Too few open files"


def share_files(limit: int, *, connections: int, outbound: int | None = None) -> FileBudget:
    """Share out the open files of a server.

    Args:
        limit: how many the process may open.
        connections: to the API over TCP, and as many of each user, as the settings have it; all
            of them together get four times as many, or what a small limit allows.
        outbound: connections to receivers, as the settings have it; None: what is left, at most
            ``DEFAULT_OUTBOUND``. More than what is left is not given.

    Raises:
        TooFewFiles: it cannot work with so few.
    """
    before = FileBudget(
        limit=limit,
        store=_STORE,
        api=min(4 * connections, _LEAST_API + max(limit - least_files(), 0) // 5),
        lookup_threads=_within(limit // 64, 4, 64),
        diagnoses=_within(limit // 256, 1, 8),
        pings=_within(limit // 64, 4, 64),
        reserve=_within(limit // 16, 16, 256),
        receivers=0,
        outbound=0,
    )
    left = limit - _taken(before)
    if left < _LEAST_RECEIVERS:
        raise TooFewFiles(
            f"the limit of open files is {limit:,}, and a server needs at least"
            f" {least_files():,}; raise it with ulimit -n 65536 before the start, or with"
            " LimitNOFILE=65536 in the service"
        )
    wanted = DEFAULT_OUTBOUND if outbound is None else outbound
    return replace(before, receivers=left, outbound=min(wanted, left))


def least_files() -> int:
    """Return the smallest limit that a server with any settings starts with."""
    return (
        _PROCESS + _STORE + _FILES + _LEAST_API + 4 * _LOOKUP_FILES + _DIAGNOSIS_FILES + 4 + 16
        + _LEAST_RECEIVERS
    )  # fmt: skip


def _taken(budget: FileBudget) -> int:
    """Return what everything but the receivers takes."""
    return (
        _PROCESS + _FILES + budget.store + budget.api + budget.lookup_threads * _LOOKUP_FILES
        + budget.diagnoses * _DIAGNOSIS_FILES + budget.pings + budget.reserve
    )  # fmt: skip


def _within(value: int, least: int, most: int) -> int:
    return max(least, min(value, most))
