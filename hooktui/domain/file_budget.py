"""Distributes the open files of a server: how many descriptors each use may hold.

A process can open a limited number of files and connections (``RLIMIT_NOFILE``). Each use gets a
share, so that none starves another: the API responds while a thousand receivers hang. The rest is
for connections to receivers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Final

from hooktui.domain.errors import HooktuiError

_PROCESS: Final = 32
"""Streams, event loop, listening sockets, lock, log, lazily imported modules."""
_STORE: Final = 24
"""SQLite: a writer (3 files) and 6 readers (2 each), and the files of ``doctor`` and a backup;
PostgreSQL: about ten connections in all pools, and those of ``doctor``."""
_FILES: Final = 16
"""TLS certificates and authorities, the log, a backup: each opened briefly."""
_LOOKUP_FILES: Final = 3
"""One name look-up: a configuration file, and sockets to two name servers."""
_DIAGNOSIS_FILES: Final = 9
"""A diagnosis dials up to eight addresses of a name at once, and reads authorities."""
_MIN_API: Final = 24
_MIN_RECEIVERS: Final = 8
_ADVISED: Final = 65_536
"""The limit to advise where it is enough."""
DEFAULT_OUTBOUND: Final = 10_000
"""More are useless on one machine: each connection costs memory, one with TLS 270 KB."""


@dataclass(frozen=True, slots=True)
class FileBudget:
    """The shares that have a limit of their own.

    ``limit`` are the descriptors of the process; ``api`` connections to the API, over TCP and the
    Unix socket together; ``outbound`` those of deliveries to receivers. The others count what runs
    concurrently.
    """

    limit: int
    api: int
    lookup_threads: int
    diagnoses: int
    pings: int
    outbound: int


class TooFewFiles(HooktuiError):
    """The process may open fewer files than a server needs."""

    status = 422
    title = "Too few open files"


def share_files(limit: int, *, connections: int, outbound: int | None = None) -> FileBudget:
    """Distribute the open files of a server.

    Args:
        limit: how many the process may open.
        connections: the configured maximum over TCP, and for each local user; all of them together
            get four times as many, or what a small limit allows.
        outbound: the configured maximum of connections to receivers; None: the rest, at most
            ``DEFAULT_OUTBOUND``. Never more than the rest.

    Raises:
        TooFewFiles: the limit is too low for a server.
    """
    api = min(4 * connections, _MIN_API + max(limit - least_files(), 0) // 5)
    lookup_threads = pings = _within(limit // 64, 4, 64)
    diagnoses = _within(limit // 256, 1, 8)
    reserve = _within(limit // 16, 16, 256)
    left = limit - (
        _PROCESS + _STORE + _FILES + api + lookup_threads * _LOOKUP_FILES
        + diagnoses * _DIAGNOSIS_FILES + pings + reserve
    )  # fmt: skip
    if left < _MIN_RECEIVERS:
        raise TooFewFiles(
            f"the limit of open files is {limit:,}, but a server needs at least"
            f" {least_files():,}; raise it with ulimit -n {_ADVISED} before the start, or with"
            f" LimitNOFILE={_ADVISED} in the service"
        )
    return FileBudget(
        limit=limit,
        api=api,
        lookup_threads=lookup_threads,
        diagnoses=diagnoses,
        pings=pings,
        outbound=min(DEFAULT_OUTBOUND if outbound is None else outbound, left),
    )


def least_files() -> int:
    """Return the smallest limit with which a server with any settings starts."""
    return (
        _PROCESS + _STORE + _FILES + _MIN_API + 4 * _LOOKUP_FILES + _DIAGNOSIS_FILES + 4 + 16
        + _MIN_RECEIVERS
    )  # fmt: skip


def advised_limit(limit: int, outbound: int = 0) -> int:
    """Return the limit of open files to advise where ``limit`` is too low.

    It allows ``outbound`` connections to receivers, whatever the other settings are.
    """
    limits = (_ADVISED << doublings for doublings in count())
    # With so many connections allowed, the API has its largest share: a fifth of the limit.
    shares = (share_files(one, connections=one, outbound=outbound) for one in limits)
    return next(one.limit for one in shares if one.limit > limit and one.outbound >= outbound)


def _within(value: int, least: int, most: int) -> int:
    return max(least, min(value, most))
