"""A view of headings, headers and JSON bodies that folds, scrolls, wraps and has a raw form.

It uses the Line API: only visible lines are converted to strips.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.cells import cell_len, chop_cells
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from hooktui.console.registry import cursor_after, move_bindings
from hooktui.console.widgets.document_lines import Form, Kind, Line, Section, Span, document_lines
from hooktui.console.widgets.styled import LineWidget, StyleName
from hooktui.console.widgets.text_search import SearchMatch, folded, highlighted, places_in, step

_TONES: Final[dict[Kind, StyleName]] = {
    "key": "accent",
    "mark": "quiet",
    "note": "quiet",
    "title": "strong",
    "added": "good",
    "removed": "bad",
}
_NEXT_FORM: Final[dict[Form, Form]] = {"tree": "raw", "raw": "hex", "hex": "tree"}
_SIDEWAYS: Final = 8
"""Columns by which left and right scroll."""


class DocumentView(LineWidget, ScrollView, can_focus=True):
    """A view of sections of text; Enter folds and unfolds, left and right scroll long lines."""

    # Textual only inherits the CSS of the first base, LineWidget, so ScrollView's is repeated here.
    DEFAULT_CSS = """
    DocumentView {
        height: 1fr;
        overflow: auto auto;
        scrollbar-size: 0 1;  /* a cut line ends with a sign */
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [*move_bindings()]

    @dataclass
    class Picked(Message):
        """Posted on Enter on a line that does not fold; ``value`` is its text to copy."""

        section: str
        value: str

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.cursor = 0
        self.form: Form = "tree"
        self.wrapped = False
        self._sections: tuple[Section, ...] = ()
        self._lines: list[Line] = []
        self._folded: set[int] = set()
        self._rows: list[tuple[int, int]] = []  # (line, index of the piece if it is wrapped)
        self._opened_by_title: dict[str, bool] = {}
        self._wrap_width = 0
        self._needle = ""
        self._matches: list[tuple[int, int]] = []  # (line, position in its text)
        self._match = (-1, -1)
        self._pieces: dict[int, list[str]] = {}  # of wrapped lines with a single span

    def show(self, sections: Sequence[Section]) -> None:
        """Show another document; sections that the user folded or unfolded stay so, by title.

        In a section that has not changed, folded lines stay folded, too.
        """
        if tuple(sections) == self._sections:
            return
        before, starts = self._sections, list(self._headings())
        folded: dict[Section, set[int]] = {section: set() for section in before}
        for number in self._folded.difference(starts):
            at = bisect_right(starts, number) - 1
            folded[before[at]].add(number - starts[at])
        self._sections = tuple(sections)
        self._build(folded)

    def next_form(self) -> Form:
        """Show bodies in the next form (trees, as they were sent, their bytes) and return it."""
        self.form = _NEXT_FORM[self.form]
        self._build({})
        return self.form

    def toggle_wrap(self) -> str:
        """Toggle between wrapping and cutting long lines; return a notice of the new state."""
        self.wrapped = not self.wrapped
        self._lay_out()
        return "long lines are wrapped" if self.wrapped else "lines are cut"

    def search(self, text: str) -> SearchMatch | None:
        """Search for a text from the cursor on; an empty one ends the search."""
        self._needle = folded(text)
        self._find()
        self.refresh()
        return self._go_to_match(forward=True, stay=True)

    def search_on(self, *, forward: bool) -> SearchMatch | None:
        """Go to the next or the previous match."""
        return self._go_to_match(forward=forward)

    def under_cursor(self) -> tuple[str, str] | None:
        """Return the name and the text of the copy at the cursor; None without a document."""
        if not self._rows:
            return None
        number = self._rows[self.cursor][0]
        title = self._section_of(number).lower()
        line = self._lines[number]
        return (title if number in self._headings() else f"a line of the {title}"), line.copied()

    def render_line(self, y: int) -> Strip:
        """Draw one row of the screen."""
        x, top = self.scroll_offset
        row = top + y
        width = self.scrollable_content_region.width
        base = self.rich_style
        if row >= len(self._rows):
            return Strip.blank(width, base)
        over = self.tone("cursor") if row == self.cursor and self.has_focus else None
        whole = self._strip(row, over)
        strip = highlighted(whole.crop(x, x + width), self._needle)
        if whole.cell_length > x + width:
            sign = Strip(self.segments((("…", "quiet"),), over))
            strip = Strip.join([whole.crop(x, x + width - 1), sign])
        return strip.extend_cell_length(width, base if over is None else base + over)

    def action_move(self, name: str) -> None:
        """Move the cursor by one of the list moves."""
        page = max(1, self.scrollable_content_region.height - 1)
        self._move_to(cursor_after(name, self.cursor, count=len(self._rows), page=page))

    def action_open(self) -> None:
        """Fold or unfold the line under the cursor; post `Picked` if it does not fold."""
        if not self._rows:
            return
        number = self._rows[self.cursor][0]
        if not self._lines[number].end:
            self.post_message(self.Picked(self._section_of(number), self._lines[number].copied()))
            return
        self._folded ^= {number}
        title = self._headings().get(number)
        if title is not None:
            self._opened_by_title[title] = number not in self._folded
        self._lay_out()
        self._move_to(next(i for i, (line, _) in enumerate(self._rows) if line == number))

    def action_scroll_left(self) -> None:
        """Scroll to the left."""
        self.scroll_to(x=self.scroll_offset.x - _SIDEWAYS, animate=False)

    def action_scroll_right(self) -> None:
        """Scroll to the right."""
        self.scroll_to(x=self.scroll_offset.x + _SIDEWAYS, animate=False)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the row that was clicked, and act as on Enter."""
        offset = event.get_content_offset(self)
        row = -1 if offset is None else self.scroll_offset.y + offset.y
        if 0 <= row < len(self._rows):
            self._move_to(row)
            self.action_open()

    def on_resize(self) -> None:
        """Update the layout, because wrapped lines depend on the width."""
        if self.wrapped or self.form == "raw":
            self._lay_out()

    def _section_of(self, number: int) -> str:
        """Return the title of the section that contains a line."""
        headings = self._headings()
        return headings[max(heading for heading in headings if heading <= number)]

    def _headings(self) -> dict[int, str]:
        headings = {}
        index = 0
        for section in self._sections:
            headings[index] = section.title
            index = self._lines[index].end
        return headings

    def _build(self, folded: Mapping[Section, set[int]]) -> None:
        """Build the lines; ``folded`` are the folded lines of each section, from its heading."""
        self._lines = document_lines(self._sections, self.form)
        self._find()
        self._folded = set()
        for (index, title), section in zip(self._headings().items(), self._sections, strict=True):
            if not self._opened_by_title.get(title, section.opened):
                self._folded.add(index)
            self._folded |= {index + at for at in folded.get(section, ())}
        self._lay_out()

    def _lay_out(self) -> None:
        """Split the lines into rows; the cursor stays on its text, at its place on the screen."""
        height = max(1, self.scrollable_content_region.height)
        offset = self.cursor - self.scroll_offset.y
        top, cursor = self._place(self.scroll_offset.y), self._place(self.cursor)
        width = max(10, self.scrollable_content_region.width or self.size.width or 80)
        wrap = self.wrapped or self.form == "raw"
        self._wrap_width = width if wrap else 0
        widest = self._split_lines()
        self.virtual_size = Size(0 if wrap else widest, len(self._rows))
        self.cursor = self._row_of(*cursor)
        to = self.cursor - offset if 0 <= offset < height else self._row_of(*top)
        self.scroll_to(y=max(to, 0), animate=False, force=True)
        if not wrap and self._match[0] == cursor[0]:
            self._show_column(cursor[1])
        self.refresh()

    def _split_lines(self) -> int:
        """Split the lines that are not hidden into rows; return the cells of the longest line."""
        self._rows = []
        self._pieces = {}
        width = self._wrap_width
        widest = 0
        index = 0
        while index < len(self._lines):
            spans = self._spans(index)
            length = cell_len("".join(span.text for span in spans))
            pieces = 1
            if width and length > width:
                pieces = math.ceil(length / width)
                if len(spans) == 1:
                    self._pieces[index] = _chopped(spans[0].text, width)
                    pieces = len(self._pieces[index])
            self._rows += [(index, piece) for piece in range(pieces)]
            widest = max(widest, length)
            line = self._lines[index]
            index = line.end if line.end and index in self._folded else index + 1
        return widest

    def _place(self, row: int) -> tuple[int, int]:
        """Return line and column of a row: of the current match, if it is in that line."""
        if not self._rows:
            return 0, 0
        line, piece = self._rows[max(0, min(row, len(self._rows) - 1))]
        if self._wrap_width:
            return line, piece * self._wrap_width
        match_line, at = self._match
        if line == match_line:
            return line, cell_len(self._lines[line].text[:at])
        return line, self.scroll_offset.x

    def _row_of(self, line: int, column: int) -> int:
        """Return the row of a place; if it is folded, the row that hides it."""
        piece = column // self._wrap_width if self._wrap_width else 0
        return max(0, bisect_right(self._rows, (line, piece)) - 1)

    def _find(self) -> None:
        """Find all matches, also those in folded sections."""
        needle = self._needle
        self._matches = [
            (number, at)
            for number, line in enumerate(self._lines if needle else ())
            for at in places_in(line.text, needle)
        ]
        self._match = (-1, -1)

    def _go_to_match(self, *, forward: bool, stay: bool = False) -> SearchMatch | None:
        if not self._needle or not self._lines:
            return None
        if not self._matches:
            return SearchMatch(0, 0)
        line = self._rows[self.cursor][0]
        here = self._match if self._match[0] == line else (line, -1 if forward else 0)
        at, wrapped = step(self._matches, here, forward=forward, stay=stay)
        self._match = self._matches[at]
        self._show_match(*self._match)
        return SearchMatch(at + 1, len(self._matches), wrapped)

    def _show_match(self, line: int, at: int) -> None:
        """Unfold lines that hide a match, move the cursor to its row, and scroll sideways to it."""
        hiding = {fold for fold in self._folded if fold < line < self._lines[fold].end}
        if hiding:
            self._folded -= hiding
            self._lay_out()
        column = cell_len(self._lines[line].text[:at])
        self._move_to(self._row_of(line, column))
        if not self._wrap_width:
            self._show_column(column)

    def _show_column(self, column: int) -> None:
        """Scroll sideways to a column, if it is out of view."""
        x, width = self.scroll_offset.x, self.scrollable_content_region.width
        if not x <= column < x + width:
            self.scroll_to(x=max(column - width // 2, 0), animate=False, force=True)

    def _spans(self, number: int) -> tuple[Span, ...]:
        line = self._lines[number]
        return line.folded if number in self._folded else line.spans

    def _strip(self, row: int, over: Style | None = None) -> Strip:
        number, piece = self._rows[row]
        if number in self._pieces:
            tone = _TONES.get(self._spans(number)[0].kind, "plain")
            return Strip(self.segments([(self._pieces[number][piece], tone)], over))
        pieces = [(span.text, _TONES.get(span.kind, "plain")) for span in self._spans(number)]
        strip = Strip(self.segments(pieces, over))
        if self._wrap_width:
            return strip.crop(piece * self._wrap_width, (piece + 1) * self._wrap_width)
        return strip

    def _move_to(self, target: int) -> None:
        top = self.scroll_offset.y
        before, self.cursor = self.cursor, target
        width = self.size.width
        self.refresh(Region(0, before - top, width, 1), Region(0, target - top, width, 1))
        height = max(1, self.scrollable_content_region.height)
        if target < top:
            self.scroll_to(y=target, animate=False, force=True)
        elif target >= top + height:
            self.scroll_to(y=target - height + 1, animate=False, force=True)


def _chopped(text: str, width: int) -> list[str]:
    """Split a text into pieces of a width, once, because each crop of 250 kB takes 10 ms."""
    if text.isascii():
        return [text[at : at + width] for at in range(0, len(text), width)]
    return chop_cells(text, width)
