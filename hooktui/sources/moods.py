"""What the demo's receiver answers: one path for each mood, and the same answer for the same seed.

Pure: the answer to the n-th request on a path depends on the seed, the path and n alone, never on
a clock or on what was asked before.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum


class Mood(StrEnum):
    """How a receiver is disposed; also its path."""

    FAST = "fast"
    SLOW = "slow"
    FLAKY = "flaky"
    BUSY = "busy"
    DOWN = "down"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and how long the receiver takes for it."""

    status: int
    delay_s: float
    body: bytes
    headers: tuple[tuple[str, str], ...] = field(default=(("Content-Type", "application/json"),))


_HTML = (("Content-Type", "text/html; charset=utf-8"),)
_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)
_GONE_AT = 3
"""The request that is answered 410: late enough that its hook has a past, early enough to see."""


def reply(mood: Mood, seed: int, path: str, number: int) -> Reply:
    """Return the answer to a request.

    Args:
        mood: of the path.
        seed: of the demo.
        path: as requested, such as ``/flaky``.
        number: 1 for the first request on this path.
    """
    dice = random.Random(f"{seed} {path} {number}")  # noqa: S311 - a mood, not a secret
    usual_s = dice.uniform(0.003, 0.04)
    if mood is Mood.SLOW:
        return _taken(dice.uniform(1.0, 2.0), number)
    if mood is Mood.FLAKY and _stumbles(seed, path, number, share=0.5):
        trace = (
            b"Traceback (most recent call last):\n  ...\npsycopg.OperationalError: too many clients"
        )
        return Reply(500, usual_s, trace, _TEXT)
    if mood is Mood.BUSY and _stumbles(seed, path, number, share=0.4):
        headers = (("Content-Type", "application/json"), ("Retry-After", "1"))
        return Reply(429, usual_s, b'{"ok":false,"error":"rate_limited"}', headers)
    if mood is Mood.DOWN:
        if dice.random() < 0.5:
            return Reply(503, usual_s, b"<h1>503 Service Unavailable</h1>", _HTML)
        return Reply(500, usual_s, b'{"error":"java.lang.NullPointerException"}')
    if mood is Mood.GONE and number == _GONE_AT:
        return Reply(410, usual_s, b'{"error":"this endpoint has been retired"}')
    return _taken(usual_s, number)


def _taken(delay_s: float, number: int) -> Reply:
    return Reply(200, delay_s, b'{"ok":true,"received":%d}' % number)


def _stumbles(seed: int, path: str, number: int, *, share: float) -> bool:
    """Return whether a request fails: the first of a pair may, the second succeeds.

    The first of all does, so that every run shows what happens then.
    """
    pair, second = divmod(number - 1, 2)
    if second:
        return False
    return pair == 0 or random.Random(f"{seed} {path} pair {pair}").random() < share  # noqa: S311
