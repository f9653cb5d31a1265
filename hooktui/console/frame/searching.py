"""Search in a text or a log (ctrl+f, then n and N), and wrapping of its lines.

During a search, ``n`` moves to the next match; otherwise it creates a new hook, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.registry import Command, relabel
from hooktui.console.widgets.chrome import Offer
from hooktui.console.widgets.prompt_bars import PromptBar
from hooktui.console.widgets.text_search import Searchable, SearchMatch
from hooktui.domain.roles import Need

_NEXT: Final = relabel("new", "next match", "Go to the next match", Need.READ)


class SearchPart(ScreenPart):
    """Searches in a widget, and wraps its lines.

    Attributes:
        text: the search text; empty: no search.
    """

    def __init__(self, screen: ConsoleScreen, searched: Callable[[], Searchable]) -> None:
        self.text = ""
        self._screen, self._searched = screen, searched
        self._bar: PromptBar | None = None

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers of search, movement between matches, and wrapping of long lines."""
        handlers: dict[str, Handler] = {
            "search": self.open,
            "match_before": lambda: self._show(self._searched().search_on(forward=False)),
            "wrap": lambda: self._screen.notice(self._searched().toggle_wrap()),
        }
        if self.text:
            handlers["new"] = lambda: self._show(self._searched().search_on(forward=True))
        return handlers

    @property
    def labels(self) -> tuple[Command, ...]:
        """The label of ``new`` during a search."""
        return (_NEXT,) if self.text else ()

    def disabled_reason(self, name: str) -> str | None:
        """Return that there is no search, or None."""
        if name == "match_before" and not self.text:
            return f"no search text; {self._screen.shell.key('search')} starts a search"
        return None

    def arrange(self, offers: Iterable[Offer]) -> Iterator[Offer]:
        """Put ``n`` and ``N`` first in the key line during a search."""
        if self.text:
            yield Offer(self._screen.command("new"), None)
            yield Offer(self._screen.command("match_before"), None)
        yield from (offer for offer in offers if offer.command.name != "match_before")

    async def open(self) -> None:
        """Open the input of the search text."""
        if self._bar is None:
            key = self._screen.shell.key
            on, before = key("new"), key("match_before")
            hint = f"search text; Enter keeps it, then {on} and {before} move between matches"
            self._bar = PromptBar(" search", self.text, hint, self._find, self._leave)
        await self._bar.open(self._screen)

    def _find(self, text: str) -> None:
        """Move to the first match, starting at the cursor."""
        if text != self.text:
            self.text = text
            self._show(self._searched().search(text))

    def _leave(self, keep: bool) -> None:
        """Close the input and move the focus to the text; end the search unless it is kept."""
        if self._bar is not None:
            self._bar.close(self._searched().focus)
            self._bar = None
        if not keep:
            self.end()

    def end(self) -> bool:
        """End the search; return whether there was one."""
        was = bool(self.text)
        self.text = ""
        self._searched().search("")
        if was:
            self._screen.notices.clear()
            self._screen.refresh_frame()
        return was

    def _show(self, match: SearchMatch | None) -> None:
        """Show the number of the match, and how many there are."""
        self._screen.refresh_frame()
        if match is None and self.text:
            key = self._screen.shell.key("new")
            self._screen.notice(f"the text is not loaded yet; {key} searches it then", "warn")
        elif match is None:
            self._screen.notices.clear()
        elif not match.count:
            self._screen.notice(f"no match for {self.text}", "warn")
        else:
            # Forward it wraps to the first match, backward to the last one.
            end = "top" if match.number == 1 else "bottom"
            wrapped = f"; search wrapped to the {end}" if match.wrapped else ""
            self._screen.notice(f"match {match.number:,} of {match.count:,}{wrapped}")
