"""A process that can open nothing more, for the tests of what happens then."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def no_file_left(left: int = 0) -> Iterator[None]:
    """Let this process open nothing more, or so much.

    What earlier tests left is collected first: a socket of theirs that is closed meanwhile is a
    file that may be opened.
    """
    gc.collect()
    gc.disable()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used, taken = sum(1 for _ in Path("/proc/self/fd").iterdir()), []
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 20, before[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        for _ in range(left):
            os.close(taken.pop())
        yield
    finally:
        for one in taken:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        gc.enable()
