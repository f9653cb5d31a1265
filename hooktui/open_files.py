"""How many files and connections a process may have open at once."""

from __future__ import annotations

import contextlib
import os
import resource
from typing import Final

from hooktui.domain.machine import condition_of

_UNLIMITED: Final = 1 << 20
"""What counts as the limit where the system sets none; Linux allows as many by default."""


def allow_many() -> None:
    """Raise the limit to what the system lets this process have.

    Shells and services begin with 1,024, for programs that use ``select``; a hundred receivers that
    hang hold as many connections.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # then it stays as it was
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def limit() -> int:
    """Return how many files this process may have open at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNLIMITED if soft == resource.RLIM_INFINITY else min(soft, _UNLIMITED)


def no_file_left() -> bool:
    """Return whether this process, or this machine, can open nothing more.

    Asked after an error that may come of it without saying so, such as a name that was not found or
    an authority that could not be read.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return condition_of(error) is not None
    return False
