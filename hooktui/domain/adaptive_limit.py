"""The adaptive limit of a hook: how many deliveries one server sends to its receiver at once.

The limit starts at 10. It doubles while the receiver keeps up and deliveries wait for a slot, and
it is cut when the receiver shows that it is overloaded. A cut is a trial: if the same share of
responses still shows overload at the lower limit, then the limit was not the cause (an event to
which the receiver always responds with 503, one broken server behind a load balancer), the cut is
undone and that share is tolerated. A step that only makes responses slower is undone.

The *ceiling* is what caused the last overload. After a cut the limit regrows to 0.9 of it, then by
small steps to it and beyond (stepping). The *cap*, which people set, is never exceeded.

All times are arguments, in seconds of a monotonic clock; the class reads no clock and does no I/O.
Decision 0080 has the rules with their reasons and what a simulation of receivers showed.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from enum import StrEnum

from hooktui.domain.adaptive_rate import AdaptiveRate
from hooktui.domain.observation import Observation, Signal
from hooktui.domain.recent_responses import (
    GUESSED_RESPONSE_S,
    RECENT,
    LeastMedians,
    RecentShare,
    RecentSuccesses,
)

FIRST_LIMIT = 10
"""The limit of a new hook, and of a hook with a new URL."""
DEFAULT_MAX_LIMIT = 256

_MIN_RESPONSES = 8
"""A window with fewer responses shows nothing."""
_LONGEST_WINDOW_S = 10.0
"""A window ends after this time, even with too few responses."""
_MAX_LATENCIES = 1_000
"""Response times of a window that are kept: a receiver may cause 90,000 in ten seconds."""
_SATURATED = 0.8
"""The limit grows only if deliveries waited for a slot at this share of the responses."""
_CUT = 0.95
"""The end of an overload lowers the limit further, to this share of it."""
_AFTER_STEP = 0.8
"""An overload by a step lowers the limit to this share of that before the step."""
_MORE_THAN_TAKEN = 1.1
"""After an overload, the ceiling is at most this multiple of the successes within one response
time."""
_REGROW_TO = 0.9
"""After a cut, the limit grows by a part of its square root up to this share of the ceiling."""
_PROBE_EVERY_S = 5.0
"""The wait between two small steps, below the ceiling."""
_SMALL_STEP = 0.02
"""A small step is this share of the ceiling, at least 1."""
_LONGEST_PROBE_S = 20.0
"""The wait before the step that reaches the ceiling doubles up to this each time it failed: with
20 at once, each such step costs about 20 refused requests."""
_STEP_EVERY_S = 1.0
"""The wait between two steps beyond the ceiling; each step is twice as large as the one before."""
_ASSESSED_GROWTH = 1.15
"""Growth by less changes throughput and latency by less than they vary."""
_STEP_BACK_S = 10.0
"""The wait after a step that only made responses slower."""
_LATE = 0.25
"""A window is late if this share of its responses are."""
_MAX_LEFT_OUT = 3
"""Late windows in a row that are left out: a loop that is always late must not stop the growth."""
_SLOWER_BY_S, _STEP_SLOWER_BY_S = 0.003, 0.01
"""Smaller increases of the median, in probing and after a step, are noise of this machine."""
_TOO_SLOW, _LOWERED_TO = 2, 0.75
"""If the median is this multiple of the least one, this share of the limit is tried."""
_FLOOR_BY_LATENCY = 2
"""A limit is not lowered below this because responses are slow."""
_TRIAL_OVERLOADS = 5
"""A trial ends when its share predicts this many overloads."""
_NONE_OF_EXPECTED = 3
"""No overload where its share predicts this many ends it earlier."""
_HELD_SHARE = 0.03
"""The limit does not grow in the trial of a larger share. All hooks and servers that overload a
receiver cut their limits; if they grow at once, it is overloaded again, and each tolerates that."""
_MIN_TOLERATED, _MAX_TOLERATED = 0.001, 0.2
"""Bounds of a tolerated share: a smaller one counts as none, a larger one is not tolerated."""
_MAX_TOLERATED_AT_ONE = 0.45
"""The upper bound if a share comes with one attempt at a time, so that no limit can lower it. The
receiver may have three servers of which one is down."""
_LARGE_TRIAL_OVERLOADS, _LARGE_SAME = 20, 0.75
"""A trial of such a share ends later, and at least this part of it must come again."""
_RETRIED = 1.2
"""A share that is tolerated may be measured as this multiple of it."""
_UNUSED_S = 60.0
"""A limit of which less than half was used for this long is halved."""
_IDLE_S = 0.1
"""A shorter time without attempts may be that of a claim: the window continues."""
_TOGETHER_S = 0.001
"""A success within this time of an observation is counted with it. To look at each would take a
tenth of the server's time per delivery."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut of the limit: when, with how many in flight, and which response caused it."""

    at_s: float
    in_flight: int
    cause: str


