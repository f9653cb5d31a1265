"""Hook queues without an engine: the deliveries of reserved and claimed places come at once."""

from __future__ import annotations

from hooktui.delivery.hook_queue import HookQueue
from hooktui.delivery.hook_queues import HookQueues
from hooktui.domain.deliveries import Trigger
from hooktui.store.contract import ClaimedDelivery


def delivery_of(hook: int, number: int = 1) -> ClaimedDelivery:
    return ClaimedDelivery(number, 1, "job.failed", hook, 1, Trigger.EVENT, 1, 0, 0, b"{}")


class DrivenQueues(HookQueues):
    def reserve(self, hook: int, now_ms: int) -> bool:
        return super().reserve(hook, now_ms) and self.arrived(delivery_of(hook), now_ms)

    def finish_claim(self, queue: HookQueue, requested: int, claimed: int, now_ms: int) -> bool:
        for _ in range(claimed):
            self.arrived(delivery_of(queue.hook), now_ms)
        return super().finish_claim(queue, requested, claimed, now_ms)

    def end(self, hook: int, now_ms: int, took_ms: float | None = None) -> None:
        """End an attempt, also one whose claim is still in progress."""
        queue = self._find(hook)
        if queue is not None and queue.in_flight == queue.starting:
            self.arrived(delivery_of(hook), now_ms)
        self.finish_attempt(hook, now_ms, took_ms)

    def rows(self, now_ms: int) -> list[tuple[HookQueue, int]]:
        return [(turn.queue, turn.rows) for turn in self.take_ready(now_ms)]
