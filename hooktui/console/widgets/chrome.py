"""The frame of every screen, in widgets of one line: heading, tabs, status line, key line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from hooktui.console.registry import Command, KeyOf
from hooktui.console.shell.contract import Shell
from hooktui.console.shell.server_calls import Severity
from hooktui.console.widgets.styled import LineWidget, StyledLine, StyledText, text_width, wrapped
from hooktui.domain.text import visible

_APART = 3
"""Minimum gap in cells between left and right, so that they do not read as one sentence."""


class OneLine(LineWidget):
    """A line with a left and a right part; if both do not fit, one is shortened or hidden."""

    LEFT_GIVES_WAY = False

    DEFAULT_CSS = "OneLine { height: 1; width: 1fr; }"

    _parts: tuple[tuple[StyledText, ...], ...] = ((), (), ())

    def show(self, left: StyledLine, right: StyledLine = (), short: StyledLine = ()) -> None:
        """Update the text; redraw only if it differs.

        ``short`` is the right part if there is no room for ``right``.
        """
        parts = tuple(left), tuple(right), tuple(short)
        if parts != self._parts:
            self._parts = parts
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the line."""
        width = self.size.width
        left, right, short = self._parts
        if short and text_width(left) + text_width(right) + _APART > width:
            right = short
        gap = width - text_width(left) - text_width(right)
        if right and gap < 1 and self.LEFT_GIVES_WAY:
            room = max(width - text_width(right) - 1, 0)
            gap_piece: StyledText = (" ", "plain")
            return Strip.join(
                [self.strip(left, room), self.strip((gap_piece, *right), width - room)]
            )
        if right and gap < 1:
            return self.strip(left, width)
        filler: StyledLine = ((" " * gap, "plain"),) if right else ()
        return self.strip((*left, *filler, *right), width)


class Heading(OneLine):
    """The top line, with the title of the screen and a summary of its content."""

    DEFAULT_CSS = "Heading { background: $panel; }"


