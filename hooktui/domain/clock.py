"""Wall-clock time: integer milliseconds inside the program, RFC 3339 UTC on the wire."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from hooktui.domain.text import decimal_text

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # not all systems have the first
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999  # of the years 1 to 9999
_LEAP_SECOND = re.compile(r"(\d\d:\d\d):60\b", re.ASCII)
_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def now_ms() -> int:
    """Return milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """Return milliseconds of a clock that cannot be set; it includes the time of a suspend."""
    return time.clock_gettime_ns(_STEADY) // 1_000_000


def to_rfc3339(ms: int) -> str:
    """Return ``2026-11-25T03:04:05.678Z`` for milliseconds since the epoch.

    Raises:
        ValueError: it is not in the years 1 to 9999.
    """
    moment = datetime.fromtimestamp(_in_calendar(ms) // 1000, UTC)
    return f"{moment.isoformat()[:19]}.{ms % 1000:03d}Z"


def _in_calendar(ms: int) -> int:
    if not _FIRST_MS <= ms <= _LAST_MS:
        raise ValueError("the time is before the year 1 or after the year 9999")
    return ms


def optional_rfc3339(ms: int | None) -> str | None:
    """Return the wire form of a time that may be absent."""
    return None if ms is None else to_rfc3339(ms)


def from_rfc3339(text: str) -> int:
    """Return milliseconds since the epoch.

    Raises:
        ValueError: the text is not an RFC 3339 time with an offset or ``Z``.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text[:40]!r} has no time zone; write it as 2026-11-25T03:04:05Z")
    whole = moment.replace(microsecond=0)
    return _in_calendar(int(whole.timestamp()) * 1000 + moment.microsecond // 1000)


def parse_moment(text: str, now_ms: int) -> int:
    """Return the time (ms) of an age such as ``10m``, or of an RFC 3339 time.

    Raises:
        ValueError: it is neither.
    """
    with suppress(ValueError):  # then it is a time
        return _in_calendar(now_ms - round(parse_duration_s(text, bare="") * 1000))
    try:
        return from_rfc3339(text.upper())
    except ValueError:
        raise ValueError(
            f"{text[:40]!r} is not a time; write it as 10m, 7d or 2026-11-25T03:04:05Z"
        ) from None


def parse_http_date_s(text: str) -> float | None:
    """Return an HTTP date (RFC 9110, 5.6.7) in seconds since the epoch; None if it is not one."""
    from email.utils import parsedate_to_datetime  # lazy: it imports socket and more

    last_second = _LEAP_SECOND.sub(r"\1:59", text)  # datetime has no second 60
    leap_s = 0 if last_second == text else 1
    try:
        moment = parsedate_to_datetime(last_second)
        # The asctime form has no zone; it is UTC.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() + leap_s
    except (ValueError, TypeError, OverflowError):
        return None


def parse_duration_s(text: str, bare: str = "s") -> float:
    """Return seconds for ``30s``, ``10m``, ``1.5h``, ``7d``, ``250ms`` or a bare number.

    ``bare`` is the unit of a bare number; "" refuses it: the 30 of an age might mean days.

    Raises:
        ValueError: the text is not a duration.
    """
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text[len(digits) :] or bare
    # float() would also accept 1e5, 1_000, +5 and digits of other scripts.
    plain = digits.isascii() and digits.replace(".", "", 1).isdecimal()
    number = float(digits) if plain else -1.0
    if unit not in _UNITS_S or not 0 <= number < 1e12:
        raise ValueError(f"{text[:40]!r} is not a duration; write it as 30s, 10m, 24h or 7d")
    return number * _UNITS_S[unit]


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units: ``250ms``, ``5s``, ``1h 30m``, ``3d 3h``."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    left = round(seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return " ".join(parts[:2])


def exact_duration(seconds: float) -> str:
    """Return a duration as one number with a unit, exactly: ``90m``, ``2h``, ``0.5s``."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{decimal_text(seconds / size)}{unit}"
    return f"{decimal_text(seconds)}s"
