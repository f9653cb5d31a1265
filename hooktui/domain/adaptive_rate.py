"""The adaptive rate of a hook: deliveries a second to a receiver that responds with 429.

A 429 response is called a *refusal* here. There is no rate until the first one. Then the rate is
what the receiver accepted in the last ten seconds. It grows every ten seconds, faster the longer no
refusal comes, and shrinks by a tenth at each further one. All times are arguments, in seconds of a
monotonic clock.

That first rate is too low if few deliveries were offered: the hook was idle, or the receiver spaces
its requests and accepts one of ten that come at once. Such a rate doubles every second until the
next refusal, which undoes the last doubling. A rate that has fallen far doubles as well.

Some refusals come at any rate: one server behind a load balancer refuses everything, or some events
are always refused. If the rate was lowered many times and more refusals come, a *trial* begins. It
measures their share, lowers the rate much further and measures again. A receiver with a limit
refuses nothing then. If the share is the same, it is tolerated, and the rate doubles again.
Decision 0109 has the reasons and the results of a simulation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hooktui.domain.rates import SecondCounts

_MEMORY_S = 10
"""Seconds over which accepted deliveries are counted, and between two increases."""
_MIN_PER_S = 0.02
"""One delivery in 50 s: a receiver that refuses everything is still tried."""
_MIN_FIRST_PER_S, _MIN_AGAIN_PER_S = 0.5, 0.2
"""Lower bounds of a rate that few accepted deliveries measured: the first one, and a later one."""
_SHRINK = 0.9
_FIRST_GROWTH, _GROWTH_OF_GROWTH, _MAX_GROWTH = 0.05, 1.5, 1.0
"""The rate grows by 5 %, and each time without a refusal by half as much again, at most twofold."""
_DOUBLES_EVERY_S = 1.0
_NO_LIMIT_PER_S = 5_000.0
"""A rate above it is dropped: the limit alone decides."""
_FAR_BELOW = 8.0
"""A rate that was once this many times as high doubles again instead of growing slowly."""
_LONGEST_WAIT_S, _MIN_WAIT_S = 60.0, 0.2
"""Bounds of the time without starts: a ``Retry-After``, and two response times of a fast one."""

_LOWERED_BEFORE_TRIAL = 8
"""How often the rate is lowered without growth before a trial. All senders that share a limit lower
their rates meanwhile; after fewer times, one of them would take their refusals for its own."""
_TRIAL_REFUSALS = 5
"""A share is known once this many refusals came, or were expected at the lower rate."""
_NONE_OF_EXPECTED = 3
"""No refusal where this many were expected shows that the share has fallen."""
_LONGEST_CLEAN_S = 60.0
"""A trial ends after this time without a refusal, however many were expected."""
_TRIAL_RATE = 0.3
"""The lower rate of a trial, of what was accepted a second at the higher one."""
_MIN_TOLERATED, _MAX_TOLERATED = 0.0001, 0.1
"""Below, the share is taken for none; above, the receiver is better spared."""
_TOO_MANY = 1.5
"""More than this multiple of the tolerated share exceeds it: about ten refusals measured it."""
_FOLLOWED_REFUSALS = 50
"""The tolerated share is lowered, if it has fallen, each time this many refusals were expected."""


@dataclass(slots=True)
class _Trial:
    """A comparison of the share of refusals at two rates.

    Attributes:
        before: the share before the trial.
        share: the share at the higher rate; None while it is being measured.
        per_s: what was accepted a second at the higher rate.
        responses: those at the present rate; ``refused`` of them were refusals.
        refused: see ``responses``.
        since_refused: the responses after the last refusal.
    """

    before: float
    share: float | None = None
    per_s: float = 0.0
    responses: int = 0
    refused: int = 0
    since_refused: int = 0

    def add(self, accepted: int, refused: int) -> None:
        """Count responses."""
        self.responses += accepted + refused
        self.refused += refused
        self.since_refused = 0 if refused else self.since_refused + accepted

    @property
    def has_too_many(self) -> bool:
        """Whether the share of refusals is too large to tolerate, or grew at the lower rate."""
        most = _MAX_TOLERATED * self.responses
        if self.refused > most + 2 * math.sqrt(most) + 1:
            return True
        return self.share is not None and _exceeds(self.refused, self.responses, self.share)

    @property
    def is_the_same(self) -> bool | None:
        """Whether the lower rate has the share of the higher one; None: not known yet."""
        expected = (self.share or 0.0) * self.responses
        if expected < (_TRIAL_REFUSALS if self.refused else _NONE_OF_EXPECTED):
            return None
        return self.refused >= expected / 2


class AdaptiveRate:
    """The rate that a receiver's refusals allow.

    Attributes:
        per_s: deliveries a second; None until the receiver refused one.
        closed_until_s: nothing starts before it.
        tolerated: the share of refusals that come at any rate.
    """

    __slots__ = (
        "_accepted", "_changed_s", "_doubles", "_first_start_s", "_grows_at_s", "_growth",
        "_lowered", "_lowers", "_once_per_s", "_refused", "_responses", "_taken_per_s", "_trial",
        "closed_until_s", "per_s", "tolerated",
    )  # fmt: skip

    def __init__(self) -> None:
        self.per_s: float | None = None
        self.closed_until_s = 0.0
        self.tolerated = 0.0
        self._first_start_s: float | None = None
        self._changed_s = self._grows_at_s = 0.0
        self._growth = _FIRST_GROWTH
        self._lowers = self._doubles = False
        self._taken_per_s: float | None = None
        self._accepted = SecondCounts(_MEMORY_S)
        self._responses = self._refused = 0
        self._lowered = 0
        self._once_per_s = 0.0
        self._trial: _Trial | None = None

    def started(self, now_s: float) -> None:
        """Note that an attempt began."""
        if self._first_start_s is None:
            self._first_start_s = now_s

    def accepted(self, now_s: float, count: int) -> None:
        """Note responses that are not refusals."""
        self._accepted.add(now_s, count)
        self._count(count, 0)
        if self.per_s is None or self._lowers:
            return
        if self._trial is not None:
            self._trial.add(count, 0)
            self._end_trial_if_known(now_s, self._trial)
        if self._trial is None and now_s > self._grows_at_s:
            self._grow(now_s, self.per_s)

    def refused(
        self, now_s: float, began_s: float, median_s: float, retry_after_s: float | None
    ) -> None:
        """Note a refusal: nothing starts for two response times, then at a lower rate.

        A tolerated refusal changes nothing, but its ``Retry-After`` is obeyed.

        Args:
            now_s: the time of the response.
            began_s: the start of its attempt; one that began before the last change says nothing
                about the present rate.
            median_s: the usual response time.
            retry_after_s: the receiver's ``Retry-After``, obeyed up to a minute.
        """
        if retry_after_s:
            self._close_until(now_s + min(retry_after_s, _LONGEST_WAIT_S))
        if began_s < self._changed_s or self._lowers:
            return
        self._count(0, 1)
        if self._trial is None:
            lowers = _exceeds(self._refused, self._responses, self.tolerated)
        else:
            lowers = self._is_lowered_in_trial(now_s, self._trial)
        if lowers:
            self._lowers = True  # once the responses on their way have been counted
            self._close_until(now_s + max(2 * median_s, _MIN_WAIT_S))

    def reopen(self, now_s: float) -> None:
        """Set the lower rate once the time without starts is over."""
        if not self._lowers or now_s < self.closed_until_s:
            return
        self._lowers = False
        if self._trial is not None:
            self._change(now_s, self._trial.per_s * _TRIAL_RATE)
            return
        self._lowered += 1
        if self._lowered >= _LOWERED_BEFORE_TRIAL:
            self._trial = _Trial(before=max(self._refused, 1) / max(self._responses, 1))
        age_s = now_s - (now_s if self._first_start_s is None else self._first_start_s)
        seen = self._accepted.total(now_s) / max(min(age_s, _MEMORY_S), 1.0)
        if self.per_s is None:
            self._change(now_s, max(seen, _MIN_FIRST_PER_S), doubles=True)
            return
        if self._taken_per_s is not None:
            self._once_per_s /= 2  # it may have been another limit
        self._once_per_s = max(self._once_per_s, self._taken_per_s or self.per_s)
        rate, doubles = self._taken_per_s or self.per_s * _SHRINK, False
        if now_s - self._changed_s > _MEMORY_S:
            doubles = seen < rate / 2  # it sent less than it could
            rate = min(rate, max(seen, _MIN_AGAIN_PER_S))
        self._change(now_s, rate, doubles=doubles)

    def _change(self, now_s: float, rate: float, *, doubles: bool = False) -> None:
        self.per_s = max(rate, _MIN_PER_S)
        self._doubles = doubles
        self._taken_per_s = None
        self._changed_s = now_s
        self._grows_at_s = now_s + (_DOUBLES_EVERY_S if doubles else _MEMORY_S)
        self._growth = _FIRST_GROWTH
        self._responses = self._refused = 0

    def _grow(self, now_s: float, per_s: float) -> None:
        if self._doubles or per_s < self._once_per_s / _FAR_BELOW:
            self._doubles = True
            self._taken_per_s = per_s
            self.per_s = per_s * 2
            self._grows_at_s = now_s + _DOUBLES_EVERY_S
        else:
            self._lowered = 0
            self.per_s = per_s * (1 + self._growth)
            self._growth = min(self._growth * _GROWTH_OF_GROWTH, _MAX_GROWTH)
            self._grows_at_s = now_s + _MEMORY_S
        self._responses = self._refused = 0
        if self.per_s > _NO_LIMIT_PER_S:
            self.per_s = None

    def _close_until(self, until_s: float) -> None:
        self.closed_until_s = max(self.closed_until_s, until_s)

    # Refusals at any rate

    def _count(self, accepted: int, refused: int) -> None:
        """Count responses since the last change; lower the tolerated share if it has fallen."""
        self._responses += accepted + refused
        self._refused += refused
        if not self.tolerated or self.tolerated * self._responses < _FOLLOWED_REFUSALS:
            return
        share = self._refused / self._responses
        if share < self.tolerated / 2:
            self.tolerated = max(share, self.tolerated / 2)
            if self.tolerated < _MIN_TOLERATED:
                self.tolerated = 0.0
        self._responses = self._refused = 0

    def _is_lowered_in_trial(self, now_s: float, trial: _Trial) -> bool:
        """Count a refusal of a trial; return whether a lower rate follows."""
        self._grows_at_s = now_s + _MEMORY_S
        trial.add(0, 1)
        if trial.has_too_many:
            self._trial = None
            return True
        if trial.share is not None:
            self._end_trial_if_known(now_s, trial)
            return False
        if trial.refused < _TRIAL_REFUSALS:
            return False
        accepted_per_s = (trial.responses - trial.refused) / max(now_s - self._changed_s, 0.001)
        self._trial = _Trial(
            before=trial.before,
            share=trial.refused / trial.responses,
            per_s=min(accepted_per_s, self.per_s or accepted_per_s),
        )
        return True

    def _end_trial_if_known(self, now_s: float, trial: _Trial) -> None:
        if trial.share is None:
            clean_s = now_s - self._grows_at_s + _MEMORY_S
            is_clean = trial.since_refused * trial.before >= _NONE_OF_EXPECTED
            if clean_s > _LONGEST_CLEAN_S or (clean_s > _MEMORY_S and is_clean):
                self._trial = None
            return
        same = trial.is_the_same
        if same is None:
            return
        self._trial = None
        self._lowered = 0
        if same:
            share = (trial.share + trial.refused / trial.responses) / 2
            self.tolerated = max(self.tolerated, min(share, _MAX_TOLERATED))
        self._change(now_s, trial.per_s, doubles=same)


def _exceeds(refused: int, responses: int, share: float) -> bool:
    """Return whether more refusals came than a share predicts."""
    if not share:
        return refused > 0
    expected = share * responses
    return refused > _TOO_MANY * expected + 3 * math.sqrt(expected) + 2