class StatusLine(OneLine):
    """A line with account, user, server, backlog and rate; a notice replaces it for a while."""

    LEFT_GIVES_WAY = True

    DEFAULT_CSS = """
    StatusLine {
        dock: bottom; margin-bottom: 1;
        background: $panel; height: auto; min-height: 1; max-height: 3;
    }
    """

    _notice: tuple[str, Severity] | None = None

    def notify_line(self, text: str, severity: Severity) -> None:
        """Show a notice instead of the status; a long notice takes up to three lines."""
        sign = {"good": "", "plain": "", "warn": "! ", "bad": "! "}[severity]
        self._show_notice((visible(sign + text, lines=True), severity))

    def clear_notice(self) -> None:
        """Remove the notice and show the status again."""
        if self._notice is not None:
            self._show_notice(None)

    def _show_notice(self, notice: tuple[str, Severity] | None) -> None:
        width = self.app.size.width
        before = len(self._notice_lines(width))
        self._notice = notice
        self.refresh(layout=len(self._notice_lines(width)) != before)

    def _notice_lines(self, width: int) -> list[str]:
        """Return the notice, wrapped to a width; one empty line without a notice."""
        text = "" if self._notice is None else self._notice[0]
        return wrapped(text, max(width - 2, 20), most=3) or [""]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the number of lines of the notice, at least one."""
        return len(self._notice_lines(width))

    def render_line(self, y: int) -> Strip:
        """Draw a line of the notice, or the status."""
        if self._notice is None:
            return super().render_line(y)
        lines = self._notice_lines(self.size.width)
        pieces: StyledLine = ((f" {lines[y]}", self._notice[1]),) if y < len(lines) else ()
        return self.strip(pieces, self.size.width)


class DialogNotice(StatusLine):
    """The notice of the screen below a dialog; it covers the line there, which may be hidden."""

    DEFAULT_CSS = """
    DialogNotice { layer: notice; display: none; }
    DialogNotice.-shown { display: block; }
    """

    def _show_notice(self, notice: tuple[str, Severity] | None) -> None:
        super()._show_notice(notice)
        self.set_class(notice is not None, "-shown")


@dataclass(frozen=True, slots=True)
class Offer:
    """A command in the key line or in the help; dimmed if it has a ``disabled_reason``."""

    command: Command
    disabled_reason: str | None


class KeyLine(LineWidget):
    """A line with a screen's commands and keys; a click runs one, disabled ones are dimmed."""

    DEFAULT_CSS = "KeyLine { dock: bottom; height: 1; width: 1fr; }"

    @dataclass
    class Chosen(Message):
        """Posted when a command is clicked."""

        name: str

    def __init__(self, offers: Callable[[], Sequence[Offer]], help_key: Callable[[], str]) -> None:
        super().__init__()
        self._offers = offers
        self._help_key = help_key
        self._shown: tuple[Sequence[Offer], str] = ((), "")
        self._spans: list[tuple[int, int, str]] = []

    def show_again(self) -> None:
        """Update the commands; redraw only if they differ."""
        now = list(self._offers()), self._help_key()
        if now != self._shown:
            self._shown = now
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw as many commands as fit; help is always included."""
        width = self.size.width
        pieces: list[StyledText] = []
        self._spans = []
        offers, help_key = self._shown
        tail: list[StyledText] = [(f"{help_key} ", "accent"), ("help ", "quiet")]
        room = width - text_width(tail)
        x = 1
        pieces.append((" ", "plain"))
        for offer in offers:
            key, label = offer.command.key, offer.command.label
            length = len(key) + len(label) + 3
            if x + length > room:
                break
            pieces += (
                [(f"{key} ", "accent"), (f"{label}  ", "plain")]
                if offer.disabled_reason is None
                else [(f"{key} {label}  ", "quiet")]
            )
            self._spans.append((x, x + length - 2, offer.command.name))
            x += length
        self._spans.append((x, x + text_width(tail) - 1, "help"))
        return self.strip([*pieces, *tail], width)

    def on_click(self, event: events.Click) -> None:
        """Run the command that was clicked."""
        for start, end, name in self._spans:
            if start <= event.x < end:
                self.post_message(self.Chosen(name))
                return


class TooSmall(LineWidget):
    """A message with the required size, which replaces everything else in a tiny terminal."""

    DEFAULT_CSS = "TooSmall { width: 1fr; height: 1fr; }"

    def render_line(self, y: int) -> Strip:
        """Draw a line of the centred message; if it does not fit, its last lines are cut."""
        width, height = self.size
        texts = cast("Shell", self.app).terminal_size.message()
        at = y - max((height - len(texts)) // 2, 0)
        line = texts[at].center(width) if 0 <= at < len(texts) else ""
        return self.strip(((line, "plain"),), width)


class Lines(LineWidget):
    """Lines that are cut; with ``hang``, their last text wraps, then indented by ``hang`` cells.

    ``most`` is the maximum number of rows of a line that wraps.
    """

    DEFAULT_CSS = "Lines { height: auto; width: 1fr; }"

    def __init__(self, *, hang: int = 0, most: int = 3, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.hang, self.most = hang, most
        self.lines: tuple[StyledLine, ...] = ()

    def show(self, lines: Sequence[StyledLine]) -> None:
        """Update the lines; redraw only if they differ."""
        if tuple(lines) != self.lines:
            before, self.lines = len(self._rows(self.size.width)), tuple(lines)
            self.refresh(layout=len(self._rows(self.size.width)) != before)

    def _rows(self, width: int) -> Sequence[StyledLine]:
        if not self.hang:
            return self.lines
        rows: list[StyledLine] = []
        for line in self.lines:
            if not line:
                rows.append(line)
                continue
            *label, (text, tone) = line
            room = max(width - max(self.hang, text_width(label)), 1)
            parts = wrapped(visible(text), room, most=self.most)
            first, *rest = parts or [""]
            rows.append((*label, (first, tone)))
            rows += [((" " * self.hang, "plain"), (part, tone)) for part in rest]
        return rows

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the number of rows, at least one."""
        return max(1, len(self._rows(width)))

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        rows = self._rows(self.size.width)
        return self.strip(rows[y] if y < len(rows) else (), self.size.width)


class TabLine(LineWidget):
    """The names of tabs with the open one marked; a click opens one, the screen handles keys."""

    DEFAULT_CSS = "TabLine { height: 1; width: 1fr; }"

    def __init__(self, names: Sequence[str], key: KeyOf, clicked: Callable[[int], None]) -> None:
        super().__init__(id="tabs")
        self.names = tuple(names)
        self._key, self._clicked = key, clicked
        self.chosen = 0

    def choose(self, number: int) -> None:
        """Mark another tab as the open one, without wrapping around."""
        number = max(0, min(len(self.names) - 1, number))
        if number != self.chosen:
            self.chosen = number
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the names."""
        pieces: list[StyledText] = [(" ", "plain")]
        for number, name in enumerate(self.names):
            here = number == self.chosen
            pieces.append((f"[{name}]" if here else f" {name} ", "strong" if here else "quiet"))
            pieces.append((" ", "plain"))
        pieces.append((f" {self._key('previous')} or {self._key('next')} changes", "quiet"))
        return self.strip(pieces, self.size.width)

    def on_click(self, event: events.Click) -> None:
        """Open the tab whose name was clicked."""
        end = 1
        for number, name in enumerate(self.names):
            end += len(name) + 3
            if event.x < end:
                self._clicked(number)
                return
