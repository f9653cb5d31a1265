"""The line where a search is typed: the text jumps to the first match while one types."""

from __future__ import annotations

from hooktui.console.widgets.filter_bar import FilterBar


class SearchBar(FilterBar):
    """Like the line of a filter; Enter keeps the search, Esc ends it."""

    PROMPT = " search"

    class Typed(FilterBar.Typed):
        """The text is another one."""

    class Left(FilterBar.Left):
        """The keys go back to the text; ``kept`` tells whether the search goes on."""
