"""Refusals for the audit trail: who tried what they may not, without letting them fill the disk.

The trail is never shortened, so what somebody can write into it by being refused is bounded: the
same refusal is told once a minute, and each user has a share that fills again slowly; who has no
role or token has a small one. What was left out is counted in the next entry, and is in the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

SAME_AGAIN_S: Final = 60.0
_MOST_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Share:
    """So many entries at once, and one more every so many seconds (about 400 bytes each)."""

    burst: int
    refill_s: float


USERS: Final = Share(1000, 10.0)
"""Of somebody with a role: at worst 3 MB a day."""
STRANGERS: Final = Share(100, 60.0)


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float
    left_out: int = 0


@dataclass(slots=True)
class Refusals:
    """Remembers which refusals were told.

    Attributes:
        clock: seconds, monotonic.
    """

    clock: Callable[[], float] = time.monotonic
    _told: dict[tuple[str, ...], float] = field(default_factory=dict)
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def admit(self, share: Share, who: str, *what: str) -> int | None:
        """Return how many refusals were left out before this one; None: leave it out, too.

        Args:
            share: how much there is for them.
            who: whose share it is.
            what: tells refusals of one caller apart.
        """
        now = self.clock()
        bucket = self._bucket(who, share, now)
        key = (who, *what)
        same = self._told.get(key)
        if bucket.left < 1 or (same is not None and now - same < SAME_AGAIN_S):
            bucket.left_out += 1
            return None
        if len(self._told) >= _MOST_KEPT:
            self._told.clear()
        self._told[key] = now
        bucket.left -= 1
        left_out, bucket.left_out = bucket.left_out, 0
        return left_out

    def _bucket(self, who: str, share: Share, now: float) -> _Bucket:
        bucket = self._buckets.get(who)
        if bucket is None:
            if len(self._buckets) >= _MOST_KEPT:
                self._buckets.clear()
            bucket = self._buckets[who] = _Bucket(share.burst, now)
        bucket.left = min(share.burst, bucket.left + (now - bucket.at) / share.refill_s)
        bucket.at = now
        return bucket
