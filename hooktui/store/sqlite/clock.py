"""Moves the ends of waits when the wall clock is set, so that all waits keep their length.

Times in the database are the wall clock's because people read them. If it were set back by three
hours, a retry due in 5 seconds would wait three hours longer; if it were set forward, all leases
and waits would be over. A monotonic clock shows how far the wall clock was set, and the next
transaction first moves all due times, leases, snoozes and overlaps of secrets by as much.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from hooktui.domain.alerts import AlertState
from hooktui.domain.clock import format_duration
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.ids import AccountId, DeliveryId, HookId
from hooktui.store.clock_trust import ClockTrust
from hooktui.store.feed_items import DeliveryState, alert_item, delivery_item
from hooktui.store.sqlite import sql
from hooktui.store.sqlite.transaction import WriteTransaction

_log = logging.getLogger(__name__)

TOLERATED_MS = 1000
"""Time services slew a clock by 7 ms between checks (500 ppm for 15 s); a leap second is 1 s."""
_UNSURE_MS = 50  # a process stopped between reading both clocks would see a jump
_MAX_REPORTED = 10_000  # deliveries reported in the feed; lists show a longer backlog


class ClockJumps:
    """Compares a wall clock with a monotonic one.

    Args:
        wall: milliseconds since the epoch, by a clock that may be set.
        steady: monotonic milliseconds; None: the wall clock is never set.
        last_seen_ms: the wall clock's time when the store was last written, 0: never written.

    Attributes:
        moved_ms: how far the clock was set and the due times were not moved yet.
        trust: whether the clock may be trusted for deletion by age.
    """

    def __init__(
        self, wall: Callable[[], int], steady: Callable[[], int] | None, last_seen_ms: int
    ) -> None:
        self._wall = wall
        self._steady = steady or wall
        self._ahead_ms = wall() - self._steady()
        self.trust = ClockTrust(self._steady)
        # Time may have passed while no server was running, but it never went back.
        away_ms = wall() - last_seen_ms if last_seen_ms else 0
        self.moved_ms = away_ms if away_ms <= -TOLERATED_MS else 0
        self.trust.gap_observed(away_ms)

    def now_ms(self) -> int:
        """Return the wall clock's time, and detect whether it was set since the last call."""
        before = self._steady()
        now = self._wall()
        after = self._steady()
        if after - before < _UNSURE_MS:
            moved, self._ahead_ms = now - after - self._ahead_ms, now - after
            if abs(moved) >= TOLERATED_MS:
                self._jumped(moved)
        return now

    def _jumped(self, moved_ms: int) -> None:
        self.moved_ms += moved_ms
        way = "forward" if moved_ms > 0 else "back"
        by = format_duration(abs(moved_ms) / 1000)
        _log.warning("the clock was set %s by %s; due times move along", way, by)
        self.trust.clock_set(moved_ms)


def move_along(work: WriteTransaction) -> None:
    """Move the ends of all waits by as much as the clock was set.

    These are due times, leases, snoozes, the overlaps of secrets, and the start of failures.
    """
    moved_ms, reported = work.clock_moved_ms, 0
    was_ms = work.now_ms - moved_ms
    work.raw.execute(sql.MOVE_LEASES, (moved_ms,))
    work.raw.execute(sql.MOVE_REPLAY_LEASES, (moved_ms,))
    # What is not of the future was counted before the clock was wrong.
    work.raw.execute(sql.MOVE_FAILURES, (moved_ms, 0 if moved_ms > 0 else work.now_ms))
    for alert, account in work.raw.execute(sql.FIND_SNOOZES, (was_ms,)):
        snoozed = AlertState.SNOOZED.value
        work.notes.feed.append(alert_item(AccountId(account), alert, snoozed))
    work.raw.execute(sql.MOVE_SNOOZES, (moved_ms, was_ms))
    _move_overlaps(work, was_ms)
    for hook in work.live.view:
        for move, find in (
            (sql.MOVE_FIRST_TRIES, sql.FIND_MOVED_FIRST_TRIES),
            (sql.MOVE_RETRIES, sql.FIND_MOVED_RETRIES),
        ):
            if not work.raw.execute(move, (moved_ms, hook)).rowcount:
                continue
            reported += _report_moved(work, hook, find, max(_MAX_REPORTED - reported, 1))


def _report_moved(work: WriteTransaction, hook: HookId, find: str, max_rows: int) -> int:
    """Add the deliveries that moved to the feed, and mark the hook due; return how many."""
    moved = work.raw.execute(find, (hook, max_rows)).fetchall()
    for delivery, account, attempts, due_ms, duration_ms, reason in moved:
        state = DeliveryState(
            DeliveryStatus.PENDING.value, attempts, due_ms, None, duration_ms, reason
        )
        work.notes.feed.append(delivery_item(AccountId(account), hook, DeliveryId(delivery), state))
        work.notes.mark_due(hook, due_ms)
    return len(moved)


def _move_overlaps(work: WriteTransaction, was_ms: int) -> None:
    """Move the ends of the overlaps, and reload their hooks.

    A hook that was loaded by a clock far ahead has only its newest secret.
    """
    work.raw.execute(sql.MOVE_OVERLAPS, (work.clock_moved_ms, was_ms))
    found = work.raw.execute(sql.FIND_OVERLAPS, (work.now_ms,)).fetchall()
    work.notes.hooks_changed.update(HookId(hook) for (hook,) in found if hook in work.live.view)
