"""Selection of deliveries of a list: the marked ones, or all that match its filter."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hooktui.console.frame.chosen_rows import ChosenRows
from hooktui.console.frame.filtering import FilterPart
from hooktui.console.frame.parts import Handler
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.text import counted
from hooktui.domain.wire.deliveries import Delivery, DeliveryDetail

MAX_SINGLE: Final = 500
"""Maximum number of deliveries to mark one by one: a command needs one call for each."""


@dataclass(frozen=True, slots=True)
class Matching:
    """The deliveries that matched a filter at one point in time.

    Attributes:
        query: the filter, which includes the hook in the list of a hook; empty: all deliveries.
        until: that time (RFC 3339); later deliveries are not included.
        count: the number of deliveries.
        estimated: whether the count is an estimate.
    """

    query: str
    until: str
    count: int
    estimated: bool

    @property
    def words(self) -> str:
        """The number of deliveries as text."""
        return f"{'about ' if self.estimated else ''}{counted(self.count, 'delivery')}"


DELIVERY_COMMANDS: Final = ("resend", "cancel", "mark", "open", "copy")
"""Commands on the selected deliveries of a list."""


class DeliveryRows(ChosenRows):
    """The deliveries that commands act on: the chosen rows, or all that match the filter.

    ``active`` returns whether the list is visible; ``hint`` is that of `ChosenRows`.

    Attributes:
        hook: the hook of the list; None: the list has the deliveries of all hooks.
        all_matching: the deliveries that match, if all of them are selected.
    """

    def __init__(
        self,
        screen: ConsoleScreen,
        filter_part: FilterPart,
        *,
        hook: int | None = None,
        active: Callable[[], bool] = lambda: True,
        hint: Callable[[], str] = lambda: "",
    ) -> None:
        super().__init__(
            screen,
            "delivery",
            DELIVERY_COMMANDS,
            active=lambda: active() and self.all_matching is None,
            narrowed=lambda: bool(filter_part.text),
            hint=hint,
        )
        self.all_matching: Matching | None = None
        self.hook = hook
        self._filter, self._visible = filter_part, active

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers of "mark" and "mark all"; that of "back" while all are selected."""
        clears = self.all_matching is not None and self._visible()
        return {**super().handlers, "back": self.clear} if clears else super().handlers

    def mark_all(self) -> None:
        """Select all deliveries that match the filter now."""
        window = self.listing.window
        self.listing.clear_marks()
        if not window.total:
            self._screen.notice("there is no delivery to mark")
            return
        query = self._filter.text
        if self.hook is not None:
            query = f"hook:{self.hook} {query}".rstrip()
        until = to_rfc3339(self._screen.shell.clock())
        matching = self.all_matching = Matching(query, until, window.total, window.estimated)
        key = self._screen.shell.key
        self._screen.notice(
            f"all that match are marked ({matching.words}); {key('mark')} marks each of them,"
            f" {key('back')} unmarks"
        )
        self._screen.refresh_frame()

    def clear(self) -> None:
        """Undo the selection of all that match."""
        self.all_matching = None
        self._screen.refresh_frame()

    def unmark(self, done: Iterable[Delivery | DeliveryDetail]) -> None:
        """Unmark deliveries, so that a command that is repeated acts only on the rest."""
        self.listing.unmark(delivery.id for delivery in done)

    def mark(self) -> Coroutine[None, None, None] | None:
        """Mark or unmark the row; if all are selected, mark up to `MAX_SINGLE` of them singly."""
        matching = self.all_matching
        if matching is None:
            return super().mark()
        if matching.count > MAX_SINGLE:
            self._screen.notice(
                f"{matching.words} are too many to mark one by one (at most {MAX_SINGLE}); a filter"
                " narrows the list",
                "warn",
            )
            return None
        return self._mark_each()

    async def _mark_each(self) -> None:
        await self.listing.mark_every(MAX_SINGLE)
        self.clear()

    def marked_words(self) -> str:
        """Return the number of selected deliveries; empty: none is marked."""
        if self.all_matching is None:
            return super().marked_words()
        about = "about " if self.all_matching.estimated else ""
        return f"{about}{self.all_matching.count:,} marked (all that match)"
