"""Public ids: ``evt_``, ``dlv_``, ``rpl_`` or ``alr_`` and an encoded, time-ordered 63-bit integer.

42 bits of milliseconds since 1970 (enough until 2109), 9 bits of server number, 12 bits of counter,
written as 13 Crockford base-32 characters. The program and the database use the integer; the text
form exists only at the edges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NewType

from hooktui.domain.clock import now_ms
from hooktui.domain.errors import Unavailable

AccountId = NewType("AccountId", int)
HookId = NewType("HookId", int)
EventId = NewType("EventId", int)
DeliveryId = NewType("DeliveryId", int)

Prefix = Literal["evt", "dlv", "rpl", "alr"]

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
# Crockford: lower case is read as upper case, I and L as 1, O as 0.
_VALUES |= {letter.lower(): value for letter, value in _VALUES.items()}
_VALUES |= dict.fromkeys("iIlL", 1) | dict.fromkeys("oO", 0)
_LENGTH = 13
_COUNTER_BITS, _SERVER_BITS = 12, 9
_LAST_MS = (1 << 42) - 1
_AHEAD_MS = 60_000
MAX_SERVER_NUMBER = (1 << _SERVER_BITS) - 1
# Two characters at a time: encoding is on the hot path.
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]


class IdClock:
    """Creates increasing ids, whatever the wall clock does.

    Args:
        server_number: 0 to 511, unique among servers that share a database.
        last_id: the highest stored id, above which a restart continues.
        clock: milliseconds since the epoch.
    """

    def __init__(
        self, server_number: int = 0, last_id: int = 0, clock: Callable[[], int] = now_ms
    ) -> None:
        if not 0 <= server_number <= MAX_SERVER_NUMBER:
            raise ValueError(f"server number {server_number} is not in 0..{MAX_SERVER_NUMBER}")
        self._server = server_number << _COUNTER_BITS
        self._clock = clock
        self._ms = (last_id >> (_COUNTER_BITS + _SERVER_BITS)) + (1 if last_id else 0)
        self._counter = -1

    def next(self, created_ms: int = 0) -> int:
        """Return the next id, of no time before that of its row.

        Raises:
            Unavailable: the clock shows a time that no id can have; the next ids need not follow.
        """
        ms = max(self._clock(), created_ms)
        if ms > self._ms:
            if ms > _LAST_MS:
                raise Unavailable("the clock of this server is after the year 2109; correct it")
            self._ms, self._counter = ms, 0
        elif self._counter + 1 < 1 << _COUNTER_BITS:
            self._counter += 1
        else:
            self._ms, self._counter = self._ms + 1, 0
        return (self._ms << (_COUNTER_BITS + _SERVER_BITS)) | self._server | self._counter

    def go_beyond(self, identity: int) -> None:
        """Make all further ids greater than one of another server."""
        ms = time_of(identity)
        if ms >= self._ms:
            self._ms, self._counter = ms + 1, -1


def time_of(identity: int) -> int:
    """Return the milliseconds since the epoch at which an id was created."""
    return identity >> (_COUNTER_BITS + _SERVER_BITS)


def stored_before(identity: int, later: int) -> bool:
    """Return whether an id was certainly stored before another, whatever the clocks were.

    Ids of one server increase; a minute is more than its transactions overlap.
    """
    same_server = (identity ^ later) >> _COUNTER_BITS & MAX_SERVER_NUMBER == 0
    return same_server and time_of(identity) + _AHEAD_MS < time_of(later)


def floor_at(ms: int) -> int:
    """Return the smallest id of a time, which turns times into ranges of ids.

    Times out of range give the first or last id, which a database can store.
    """
    return min(max(ms, 0), _LAST_MS) << (_COUNTER_BITS + _SERVER_BITS)


def ceiling_at(ms: int) -> int:
    """Return an id after all that were created up to a time.

    An id is never of a time before that of its row. It may be of a later one, by up to a minute:
    its clock is read after the row's, and may have been set back.
    """
    return floor_at(ms + _AHEAD_MS)


def encode(prefix: Prefix, identity: int) -> str:
    """Return the public form, such as ``evt_01JDG3R8Z4000``."""
    pairs = _PAIRS
    return (
        f"{prefix}_{_ALPHABET[identity >> 60]}"
        f"{pairs[identity >> 50 & 1023]}{pairs[identity >> 40 & 1023]}"
        f"{pairs[identity >> 30 & 1023]}{pairs[identity >> 20 & 1023]}"
        f"{pairs[identity >> 10 & 1023]}{pairs[identity & 1023]}"
    )


def decode(prefix: Prefix, text: str) -> int:
    """Return the integer behind a public id.

    Raises:
        ValueError: not an id of this kind.
    """
    head, _, tail = text.partition("_")
    if head != prefix or len(tail) != _LENGTH:
        raise ValueError(
            f"{text[:40]!r} is not an id of the form {prefix}_… with {_LENGTH} characters"
        )
    identity = 0
    for letter in tail:
        value = _VALUES.get(letter)
        if value is None:
            raise ValueError(f"{text!r} contains {letter!r}, which is not used in ids")
        identity = identity << 5 | value
    if identity >= 1 << 63:
        raise ValueError(f"{text!r} is out of range")
    return identity
