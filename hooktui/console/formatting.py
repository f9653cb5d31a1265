"""Times and numbers as a person reads them at a glance; the moment "now" is always given."""

from __future__ import annotations

import time

from hooktui.domain.clock import from_rfc3339

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "m"))


def ago(then: str | None, now_ms: int) -> str:
    """Return how long ago a time was: ``now`` (under a minute), ``4m``, ``3h``, ``12d``.

    Whole minutes on purpose: a list that counted seconds would write to the terminal without end.
    """
    if then is None:
        return ""
    seconds = (now_ms - from_rfc3339(then)) // 1000
    for size, unit in _STEPS:
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return "now"


def clock_time(at_ms: int, *, utc: bool = False) -> str:
    """Return ``14:03:07`` in the admin's time zone (or UTC)."""
    return time.strftime("%H:%M:%S", (time.gmtime if utc else time.localtime)(at_ms / 1000))


def took(milliseconds: float | None) -> str:
    """Return a duration with its unit: ``12ms``, ``1.4s``, ``31s``."""
    if milliseconds is None:
        return ""
    if milliseconds < 1000:
        return f"{milliseconds:.0f}ms"
    return f"{milliseconds / 1000:.1f}s" if milliseconds < 10_000 else f"{milliseconds / 1000:.0f}s"


def size(count: int | None) -> str:
    """Return a number of bytes with its unit: ``812B``, ``14kB``, ``1.2MB``."""
    if count is None:
        return ""
    if count < 1000:
        return f"{count}B"
    if count < 1_000_000:
        return f"{count / 1000:.1f}kB" if count < 10_000 else f"{count // 1000}kB"
    return f"{count / 1_000_000:.1f}MB"
