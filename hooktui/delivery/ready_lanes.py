"""The lanes that can start something, in the order in which they get the connections that are free.

Fewest in flight first, then who has waited longest: where connections are short, each hook gets one
before any gets a second. Lanes are grouped by the size of what they have in flight (0, 1, 2-3, 4-7,
...), so that adding, removing and choosing cost the same for ten thousand lanes as for ten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hooktui.delivery.lanes import Lane
    from hooktui.domain.ids import HookId

_GROUPS: Final = 8
NEVER: Final = _GROUPS
"""The group of an empty queue: after all others."""


class ReadyLanes:
    """A queue of lanes; a lane is in it once.

    Attributes:
        count: how many are in it.
    """

    __slots__ = ("_groups", "count")

    def __init__(self) -> None:
        self.count = 0
        self._groups: list[OrderedDict[HookId, Lane]] = [OrderedDict() for _ in range(_GROUPS)]

    def put(self, lane: Lane) -> None:
        """Add a lane behind those with as much in flight; it keeps its turn if it has one there."""
        number = min(lane.in_flight.bit_length(), _GROUPS - 1)
        if lane.queue is self and lane.group == number:
            return
        lane.leave_queue()
        self._groups[number][lane.hook] = lane
        self.count += 1
        lane.queue, lane.group = self, number

    def first_group(self) -> int:
        """Return the group of the lane that is next, ``NEVER`` when there is none."""
        for number, group in enumerate(self._groups):
            if group:
                return number
        return NEVER

    def pop(self) -> Lane:
        """Remove the lane that is next, and return it.

        Raises:
            IndexError: there is none.
        """
        _, lane = self._groups[self.first_group()].popitem(last=False)
        self.count -= 1
        lane.queue = None
        return lane

    def remove(self, lane: Lane) -> None:
        """Take a lane out that is in it."""
        del self._groups[lane.group][lane.hook]
        self.count -= 1
        lane.queue = None


def shared(wanted: Sequence[int], most: int) -> list[int]:
    """Return how many each gets of ``most``: what it wants if that is enough for all, else evenly.

    Nobody gets two more than another who wants more; who comes first gets what cannot be divided.
    """
    if sum(wanted) <= most:
        return list(wanted)
    given = [0] * len(wanted)
    while most:
        for place, count in enumerate(wanted):
            if most and given[place] < count:
                given[place] += 1
                most -= 1
    return given
