"""The glyphs of the console, in Unicode and in ASCII; each is drawn next to its text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One character for each state and symbol.

    ``bars`` contains all bars, from empty to full. Every glyph is one cell wide in every terminal.
    """

    active: str
    disabled: str
    failing: str
    waiting: str
    delivered: str
    failed: str
    retry: str
    cancelled: str
    sending: str
    marked: str
    up: str
    down: str
    dot: str
    ellipsis: str
    rule: str
    bars: str
    shade: str
    tick: str
    bar_set_up: str
    bar_waiting: str
    bar_reading: str


UNICODE: Final = Glyphs(
    active="●", disabled="○", failing="!", waiting="◌", delivered="✓", failed="✗", retry="↻",
    cancelled="⊘", sending="→", marked="▌", up="▲", down="▼", dot="·", ellipsis="…", rule="─",
    bars=" ▁▂▃▄▅▆▇█", shade="░", tick="┴",
    bar_set_up="╍", bar_waiting="━", bar_reading="─",
)  # fmt: skip

ASCII: Final = Glyphs(
    active="*", disabled="o", failing="!", waiting="~", delivered="+", failed="x", retry="~",
    cancelled="-", sending=">", marked=">", up="^", down="v", dot="-", ellipsis="~", rule="-",
    bars=" .:-=+*#@", shade="|", tick="+",
    bar_set_up=":", bar_waiting="=", bar_reading="-",
)  # fmt: skip


def sparkline(shares: Sequence[float | None], glyphs: Glyphs) -> str:
    """Return a bar for each share (0 to 1); a blank for None, which means that no data exists."""
    top = len(glyphs.bars) - 1
    # Rounded up, so that a share above zero never has the bar of zero.
    return "".join(
        glyphs.bars[0] if share is None else glyphs.bars[1 + math.ceil(share * (top - 1))]
        for share in shares
    )
