"""Selection of all deliveries that match the filter of a list."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.widgets.windowed_list import WindowedList
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


class AllMatching(ScreenPart):
    """Selects all deliveries that match the filter, instead of the marked ones.

    Args:
        screen: the screen of the list.
        listing: returns the list.
        query: returns the filter of the list.
        active: returns whether the list is visible.
        hooks: the hooks of the list.

    Attributes:
        chosen: the selected deliveries; None: the marked ones are selected.
    """

    def __init__(
        self,
        screen: ConsoleScreen,
        listing: Callable[[], WindowedList[Any]],
        query: Callable[[], str],
        active: Callable[[], bool] = lambda: True,
        *,
        hooks: tuple[int, ...] | Literal["all"] = "all",
    ) -> None:
        self.chosen: Matching | None = None
        self.hooks = hooks
        self._screen, self._listing, self._query, self._active = screen, listing, query, active

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handler of "mark all"; while all are selected, also those of "mark" and "back"."""
        if not self._active() or self.chosen is None:
            return {"mark_all": self.choose}
        return {"mark_all": self.choose, "mark": self.mark_each, "back": self.clear}

    def choose(self) -> None:
        """Select all deliveries that match the filter now."""
        window = self._listing().window
        self._listing().clear_marks()
        if not window.total:
            self._screen.notice("there is no delivery to mark")
            return
        until = to_rfc3339(self._screen.shell.clock())
        self.chosen = Matching(self._query(), until, window.total, window.estimated)
        key = self._screen.shell.key
        self._screen.notice(
            f"all that match are marked ({self.chosen.words}); {key('mark')} marks each of them,"
            f" {key('back')} unmarks"
        )
        self._screen.refresh_frame()

    def clear(self) -> None:
        """Undo the selection."""
        self.chosen = None
        self._screen.refresh_frame()

    def unmark(self, done: Iterable[Delivery | DeliveryDetail]) -> None:
        """Unmark deliveries, so that a command that is repeated acts only on the rest."""
        self._listing().unmark(delivery.id for delivery in done)

    def mark_each(self) -> Coroutine[None, None, None] | None:
        """Mark the selected deliveries one by one, unless there are more than `MAX_SINGLE`."""
        chosen = self.chosen
        if chosen is None:
            return None
        if chosen.count > MAX_SINGLE:
            self._screen.notice(
                f"{chosen.words} are too many to mark one by one (at most {MAX_SINGLE}); a filter"
                " narrows the list",
                "warn",
            )
            return None
        return self._mark_each()

    async def _mark_each(self) -> None:
        await self._listing().mark_every(MAX_SINGLE)
        self.clear()

    def marked_words(self) -> str:
        """Return the text of the selection for the heading; empty without a selection."""
        if self.chosen is None:
            return ""
        about = "about " if self.chosen.estimated else ""
        return f"{about}{self.chosen.count:,} marked (all that match)"
