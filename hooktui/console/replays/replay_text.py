"""Texts, progress bars and columns of replays and their plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from hooktui.console.formatting import ago, breaker_end, moment, short_name, whole_percent
from hooktui.console.glyphs import Glyphs
from hooktui.console.widgets.styled import StyledLine, StyleName
from hooktui.console.widgets.table import Column
from hooktui.domain.text import counted
from hooktui.domain.wire import replays
from hooktui.domain.wire.replays import PlannedSkip, Replay, ReplayHook, ReplayPlan, ReplaySelection
from hooktui.domain.wire.server import ServerStatus

RUNNING, PAUSED, ABORTED = "running", "paused", "aborted"

BAR: Final = 16
"""Width of the progress bar of a replay, in cells."""

_TONES: Final[dict[str, StyleName]] = {
    RUNNING: "accent", PAUSED: "warn", "finished": "good", "aborted": "quiet",
}  # fmt: skip


def may_have_changed(replay: Replay, *, others_changed: bool) -> bool:
    """Return whether a replay may have changed without a feed item of its own.

    A running one may begin or stop to wait at any time; after it was paused or has ended, the
    results of its waiting deliveries are counted, which ``others_changed`` says may have come.
    """
    return replay.state == RUNNING or (others_changed and replay.progress.waiting > 0)


def handled(replay: Replay) -> int:
    """Return the number of deliveries that a replay has sent or retried."""
    return replay.progress.sent + replay.progress.retried


def share(replay: Replay) -> float | None:
    """Return the progress of a replay, 0 to 1; None while its total is unknown."""
    total = replay.progress.total
    if replay.state == "finished":
        return 1.0
    return None if total is None else min(handled(replay) / max(total, 1), 1.0)


def bar(done: float | None, glyphs: Glyphs, width: int = BAR) -> StyledLine:
    """Return a progress bar; it is empty while the progress is unknown."""
    cells = 0 if done is None else int(done * width)
    return ((glyphs.bar_waiting * cells, "accent"), (glyphs.dot * (width - cells), "quiet"))


def percent(done: float | None) -> str:
    """Return the progress in percent, rounded down: 100 % only when all is done."""
    return "" if done is None else f"{whole_percent(done)}%"


def hooks_words(replay: Replay) -> str:
    """Return the hooks of a replay: id and name of a single hook, else their number."""
    if len(replay.hooks) == 1:
        return f"{replay.hooks[0].hook} {replay.hooks[0].name}"
    return counted(len(replay.hooks), "hook")


def skipped_words(skipped: Mapping[str, int]) -> str:
    """Return the number of skips by reason: ``412 purged, 3 waiting``."""
    return ", ".join(f"{count:,} {reason}" for reason, count in skipped.items())


def selection_words(selection: ReplaySelection, now_ms: int) -> str:
    """Return the selection of a replay in one line."""
    parts = [selection.mode]
    if selection.cause is not None:
        parts.append(f"cause {selection.cause}")
    if selection.since is not None:
        parts.append(f"from {moment(selection.since, now_ms)}")
    if selection.until is not None:
        parts.append(f"to {moment(selection.until, now_ms)}")
    if selection.filter is not None:
        parts.append(f"filter {selection.filter}")
    return ", ".join(parts)


def replay_columns(glyphs: Glyphs, clock: Callable[[], int]) -> tuple[Column[Replay], ...]:
    """Return the columns of the list of replays."""

    def state(replay: Replay) -> StyledLine:
        return ((replay.state, _TONES.get(replay.state, "plain")),)

    def failed(replay: Replay) -> StyledLine:
        count = replay.progress.failed
        return ((f"{count:,}", "bad" if count else "quiet"),)

    def left(replay: Replay) -> StyledLine:
        words = replays.time_left(replay)
        return ((words, "warn" if words == "waits" else "plain"),)

    def why(replay: Replay) -> StyledLine:
        words = replays.waits_words(replay) or replay.state_reason or ""
        return ((words, "quiet" if replay.ended_at else "warn"),)

    return (
        Column(name="state", cell=state, width=8, priority=0),
        Column(name="hooks", cell=hooks_words, width=12, grow=2, max_width=30, priority=0),
        Column(name="mode", cell=lambda r: r.selection.mode, tone="quiet", width=10, priority=4),
        Column(name="bar", title="", cell=lambda r: bar(share(r), glyphs), width=BAR, priority=1),
        Column(name="percent", title="done", cell=lambda r: percent(share(r)), tone="strong",
               width=4, align="right", priority=0),
        Column(name="rate", cell=lambda r: f"{r.rate_per_s:g}/s", width=7, align="right",
               priority=1),
        Column(name="failed", cell=failed, width=6, align="right", priority=0),
        Column(name="left", title="time left", cell=left, width=9, priority=0),
        Column(name="why", cell=why, width=32, grow=4, max_width=60, priority=2),
        Column(name="by", cell=lambda r: r.created_by, tone="quiet", width=8, grow=1, max_width=16,
               priority=5),
        Column(name="created", width=7, align="right", priority=3,
               cell=lambda r: ago(r.created_at, clock()), tone="quiet"),
        Column(name="id", title="replay", cell=lambda r: r.id, tone="quiet", width=17, priority=6),
    )  # fmt: skip


def hook_columns(replay: Callable[[], Replay | None]) -> tuple[Column[ReplayHook], ...]:
    """Return the columns of the hooks of one replay, which may not be loaded yet."""

    def why(hook: ReplayHook) -> StyledLine:
        waits = replays.waits_reason(hook.waits_for)
        return ((hook.reason or (f"waits: {waits}" if waits else ""), "warn"),)

    def state(hook: ReplayHook) -> StyledLine:
        of = replay()
        words = "" if of is None else replays.hook_state(of, hook)
        return ((words, "warn" if hook.state == "set_aside" else "plain"),)

    return (
        Column(name="hook", cell=lambda h: f"{h.hook} {h.name}", width=14, grow=2, max_width=36,
               priority=0),
        Column(name="state", cell=state, width=9, priority=0),
        Column(name="sent", cell=lambda h: f"{h.sent:,}", width=8, align="right", priority=0),
        Column(name="retried", cell=lambda h: f"{h.retried:,}", width=8, align="right", priority=1),
        Column(name="skipped", cell=lambda h: skipped_words(h.skipped), tone="quiet", width=14,
               grow=2, max_width=40, priority=2),
        Column(name="why", cell=why, width=16, grow=4, max_width=60, priority=1),
    )  # fmt: skip


def progress_lines(
    replay: Replay, glyphs: Glyphs, now_ms: int, status: ServerStatus | None = None
) -> list[StyledLine]:
    """Return the summary of a replay: progress, results and selection.

    With the ``status`` of the server, it says until when the replay waits for a breaker.
    """
    done, progress = share(replay), replay.progress
    of_total = "" if progress.total is None else f" of {progress.total:,}"
    state: StyledLine = (
        ("  ", "plain"),
        *bar(done, glyphs, 2 * BAR),
        (f"  {percent(done)}", "strong"),
        (f"  {handled(replay):,}{of_total} at {replay.rate_per_s:g}/s", "plain"),
    )
    left = replays.time_left(replay)
    if left:
        state = (*state, (f"  {left}" if left == "waits" else f"  {left} left", "accent"))
    results: StyledLine = (
        (f"  {progress.delivered:,} delivered", "good" if progress.delivered else "quiet"),
        (f"   {progress.failed:,} failed", "bad" if progress.failed else "quiet"),
        (f"   {progress.waiting:,} waiting", "plain"),
        (f"   {progress.cancelled:,} cancelled", "quiet"),
    )
    if progress.skipped:
        results = (*results, (f"   skipped: {skipped_words(progress.skipped)}", "warn"))
    why = replays.waits_words(replay) or replay.state_reason or replays.unsent_words(replay)
    waiting = [hook for hook in replay.hooks if hook.waits_for]
    one_breaker = [hook.waits_for for hook in waiting] == ["breaker"]
    until = breaker_end(status, waiting[0].hook, now_ms) if one_breaker else ""
    why_line: list[tuple[str, StyleName]] = [(f"  {why} {until}".rstrip(), "warn")] if why else []
    if replay.state in (PAUSED, ABORTED):
        when = moment(replay.changed_at, now_ms)
        why_line.append((f"  last changed {when} by {replay.changed_by}", "plain"))
    what = selection_words(replay.selection, now_ms)
    lines: list[StyledLine] = [state, results, why_line, ((f"  {what}", "quiet"),)]
    return [line for line in lines if line]


def plan_lines(plan: ReplayPlan, glyphs: Glyphs, now_ms: int) -> list[StyledLine]:
    """Return a plan as text: deliveries, duration, and skips with their reasons."""
    counting = "" if plan.complete else f" so far {glyphs.ellipsis}"
    first: list[tuple[str, StyleName]] = [
        (f" {counted(plan.total, 'delivery')}{counting}", "strong")
    ]
    if plan.total:
        first.append((f", {replays.estimate_words(plan)}", "plain"))
    elif plan.complete and not plan.skipped:
        first.append((": no event of the hooks' types matches", "warn"))
    lines: list[StyledLine] = [first]
    if plan.oldest_at is not None and plan.newest_at is not None:
        oldest, newest = (moment(at, now_ms) for at in (plan.oldest_at, plan.newest_at))
        times = oldest if oldest == newest else f"{oldest} to {newest}"
        lines.append(((f" events of {times}", "quiet"),))
    if plan.retrying:
        lines.append(((f" {replays.retrying_words(plan.retrying)}", "plain"),))
    if plan.duplicates:
        them = "it" if plan.duplicates == 1 else "them"
        count = counted(plan.duplicates, "duplicate")
        lines.append(((f" {count}: the receiver has {them} already", "warn"),))
    chosen = [hook for hook in plan.hooks if hook.selected]
    for hook in chosen:
        waits = f"  will wait: {replays.waits_reason(hook.waits_for)}" if hook.waits_for else ""
        which: StyledLine = ((f"   hook {hook.hook} ", "quiet"), (short_name(hook.name), "plain"))
        lines.append((*which, (f"  {hook.selected:,}", "plain"), (waits, "warn")))
    others = len(plan.hooks) - len(chosen)
    if others and plan.total:
        lines.append(((f"   {counted(others, 'hook')} without any", "quiet"),))
    lines += [((f" skips {_skip_words(skip)}", "quiet"),) for skip in plan.skipped]
    lines += [((" ! ", "warn"), (warning, "warn")) for warning in plan.warnings]
    return lines


def _skip_words(skip: PlannedSkip) -> str:
    return f"{skip.count:,} of hook {skip.hook}: {skip.explanation}"
