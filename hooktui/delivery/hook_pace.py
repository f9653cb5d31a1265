"""The pace of a hook, as its queue shows it: the number in flight, and the limit."""

from __future__ import annotations

import logging
from typing import Final

from hooktui.delivery.hook_queue import HookQueue
from hooktui.domain.adaptive_limit import AdaptiveLimit
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.wire.hooks import HookPace, LimitedBy, LimitKind

LOG_EVERY_S: Final = 60.0
_CUT_S: Final = 10.0
"""How long after its begin a cut may still lower the limit: the longest window."""
_MIN_LOGGED: Final = 4
"""A cut of fewer in flight is not worth a line."""

_log = logging.getLogger(__name__)


def pace_of(queue: HookQueue, now_s: float, now_ms: int) -> HookPace:
    """Return the pace of a hook.

    Args:
        queue: of the hook.
        now_s: the time of the monotonic clock.
        now_ms: the same time since the epoch.
    """
    adaptive = queue.limit
    return HookPace(
        in_flight=queue.in_flight - queue.starting,
        in_flight_limit=queue.slots,
        limited_by=None if adaptive is None else _limited_by(adaptive, now_s, now_ms),
        overloads=0 if adaptive is None else adaptive.cuts,
    )


def is_noticeable(queue: HookQueue) -> bool:
    """Return whether a hook has attempts in flight, or a limit that was cut."""
    return queue.in_flight > 0 or (queue.limit is not None and queue.limit.cuts > 0)


def _limited_by(adaptive: AdaptiveLimit, now_s: float, now_ms: int) -> LimitedBy | None:
    rate, cut = adaptive.rate, adaptive.last_cut
    if rate.per_s is not None or rate.closed_until_s > now_s:
        return LimitedBy(kind=LimitKind.RATE, response="429", per_s=rate.per_s)
    if cut is not None:
        at = to_rfc3339(now_ms - round((now_s - cut.at_s) * 1000))
        return LimitedBy(
            kind=LimitKind.OVERLOAD, response=cut.cause, in_flight=cut.in_flight, at=at
        )
    if not adaptive.tolerated and not rate.tolerated:
        return None
    cause = adaptive.tolerated_cause or None
    if rate.tolerated:
        cause = None if adaptive.tolerated else "429"
    share = adaptive.tolerated + rate.tolerated
    return LimitedBy(kind=LimitKind.TOLERATED, response=cause, share=share)


def log_cut(queue: HookQueue, now_s: float) -> None:
    """Log the cut of a hook's limit by half or more, if it was just now: one line a minute."""
    cut = None if queue.limit is None else queue.limit.last_cut
    if cut is None or now_s - cut.at_s > _CUT_S or cut.in_flight < _MIN_LOGGED:
        return
    if 2 * queue.slots > cut.in_flight:
        return
    if queue.cut_logged_s is not None and now_s - queue.cut_logged_s < LOG_EVERY_S:
        return
    queue.cut_logged_s = now_s
    _log.warning(
        "hook %d: its receiver is overloaded (%s with %d in flight); at most %d at once now",
        queue.hook, cut.cause, cut.in_flight, queue.slots,
    )  # fmt: skip