class _Phase(StrEnum):
    """How the limit grows."""

    DOUBLING = "doubling"
    REGROWING = "regrowing"
    STEPPING = "stepping"


@dataclass(slots=True)
class _Window:
    """The responses of some time, from which one decision is taken.

    Attributes:
        started_s: only responses to attempts begun after it count.
        responses: all of them; ``overloads`` and ``saturated`` are parts.
        overloads: responses that show an overload.
        saturated: responses after which deliveries still waited for a slot.
        peak: most attempts in flight.
        late: responses that the event loop of this server delayed.
        latencies: response times in seconds of those that kept up.
        measured_from_s: one median response time after the start.
        completions: successes after that, for the throughput.
    """

    started_s: float
    responses: int = 0
    overloads: int = 0
    saturated: int = 0
    peak: int = 0
    late: int = 0
    latencies: list[float] = field(default_factory=list)
    measured_from_s: float | None = None
    completions: int = 0

    @property
    def is_late(self) -> bool:
        """Whether its response times show the event loop of this server, not the receiver."""
        return self.late > _LATE * self.responses

    def throughput(self, now_s: float) -> float | None:
        """Return completions a second; None: too few."""
        if self.measured_from_s is None or self.completions < _MIN_RESPONSES:
            return None
        elapsed_s = now_s - self.measured_from_s
        return self.completions / elapsed_s if elapsed_s > 0 else None


@dataclass(slots=True)
class _Overload:
    """An overload in progress: for one median response time each refusal takes its slot.

    Attributes:
        began_s: when the first refusal came.
        limit: the limit then.
        floor: the limit is not lowered below it.
        succeeded: most attempts that succeeded within one median response time since.
    """

    began_s: float
    limit: float
    floor: float = 1.0
    succeeded: int = 0


@dataclass(slots=True)
class _Trial:
    """A cut that is being tested: would the overloads have come at any limit?"""

    limit: float
    share: float
    responses: int = 0
    overloads: int = 0
    causes: set[str] = field(default_factory=set)

    @property
    def holds_limit(self) -> bool:
        """Whether the limit stays as it is until the trial ends."""
        return self.share > _HELD_SHARE

    @property
    def is_large(self) -> bool:
        """Whether its share is tolerated only because nothing can lower it."""
        return self.share > _MAX_TOLERATED

    @property
    def most_tolerated(self) -> float:
        """The largest share that it may show."""
        return _MAX_TOLERATED_AT_ONE if self.is_large else _MAX_TOLERATED

    @property
    def is_the_same(self) -> bool | None:
        """Whether the lower limit has the share of the one before; None: not known yet."""
        expected = self.share * self.responses
        if not self.overloads:
            return False if expected >= _NONE_OF_EXPECTED else None
        if expected < (_LARGE_TRIAL_OVERLOADS if self.is_large else _TRIAL_OVERLOADS):
            return None
        if self.is_large:
            most = _MAX_TOLERATED_AT_ONE * self.responses
            return _LARGE_SAME * expected <= self.overloads <= most
        return self.overloads >= expected / 2


@dataclass(slots=True)
class _Measure:
    """What a window at a limit achieved."""

    limit: float
    throughput: float
    median_s: float
    is_late: bool


