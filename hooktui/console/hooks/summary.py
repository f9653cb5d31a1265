"""Texts about a hook: its state, its settings, and its event types with their results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hooktui.console.formatting import moment, since_words, took, whole_percent
from hooktui.console.hooks.event_boxes import EventSelection, Tick, subscription_words
from hooktui.console.registry import KeyOf
from hooktui.console.widgets.document_lines import Section
from hooktui.console.widgets.styled import StyledLine, StyleName
from hooktui.domain.addresses import url_in_words
from hooktui.domain.hook_fields import SHOWN_SETTINGS
from hooktui.domain.text import counted
from hooktui.domain.wire.events import Catalogue, EventGroup
from hooktui.domain.wire.hooks import Hook, HookHealth, TypeCount, pace_in_words


def state_words(hook: Hook, now_ms: int, key: KeyOf, until: str = "") -> tuple[str, StyleName]:
    """Return one line about a hook: state with its reason, results, and waiting deliveries.

    ``until``: when its open breaker allows the next attempt, as ``until 14:03:07``. ``key`` returns
    an empty text for a command that the role may not run.
    """
    stats = hook.stats
    words, tone = _active_words(hook, until) if hook.active else _disabled_words(hook, now_ms, key)
    if stats.last_status is None:
        pings = f"; {key('ping')} sends a ping" if key("ping") else ""
        words.append(f"nothing sent yet{pings}")
    else:
        words.append(f"last {stats.last_status} {since_words(stats.last_at, now_ms)}")
    if stats.waiting and hook.active:
        words.append(f"{stats.waiting:,} waiting")
    if stats.success_24h is not None:
        words.append(f"{whole_percent(stats.success_24h)}% delivered in 24 h")
    if stats.p95_ms is not None:
        words.append(f"p95 {took(stats.p95_ms)}")
    return " · ".join(words), tone


def _active_words(hook: Hook, until: str) -> tuple[list[str], StyleName]:
    state = ["active"]
    tone: StyleName = "plain"
    if hook.failing or hook.retrying:
        state.append("failing" if hook.failing else "retrying")
        tone = "bad" if hook.failing else "warn"
    if hook.stats.breaker != "closed":  # also while a probe is due
        state.append(f"breaker open {until}".rstrip())
        tone = "bad"
    return [", ".join(state)], tone


def _disabled_words(hook: Hook, now_ms: int, key: KeyOf) -> tuple[list[str], StyleName]:
    by_hand = hook.disabled_reason in (None, "disabled by hand")
    reason = "disabled by hand" if by_hand else f"disabled: {hook.disabled_reason}"
    since = "" if hook.disabled_at is None else f", {since_words(hook.disabled_at, now_ms)}"
    words = [f"{reason}{since}"]
    if hook.stats.held and not key("activate"):
        words.append(f"{hook.stats.held:,} held")
    elif hook.stats.held:
        words.append(f"{key('activate')} enables it and sends the {hook.stats.held:,} held")
    return words, "warn" if by_hand else "bad"


def head_lines(
    hook: Hook, catalogue: Catalogue, now_ms: int, key: KeyOf, until: str = ""
) -> tuple[StyledLine, ...]:
    """Return the lines above the tabs: URL, events, state, and deliveries in flight if known."""
    words, tone = state_words(hook, now_ms, key, until)
    pace = pace_in_words(hook, lambda then: since_words(then, now_ms))
    lines: tuple[StyledLine, ...] = (
        ((" to        ", "quiet"), (url_in_words(hook.url), "plain")),
        ((" events    ", "quiet"), (subscription_words(catalogue, hook.events), "plain")),
        ((" state     ", "quiet"), (words, tone)),
    )
    return (*lines, ((" in flight ", "quiet"), (pace, "plain"))) if pace else lines


def settings_sections(hook: Hook, catalogue: Catalogue, now_ms: int) -> list[Section]:
    """Return all settings, for reading; ``e`` edits them."""
    own = {
        "type": "webhook" if hook.type == "web" else hook.type,
        "url": url_in_words(hook.url),
        "events": subscription_words(catalogue, hook.events),
        "active": "yes" if hook.active else f"no: {hook.disabled_reason}",
    }
    pairs: dict[bool, list[tuple[str, str]]] = {True: [("id", str(hook.id))], False: []}
    for setting in SHOWN_SETTINGS:
        if setting.name not in ("headers", "sensitive_headers"):
            words = own.get(setting.name) or setting.describe(setting.value_in(hook))
            pairs[setting.basic].append((setting.label, words))
    sections = [
        Section("Hook", pairs=tuple(pairs[True])),
        Section("Sending", pairs=tuple(pairs[False])),
    ]
    if hook.headers:
        sections.append(Section("Headers", pairs=tuple(hook.headers.items())))
    created, updated = (
        f"{moment(at, now_ms)} ({since_words(at, now_ms)})"
        for at in (hook.created_at, hook.updated_at)
    )
    sections.append(
        Section(
            "Created and updated",
            pairs=(("created", created), ("updated", updated), ("version", str(hook.version))),
        )
    )
    return sections


HOURS: Final = 24
"""Period in hours for which deliveries are counted by type."""


def event_sections(
    hook: Hook, catalogue: Catalogue, health: HookHealth | None, now_ms: int
) -> list[Section]:
    """Return the subscription by group, with the counts of the last 24 hours once they are loaded.

    ``health`` is None until then.
    """
    selection = EventSelection.of(catalogue, hook.events)
    counts = {count.type: count for count in health.types} if health is not None else {}
    sections = [
        _group(group, selection, counts, known=health is not None) for group in catalogue.groups
    ]
    known = {t.id for group in catalogue.groups for t in group.types}
    others = [*selection.unknown, *(name for name in counts if name not in known)]
    if others:
        named = {name: f"{_box(name in selection.unknown)} {name}" for name in others}
        named |= {"ping": "test deliveries"} if "ping" in named else {}
        pairs = tuple((label, _words(counts.get(name), "")) for name, label in named.items())
        sections.append(Section("Others", note="not in this server's catalogue", pairs=pairs))
    about = [
        ("filter", hook.filter or "none: every event of the ticked types is sent"),
        ("counted", _counted(health, now_ms)),
    ]
    return [Section("Selection", pairs=tuple(about)), *sections]


def _group(
    group: EventGroup,
    selection: EventSelection,
    counts: Mapping[str, TypeCount],
    *,
    known: bool,
) -> Section:
    tick = selection.group_tick(group)
    ticked = sum(selection.ticked(event_type.id) for event_type in group.types)
    note = {
        Tick.ALL: "the whole group, with future types",
        Tick.SOME: f"{ticked} of {counted(len(group.types), 'type')}",
        Tick.NONE: "none of its types",
    }[tick]
    pairs = []
    for event_type in group.types:
        ticks = selection.ticked(event_type.id)
        by_group = "by its group" if tick is Tick.ALL else "subscribed"
        why = by_group if ticks else "not subscribed"
        none = "no deliveries" if ticks and known else ""
        words = _words(counts.get(event_type.id), none)
        pairs.append((f"{_box(ticks)} {event_type.id}", ", ".join(w for w in (why, words) if w)))
    return Section(group.name, note=note, pairs=tuple(pairs))


def _box(ticked: bool) -> str:
    return "[x]" if ticked else "[ ]"


def _words(count: TypeCount | None, none: str) -> str:
    """Return how many deliveries of a type there were, and how many failed or are waiting."""
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
        return "counting the deliveries of each type"
    if health.counted_since is None or health.counted_since <= health.since:
        return f"deliveries by type, in the last {HOURS} h"
    since = moment(health.counted_since, now_ms)
    return f"deliveries by type, the newest ones, since {since}"
