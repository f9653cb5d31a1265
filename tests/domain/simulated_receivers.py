"""A simulation of one hook: a receiver, an engine that keeps its slots full, and a limit.

Time is a number, so that minutes pass in milliseconds. Each receiver is a function of the time and
the attempts in flight; it returns how long its response takes, and what the response shows.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from hooktui.domain.adaptive_limit import AdaptiveLimit
from hooktui.domain.adaptive_rate import AdaptiveRate
from hooktui.domain.observation import Observation, Signal
from hooktui.domain.rates import SPACED_S, burst_of

Receiver = Callable[[float, int, int], tuple[float, Signal]]
"""From (seconds, attempts in flight with this one, number of the event)."""

PER_S = 9_000
"""Attempts that the server starts in a second, at most."""
TAKEN, BUSY, TOO_MANY = Signal.KEEPS_UP, Signal.OVERLOADED, Signal.RATE_LIMITED


@dataclass
class Outcome:
    """The seconds of the responses, and the limit at each second."""

    limit: AdaptiveLimit
    taken: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    most: int = 0

    def per_s(self, start: float, end: float) -> float:
        return sum(start <= at < end for at in self.taken) / (end - start)

    def refusals(self, start: float, end: float) -> int:
        return sum(start <= at < end for at in self.refused)


@dataclass(frozen=True)
class Holds:
    """The event loop is blocked for some seconds at regular intervals, from a time on."""

    every_s: float
    seconds: float
    from_s: float = 0.0

    def end(self, now: float) -> float:
        """Return when the loop runs again."""
        if now < self.from_s or not self.seconds:
            return now
        begun = now - (now - self.from_s) % self.every_s
        return max(now, begun + self.seconds)

    def longest(self, start: float, end: float) -> float:
        """Return the longest time between two times in which the loop was blocked."""
        if not self.seconds:
            return 0.0
        first = max(0, int((start - self.from_s) / self.every_s))
        longest, begun = 0.0, self.from_s + first * self.every_s
        while begun < end:
            longest = max(longest, min(end, begun + self.seconds) - max(start, begun))
            begun += self.every_s
        return longest


NO_HOLDS = Holds(1.0, 0.0)


def simulate(
    receiver: Receiver,
    seconds: float,
    cap: int = 256,
    arrivals_per_s: float | None = None,
    holds: Holds = NO_HOLDS,
) -> Outcome:
    """Send to a receiver; without a rate of arrivals there is always something due."""
    limit = AdaptiveLimit(cap)
    outcome = Outcome(limit)
    ending: list[tuple[float, int, float, Signal]] = []
    now = cpu = tokens = token_at = arrived_until = 0.0
    started = due = 0
    while now < seconds:
        if arrivals_per_s is not None:
            while arrived_until <= now:
                arrived_until += 1 / arrivals_per_s
                due += 1
        rate = limit.rate
        rate.reopen(now)
        if rate.per_s is not None:
            tokens = min(burst_of(rate.per_s, SPACED_S), tokens + (now - token_at) * rate.per_s)
        token_at = now
        at_once = limit.limit
        while (
            (arrivals_per_s is None or due)
            and len(ending) < at_once
            and now >= rate.closed_until_s
            and (rate.per_s is None or tokens >= 1)
        ):
            cpu = max(cpu, now) + 1 / PER_S
            started += 1
            due -= 1
            tokens -= rate.per_s is not None
            limit.began(cpu, len(ending) + 1)
            took, signal = receiver(cpu, len(ending) + 1, started)
            heapq.heappush(ending, (cpu + took, started, cpu, signal))
            outcome.most = max(outcome.most, len(ending))
        times = [ending[0][0]] if ending else []
        if arrivals_per_s is not None:
            times.append(arrived_until)
        if rate.closed_until_s > now:
            times.append(rate.closed_until_s + 1e-6)
        elif rate.per_s is not None and tokens < 1:
            times.append(now + max((1 - tokens) / rate.per_s, 1e-4))
        then = holds.end(min(times))
        outcome.limits += [limit.limit] * (int(then) - int(now))
        now = then
        while ending and ending[0][0] <= now:
            at, _, began, signal = heapq.heappop(ending)
            at = holds.end(at)
            (outcome.taken if signal is TAKEN else outcome.refused).append(at)
            if signal is TAKEN and limit.count_with_last(began, at, at - began):
                continue
            limit.ended(
                Observation(signal, began, at, at - began, "503", held_s=holds.longest(began, at)),
                in_flight=len(ending) + 1,
                saturated=arrivals_per_s is None or due > 0,
            )
    return outcome


def simulate_hooks(receiver: Receiver, hooks: int, seconds: float) -> tuple[int, int]:
    """Send from several hooks to a receiver that sees the attempts of all of them at once.

    Return what it took and what it refused after the first minute.
    """
    limits = [AdaptiveLimit() for _ in range(hooks)]
    in_flight = [0] * hooks
    ending: list[tuple[float, int, int, float, Signal]] = []
    started = taken = refused = 0

    def fill(hook: int, now: float) -> None:
        nonlocal started
        while in_flight[hook] < limits[hook].limit:
            started += 1
            in_flight[hook] += 1
            limits[hook].began(now, in_flight[hook])
            took, signal = receiver(now, sum(in_flight), started)
            heapq.heappush(ending, (now + took, started, hook, now, signal))

    for hook in range(hooks):
        fill(hook, 0.0)
    while True:
        now, _, hook, began, signal = heapq.heappop(ending)
        if now > seconds:
            return taken, refused
        taken += now > 60 and signal is TAKEN
        refused += now > 60 and signal is not TAKEN
        observed = Observation(signal, began, now, now - began, "503")
        limits[hook].ended(observed, in_flight=in_flight[hook], saturated=True)
        in_flight[hook] -= 1
        fill(hook, now)


@dataclass
class Share:
    """What a sender got at a receiver that others send to."""

    rate: AdaptiveRate = field(default_factory=AdaptiveRate)
    taken: int = 0
    refused: int = 0


def simulate_senders(
    receiver: Receiver, senders: int, seconds: float, per_s: float, seed: int = 1
) -> list[Share]:
    """Send to a receiver from several hooks or servers, each at a rate until it has a 429.

    They begin in the first half minute. Return what each got after the first minute.
    """
    random_ = random.Random(seed)
    shares = [Share() for _ in range(senders)]
    starts = [(30 * random_.random(), number, number, -1.0, TAKEN) for number in range(senders)]
    heapq.heapify(starts)
    count = senders
    while starts[0][0] < seconds:
        now, _, sender, began, signal = heapq.heappop(starts)
        share, rate = shares[sender], shares[sender].rate
        rate.reopen(now)
        count += 2
        if began >= 0 and signal is TAKEN:
            rate.accepted(now, 1)
            share.taken += now > 60
        elif began >= 0:
            rate.refused(now, began, 0.03, None)
            share.refused += now > 60
        elif now < rate.closed_until_s:
            heapq.heappush(starts, (rate.closed_until_s + 1e-4, count, sender, -1.0, TAKEN))
        else:
            rate.started(now)
            took, signal = receiver(now, 1, count)
            took *= 0.5 + random_.random()
            heapq.heappush(starts, (now + took, count, sender, now, signal))
            wait_s = 1 / min(rate.per_s or per_s, 2 * per_s)
            heapq.heappush(starts, (now + wait_s, count + 1, sender, -1.0, TAKEN))
    return shares


class Receivers:
    """Receivers whose response times vary by a fifth."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def _about(self, seconds: float) -> float:
        return seconds * (0.8 + 0.4 * self._random.random())

    def steady(self, response_s: float) -> Receiver:
        return lambda now, at, event: (self._about(response_s), TAKEN)

    def capped(self, cap: int, response_s: float, refusal_s: float | None = None) -> Receiver:
        def respond(now: float, at: int, event: int) -> tuple[float, Signal]:
            if at <= cap:
                return self._about(response_s), TAKEN
            return self._about(response_s) if refusal_s is None else refusal_s, BUSY

        return respond

    def poisoned(self, share: float, response_s: float, refusal_s: float | None = None) -> Receiver:
        def respond(now: float, at: int, event: int) -> tuple[float, Signal]:
            if self._random.random() >= share:
                return self._about(response_s), TAKEN
            return self._about(response_s) if refusal_s is None else refusal_s, BUSY

        return respond

    def refusing(self, share: float, response_s: float) -> Receiver:
        """Respond 429 to a share of the requests, at any rate."""

        def respond(now: float, at: int, event: int) -> tuple[float, Signal]:
            refuses = self._random.random() < share
            return self._about(response_s), TOO_MANY if refuses else TAKEN

        return respond

    def workers(self, count: int, work_s: float) -> Receiver:
        free_at = [0.0] * count

        def respond(now: float, at: int, event: int) -> tuple[float, Signal]:
            worker = min(range(count), key=free_at.__getitem__)
            free_at[worker] = max(now, free_at[worker]) + work_s
            return free_at[worker] - now + 0.001, TAKEN

        return respond

    def rate_limited(self, per_s: float) -> Receiver:
        tokens, token_at = [max(per_s, 1.0)], [0.0]

        def respond(now: float, at: int, event: int) -> tuple[float, Signal]:
            tokens[0] = min(max(per_s, 1.0), tokens[0] + (now - token_at[0]) * per_s)
            token_at[0] = now
            if tokens[0] < 1:
                return 0.01, TOO_MANY
            tokens[0] -= 1
            return 0.03, TAKEN

        return respond

    def spaced(self, per_s: float) -> Receiver:
        """Refuse a request that comes too soon after the last one, like nginx without a burst."""
        taken_at = [-1.0]

        def respond(now: float, at: int, event: int) -> tuple[float, Signal]:
            if now - taken_at[0] < 0.98 / per_s:
                return 0.003, TOO_MANY
            taken_at[0] = now
            return 0.01, TAKEN

        return respond

    def changing(self, first: Receiver, at_s: float, then: Receiver) -> Receiver:
        return lambda now, at, event: (first if now < at_s else then)(now, at, event)
