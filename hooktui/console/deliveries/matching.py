"""Everything that matches the filter of a list of deliveries, chosen at once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.text import counted

MAX_SINGLE: Final = 500
"""Deliveries that become single marks at most: a command on them takes a call for each."""


@dataclass(frozen=True, slots=True)
class Matching:
    """The deliveries that matched a filter at one moment.

    Attributes:
        query: the filter, which names the hook in a list of one hook; empty: all deliveries.
        until: that moment (RFC 3339); later deliveries are not among them.
        count: how many there were; ``estimated`` if that is an estimate.
    """

    query: str
    until: str
    count: int
    estimated: bool

    @property
    def words(self) -> str:
        """How many they are."""
        return f"{'about ' if self.estimated else ''}{counted(self.count, 'delivery')}"


class AllMatching(ScreenPart):
    """Chooses all deliveries that match, instead of the marked ones.

    Args:
        screen: the screen of the list.
        listing: returns the list.
        query: returns the filter of the list.
        active: returns whether the list is in sight.
        hooks: the hooks of the list.

    Attributes:
        chosen: what is chosen; None: the marks count.
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
        """Choose all; while they are chosen, turn them into marks, or choose none."""
        if not self._active() or self.chosen is None:
            return {"mark_all": self.choose}
        return {"mark_all": self.choose, "mark": self.mark_each, "back": self.clear}

    def choose(self) -> None:
        """Choose all deliveries that match the filter now."""
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
        """Choose none of them."""
        self.chosen = None
        self._screen.refresh_frame()

    def mark_each(self) -> Coroutine[None, None, None] | None:
        """Mark each of them, if they are few."""
        chosen = self.chosen
        if chosen is None:
            return None
        if chosen.count > MAX_SINGLE:
            self._screen.notice(
                f"{chosen.words} are too many to mark one by one, at most {MAX_SINGLE}; a filter"
                " narrows the list",
                "warn",
            )
            return None
        return self._mark_each()

    async def _mark_each(self) -> None:
        await self._listing().mark_every(MAX_SINGLE)
        self.clear()

    def marked_words(self) -> str:
        """Return what the heading says of them; empty: none are chosen."""
        if self.chosen is None:
            return ""
        about = "about " if self.chosen.estimated else ""
        return f"{about}{self.chosen.count:,} marked (all that match)"
