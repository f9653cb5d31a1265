"""Screen of the deliveries of all hooks of the account, newest first."""

from __future__ import annotations

from collections.abc import Sequence

from hooktui.client import calls
from hooktui.console.deliveries.actions import DeliveryActions
from hooktui.console.deliveries.columns import delivery_columns
from hooktui.console.deliveries.delivery_rows import DELIVERY_COMMANDS, DeliveryRows
from hooktui.console.frame.bulk import BulkRunner
from hooktui.console.frame.frame_text import introduction
from hooktui.console.frame.list_screen import ListScreen
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.table import Column
from hooktui.domain.filters.parser import TERMS, parse
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.pages import Page


class DeliveriesScreen(ListScreen[Delivery]):
    """List of all deliveries of the account.

    Args:
        filter_text: the initial filter; empty: the filter of the last visit.
    """

    HEADING = "Deliveries"
    NOUN = "delivery"
    ROW_COMMANDS = DELIVERY_COMMANDS
    MARKABLE = True
    rows: DeliveryRows
    FILTER_TERMS = TERMS
    FILTER_HINT = "such as status:undelivered hook:3 code:5xx event:job.* since:10m"
    NEWEST_FIRST = True
    FOLLOWS = ("deliveries",)
    BUSY_S = 1.0  # at most once a second, not for each delivery
    COMMAND_NAMES = (
        "open", "resend", "cancel", "replay", "filter", "mark", "mark_all", "copy", "order",
        "next", "emit",
    )  # fmt: skip

    def __init__(self, filter_text: str = "") -> None:
        super().__init__(filter_text)
        opens = self.on_row(lambda delivery: self.shell.navigation.open_delivery(delivery.id))
        self.handlers.update(open=opens, copy=self.copy, emit=self.emit, replay=self.replay)
        bulk = BulkRunner(self)
        actions = DeliveryActions(self, self.selected, bulk, rows=self.rows)
        self.parts = (bulk, actions, *self.parts)

    def chosen_rows(self) -> DeliveryRows:
        """Return the part of the rows that commands act on."""
        return DeliveryRows(self, self.filter)

    def columns(self) -> Sequence[Column[Delivery]]:
        """Return the columns."""
        shell = self.shell
        return delivery_columns(shell.glyphs, shell.clock, shell.account.name_of)

    def call_of(self, query: PageQuery) -> calls.Call[Page[Delivery]]:
        """Return the call that lists the deliveries that match the filter."""
        return calls.list_deliveries(self.shell.account.number, q=self.filter.text or None, **query)

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Return the text of an empty list, or of a filter without matches."""
        if self.filter.text:
            return self.no_match("No delivery matches the filter.", "all deliveries")
        return introduction(
            "No deliveries yet.",
            "One appears here for each hook that an event is sent to.",
            (self.usable_key("emit"), "sends an event"),
        )

    def more_heading(self) -> StyledLine:
        """Return the number of marked rows, and the filter, which may be cut."""
        return (*self.rows.heading(), *super().more_heading())

    # -- the filter

    def check_filter(self, text: str) -> object:
        """Check that a text is a valid filter of deliveries."""
        return parse(text)

    def filter_changed(self) -> None:
        """Undo "mark all", and load the deliveries that match the new filter."""
        self.rows.clear()
        super().filter_changed()

    # -- commands

    def selected(self) -> Sequence[Delivery]:
        """Return the marked deliveries, or the one under the cursor."""
        return self.listing.selected if self.is_mounted else []

    def back(self) -> None:
        """Unmark all rows, then remove a filter that was typed, then close the screen."""
        if not self.listing.clear_marks():
            super().back()
