"""The columns of the list of hooks: state and statistics as text and glyphs.

Healthy values are muted, except for the name, so that problems stand out; a line in one style also
needs only half the bytes on the terminal.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from urllib.parse import urlsplit

from hooktui.console.formatting import ago, took, whole_percent
from hooktui.console.glyphs import Glyphs, sparkline
from hooktui.console.widgets.styled import StyledLine, StyleName
from hooktui.console.widgets.table import Column
from hooktui.domain.catalogue import summary
from hooktui.domain.deliveries import DisabledReason
from hooktui.domain.wire.events import Catalogue
from hooktui.domain.wire.hooks import Hook

_HOURS = 3
TREND = 24 // _HOURS
"""Width of the sparkline in cells, one for three hours each."""

_DISABLED: dict[str, str] = {
    DisabledReason.BY_HAND: "disabled",
    DisabledReason.GONE: "gone 410",
    DisabledReason.FAILING: "gave up",
}


def state(hook: Hook, glyphs: Glyphs) -> StyledLine:
    """Return the glyph and the text of a hook's state."""
    if not hook.active:
        word = _DISABLED.get(hook.disabled_reason or "", "disabled")
        tone: StyleName = "quiet" if word == "disabled" else "bad"
        return ((f"{glyphs.disabled} {word}", tone),)
    if hook.failing:
        return ((f"{glyphs.failing} failing", "bad"),)
    if hook.retrying:
        return ((f"{glyphs.retry} retrying", "warn"),)
    return ((f"{glyphs.active} ", "good"), ("active", "quiet"))


def host(url: str) -> str:
    """Return host and port of a URL, as typed."""
    return urlsplit(url).netloc or url


def last(hook: Hook) -> StyledLine:
    """Return the last result: a status code, or the error class."""
    status = hook.stats.last_status
    if status is None:
        return (("never", "quiet"),)
    return ((str(status), "bad" if hook.stats.last_failed else "quiet"),)


def success(hook: Hook) -> StyledLine:
    """Return the share of attempts of the last 24 hours that were delivered."""
    share = hook.stats.success_24h
    if share is None:
        return ()
    percent = whole_percent(share)
    return ((f"{percent}%", "quiet" if percent >= 99 else "warn" if percent >= 90 else "bad"),)


def trend(hook: Hook, glyphs: Glyphs) -> StyledLine:
    """Return a bar for each three hours of the last 24: the share of attempts that failed.

    Hours without attempts have no bar, and hours without failures have the lowest one, so that a
    healthy hook does not attract attention.
    """
    shares: list[float | None] = []
    hours = hook.stats.hourly
    for at in range(0, len(hours), _HOURS):
        delivered, failed = map(sum, zip(*hours[at : at + _HOURS], strict=True))
        shares.append(failed / (delivered + failed) if delivered or failed else None)
    bars = zip(sparkline(shares, glyphs), shares, strict=True)
    return tuple(
        ("".join(bar for bar, _ in pairs), "bad" if failed else "quiet")
        for failed, pairs in groupby(bars, key=lambda pair: bool(pair[1]))
    )


def waiting(hook: Hook) -> StyledLine:
    """Return the number of held deliveries, or else of waiting ones."""
    stats = hook.stats
    if stats.held:
        return ((f"{stats.held:,} held", "warn"),)
    if not stats.waiting:
        return (("0", "quiet"),)
    return ((f"{stats.waiting:,}", "warn" if hook.failing or hook.retrying else "plain"),)


def columns(
    glyphs: Glyphs, clock: Callable[[], int], catalogue: Callable[[], Catalogue]
) -> tuple[Column[Hook], ...]:
    """Return the columns of the list of hooks."""
    return (
        Column(name="state", cell=lambda h: state(h, glyphs), width=10, priority=0),
        Column(name="id", cell=lambda h: str(h.id), tone="quiet", width=4, align="right",
               priority=1, sort="id"),
        Column(name="name", cell=lambda h: h.name, width=14, grow=4, max_width=40, priority=0,
               sort="name"),
        Column(name="type", cell=lambda h: h.type, tone="quiet", width=5, priority=9),
        Column(name="host", cell=lambda h: host(h.url), tone="quiet", width=13, least=9, grow=4,
               max_width=45, priority=3),
        Column(name="events", cell=lambda h: summary(catalogue(), h.events), tone="quiet", width=16,
               grow=2, max_width=36, priority=5),
        Column(name="last", cell=last, width=8, grow=1, max_width=18, whole=True, priority=1),
        Column(name="when", cell=lambda h: ago(h.stats.last_at, clock()), tone="quiet", width=5,
               align="right", priority=2, sort="last_at"),
        Column(name="success", title="24 h", cell=success, width=4, align="right", priority=2),
        Column(name="trend", title="failures", cell=lambda h: trend(h, glyphs), width=TREND,
               priority=2),
        Column(name="p95", cell=lambda h: took(h.stats.p95_ms), tone="quiet", width=5,
               align="right", priority=4),
        Column(name="waiting", cell=waiting, width=8, align="right", priority=1, sort="waiting"),
    )  # fmt: skip
