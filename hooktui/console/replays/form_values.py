"""Values of the replay form, and their conversion from and to a selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from hooktui.domain.clock import parse_moment, to_rfc3339
from hooktui.domain.errors import Refused
from hooktui.domain.setting import decimal_number
from hooktui.domain.wire.replays import ReplaySelection

MODES: Final = ("failed", "never-sent", "sent", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayValues:
    """The values of the fields."""

    hooks: str
    mode: str
    since: str
    until: str
    filter: str
    cause: str
    include_ordered: bool
    rate: str


def values_of(selection: ReplaySelection) -> ReplayValues:
    """Return the field values of a selection."""
    hooks = selection.hooks
    return ReplayValues(
        hooks=hooks if isinstance(hooks, str) else ", ".join(map(str, hooks)),
        mode=selection.mode,
        since=selection.since or "",
        until=selection.until or "",
        filter=selection.filter or "",
        cause=selection.cause or "",
        include_ordered=selection.include_ordered,
        rate="",
    )


def read_values(values: ReplayValues, now_ms: int) -> tuple[ReplaySelection, float | None]:
    """Return the selection and the rate; None: the default rate of the server.

    Raises:
        Refused: a field is invalid; the message has its label and the expected value.
    """
    cause = values.cause.strip() or None
    if cause is not None and values.mode != "failed":
        raise Refused("Cause: only the mode failed takes one; leave it empty")
    selection = ReplaySelection(
        hooks=_hooks(values.hooks),
        mode=values.mode,
        since=_time("Since", values.since, now_ms),
        until=_time("Until", values.until, now_ms),
        filter=values.filter.strip() or None,
        cause=cause,
        include_ordered=values.include_ordered,
    )
    if selection.since is None and values.mode != "failed":
        raise Refused(f"Since: the mode {values.mode} needs a start, such as 2h")
    return selection, _rate(values.rate)


def _hooks(text: str) -> tuple[int, ...] | Literal["all"]:
    words = text.replace(",", " ").split()
    if words in ([], ["all"]):
        return "all"
    numbers = [word.removeprefix("#") for word in words]
    if not all(number.isascii() and number.isdigit() and len(number) < 19 for number in numbers):
        raise Refused("Hooks: enter all, or numbers such as 3, 5")
    return tuple(dict.fromkeys(map(int, numbers)))


def _time(label: str, text: str, now_ms: int) -> str | None:
    """Return a time as RFC 3339; a duration means that long ago."""
    text = text.strip()
    if not text:
        return None
    try:
        return to_rfc3339(parse_moment(text, now_ms))
    except ValueError:
        raise Refused(
            f"{label}: enter an age such as 2h, or a time such as 2026-11-27T03:00:00Z"
        ) from None


def _rate(text: str) -> float | None:
    text = text.strip().removesuffix("/s")
    if not text:
        return None
    try:
        rate = decimal_number(text)
    except ValueError:
        rate = -1.0
    if not 0.1 <= rate <= 1000:
        raise Refused("Rate: enter deliveries per second, 0.1 to 1,000")
    return rate
