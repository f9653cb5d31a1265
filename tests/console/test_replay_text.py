"""The text of a plan of a replay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hooktui.console.formatting import moment
from hooktui.console.glyphs import UNICODE
from hooktui.console.replays.replay_text import hook_columns, plan_lines, progress_lines
from hooktui.console.widgets.styled import StyledLine
from hooktui.domain.wire.replays import (
    PlannedHook,
    Replay,
    ReplayHook,
    ReplayPlan,
    ReplayProgress,
    ReplaySelection,
)
from hooktui.domain.wire.server import OpenBreaker
from tests.console.test_next_attempts import server

AT = "2026-11-25T00:00:00.000Z"
RUNNING = Replay(
    id="rpl_01JDG3R8Z4000", account=1, state="running", state_reason=None, ended_at=None,
    selection=ReplaySelection(hooks=(3,)), rate_per_s=50, max_deliveries=5, server=None,
    created_at=AT, created_by="ann", changed_at=AT, changed_by="hooktui",
    progress=ReplayProgress(
        total=5, sent=0, retried=0, delivered=0, failed=0, waiting=0, cancelled=0
    ),
)  # fmt: skip

BREAKER = OpenBreaker(hook=3, name="billing", probe_at="1970-01-01T00:01:00.000Z", failures=10)
UNTIL = f"until {moment(60_000, 0)}"


def text_of(line: StyledLine) -> str:
    """Return the text of a line."""
    return "".join(text for text, _ in line)


def lines_of(*hooks: PlannedHook) -> list[str]:
    """Return the text of a plan of some hooks."""
    plan = ReplayPlan(
        selection=ReplaySelection(hooks="all"), rate_per_s=50, retrying=0, duplicates=0,
        total=sum(hook.selected for hook in hooks), oldest_at=None, newest_at=None, estimate_s=1,
        hooks=hooks,
    )  # fmt: skip
    return [text_of(line) for line in plan_lines(plan, UNICODE, 0)]


# Red when the hooks that get something are lost among those that get nothing.
def test_a_plan_counts_the_hooks_without_deliveries():
    some = [PlannedHook(hook=n, name="n", selected=n % 2) for n in range(1, 6)]
    listed = ["   hook 1 n  1", "   hook 3 n  1", "   hook 5 n  1", "   2 hooks without any"]
    assert lines_of(*some)[1:] == listed
    assert len(lines_of(*(PlannedHook(hook=n, name="n", selected=0) for n in (1, 2)))) == 1


# Red when a plan of nothing does not say why.
def test_an_empty_plan_says_why():
    [line] = lines_of(PlannedHook(hook=1, name="n", selected=0))
    assert line == " 0 deliveries: no event of the hooks' types matches"


# Red while a name of 200 characters pushed the count out of the terminal.
def test_a_long_name_leaves_room_for_the_count():
    named = lines_of(
        PlannedHook(hook=1, name="a very long name " * 11, selected=7, waits_for="paused")
    )
    assert named[1].index("  7  will wait") < 60


# Red when a replay that sent fewer than planned is at 100 % without a reason, or with part of one.
@pytest.mark.parametrize("total", [5, 99_999])
def test_a_finished_replay_says_why_it_sent_fewer(total: int):
    progress = ReplayProgress(
        total=total, sent=2, retried=1, delivered=3, failed=0, waiting=0, cancelled=0
    )
    replay = replace(RUNNING, state="finished", ended_at=AT, progress=progress)
    lines = [text_of(line) for line in progress_lines(replay, UNICODE, 0)]
    (line,) = [line for line in lines if line.startswith(f"  {total - 3:,} fewer than planned: ")]
    assert len(line) < 80


# Red when nothing says who has paused or aborted a replay, or when.
@pytest.mark.parametrize(
    ("state", "reason", "shown"),
    [
        ("paused", None, "  last changed {} by bob"),
        ("paused", "too slow", "  too slow  last changed {} by bob"),
        ("aborted", None, "  last changed {} by bob"),
        ("running", None, None),
        ("finished", None, None),
    ],
)
def test_who_paused_or_aborted_a_replay_is_shown(state: str, reason: str | None, shown: str | None):
    replay = replace(RUNNING, state=state, state_reason=reason, changed_by="bob")
    lines = [text_of(line) for line in progress_lines(replay, UNICODE, 0)]
    changed = [line for line in lines if "last changed" in line]
    assert changed == ([] if shown is None else [shown.format(moment(RUNNING.changed_at, 0))])


# Red when a hook of a paused or aborted replay is "sending".
@pytest.mark.parametrize(
    ("of_replay", "of_hook", "shown"),
    [
        ("running", "walking", "sending"),
        ("paused", "walking", "paused"),
        ("aborted", "walking", "aborted"),
        ("paused", "set_aside", "set aside"),
        ("aborted", "done", "done"),
    ],
)
def test_a_hook_sends_only_while_its_replay_runs(of_replay: str, of_hook: str, shown: str):
    replay = replace(RUNNING, state=of_replay)
    hook = ReplayHook(
        hook=3, name="billing", state=of_hook, reason=None, waits_for=None, sent=1, retried=0
    )
    state = next(column for column in hook_columns(lambda: replay) if column.name == "state")
    assert text_of(state.cell(hook)) == shown


# Red when a replay that waits for a breaker does not say how long.
@pytest.mark.parametrize(
    ("waits_for", "status", "end"),
    [
        (
            ("breaker", None),
            server(breakers=(BREAKER,)),
            f"breaker is open {UNTIL}",
        ),
        (("breaker", None), server(), "breaker is open"),
        (("breaker", None), None, "breaker is open"),
        (("paused", None), server(breakers=(BREAKER,)), "delivery is paused"),
        (("breaker", "breaker"), server(breakers=(BREAKER,)), "2 hooks wait"),
    ],
)
def test_a_replay_that_waits_for_one_breaker_says_how_long(waits_for, status, end):
    hooks = tuple(
        ReplayHook(
            hook=n, name="n", state="walking", reason=None, waits_for=what, sent=0, retried=0
        )
        for n, what in enumerate(waits_for, 3)
    )
    replay = replace(RUNNING, hooks=hooks)
    lines = [text_of(line) for line in progress_lines(replay, UNICODE, 0, status)]
    assert any(line.endswith(end) for line in lines)
