"""Which events are ticked: the rules of the grouped three-state boxes, without any widget.

A group's box is ticked exactly when the subscription names the group itself, so that its future
types come too; ticking every type one by one is not the same and stays "some".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from hooktui.domain.wire.events import Catalogue, EventGroup


class Tick(Enum):
    """The state of a box."""

    NONE = " "
    SOME = "-"
    ALL = "x"


@dataclass(frozen=True, slots=True)
class EventSelection:
    """A subscription that is being edited; every change returns a new one.

    Attributes:
        catalogue: what can be chosen.
        groups: groups subscribed to as such.
        types: types named one by one; none of them in a group of ``groups``.
        unknown: names the catalogue does not have (any more), in the order they came.
    """

    catalogue: Catalogue
    groups: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()

    @classmethod
    def of(cls, catalogue: Catalogue, events: Iterable[str]) -> EventSelection:
        """Return the boxes that a subscription ticks."""
        wanted = dict.fromkeys(events)
        groups = frozenset(g.id for g in catalogue.groups if g.id in wanted)
        covered = {t.id for g in catalogue.groups if g.id in groups for t in g.types}
        known = {t.id for g in catalogue.groups for t in g.types}
        names = {g.id for g in catalogue.groups} | known
        return cls(
            catalogue,
            groups,
            frozenset(known & wanted.keys()) - covered,
            tuple(name for name in wanted if name not in names),
        )

    @property
    def events(self) -> tuple[str, ...]:
        """The subscription in its normal form, as ``domain.catalogue.normalise`` gives it."""
        result: list[str] = []
        for group in self.catalogue.groups:
            if group.id in self.groups:
                result.append(group.id)
            else:
                result += [t.id for t in group.types if t.id in self.types]
        return (*result, *self.unknown)

    def group_tick(self, group: EventGroup) -> Tick:
        """Return the state of a group's box."""
        if group.id in self.groups:
            return Tick.ALL
        return Tick.SOME if any(t.id in self.types for t in group.types) else Tick.NONE

    def ticked(self, event_type: str) -> bool:
        """Return whether a type is covered, by itself or by its group."""
        return (
            event_type in self.types
            or event_type in self.unknown
            or any(t.id == event_type for g in self._whole_groups() for t in g.types)
        )

    def toggle_group(self, group_id: str) -> EventSelection:
        """Tick a group with all it has and will have; untick one that is ticked."""
        own = {t.id for g in self.catalogue.groups if g.id == group_id for t in g.types}
        groups = self.groups ^ {group_id}
        return replace(self, groups=groups, types=self.types - own)

    def toggle_type(self, event_type: str) -> EventSelection:
        """Tick or untick one type; a ticked group falls apart into its other types."""
        if event_type in self.unknown:
            left = tuple(name for name in self.unknown if name != event_type)
            return replace(self, unknown=left)
        for group in self._whole_groups():
            own = frozenset(t.id for t in group.types)
            if event_type in own:
                return replace(
                    self,
                    groups=self.groups - {group.id},
                    types=self.types | (own - {event_type}),
                )
        return replace(self, types=self.types ^ {event_type})

    def _whole_groups(self) -> list[EventGroup]:
        return [g for g in self.catalogue.groups if g.id in self.groups]


def in_words(catalogue: Catalogue, events: Iterable[str]) -> str:
    """Return a subscription as a person says it: ``all job events and cluster.error``."""
    groups = {group.id for group in catalogue.groups}
    names = [f"all {name} events" if name in groups else name for name in events]
    if not names:
        return "no events"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
