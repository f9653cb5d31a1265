"""Grouped three-state check boxes for the events of a hook, designed for the keyboard.

A group's box is ticked if and only if the subscription contains the group itself, which includes
its future types; ticking every type individually is not the same, and the box stays "some". The
widget uses the Line API: moving the cursor repaints two lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from hooktui.console.registry import BY_NAME, cursor_after
from hooktui.console.widgets.controls import Rows
from hooktui.domain.text import visible
from hooktui.domain.wire.events import Catalogue, EventGroup


class Tick(Enum):
    """The state of a box."""

    NONE = " "
    SOME = "-"
    ALL = "x"


@dataclass(frozen=True, slots=True)
class EventSelection:
    """Subscription for editing; it is immutable, and every change returns a new one.

    Attributes:
        catalogue: groups and types to choose from.
        groups: subscribed groups.
        types: individually subscribed types; none of them in a group of ``groups``.
        unknown: names that are not, or no longer, in the catalogue, in their original order.
    """

    catalogue: Catalogue
    groups: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()

    @classmethod
    def of(cls, catalogue: Catalogue, events: Iterable[str]) -> EventSelection:
        """Return the selection that corresponds to a subscription."""
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
        """The subscription in its normal form, as ``domain.catalogue.normalise`` returns it."""
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
        """Return whether a type is subscribed, individually or by its group."""
        return (
            event_type in self.types
            or event_type in self.unknown
            or any(t.id == event_type for g in self._whole_groups() for t in g.types)
        )

    def toggle_group(self, group_id: str) -> EventSelection:
        """Tick a group with all its present and future types, or untick a ticked one."""
        own = {t.id for g in self.catalogue.groups if g.id == group_id for t in g.types}
        groups = self.groups ^ {group_id}
        return replace(self, groups=groups, types=self.types - own)

    def toggle_type(self, event_type: str) -> EventSelection:
        """Tick or untick one type; a ticked group is replaced by its other types."""
        if event_type in self.unknown:
            left = tuple(name for name in self.unknown if name != event_type)
            return replace(self, unknown=left)
        for group in self._whole_groups():
            own = frozenset(t.id for t in group.types)
            if event_type in own:
                return replace(
                    self, groups=self.groups - {group.id}, types=self.types | (own - {event_type})
                )
        return replace(self, types=self.types ^ {event_type})

    def _whole_groups(self) -> list[EventGroup]:
        return [g for g in self.catalogue.groups if g.id in self.groups]


def subscription_words(catalogue: Catalogue, events: Iterable[str]) -> str:
    """Return a subscription as a phrase: ``all job events and cluster.error``."""
    groups = {group.id for group in catalogue.groups}
    names = [f"all {name} events" if name in groups else name for name in events]
    if not names:
        return "no events"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


@dataclass(frozen=True, slots=True)
class _Row:
    """One line: a group (``event_type`` is None) or a type (``group`` is None if it is unknown)."""

    group: EventGroup | None
    event_type: str | None
    name: str
    description: str


def _rows(selection: EventSelection) -> list[_Row]:
    rows = []
    for group in selection.catalogue.groups:
        explained = f"{group.id}: all types below and future ones"
        rows.append(_Row(group, None, f"All {group.name} Notifications", explained))
        rows += [_Row(group, t.id, t.name, t.description) for t in group.types]
    gone = "no longer in this server's catalogue"
    rows += [_Row(None, name, name, gone) for name in selection.unknown]
    return rows


class EventBoxes(Rows[_Row]):
    """Check boxes for event types in their groups.

    A group's box is ``[x]`` if the hook subscribes to the group itself, ``[-]`` if to some of its
    types, ``[ ]`` if to none.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(BY_NAME["mark"].keys, "open", "tick", show=False, id=BY_NAME["mark"].id),
    ]

    class Changed(Message):
        """Posted when the subscription has changed."""

    def __init__(self, catalogue: Catalogue, events: Iterable[str] = ()) -> None:
        self.selection = EventSelection.of(catalogue, events)
        super().__init__(_rows(self.selection), id="events")

    @property
    def events(self) -> tuple[str, ...]:
        """The subscription in its normal form; empty when nothing is ticked."""
        return self.selection.events

    def show(self, catalogue: Catalogue, events: Iterable[str]) -> None:
        """Replace catalogue and subscription, for example when the server's catalogue is loaded."""
        self.selection = EventSelection.of(catalogue, events)
        self.show_rows(_rows(self.selection))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Render one box."""
        if y >= len(self.rows):
            return self.strip((), self.size.width)
        row = self.rows[y]
        tick = self._tick(row)
        in_group = row.event_type is not None and row.group is not None
        indent = "  " if in_group else ""
        # Group names are long and bold; only type names determine the column of descriptions.
        types = (cell_len(visible(r.name)) for r in self.rows if r.event_type)
        name = visible(row.name)
        if in_group:
            name = set_cell_size(name, max(types, default=0))
        over = None
        if y == self.cursor:
            over = self.tone("cursor" if self.has_focus else "blurred")
        return self.strip(
            (
                (f"{indent}[{tick.value}] ", "plain" if tick is Tick.NONE else "good"),
                (name, "plain" if in_group else "strong"),
                (f"  {row.description}", "quiet"),
            ),
            self.size.width,
            over,
        )

    def action_move(self, name: str) -> None:
        """Move the cursor as in a list; the form scrolls with it."""
        form = self.parent if isinstance(self.parent, Widget) else self
        page = max(1, form.size.height - 1)
        self.move_to(cursor_after(name, self.cursor, count=len(self.rows), page=page))

    def action_open(self) -> None:
        """Tick or untick the box under the cursor."""
        if not self.rows:
            return
        row = self.rows[self.cursor]
        if row.event_type is not None:
            self.selection = self.selection.toggle_type(row.event_type)
        elif row.group is not None:
            self.selection = self.selection.toggle_group(row.group.id)
        if row.group is None:
            self.show_rows(_rows(self.selection))
        self.refresh()
        self.post_message(self.Changed())

    def on_focus(self) -> None:
        """Scroll to the box under the cursor, also if the form was scrolled elsewhere."""
        self._scroll_to_cursor()

    def move_to(self, target: int) -> None:
        """Move the cursor to a box, and scroll the form to it."""
        super().move_to(target)
        self._scroll_to_cursor()

    def _scroll_to_cursor(self) -> None:
        container = self.parent
        if isinstance(container, Widget) and container.is_scrollable:
            top = self.virtual_region.y + self.cursor
            container.scroll_to_region(Region(0, top, 1, 1), animate=False, x_axis=False)

    def _tick(self, row: _Row) -> Tick:
        if row.event_type is None:
            return self.selection.group_tick(row.group) if row.group else Tick.NONE
        return Tick.ALL if self.selection.ticked(row.event_type) else Tick.NONE
