"""Grouped three-state check boxes for the events of a hook, made for the keyboard.

Drawn line by line (Line API): a key repaints two lines. The rules are `EventSelection`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.cells import cell_len, set_cell_size
from textual import events as textual_events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from hooktui.console.keys import BY_NAME, move_bindings
from hooktui.console.widgets.event_selection import EventSelection, Tick
from hooktui.console.widgets.painted import Painted, Tone
from hooktui.domain.text import visible
from hooktui.domain.wire.events import Catalogue, EventGroup

_NAME_TONES: Final[dict[bool, Tone]] = {True: "plain", False: "strong"}
"""A type's name, and a group's."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One line: a group (``event_type`` is None) or a type; without a group a name long gone."""

    group: EventGroup | None
    event_type: str | None
    name: str
    description: str


def _rows(selection: EventSelection) -> list[_Row]:
    rows = []
    for group in selection.catalogue.groups:
        explained = f"{group.id}: all below, and types that come later"
        rows.append(_Row(group, None, f"All {group.name} Notifications", explained))
        rows += [_Row(group, t.id, t.name, t.description) for t in group.types]
    gone = "not in this server's catalogue any more"
    rows += [_Row(None, name, name, gone) for name in selection.unknown]
    return rows


class EventBoxes(Painted, can_focus=True):
    """Check boxes for event types in their groups.

    A group's box is ``[x]`` when the hook subscribes to the group itself, ``[-]`` when to some of
    its types, ``[ ]`` when to none.
    """

    DEFAULT_CSS = "EventBoxes { height: auto; width: 1fr; }"

    BINDINGS: ClassVar[list[BindingType]] = [
        *move_bindings(),
        Binding(BY_NAME["mark"].keys, "open", "tick", show=False, id=BY_NAME["mark"].id),
    ]

    class Changed(Message):
        """The subscription is another one now."""

        def __init__(self, boxes: EventBoxes) -> None:
            super().__init__()
            self.boxes = boxes

        @property
        def control(self) -> EventBoxes:
            """The boxes that changed."""
            return self.boxes

    def __init__(
        self,
        catalogue: Catalogue,
        events: Iterable[str] = (),
        *,
        id: str | None = None,  # noqa: A002 - Textual's word
    ) -> None:
        super().__init__(id=id)
        self.selection = EventSelection.of(catalogue, events)
        self._shown_rows = _rows(self.selection)
        self.cursor = 0

    @property
    def events(self) -> tuple[str, ...]:
        """The subscription in its normal form; empty when nothing is ticked."""
        return self.selection.events

    def show(self, catalogue: Catalogue, events: Iterable[str]) -> None:
        """Replace catalogue and subscription, such as when the server's answer arrives."""
        self.selection = EventSelection.of(catalogue, events)
        self._shown_rows = _rows(self.selection)
        self.cursor = min(self.cursor, max(0, len(self._shown_rows) - 1))
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One line for each box."""
        return max(1, len(self._shown_rows))

    def render_line(self, y: int) -> Strip:
        """Draw one box."""
        if not 0 <= y < len(self._shown_rows):
            return self.strip((), self.size.width)
        row = self._shown_rows[y]
        tick = self._tick(row)
        in_group = row.event_type is not None and row.group is not None
        indent = "  " if in_group else ""
        # Groups have long names and stand out; only types make the column of descriptions.
        types = (cell_len(visible(r.name)) for r in self._shown_rows if r.event_type)
        name = visible(row.name)
        if in_group:
            name = set_cell_size(name, max(types, default=0))
        over = None
        if y == self.cursor:
            over = self.tone("cursor" if self.has_focus else "blurred")
        return self.strip(
            (
                (f"{indent}[{tick.value}] ", "plain" if tick is Tick.NONE else "good"),
                (name, _NAME_TONES[in_group]),
                (f"  {row.description}", "quiet"),
            ),
            self.size.width,
            over,
        )

    def action_move(self, name: str) -> None:
        """Move the cursor by one of the house's moves; the form scrolls along."""
        last = max(0, len(self._shown_rows) - 1)
        page = max(1, self._form_height() - 1)
        target = {
            "up": self.cursor - 1,
            "down": self.cursor + 1,
            "page_up": self.cursor - page,
            "page_down": self.cursor + page,
            "first": 0,
            "last": last,
        }[name]
        self._move_to(max(0, min(last, target)))

    def action_open(self) -> None:
        """Tick or untick the box under the cursor."""
        if not self._shown_rows:
            return
        row = self._shown_rows[self.cursor]
        if row.event_type is not None:
            self.selection = self.selection.toggle_type(row.event_type)
        elif row.group is not None:
            self.selection = self.selection.toggle_group(row.group.id)
        if row.group is None:
            self._shown_rows = _rows(self.selection)
            self.cursor = min(self.cursor, len(self._shown_rows) - 1)
            self.refresh(layout=True)
        self.refresh()
        self.post_message(self.Changed(self))

    def on_click(self, event: textual_events.Click) -> None:
        """Tick the box of the line that was clicked."""
        offset = event.get_content_offset(self)
        if offset is not None and offset.y < len(self._shown_rows):
            self._move_to(offset.y)
            self.action_open()

    def on_blur(self) -> None:
        """Draw the cursor as one that does not take keys."""
        self.refresh()

    def on_focus(self) -> None:
        """Show the box under the cursor, also when the form was scrolled elsewhere."""
        self.refresh()
        self._scroll_to_cursor()

    def _move_to(self, target: int) -> None:
        before, self.cursor = self.cursor, target
        width = self.size.width
        self.refresh(Region(0, before, width, 1), Region(0, target, width, 1))
        self._scroll_to_cursor()

    def _scroll_to_cursor(self) -> None:
        container = self.parent
        if isinstance(container, Widget) and container.is_scrollable:
            top = self.virtual_region.y + self.cursor
            container.scroll_to_region(Region(0, top, 1, 1), animate=False, x_axis=False)

    def _form_height(self) -> int:
        return self.parent.size.height if isinstance(self.parent, Widget) else self.size.height

    def _tick(self, row: _Row) -> Tick:
        if row.event_type is None:
            return self.selection.group_tick(row.group) if row.group else Tick.NONE
        return Tick.ALL if self.selection.ticked(row.event_type) else Tick.NONE
