"""What a hook subscribes to, as sections to read: every type there is, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hooktui.console.delivery_words import moment
from hooktui.console.signs import Signs
from hooktui.console.times import counted
from hooktui.console.widgets.event_selection import EventSelection, Tick
from hooktui.console.widgets.json_lines import Section
from hooktui.domain.clock import from_rfc3339
from hooktui.domain.wire.events import Catalogue, EventGroup
from hooktui.domain.wire.hooks import Hook, HookHealth, TypeCount

HOURS: Final = 24
"""The time over which types are counted."""


def event_sections(
    hook: Hook, catalogue: Catalogue, health: HookHealth | None, now_ms: int, signs: Signs
) -> list[Section]:
    """Return the subscription group by group, with the counts of the last day once they are known.

    Args:
        hook: whose.
        catalogue: all types that there are.
        health: of the last day; None: not read yet.
        now_ms: the moment it is.
        signs: what boxes are drawn with.
    """
    selection = EventSelection.of(catalogue, hook.events)
    counts = {count.type: count for count in health.types} if health is not None else {}
    sections = [
        _group(group, selection, counts, signs, known=health is not None)
        for group in catalogue.groups
    ]
    known = {t.id for group in catalogue.groups for t in group.types}
    others = [*selection.unknown, *(name for name in counts if name not in known)]
    if others:
        named = {name: f"{_box(name in selection.unknown, signs)} {name}" for name in others}
        named |= {"ping": "test deliveries"} if "ping" in named else {}
        pairs = tuple((label, _words(counts.get(name), "")) for name, label in named.items())
        sections.append(Section("Others", note="not in this server's catalogue", pairs=pairs))
    about = [
        ("filter", hook.filter or "none: every event of the ticked types is sent"),
        ("counted", _counted(health, now_ms)),
    ]
    return [Section("Which of them", pairs=tuple(about)), *sections]


def _group(
    group: EventGroup,
    selection: EventSelection,
    counts: Mapping[str, TypeCount],
    signs: Signs,
    *,
    known: bool,
) -> Section:
    tick = selection.group_tick(group)
    ticked = sum(selection.ticked(one.id) for one in group.types)
    note = {
        Tick.ALL: "the group itself: all of its types, future ones too",
        Tick.SOME: f"{ticked} of {counted(len(group.types), 'type')}, each by itself",
        Tick.NONE: "none of its types",
    }[tick]
    pairs = []
    for one in group.types:
        ticks = selection.ticked(one.id)
        why = "not asked for" if not ticks else "by the group" if tick is Tick.ALL else "by itself"
        none = "none came" if ticks and known else ""
        words = _words(counts.get(one.id), none)
        pairs.append((f"{_box(ticks, signs)} {one.id}", ", ".join(w for w in (why, words) if w)))
    return Section(group.name, note=note, pairs=tuple(pairs))


def _box(ticked: bool, signs: Signs) -> str:
    return signs.ticked if ticked else signs.unticked


def _words(count: TypeCount | None, none: str) -> str:
    """Return how many deliveries of a type came, and what is not well with them."""
    if count is None:
        return none
    words = [counted(count.deliveries, "delivery")]
    if count.failed:
        words.append(f"{count.failed:,} failed")
    if count.waiting:
        words.append(f"{count.waiting:,} waiting")
    return ", ".join(words)


def _counted(health: HookHealth | None, now_ms: int) -> str:
    if health is None:
        return "the deliveries of each type are being counted"
    if health.counted_since is None or health.counted_since <= health.since:
        return f"the deliveries of each type, in the last {HOURS} h"
    since = moment(from_rfc3339(health.counted_since), now_ms)
    return f"the deliveries of each type since {since}: the newest ones, for there are very many"
