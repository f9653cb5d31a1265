"""What a hook subscribes to, as its tab Events tells it."""

from __future__ import annotations

from hooktui.console.hooks.summary import event_sections
from hooktui.console.widgets.document_lines import Section
from hooktui.domain.catalogue import ETL
from hooktui.domain.wire.hooks import HookHealth, TypeCount
from tests.support.wire_objects import AT, AT_MS, hook


def health(*types: TypeCount, counted_since: str | None = None) -> HookHealth:
    return HookHealth(
        hook=12, since=AT, until=AT, step_s=600, points=(), types=types,
        counted_since=counted_since,
    )  # fmt: skip


def sections(events: tuple[str, ...], told: HookHealth | None, **fields: object) -> list[Section]:
    return event_sections(hook(events=events, **fields), ETL, told, AT_MS)


def pairs(found: list[Section]) -> dict[str, str]:
    return {name: words for section in found for name, words in section.pairs}


def test_every_type_stands_there_and_whether_the_group_or_the_hook_itself_ticks_it():
    found = sections(("job", "cluster.error"), health())
    notes = {section.title: section.note for section in found}
    assert notes["Job"] == "the whole group, with future types"
    assert notes["Cluster"] == "1 of 5 types"
    told = pairs(found)
    assert {one.id for group in ETL.groups for one in group.types} <= {n[4:] for n in told}
    assert told["[x] job.failed"] == "by its group, no deliveries"
    assert told["[x] cluster.error"] == "subscribed, no deliveries"
    assert told["[ ] cluster.idled"] == "not subscribed"


def test_counts_are_reported_with_what_is_not_well():
    failed = TypeCount(type="job.failed", deliveries=9, delivered=6, failed=2, waiting=1)
    before = TypeCount(type="cluster.idled", deliveries=1, delivered=1, failed=0, waiting=0)
    told = pairs(sections(("job",), health(failed, before)))
    assert told["[x] job.failed"] == "by its group, 9 deliveries, 2 failed, 1 waiting"
    assert told["[ ] cluster.idled"] == "not subscribed, 1 delivery"


# Red when "no deliveries" is said before anything was counted.
def test_before_the_counts_are_there_nothing_is_said_about_them():
    told = pairs(sections(("job",), None))
    assert told["[x] job.failed"] == "by its group"
    assert told["counted"] == "counting the deliveries of each type"


def test_pings_and_types_that_the_catalogue_lost_are_not_left_out():
    ping = TypeCount(type="ping", deliveries=2, delivered=2, failed=0, waiting=0)
    (others,) = (s for s in sections(("job", "old.kind"), health(ping)) if s.title == "Others")
    assert others.pairs == (("[x] old.kind", ""), ("test deliveries", "2 deliveries"))


def test_the_filter_and_the_span_of_the_counts_are_said():
    told = pairs(sections(("job",), health(), filter="data.owner:7"))
    assert told["filter"] == "data.owner:7"
    assert told["counted"] == "deliveries by type, in the last 24 h"
    later = "2026-11-25T12:30:00.000Z"
    told = pairs(sections(("job",), health(counted_since=later)))
    assert "since" in told["counted"]
