"""The rules of the grouped event boxes, without a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.console.hooks.event_boxes import EventSelection, Tick, subscription_words
from hooktui.domain.catalogue import ETL, normalise, subscribes, type_ids
from hooktui.domain.wire.events import Catalogue, EventGroup, EventType

JOB, CLUSTER = ETL.groups
names = st.sampled_from([*type_ids(ETL), "job", "cluster"])
subscriptions = st.lists(names, min_size=1, max_size=12)


@given(subscriptions)
def test_the_boxes_give_back_every_subscription_in_its_normal_form(events: list[str]) -> None:
    assert EventSelection.of(ETL, events).events == normalise(ETL, events)


@given(subscriptions, st.lists(names, max_size=12))
def test_what_any_series_of_ticks_leaves_is_a_normal_form(
    events: list[str], toggles: list[str]
) -> None:
    selection = EventSelection.of(ETL, events)
    for name in toggles:
        selection = selection.toggle_type(name) if "." in name else selection.toggle_group(name)
    if selection.events:
        assert selection.events == normalise(ETL, selection.events)
    assert EventSelection.of(ETL, selection.events) == selection


@given(subscriptions, st.sampled_from(type_ids(ETL)))
def test_toggling_one_type_changes_the_coverage_of_that_type_alone(
    events: list[str], chosen: str
) -> None:
    before = EventSelection.of(ETL, events)
    after = before.toggle_type(chosen)
    for event_type in type_ids(ETL):
        was = subscribes(before.events, event_type)
        assert subscribes(after.events, event_type) == (was != (event_type == chosen))
        assert after.ticked(event_type) == subscribes(after.events, event_type)


@given(subscriptions, st.sampled_from(type_ids(ETL)))
def test_coverage_of_todays_types_comes_back_when_a_type_is_toggled_twice(
    events: list[str], chosen: str
) -> None:
    before = EventSelection.of(ETL, events)
    after = before.toggle_type(chosen).toggle_type(chosen)
    for event_type in type_ids(ETL):
        assert after.ticked(event_type) == before.ticked(event_type)


def test_ticking_a_group_subscribes_to_the_group_itself() -> None:
    selection = EventSelection.of(ETL, ["job.failed"]).toggle_group("job")
    assert selection.events == ("job",)
    assert selection.group_tick(JOB) is Tick.ALL
    assert all(selection.ticked(t.id) for t in JOB.types)


def test_unticking_one_type_of_a_full_group_leaves_the_explicit_others() -> None:
    selection = EventSelection.of(ETL, ["job"]).toggle_type("job.stopped")
    assert selection.events == ("job.submitted", "job.started", "job.completed", "job.failed")
    assert selection.group_tick(JOB) is Tick.SOME


def test_ticking_every_type_is_not_the_same_as_the_group_for_future_types_would_not_come() -> None:
    selection = EventSelection.of(ETL, [t.id for t in JOB.types])
    assert selection.group_tick(JOB) is Tick.SOME
    assert selection.toggle_group("job").events == ("job",)


def test_unticking_a_group_unticks_all_of_it_and_nothing_else() -> None:
    selection = EventSelection.of(ETL, ["job", "cluster.error"]).toggle_group("job")
    assert selection.events == ("cluster.error",)
    assert selection.group_tick(JOB) is Tick.NONE
    assert selection.group_tick(CLUSTER) is Tick.SOME


def test_a_name_that_the_catalogue_lost_stays_until_it_is_unticked() -> None:
    selection = EventSelection.of(ETL, ["job", "package.deployed"])
    assert selection.events == ("job", "package.deployed")
    assert selection.ticked("package.deployed")
    assert selection.toggle_type("package.deployed").events == ("job",)


def test_a_new_type_of_a_subscribed_group_is_ticked_by_itself() -> None:
    new = EventType(id="job.paused", name="Job Paused", description="")
    grown = Catalogue(groups=(EventGroup(id="job", name="Job", types=(*JOB.types, new)),))
    assert EventSelection.of(grown, ["job"]).ticked("job.paused")
    assert not EventSelection.of(grown, [t.id for t in JOB.types]).ticked("job.paused")


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ((), "no events"),
        (("job",), "all job events"),
        (("job", "cluster.error"), "all job events and cluster.error"),
        (
            ("job.failed", "cluster.idled", "cluster.error"),
            "job.failed, cluster.idled and cluster.error",
        ),
    ],
)
def test_a_subscription_is_said_in_words(events: tuple[str, ...], words: str) -> None:
    assert subscription_words(ETL, events) == words
