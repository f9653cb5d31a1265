"""Times of the command line: parse input, format output."""

from __future__ import annotations

from time import localtime, strftime

from hooktui.cli.exit_codes import UsageError
from hooktui.domain.clock import (
    from_rfc3339,
    now_ms,
    parse_duration_s,
    parse_moment,
    to_rfc3339,
)

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def duration_s(option: str, text: str) -> float:
    """Return the seconds of an option's value such as ``10s``.

    Raises:
        UsageError: it is not a duration.
    """
    try:
        return parse_duration_s(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error


def check_moment(option: str, text: str | None) -> None:
    """Refuse the value of an option that the server would not read as a time.

    Raises:
        UsageError: it is neither an age such as ``10m`` nor an RFC 3339 time.
    """
    try:
        if text is not None:
            parse_moment(text, now_ms())
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error


def moment_ahead(option: str, text: str) -> str:
    """Return the RFC 3339 time of ``30d`` (from now) or of an RFC 3339 time.

    Raises:
        UsageError: it is neither.
    """
    try:
        if len(text) > 8 and text[4:5] == "-":
            return to_rfc3339(from_rfc3339(text))
        return to_rfc3339(now_ms() + round(parse_duration_s(text, bare="") * 1000))
    except ValueError as error:
        expected = "write it as 30d or 2026-11-25T03:04:05Z"
        raise UsageError(f"{option}: {text[:40]!r} is not a time; {expected}") from error


def ago(time: str | None) -> str:
    """Return the distance of a wire time: ``3 min ago``, ``in 2 h``.

    An age is rounded down. What is left is rounded to the nearest unit: right after a change for
    seven days it is ``in 7 d``.
    """
    if time is None:
        return "never"
    seconds = (now_ms() - from_rfc3339(time)) / 1000
    if seconds < 0:
        return _ahead(-seconds)
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "now"


def _ahead(seconds: float) -> str:
    for size, unit, most in ((1, "s", 60), (60, "min", 60), (3600, "h", 24)):
        count = round(seconds / size)
        if count < most:
            return f"in {count} {unit}" if count else "now"
    return f"in {round(seconds / 86400)} d"


def clock(time: str) -> str:
    """Return the local clock time of a wire time, with its date unless that is today."""
    moment, now = localtime(from_rfc3339(time) / 1000), localtime(now_ms() / 1000)
    return strftime("%H:%M:%S" if moment[:3] == now[:3] else "%Y-%m-%d %H:%M:%S", moment)


def when(time: str) -> str:
    """Return the local clock time of a wire time, and its distance."""
    return f"{clock(time)} ({ago(time)})"


def took(milliseconds: float | None) -> str:
    """Return a measured duration: ``34 ms``, ``2.1 s``; empty for None."""
    if milliseconds is None:
        return ""
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.1f} s"
