"""A screen with a text or a log that can be searched: ctrl+f, then n and N.

While a search is on, ``n`` goes to the next match; otherwise it makes a new hook, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from textual.widgets import Input

from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.widgets.chrome import Offer
from hooktui.console.widgets.prompt_bars import SearchBar
from hooktui.console.widgets.text_search import Found, Searchable


class Searching(ConsoleScreen):
    """Searches in what `searched` returns; its commands include ``search`` and ``match_before``."""

    search_text = ""
    """What is searched for; empty: nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(search=self.search, new=self.new, match_before=self.match_before)

    def searched(self) -> Searchable:
        """Return the widget that is searched."""
        raise NotImplementedError

    async def search(self) -> None:
        """Let the admin type what to look for."""
        if not self.query(SearchBar):
            bar = SearchBar(self.search_text, self._hint())
            await self.mount(bar, before="#status")
            self.set_focus(bar.query_one(Input))

    def _hint(self) -> str:
        on, before = self.shell.key("new"), self.shell.key("match_before")
        return f"what to look for; Enter keeps it, then {on} and {before} go on"

    def on_search_bar_typed(self, message: SearchBar.Typed) -> None:
        """Go to the first match from the cursor on."""
        if message.text != self.search_text:
            self.search_text = message.text
            self._tell(self.searched().search(message.text))

    def on_search_bar_left(self, message: SearchBar.Left) -> None:
        """Give the keys back to the text."""
        self.query(SearchBar).remove()
        self.searched().focus()
        if not message.kept:
            self.end_search()

    def end_search(self) -> bool:
        """End the search; return whether there was one."""
        was = bool(self.search_text)
        self.search_text = ""
        self.searched().search("")
        if was:
            self.notices.clear()
            self.refresh_frame()
        return was

    def offers(self) -> Iterator[Offer]:
        """Offer ``n`` and ``N`` first while a search is on."""
        if self.search_text:
            command = replace(self.command("new"), label="next match", help="Go to the next match")
            yield Offer(command, None)
            yield Offer(self.command("match_before"), None)
        for offer in super().offers():
            if offer.command.name != "match_before" and (
                offer.command.name != "new" or not self.search_text
            ):
                yield offer

    def disabled_reason(self, name: str) -> str | None:
        """Add: nothing is searched for; ``n`` means the next match while something is."""
        if name == "new" and self.search_text:
            return None
        reason = super().disabled_reason(name)
        if reason is None and name == "match_before" and not self.search_text:
            return f"nothing is searched for; {self.shell.key('search')} searches"
        return reason

    def new(self) -> None:
        """Go to the next match."""
        self._tell(self.searched().search_on(forward=True))

    def match_before(self) -> None:
        """Go to the previous match."""
        self._tell(self.searched().search_on(forward=False))

    def _tell(self, found: Found | None) -> None:
        """Say which of how many matches this is."""
        self.refresh_frame()
        if found is None:
            self.notices.clear()
        elif not found.count:
            self.notice(f"nothing here says {self.search_text}", "warn")
        else:
            wrapped = "; the search went round the end" if found.wrapped else ""
            self.notice(f"match {found.number:,} of {found.count:,}{wrapped}")
