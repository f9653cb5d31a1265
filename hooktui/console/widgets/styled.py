"""Lines of pieces, which are ``(text, tone)`` pairs, and the base class of widgets that draw them.

A tone names a meaning, not a colour: the theme determines its style. Every text of a piece is
escaped by ``visible``, so that text of a receiver or a producer cannot control the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap
from typing import Literal

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.dom import DOMNode
from textual.strip import Strip
from textual.widget import Widget

from hooktui.console.themes import readable_style
from hooktui.domain.text import visible

StyleName = Literal[
    "plain", "quiet", "strong", "accent", "good", "warn", "bad", "cursor", "blurred"
]
StyledText = tuple[str, StyleName]
StyledLine = Sequence[StyledText]


class LineWidget(Widget):
    """A widget that draws lines of pieces through the Line API."""

    _resolved: dict[StyleName, Style] | None = None
    _covered: dict[tuple[Style, StyleName], Style] | None = None

    DEFAULT_CSS = """
    LineWidget {
        & > .tone--quiet { color: $quiet; }
        & > .tone--strong { text-style: bold; }
        & > .tone--accent { color: $accent; }
        & > .tone--good { color: $success; }
        & > .tone--warn { color: $warning; }
        & > .tone--bad { color: $error; text-style: bold; }
        & > .tone--cursor {
            color: $block-cursor-foreground;
            background: $block-cursor-background;
        }
        & > .tone--blurred { background: $panel; }
        &:ansi > .tone--quiet { color: ansi_bright_black; }
        &:ansi > .tone--accent { color: ansi_cyan; }
        &:ansi:light > .tone--accent { color: ansi_blue; }
        &:ansi:light > .tone--warn { color: ansi_magenta; }
        &:nocolor > .tone--quiet { text-style: dim; }
        &:nocolor > .tone--cursor { text-style: reverse; }
        &:ansi > .tone--blurred { text-style: bold; }
    }
    """

    def on_mount(self) -> None:
        """Set up a redraw on each change of theme, even if it only changes the style of a tone."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self.refresh())

    def tone(self, tone: StyleName) -> Style:
        """Return the style of a tone in the current theme."""
        if self._resolved is None:
            self._resolved = {}
        style = self._resolved.get(tone)
        if style is None:
            style = self._resolved[tone] = self._resolve(tone)
        return style

    def _resolve(self, tone: StyleName) -> Style:
        """Apply the style sheet to a tone and return the style.

        `COMPONENT_CLASSES` is not used: Textual would apply it to every tone of every widget at
        each change of focus, class or screen, which takes a quarter of the console's time.
        """
        if tone == "plain":
            return self.rich_style
        node = DOMNode(classes=f"tone--{tone}")
        node._attach(self)
        self.app.stylesheet.apply(node)
        return node.rich_style

    def notify_style_update(self) -> None:
        """Clear the cached styles, which depend on the theme and the focus."""
        super().notify_style_update()
        self._resolved = None
        self._covered = None

    def segments(self, pieces: Iterable[StyledText], over: Style | None = None) -> list[Segment]:
        """Return pieces as segments; ``over`` (of the cursor line) is applied to every style."""
        segments = []
        for text, tone in pieces:
            style = self.tone(tone)
            if over is not None:
                style = self._on(over, tone)
            segments.append(Segment(visible(text), style))
        return segments

    def _on(self, over: Style, tone: StyleName) -> Style:
        """Return the style of a tone on the cursor line; it keeps state colours, made readable."""
        if self._covered is None:
            self._covered = {}
        style_over = self._covered.get((over, tone))
        if style_over is None:
            style = self.tone(tone)
            # The contrast of the terminal's 16 colours is unknown.
            if tone in ("plain", "quiet", "strong") or self.app.native_ansi_color:
                style_over = style + over
            else:
                style_over = readable_style(style + over.background_style)
            self._covered[over, tone] = style_over
        return style_over

    def strip(self, pieces: Iterable[StyledText], width: int, over: Style | None = None) -> Strip:
        """Return pieces as one line of exactly ``width`` cells, cut with an ellipsis."""
        return self.whole(fit(self.segments(pieces, over), width), width, over)

    def whole(self, segments: Iterable[Segment], width: int, over: Style | None = None) -> Strip:
        """Return segments, which must fit, as one line of exactly ``width`` cells."""
        base = self.tone("plain")
        rest = Segment(" " * width, base if over is None else base + over)
        return Strip(joined((*segments, rest))).crop(0, width)


def cells_of(segments: Iterable[Segment]) -> int:
    """Return the width of segments."""
    return sum([cell_len(segment.text) for segment in segments])


def fit(segments: list[Segment], width: int, ellipsis: str = "…") -> list[Segment]:
    """Return segments cut to a width in cells; an ellipsis marks the cut."""
    if cells_of(segments) <= width:
        return segments
    room = max(width - 1, 0)
    fitted: list[Segment] = []
    for text, style, _ in segments:
        length = cell_len(text)
        if length >= room:
            fitted.append(
                Segment(set_cell_size(text, room) + (ellipsis if width > 0 else ""), style)
            )
            break
        fitted.append(Segment(text, style))
        room -= length
    return fitted


def joined(segments: Iterable[Segment]) -> list[Segment]:
    """Join segments of equal style; a blank takes the style of adjacent text if possible.

    A change of style costs 37 bytes on the wire, and only the background of a blank is visible.
    """
    parts: list[tuple[str, Style | None]] = []
    for text, style, _ in segments:
        if not text:
            continue
        if parts:
            before, its_style = parts[-1]
            if its_style == style or (text.isspace() and _same_ground(its_style, style)):
                parts[-1] = (before + text, its_style)
                continue
            if before.isspace() and _same_ground(its_style, style):
                parts[-1] = (before + text, style)
                continue
        parts.append((text, style))
    return [Segment(text, style) for text, style in parts]


def _same_ground(style: Style | None, other: Style | None) -> bool:
    """Return whether a blank appears the same in both styles."""
    if style is None or other is None:
        return False
    marked = style.reverse or other.reverse or style.underline or other.underline
    return style.bgcolor == other.bgcolor and not marked and not style.strike and not other.strike


def text_width(pieces: Iterable[StyledText]) -> int:
    """Return the width of pieces in cells."""
    return sum(cell_len(visible(text)) for text, _ in pieces)


def wrapped(text: str, width: int, *, most: int | None = None) -> list[str]:
    """Return a text, after ``visible``, as lines of at most ``width`` cells; none if it is empty.

    ``textwrap`` counts characters, and a line that is drawn wider loses its end. ``most`` is the
    maximum number of lines; the last one then ends with an ellipsis.
    """
    cut = " …"
    if cell_len(text) == len(text):
        return wrap(text, width, max_lines=most, placeholder=cut)
    lines: list[str] = []
    for word in text.split():
        if lines and cell_len(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines += chop_cells(word, width)
    if most is not None and len(lines) > most:
        lines[most - 1 :] = [chop_cells(lines[most - 1], width - len(cut))[0].rstrip() + cut]
    return lines
