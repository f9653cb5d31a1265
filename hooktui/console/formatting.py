"""Formatting of times, numbers and objects for display; callers pass the current time."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

import msgspec

from hooktui.domain.clock import from_rfc3339
from hooktui.domain.text import visible

if TYPE_CHECKING:
    from hooktui.domain.wire.server import ServerStatus

_NAME: Final = 40
"""Maximum characters of a name in a sentence; a notice of three lines keeps room for the result."""

_LAG_MS: Final = 5_000
"""Smallest age of the newest known change that is shown; a busy feed is always some 100 ms old."""

_UTC: Final = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "m"))


def short_name(name: str) -> str:
    """Return a name for use in a sentence: what comes after a long one would be cut."""
    return visible(name, limit=_NAME)


def ago(then: str | None, now_ms: int) -> str:
    """Return the time since a moment: ``now`` (under a minute), ``4m``, ``3h``, ``12d``.

    The smallest unit is a minute, because a list of seconds would write to the terminal constantly.
    """
    if then is None:
        return ""
    seconds = (now_ms - from_rfc3339(then)) // 1000
    for size, unit in _STEPS:
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return "now"


def lag(read_to_ms: int | None, now_ms: int) -> str:
    """Return how old the newest known change is: ``12s behind``, ``4m behind``.

    Empty if all changes are known (None), or less than `_LAG_MS` old.
    """
    lag_ms = 0 if read_to_ms is None else now_ms - read_to_ms
    if lag_ms < _LAG_MS:
        return ""
    minutes = lag_ms // 60_000
    return f"{minutes}m behind" if minutes else f"{took(lag_ms)} behind"


def whole_percent(share: float) -> int:
    """Return a share in whole percent, rounded down: 100 only if nothing is missing."""
    return int(share * 100 + 1e-9)  # 0.29 * 100 is less than 29


def since_words(then: str | None, now_ms: int) -> str:
    """Return the time since a moment as text: ``just now``, ``4m ago``; empty for None."""
    words = ago(then, now_ms)
    return "just now" if words == "now" else f"{words} ago" if words else ""


def clock_time(at_ms: int) -> str:
    """Return the time of day in the admin's time zone, such as ``14:03:07``."""
    return time.strftime("%H:%M:%S", time.localtime(at_ms / 1000))


def date_of(at_ms: int) -> str:
    """Return the date in the admin's time zone, such as ``Tue 24 Nov 2026``."""
    return time.strftime("%a %d %b %Y", time.localtime(at_ms / 1000))


def moment(at: int | str, now_ms: int, *, seconds: bool = True) -> str:
    """Return a local time, with more of the date the further it is from now.

    ``14:03:07`` on the same day, ``Thu 14:03`` within six days, ``01 Dec 14:03`` in the same year,
    else ``2026-12-01 14:03``. ``at`` is in milliseconds or RFC 3339. ``seconds``: whether a time of
    the same day has them.
    """
    at_ms = from_rfc3339(at) if isinstance(at, str) else at
    then, now = time.localtime(at_ms / 1000), time.localtime(now_ms / 1000)
    if then[:3] == now[:3]:
        return time.strftime("%H:%M:%S" if seconds else "%H:%M", then)
    if abs(at_ms - now_ms) < 6 * 86_400_000:
        return time.strftime("%a %H:%M", then)
    same_year = then.tm_year == now.tm_year
    return time.strftime("%d %b %H:%M" if same_year else "%Y-%m-%d %H:%M", then)


def breaker_end(status: ServerStatus | None, hook: int, now_ms: int) -> str:
    """Return until when the breaker of a hook blocks: ``until 14:03:07``; empty: not known."""
    breakers = () if status is None else status.breakers
    probe_ms = next((from_rfc3339(b.probe_at) for b in breakers if b.hook == hook), 0)
    return f"until {moment(probe_ms, now_ms)}" if probe_ms > now_ms else ""


def with_local_times(text: str, now_ms: int) -> str:
    """Return a text of the server with its times (RFC 3339, UTC) as the local ones of `moment`."""
    return _UTC.sub(lambda found: moment(found[0], now_ms), text)


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


def indented_json(value: object) -> str:
    """Return an object of the API as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
