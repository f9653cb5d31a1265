"""Screen of the received events with the state of their deliveries, newest first."""

from __future__ import annotations

from collections.abc import Sequence

from hooktui.client import calls
from hooktui.console.events.text import event_columns
from hooktui.console.frame.frame_text import introduction
from hooktui.console.frame.list_screen import ListScreen
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.table import Column
from hooktui.domain.filters.parser import EVENT_TERMS, parse_event_filter
from hooktui.domain.wire.events import Event
from hooktui.domain.wire.pages import Page


class EventsScreen(ListScreen[Event]):
    """List of all events of the account.

    Args:
        filter_text: the initial filter; empty: the filter of the last visit.
        note: text of the heading while that filter applies.
    """

    HEADING = "Events"
    NOUN = "event"
    ROW_COMMANDS = ("open", "copy")
    FILTER_TERMS = EVENT_TERMS
    FILTER_HINT = "such as event:job.* since:1h until:10m data.cluster_id:52 disk"
    NEWEST_FIRST = True
    FOLLOWS = ("events", "deliveries")
    BUSY_S = 1.0  # at most once a second, not for each event
    COMMAND_NAMES = ("open", "emit", "replay", "filter", "copy", "order")

    def __init__(self, filter_text: str = "", note: str = "") -> None:
        super().__init__(filter_text)
        self._notes = {filter_text: note}
        opens = self.on_row(lambda event: self.shell.navigation.open_event(event.id))
        self.handlers.update(open=opens, emit=self.emit, replay=self.replay, copy=self.copy)

    def columns(self) -> Sequence[Column[Event]]:
        """Return the columns."""
        return event_columns(self.shell.glyphs, self.shell.clock)

    def call_of(self, query: PageQuery) -> calls.Call[Page[Event]]:
        """Return the call that lists the events that match the filter."""
        return calls.list_events(self.shell.account.number, q=self.filter.text or None, **query)

    def check_filter(self, text: str) -> object:
        """Check that a text is a valid filter of events."""
        return parse_event_filter(text)

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Return the text of an empty list, or of a filter without matches."""
        if self.filter.text:
            return self.no_match("No event matches the filter.", "all events")
        return introduction(
            "No events yet.",
            "An event is something that happened, such as a job that failed. It",
            "goes to each hook that subscribes to its type. This list shows the",
            "received events and their deliveries.",
            "",
            (self.usable_key("emit"), "sends one, starting from a sample"),
            "Programs send them by `hooktui emit` or POST /v1/events/TYPE.",
        )

    def more_heading(self) -> StyledLine:
        """Return the note on the filter, and the filter."""
        note = self._notes.get(self.filter.text, "")
        noted: StyledLine = ((f" {self.shell.glyphs.dot} {note}", "plain"),) if note else ()
        return (*noted, *super().more_heading())

    # -- commands

    def row_hint(self) -> str:
        """Return the hint with the key that sends an event."""
        return f"{self.shell.key('emit')} sends one"
