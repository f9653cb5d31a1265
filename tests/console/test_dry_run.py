"""Which events of a dry run are named, and in which words."""

from __future__ import annotations

from dataclasses import replace

from hooktui.console.hooks.dry_run import MAX_ROWS, shown_events, tried_row
from hooktui.domain.wire.hooks import Change, DryRun, TriedEvent
from tests.support.wire_objects import AT, AT_MS


def run(**counts: int) -> DryRun:
    data = tuple(
        TriedEvent(id=f"evt_{change}{number}", type="job.failed", created_at=AT, change=change)
        for change in Change
        for number in range(counts.get(change, 0))
    )
    return DryRun(looked=9, since=AT, sent=9, sent_now=9, more=0, fewer=0, unknown=0, data=data)


def kinds(**counts: int) -> list[str]:
    return [one.change for one in shown_events(run(**counts))]


def test_changes_come_first_and_every_kind_is_named_on_few_lines() -> None:
    # Red when one kind takes all lines, or a line is left free that another kind could fill.
    assert kinds(same=20, more=20, fewer=20) == ["more"] * 2 + ["fewer"] * 2 + ["same"] * 2
    assert kinds(same=20, more=1, fewer=20) == ["more"] + ["fewer"] * 3 + ["same"] * 2
    assert kinds(same=20) == ["same"] * MAX_ROWS
    assert kinds(fewer=2) == ["fewer"] * 2
    assert kinds() == []


def test_a_line_says_what_becomes_of_the_event() -> None:
    row = tried_row(run(fewer=1).data[0], AT_MS, 10)
    assert (row.value, row.name) == ("evt_fewer0", "no longer sent")
    assert row.words.startswith("job.failed")


def test_times_and_ids_stand_in_columns_whatever_the_types() -> None:
    one = run(same=1).data[0]
    words = [
        tried_row(event, AT_MS, len("job.completed")).words
        for event in (one, replace(one, type="job.completed"))
    ]
    assert {text.index("evt_") for text in words} == {words[0].index("evt_")}
