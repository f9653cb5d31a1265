"""The events: what came in, the newest first, and what became of each."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import ClassVar, Final

from textual.app import ComposeResult

from hooktui.client import calls
from hooktui.console.base import Changes
from hooktui.console.clipboard import copy
from hooktui.console.event_words import event_columns
from hooktui.console.filtering import Filtering
from hooktui.console.times import counted
from hooktui.console.widgets.painted import Piece, Pieces
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.filters import parse_event_filter
from hooktui.domain.objects import Event, Page

BUSY_S: Final = 1.0
"""While events come in, the list is read again this often, not for each one."""

TIMES_S: Final = 15.0
"""Between two looks whether a clock time needs its date by now."""

_EMPTY: Final[tuple[Pieces, ...]] = (
    (("  No events yet.", "strong"),),
    (),
    (("  An event is something that happened, such as a job that failed. It goes to", "quiet"),),
    (("  each hook that asks for its type; here stands what came in and where it went.", "quiet"),),
    (),
    (("  E", "accent"), ("  sends one, with a sample to begin with", "plain")),
    (("  Programs send them by `hooktui emit` or POST /v1/events/TYPE.", "quiet"),),
)  # fmt: skip
_NOTHING_FITS: Final[tuple[Pieces, ...]] = (
    (("  No event fits the filter.", "plain"),),
    (("  Esc", "accent"), ("  shows all events again", "plain")),
)


class EventsScreen(Filtering):
    """All events of the account."""

    PLACE = "Events"
    VERBS: ClassVar[tuple[str, ...]] = ("open", "emit", "filter", "copy", "order")
    FILTER_HINT = "such as event:job.* since:1h until:10m data.cluster_id:52 disk"

    def __init__(self) -> None:
        super().__init__()
        self._read_at = 0.0

    def compose_body(self) -> ComposeResult:
        """The list."""
        house = self.house
        # Kept, not looked up: a page may come in while the screen is being taken away.
        self._listing = WindowedList(
            event_columns(house.signs, house.clock),
            self,
            lambda event: event.id,
            empty=_EMPTY,
            markable=False,
            sort="id",
            descending=True,
            signs=house.signs,
            id="events",
        )
        yield self._listing

    def on_mount(self) -> None:
        """Load the list."""
        super().on_mount()
        self.set_interval(TIMES_S, self.listing.refresh_times)
        self.run_worker(self.listing.load(), name="load")

    @property
    def listing(self) -> WindowedList[Event]:
        """The list of events."""
        return self._listing

    async def page(
        self,
        *,
        cursor: str | None,
        limit: int,
        from_end: bool,
        sort: str | None,
        descending: bool,
    ) -> Page[Event]:
        """Return a page of events."""
        return await self.ask(
            calls.list_events(
                self.house.account,
                q=self.filter_text or None,
                cursor=cursor,
                limit=limit,
                from_end=from_end,
                sort=sort,
                order="desc" if descending else "asc",
            )
        )

    async def changed(self, changes: Changes) -> None:
        """Show what came in, not more than once a second."""
        if not (changes.events or changes.deliveries or changes.everything):
            return
        if not changes.everything:
            await asyncio.sleep(max(self._read_at + BUSY_S - monotonic(), 0))
        self._read_at = monotonic()
        await self.listing.reload()

    def on_windowed_list_moved(self) -> None:
        """Draw the counts, and what depends on the row under the cursor."""
        self.refresh_frame()

    def on_windowed_list_failed(self, message: WindowedList.Failed) -> None:
        """Say why there are no rows."""
        self.show_error(message.error)

    def heading(self) -> tuple[Pieces, Pieces]:
        """Return how many events there are, and the filter."""
        left: list[Piece] = [(f" {self.PLACE}", "strong")]
        if self.listing.loaded:
            about = "about " if self.listing.window.estimated else ""
            left.append((f"  {about}{counted(self.listing.window.total, 'event')}", "plain"))
        if self.filter_text:
            left.append((f" {self.house.signs.dot} filter: {self.filter_text}", "accent"))
        return left, self.house.places(self.PLACE)

    # -- the filter

    def check_filter(self, text: str) -> None:
        """Refuse what is no filter of events."""
        parse_event_filter(text)

    def filtered(self) -> None:
        """Load what fits."""
        self.listing.empty = _NOTHING_FITS if self.filter_text else _EMPTY
        self.run_worker(self.listing.load(), group="filter", exclusive=True)

    def give_keys_back(self) -> None:
        """Go back to the list."""
        self.listing.focus()

    # -- verbs

    def why_not(self, name: str) -> str | None:
        """Add: nothing is under the cursor."""
        reason = super().why_not(name)
        if reason is not None or name not in ("open", "copy") or not self.is_mounted:
            return reason
        return None if self.listing.selected else "there is no event under the cursor; E sends one"

    def verb_open(self) -> None:
        """Open the event under the cursor."""
        self.listing.action_open()

    def on_windowed_list_opened(self) -> None:
        """Open the event that was chosen."""
        row = self.listing.cursor_row
        if row is not None:
            self.house.open_event(row.id)

    def verb_emit(self) -> None:
        """Send an event."""
        self.house.open_emit()

    async def verb_copy(self) -> None:
        """Copy the event's id."""
        row = self.listing.cursor_row
        if row is not None:
            self.notice(await copy(self.app, row.id, "the event's id"), "good")

    def verb_order(self) -> None:
        """Turn the order round."""
        turned = not self.listing.window.descending
        work = self.listing.sort_by("id", descending=turned)
        self.run_worker(work, group="sort", exclusive=True)
        self.notice("newest first" if turned else "oldest first")

    def verb_back(self) -> None:
        """Take the filter away, then leave."""
        if self.filter_text:
            self.take_filter("")
        else:
            super().verb_back()