class AdaptiveLimit:
    """Finds how many attempts at once the receiver of one hook takes.

    Args:
        cap: the largest limit.
        since_s: attempts that began before it do not count: they were sent to another URL.

    Attributes:
        rate: the rate, if the receiver responds with 429.
        tolerated: the share of overload responses that come at any limit.
        tolerated_cause: these responses, such as ``503``; empty if they differ.
        cuts: the number of cuts.
        last_cut: the latest of them that was not undone.
    """

    __slots__ = (
        "_before_lowering", "_before_step", "_came_s", "_ceiling", "_cut_s", "_joined",
        "_last_late", "_last_s", "_last_saturated", "_least_medians", "_left_out", "_limit",
        "_may_lower_ceiling", "_median_s", "_minute_peak", "_minute_s", "_next_step_s", "_overload",
        "_phase", "_reach_ceiling_s", "_share", "_since_followed", "_since_s", "_step",
        "_stepped_s", "_successes", "_trial", "_window", "cap", "cuts", "last_cut", "rate",
        "tolerated", "tolerated_cause",
    )  # fmt: skip

    def __init__(self, cap: int = DEFAULT_MAX_LIMIT, *, since_s: float = -1.0) -> None:
        self.cap = cap
        self._since_s = since_s
        self.rate = AdaptiveRate()
        self.tolerated = 0.0
        self.tolerated_cause = ""
        self.cuts = 0
        self.last_cut: Cut | None = None
        self._limit = float(min(FIRST_LIMIT, cap))
        self._phase = _Phase.DOUBLING
        self._ceiling: float | None = None
        self._may_lower_ceiling = True
        self._cut_s = -1.0
        self._share = RecentShare()
        self._since_followed = 0
        self._median_s: float | None = None
        self._least_medians = LeastMedians()
        self._step = 1.0
        self._next_step_s = self._stepped_s = 0.0
        self._reach_ceiling_s = _PROBE_EVERY_S
        self._before_step: _Measure | None = None
        self._before_lowering: _Measure | None = None
        self._trial: _Trial | None = None
        self._overload: _Overload | None = None
        self._successes = RecentSuccesses()
        self._minute_s, self._minute_peak = 0.0, 0
        self._last_s = self._came_s = 0.0
        self._last_late = self._last_saturated = False
        self._joined = 0
        self._left_out = 0
        self._window = _Window(0.0)

    @property
    def limit(self) -> int:
        """How many attempts may be in flight."""
        return max(1, min(int(self._limit), self.cap))

    def began(self, now_s: float, in_flight: int) -> None:
        """Note that an attempt began; ``in_flight`` counts it."""
        if in_flight == 1:
            self._began_alone(now_s)
        if in_flight > self._window.peak:
            self.rate.started(now_s)
            self._window.peak = in_flight
            self._minute_peak = max(self._minute_peak, in_flight)

    def _began_alone(self, now_s: float) -> None:
        """Begin a new window if nothing was sent for a while."""
        idle_s = now_s - self._came_s
        if idle_s > max(_IDLE_S, self._median_s or 1.0) and self._overload is None:
            self._window = _Window(now_s)

    def count_with_last(self, began_s: float, now_s: float, latency_s: float) -> bool:
        """Count a success that came just after an observation, as late and as saturated as that.

        Times are as in an `Observation`.

        Returns:
            Whether it was counted; if not, it must be passed to `ended`.
        """
        window = self._window
        if (
            now_s - self._last_s >= _TOGETHER_S
            or now_s < self.rate.closed_until_s
            or began_s < self._since_s
            or began_s < self._cut_s
            or self._overload is not None
            or self._trial is not None
        ):
            return False
        counts = began_s >= window.started_s  # else it shows nothing about the window's limit
        median_s = self._median_s
        if not counts and (
            median_s is None
            or (window.measured_from_s is None and now_s - window.started_s >= median_s)
        ):
            return False
        self._came_s = now_s
        self._joined += 1
        if counts:
            window.responses += 1
            window.saturated += self._last_saturated
            window.late += self._last_late
            if len(window.latencies) < _MAX_LATENCIES:
                window.latencies.append(latency_s)
        return True

    def ended(self, observed: Observation, *, in_flight: int, saturated: bool) -> None:
        """Take what an attempt showed into account.

        ``in_flight`` includes the attempt itself; ``saturated``: deliveries of the hook wait for a
        slot.
        """
        now_s, began_s, signal = observed.at_s, observed.began_s, observed.signal
        if began_s < self._since_s:
            return
        if self._joined:
            self._count_joined(self._last_s)
        self._last_s = self._came_s = now_s
        self._last_late, self._last_saturated = observed.is_late, saturated
        if now_s - self._minute_s > _UNUSED_S:
            self._halve_if_unused(now_s)
        if signal is Signal.RATE_LIMITED:
            median_s = self._median_s or GUESSED_RESPONSE_S
            self.rate.refused(now_s, began_s, median_s, observed.retry_after_s)
            return
        ok = signal is Signal.KEEPS_UP
        if ok:
            self._successes.add(now_s, self._median_s or GUESSED_RESPONSE_S, 1)
            self.rate.accepted(now_s, 1)
        if began_s < self._cut_s:  # it shows the limit before the cut
            return
        self._follow_share(int(ok), int(not ok))
        window = self._window
        if now_s - window.started_s >= (self._median_s or 0.0):
            if window.measured_from_s is None:
                window.measured_from_s = now_s
            elif ok:
                window.completions += 1
        if self._trial is not None and self._trial_undoes_cut(self._trial, observed):
            return
        counts = began_s >= window.started_s
        if counts or self._overload is not None:
            window.responses += 1
            window.saturated += saturated
            window.late += self._last_late
            if not ok:
                window.overloads += 1
            elif len(window.latencies) < _MAX_LATENCIES:
                window.latencies.append(observed.latency_s)
        elif ok and self._median_s is None and not window.responses:
            window.latencies.append(observed.latency_s)
        if not ok and self._overload is not None:
            self._lower_by_refusal(now_s, self._overload)
        elif not ok and counts and self._too_many(window):
            self._begin_overload(observed, in_flight)
        if self._window_is_over(now_s):
            self._decide(now_s)

    def _count_joined(self, now_s: float) -> None:
        """Count the successes that came within a millisecond of a time, as those of that time."""
        count, self._joined = self._joined, 0
        self._successes.add(now_s, self._median_s or GUESSED_RESPONSE_S, count)
        self.rate.accepted(now_s, count)
        self._follow_share(count, 0)
        if self._window.measured_from_s is not None:
            self._window.completions += count

    # Overload

    def _too_many(self, window: _Window) -> bool:
        """Return whether a window has more overloads than the tolerated share predicts."""
        share = self.tolerated if self._trial is None else max(self.tolerated, self._trial.share)
        expected = share * window.responses
        slack = 3 * math.sqrt(expected) + 2 if share else 0.0
        return window.overloads > expected + slack

    def _begin_overload(self, observed: Observation, in_flight: int) -> None:
        seen = min(self._limit, max(self._window.peak, in_flight))
        self._overload = _Overload(observed.at_s, self._limit, self._floor(observed.at_s))
        self.cuts += 1
        self.last_cut = Cut(observed.at_s, int(seen), observed.cause)
        self._step = 1.0
        self._before_lowering = None
        if self._ceiling is None:
            self._ceiling = seen
        else:
            self._reach_ceiling_s = min(2 * self._reach_ceiling_s, _LONGEST_PROBE_S)
            if self._may_lower_ceiling:  # not far below at once: it may be slow for a moment
                self._ceiling = max(seen, self._ceiling / 2)
        self._may_lower_ceiling = False
        self._limit = max(1.0, min(self._limit, seen) - 1)

    def _floor(self, now_s: float) -> float:
        """Return how far an overload lowers the limit: after a step, little.

        Until the step the receiver kept up. If it no longer takes that many, the next window shows
        it.
        """
        just_stepped = self._phase is _Phase.STEPPING and now_s - self._stepped_s < max(
            _STEP_EVERY_S, 4 * (self._median_s or 0.0)
        )
        return max(1.0, _AFTER_STEP * (self._limit - self._step)) if just_stepped else 1.0

    def _lower_by_refusal(self, now_s: float, overload: _Overload) -> None:
        """Lower the limit by one, not below what succeeds at once."""
        succeeded = self._successes.count(now_s, self._median_s or GUESSED_RESPONSE_S)
        overload.succeeded = max(overload.succeeded, succeeded)
        self._limit = max(overload.floor, min(self._limit, succeeded), self._limit - 1)

    def _end_overload(self, now_s: float, overload: _Overload) -> None:
        share = self._share.value
        if self._trial is None and share <= self._largest_to_try:
            self._trial = _Trial(overload.limit, share)
        if self._ceiling is not None and overload.limit >= self._ceiling:
            self._lower_ceiling(now_s, self._ceiling, overload)
        self._overload = None
        self._phase = _Phase.REGROWING
        self._limit = max(1.0, self._limit * _CUT)
        self._cut_s = now_s
        self._next_step_s = now_s + _PROBE_EVERY_S
        self._before_step = None
        self._window = _Window(now_s)

    @property
    def _largest_to_try(self) -> float:
        """The largest share of overloads for a trial."""
        if self._limit * _CUT < 2:
            return _MAX_TOLERATED_AT_ONE
        return max(_MAX_TOLERATED, min(_RETRIED * self.tolerated, _MAX_TOLERATED_AT_ONE))

    def _lower_ceiling(self, now_s: float, ceiling: float, overload: _Overload) -> None:
        """Lower the ceiling to what the receiver took at once: more may have been in flight."""
        taken = self._successes.count(now_s, self._median_s or GUESSED_RESPONSE_S)
        taken = max(taken, overload.succeeded)
        if taken >= _MIN_RESPONSES:
            self._ceiling = max(min(ceiling, _MORE_THAN_TAKEN * taken + 1), self._limit)

    def _follow_share(self, successes: int, overloads: int) -> None:
        """Lower the tolerated share to what the last responses show."""
        self._share.add(successes, overloads)
        self._since_followed += successes + overloads
        if self._since_followed >= 2 * RECENT:
            self._since_followed = 0
            deviation = math.sqrt(self.tolerated / (2 * RECENT))
            if self._share.value < max(self.tolerated - 2 * deviation, self.tolerated / 2):
                share = max(self._share.value, self.tolerated / 2)
                self.tolerated = share if share >= _MIN_TOLERATED else 0.0

    def _trial_undoes_cut(self, trial: _Trial, observed: Observation) -> bool:
        """Count a response of the trial; return whether it ended and undid the cut."""
        now_s = observed.at_s
        trial.responses += 1
        if observed.signal is Signal.OVERLOADED:
            trial.overloads += 1
            trial.causes.add(observed.cause)
        same = trial.is_the_same
        if same is None:
            return False
        self._trial = None
        if not same:
            return False
        share = trial.overloads / trial.responses
        if self.tolerated:
            trial.causes.add(self.tolerated_cause)
        self.tolerated_cause = trial.causes.pop() if len(trial.causes) == 1 else ""
        self.tolerated = max(self.tolerated, min(share, trial.most_tolerated))
        self._limit = max(self._limit, trial.limit)
        self._ceiling = self.last_cut = None
        self._phase = _Phase.DOUBLING
        self._next_step_s = self._cut_s = now_s
        self._before_step = self._overload = None
        self._window = _Window(now_s)
        return True

    # Windows

    def _window_is_over(self, now_s: float) -> bool:
        window, median_s = self._window, self._median_s or 0.0
        elapsed_s = now_s - window.started_s
        if self._overload is not None:
            return now_s - self._overload.began_s >= median_s or elapsed_s > _LONGEST_WINDOW_S
        if elapsed_s > _LONGEST_WINDOW_S:
            return window.responses > 0
        used = min(window.peak, self._limit)
        if window.responses < max(_MIN_RESPONSES, used):
            return False
        if self._is_regrowing:
            return elapsed_s >= median_s
        enough = max(_MIN_RESPONSES, 2 * used)
        return elapsed_s >= 3 * median_s and window.completions >= enough

    @property
    def _is_regrowing(self) -> bool:
        return (
            self._phase is _Phase.REGROWING
            and self._ceiling is not None
            and self._limit < _REGROW_TO * self._ceiling
        )

    def _decide(self, now_s: float) -> None:
        window = self._window
        if window.is_late and self._overload is None and self._left_out < _MAX_LEFT_OUT:
            self._left_out += 1
            self._window = _Window(now_s)
            return
        self._left_out = 0
        if window.latencies:
            self._median_s = statistics.median(window.latencies)
            self._least_medians.add(now_s, self._median_s)
        if self._overload is not None:
            self._end_overload(now_s, self._overload)
            return
        self._may_lower_ceiling = True
        self._window = _Window(now_s)
        if self._trial is not None and self._trial.holds_limit:
            return
        if window.saturated < _SATURATED * window.responses:
            self._before_step = None
            return
        if window.responses < _MIN_RESPONSES:
            return
        if self._is_regrowing and self._ceiling is not None:
            self._regrow(self._ceiling)
            return
        throughput = window.throughput(now_s)
        if throughput is None or self._median_s is None:
            return
        self._grow(now_s, _Measure(self._limit, throughput, self._median_s, window.is_late))

    def _grow(self, now_s: float, measure: _Measure) -> None:
        if self._before_lowering is not None:
            self._assess_lowering(now_s, self._before_lowering, measure)
            return
        before = self._before_step
        if before is not None and self._limit >= _ASSESSED_GROWTH * before.limit:
            self._before_step = None
            if self._only_slower(before, measure):
                self._limit = before.limit
                self._probe_from(now_s + _STEP_BACK_S)
                return
        if self._may_be_too_high(now_s, measure):
            self._before_lowering = measure
            self._limit = max(float(_FLOOR_BY_LATENCY), self._limit * _LOWERED_TO)
            self._cut_s = now_s
        elif self._phase is _Phase.REGROWING:
            self._probe_from(now_s + _PROBE_EVERY_S)
        elif self._phase is _Phase.DOUBLING or now_s >= self._next_step_s:
            self._before_step = self._before_step or measure
            if self._phase is _Phase.DOUBLING:
                self._limit = min(self.cap, self._limit * 2)
            else:
                self._step_up(now_s)

    def _step_up(self, now_s: float) -> None:
        """Grow by small steps below the ceiling, by twice as much each time beyond it."""
        ceiling = self._ceiling
        small = 1.0 if ceiling is None else max(1.0, _SMALL_STEP * ceiling)
        if ceiling is None or self._limit >= ceiling:
            self._reach_ceiling_s = _PROBE_EVERY_S
            if ceiling is not None:
                self._ceiling = self._limit
            self._step = min(2 * self._step, self._limit)
        else:
            self._step = small
        self._limit = min(self.cap, self._limit + self._step)
        self._stepped_s = now_s
        if ceiling is None or self._limit >= ceiling:
            wait_s = _STEP_EVERY_S
        elif self._limit + small >= ceiling:
            wait_s = self._reach_ceiling_s
        else:
            wait_s = _PROBE_EVERY_S
        self._next_step_s = now_s + wait_s

    def _regrow(self, ceiling: float) -> None:
        grown = self._limit + max(1.0, math.sqrt(self._limit) / 2)
        self._limit = min(self.cap, grown, max(self._limit, _REGROW_TO * ceiling))
        self._before_step = None

    def _probe_from(self, next_step_s: float) -> None:
        self._phase = _Phase.STEPPING
        self._step = 1.0
        self._next_step_s = next_step_s

    def _only_slower(self, before: _Measure, now: _Measure) -> bool:
        """Return whether a step up made responses slower without more of them."""
        growth = self._limit / before.limit - 1
        return (
            growth > 0
            and now.throughput < before.throughput * (1 + growth / 4)
            and now.median_s > before.median_s * (1 + growth / 2) + _STEP_SLOWER_BY_S
        )

    # Latency

    def _may_be_too_high(self, now_s: float, measure: _Measure) -> bool:
        return (
            self._phase is _Phase.STEPPING
            and not measure.is_late
            and now_s >= self._next_step_s
            and self._limit > _FLOOR_BY_LATENCY
            and measure.median_s > _TOO_SLOW * self._least_medians.least(now_s) + _SLOWER_BY_S
        )

    def _assess_lowering(self, now_s: float, before: _Measure, now: _Measure) -> None:
        """Keep the lower limit unless it lost half of what it took away.

        Then the responses are slow at any limit, and their time is the new measure.
        """
        self._before_lowering = self._before_step = None
        self._next_step_s = now_s + _STEP_EVERY_S
        removed = 1 - self._limit / before.limit
        if now.throughput < before.throughput * (1 - removed / 2):
            self._limit = before.limit
            self._least_medians = LeastMedians()
            self._least_medians.add(now_s, now.median_s)

    # Unused

    def _halve_if_unused(self, now_s: float) -> None:
        """Halve a limit of which less than half was used for a minute, down to the first one."""
        least = float(min(FIRST_LIMIT, self.cap))
        if self._minute_peak < self._limit / 2 and self._limit > least:
            self._limit = max(least, self._limit / 2, self._minute_peak)
            self._phase = _Phase.DOUBLING
            self._ceiling = self._before_step = self.last_cut = None
        self._minute_s, self._minute_peak = now_s, self._window.peak
