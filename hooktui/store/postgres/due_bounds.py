"""Where claims start to search, so that they skip what was claimed before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from hooktui.domain.ids import HookId
from hooktui.store.contract import CommitNotice

LOOK_UP_EVERY_S: Final = 5.0
"""The longest time that a due delivery below a bound is missed."""

_Position = tuple[int, int]
"""A position in the order of claims: due time (ms) and id."""


@dataclass(slots=True)
class ClaimStart:
    """Where a claim of a hook starts to search.

    Attributes:
        first: the position among first tries.
        again: the position among retries.
        in_line: the id, if the hook is ordered.
    """

    first: _Position = (0, 0)
    again: _Position = (0, 0)
    in_line: int = 0

    def lower(self, due_ms: int) -> None:
        """Start at a due time at the latest; ids of ordered deliveries only grow."""
        self.first = min(self.first, (due_ms, 0))
        self.again = min(self.again, (due_ms, 0))


@dataclass(slots=True)
class _Bound:
    looked_up_s: float
    start: ClaimStart = field(default_factory=ClaimStart)
    hint_ms: int | None = None


class DueBounds:
    """Lower bounds of the due deliveries of each hook, so that claims skip what was claimed before.

    PostgreSQL keeps index entries of claimed deliveries until a vacuum, and longer beside an open
    snapshot. A bound is a guess: hints of earlier due times lower it, and every
    `LOOK_UP_EVERY_S` a claim searches from the beginning. One claim transaction runs at a time.
    """

    def __init__(self) -> None:
        self._bounds: dict[HookId, _Bound] = {}

    def begin(self, hook: HookId, now_s: float) -> ClaimStart:
        """Return a copy of the bound for a claim, which moves it and passes it to `commit`."""
        bound = self._bounds.get(hook)
        if bound is None or now_s - bound.looked_up_s >= LOOK_UP_EVERY_S:
            bound = self._bounds[hook] = _Bound(now_s)
        bound.hint_ms = None
        return replace(bound.start)

    def commit(self, hook: HookId, end: ClaimStart) -> None:
        """Start the next claim where a committed one ended, or at an earlier hint since."""
        bound = self._bounds.get(hook)
        if bound is not None:
            bound.start = end
            if bound.hint_ms is not None:
                end.lower(bound.hint_ms)

    def start_of(self, hook: HookId, now_s: float) -> ClaimStart:
        """Return the current bound; the beginning if the last look-up is too old."""
        bound = self._bounds.get(hook)
        if bound is None or now_s - bound.looked_up_s >= LOOK_UP_EVERY_S:
            return ClaimStart()
        return bound.start

    def lower(self, notice: CommitNotice) -> None:
        """Lower bounds to hints; forget those of hooks that were changed or deleted."""
        for hook, due_ms in notice.due.items():
            bound = self._bounds.get(hook)
            if bound is not None:
                bound.start.lower(due_ms)
                bound.hint_ms = due_ms if bound.hint_ms is None else min(due_ms, bound.hint_ms)
        for hook in notice.hooks_changed:
            self._bounds.pop(hook, None)
