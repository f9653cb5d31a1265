"""How much one caller may ask for: a bucket of tokens for each, which fills again steadily.

It holds for each token, and for each user of the Unix socket but root and the server's owner, who
could stop it anyway. On several servers it holds on each of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Final

from hooktui.api.access import Caller
from hooktui.domain.errors import TooManyRequests

BURST_S: Final = 2.0
"""So many seconds' worth may come at once, after a pause: clients work in batches."""
_MOST_KEPT: Final = 10_000


def is_trusted(caller: Caller) -> bool:
    """Return whether a caller is root or the server's owner, on the Unix socket."""
    return caller.peer is not None and caller.peer.uid in (0, os.geteuid())


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Rate:
    """So many things a second for each caller.

    Args:
        per_s: as many in the long run; 0: no limit.
        what: they are, in the words of a refusal.
        setting: where it is set.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        per_s: float,
        what: str,
        setting: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_s = per_s
        self._burst = max(per_s * BURST_S, 1.0)
        self._what = what
        self._setting = setting
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, caller: Caller, count: int = 1) -> None:
        """Count what a caller asks for.

        A batch may be larger than the burst: it goes through when the bucket is not empty, and what
        it is over is owed.

        Raises:
            TooManyRequests: it asked for too much already; says when to come again.
        """
        if self._per_s == 0 or is_trusted(caller):
            return
        now = self._clock()
        bucket = self._buckets.get(caller.user)
        if bucket is None:
            bucket = self._buckets[caller.user] = _Bucket(self._burst, now)
            if len(self._buckets) > _MOST_KEPT:
                self._forget_the_rested(now)
        else:
            grown = bucket.tokens + (now - bucket.at) * self._per_s
            bucket.tokens, bucket.at = min(grown, self._burst), now
        if bucket.tokens < 1:
            wait_s = max(ceil((1 - bucket.tokens) / self._per_s), 1)
            raise TooManyRequests(
                f"{caller.user} sends more than {self._per_s:g} {self._what} a second; come again"
                f" in {wait_s} s, or have an admin raise {self._setting}",
                wait_s,
            )
        bucket.tokens -= count

    def _forget_the_rested(self, now: float) -> None:
        """Drop the buckets that are full again: they are as good as new ones."""
        self._buckets = {
            user: bucket
            for user, bucket in self._buckets.items()
            if bucket.tokens + (now - bucket.at) * self._per_s < self._burst
        }
