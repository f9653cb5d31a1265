"""A process that can open nothing more, for the tests of what happens then."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
from collections.abc import Iterator

_STANDARD = 3
"""Standard input, output and error."""


@contextlib.contextmanager
def no_file_left(left: int = 0) -> Iterator[None]:
    """Let this process open nothing more, or so much.

    The limit is that of the numbers of new descriptors, and it is lowered below those that are in
    use: whatever closes a socket of an earlier test meanwhile, no other can be opened.
    """
    gc.collect()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(left)]  # the lowest that are free
    for one in taken:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max([_STANDARD - 1, *taken]) + 1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
