"""How many files and connections a process may have open at once."""

from __future__ import annotations

import contextlib
import resource


def allow_many() -> None:
    """Raise the limit to what the system lets this process have.

    Shells and services begin with 1,024, for programs that use ``select``; a hundred receivers that
    hang hold as many connections.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # then it stays as it was
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
