"""The deliveries in flight that replays started, and their failures in a row by hook."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from hooktui.domain.deliveries import Outcome
from hooktui.domain.ids import DeliveryId, HookId
from hooktui.store.contract import AttemptResult, ClaimedDelivery


class ReplayedDeliveries:
    """Counts deliveries from their start by a replay to the result of that attempt, by hook.

    A hook is in at most one unfinished replay, so one count for each hook is enough.

    Attributes:
        ended_event: set when one of them ended.
    """

    def __init__(self) -> None:
        self.ended_event = asyncio.Event()
        self._deliveries: set[DeliveryId] = set()
        self._in_flight: Counter[HookId] = Counter()
        self._failures: Counter[HookId] = Counter()

    def of_hook(self, hook: HookId) -> int:
        """Return how many of a hook are in flight."""
        return self._in_flight[hook]

    def failures(self, hook: HookId) -> int:
        """Return how many attempts of a hook failed in a row."""
        return self._failures[hook]

    def forget_failures(self, hook: HookId) -> None:
        """Count the failures of a hook from zero."""
        self._failures.pop(hook, None)

    def started(self, claims: Iterable[ClaimedDelivery]) -> None:
        """Note deliveries that a replay started."""
        for claim in claims:
            self._deliveries.add(claim.delivery)
            self._in_flight[claim.hook] += 1

    def ended(self, results: Iterable[AttemptResult]) -> None:
        """Note the results of attempts; most are of other deliveries."""
        if not self._deliveries:
            return
        for result in results:
            if not self._end(result.claim):
                continue
            if result.decision.outcome is Outcome.FAILED:
                self._failures[result.claim.hook] += 1
            elif result.decision.outcome is Outcome.DELIVERED:
                self.forget_failures(result.claim.hook)

    def returned(self, claims: Iterable[ClaimedDelivery]) -> None:
        """Note deliveries that return to the store without an attempt."""
        if self._deliveries:
            for claim in claims:
                self._end(claim)

    def _end(self, claim: ClaimedDelivery) -> bool:
        """Remove a delivery that is no longer in flight; return whether a replay started it."""
        if claim.delivery not in self._deliveries:
            return False
        self._deliveries.remove(claim.delivery)
        self._in_flight[claim.hook] -= 1
        if not self._in_flight[claim.hook]:
            del self._in_flight[claim.hook]
        self.ended_event.set()
        return True
