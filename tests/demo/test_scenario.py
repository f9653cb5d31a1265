"""The demo's account: every life keeps the rules of the public record, whatever the seed."""

import json
import re
from collections import defaultdict
from datetime import datetime
from itertools import takewhile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooktui.demo.scenario import ScenarioEvent, scenario_events
from hooktui.domain.catalogue import ETL, type_ids

SAMPLES = Path(__file__).parent.parent / "samples"
START_MS = 1_795_000_000_000
SEEDS = st.integers(0, 2**32)
PACES = st.sampled_from([1.0, 60.0])

STATUS_OF = {
    "job.submitted": "idle",
    "job.started": "running",
    "job.completed": "completed",
    "job.failed": "failed",
    "job.stopped": "stopped",
    "cluster.requested": "pending",
    "cluster.available": "available",
    "cluster.idled": "idle",
    "cluster.terminated": "terminated",
    "cluster.error": "error",
}
ALLOWED_LIVES = {
    ("job.submitted", "job.started", "job.completed"),
    ("job.submitted", "job.started", "job.failed"),
    ("job.submitted", "job.started", "job.stopped"),
    ("job.submitted", "job.stopped"),
    ("job.submitted", "job.failed"),
    ("cluster.requested", "cluster.available", "cluster.idled", "cluster.terminated"),
    ("cluster.requested", "cluster.error"),
}


def told(seed: int, pace: float, *, natural_s: float = 4 * 3600) -> list[ScenarioEvent]:
    """Return the scenes of some hours of the account's own time."""
    return list(
        takewhile(
            lambda scene: scene.at_s * pace < natural_s, scenario_events(seed, START_MS, pace)
        )
    )


def body(scene: ScenarioEvent) -> dict:
    return json.loads(scene.body)


def lives(scenes: list[ScenarioEvent]) -> dict[tuple[str, int], list[ScenarioEvent]]:
    by_thing = defaultdict(list)
    for scene in scenes:
        by_thing[scene.event_type.partition(".")[0], body(scene)["id"]].append(scene)
    return by_thing


def seconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp())


def shape(value):
    """Return a JSON value with types instead of values; null fits anything."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return type(value).__name__


def variable(resource: dict) -> dict:
    """Return a body without what may have other keys or types each time."""
    return {k: v for k, v in resource.items() if k not in ("variables", "outputs")}


@settings(max_examples=25, deadline=None)
@given(SEEDS, PACES)
def test_every_life_takes_an_allowed_course(seed, pace):
    for scenes in lives(told(seed, pace)).values():
        course = tuple(scene.event_type for scene in scenes)
        assert any(course == allowed[: len(course)] for allowed in ALLOWED_LIVES), course


@settings(max_examples=25, deadline=None)
@given(SEEDS, PACES)
def test_bodies_have_the_fields_of_the_samples_in_their_order(seed, pace):
    for scene in told(seed, pace):
        sample = json.loads((SAMPLES / f"{scene.event_type}.json").read_bytes())
        resource = body(scene)
        assert list(resource) == list(sample)
        assert resource["status"] == STATUS_OF[scene.event_type] == sample["status"]
        assert list(resource["creator"]) == list(sample["creator"])
        for name, value in variable(resource).items():
            if value is not None and sample[name] is not None:
                assert shape(value) == shape(sample[name]), (scene.event_type, name)


@settings(max_examples=25, deadline=None)
@given(SEEDS, PACES)
def test_the_times_of_a_job_follow_its_status(seed, pace):
    for scene in told(seed, pace):
        if not scene.event_type.startswith("job."):
            continue
        job, happened = body(scene), START_MS // 1000 + int(scene.at_s)
        assert abs(seconds(job["updated_at"]) - happened) <= 1
        over = job["status"] in ("completed", "failed", "stopped")
        assert (job["completed_at"] is not None) == over
        assert (job["failed_at"] is not None) == (job["status"] == "failed") == bool(job["errors"])
        assert job["failed_at"] in (None, job["completed_at"])
        if job["status"] in ("running", "completed"):
            assert job["started_at"] is not None
        if job["status"] == "idle":
            assert job["started_at"] is None
        if over and job["started_at"]:
            ran_s = seconds(job["completed_at"]) - seconds(job["started_at"])
            assert job["runtime_in_seconds"] == ran_s
        else:
            assert job["runtime_in_seconds"] == 0
        assert bool(job["outputs"]) == (job["status"] == "completed")
        assert job["outputs_count"] == (1 if job["status"] in ("running", "completed") else 0)


@settings(max_examples=25, deadline=None)
@given(SEEDS, PACES)
def test_the_times_of_a_cluster_follow_its_status(seed, pace):
    for scene in told(seed, pace):
        if not scene.event_type.startswith("cluster."):
            continue
        cluster = body(scene)
        status = cluster["status"]
        assert (cluster["available_since"] is not None) == (status not in ("pending", "error"))
        assert (cluster["idle_since"] is not None) == (status in ("idle", "terminated"))
        assert (cluster["terminated_at"] is not None) == (status == "terminated")
        if status != "terminated":
            assert not cluster["terminated_on_idle"]
        times = [cluster[n] for n in ("created_at", "available_since", "idle_since", "updated_at")]
        assert [t for t in times if t] == sorted(t for t in times if t)


@settings(max_examples=25, deadline=None)
@given(SEEDS, PACES)
def test_a_job_runs_only_while_its_cluster_is_available(seed, pace):
    standing: dict[int, str] = {}
    for scene in told(seed, pace):
        resource = body(scene)
        if scene.event_type.startswith("cluster."):
            standing[resource["id"]] = resource["status"]
        elif scene.event_type == "job.submitted":
            assert standing[resource["cluster_id"]] in ("pending", "available")
        elif resource["started_at"] is not None:
            assert standing[resource["cluster_id"]] == "available"


@settings(max_examples=25, deadline=None)
@given(SEEDS, PACES)
def test_a_cluster_idles_as_long_after_its_last_job_as_it_says(seed, pace):
    last_job_end: dict[int, float] = {}
    for scene in told(seed, pace):
        resource = body(scene)
        if scene.event_type.startswith("job."):
            last_job_end[resource["cluster_id"]] = scene.at_s
        elif scene.event_type == "cluster.idled":
            waited_s = scene.at_s - last_job_end[resource["id"]]
            assert waited_s == pytest.approx(resource["time_to_idle"], abs=0.01)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_the_same_seed_makes_the_same_scenario_byte_by_byte(seed):
    assert told(seed, 60.0) == told(seed, 60.0)


def test_another_start_changes_nothing_but_times():
    def without_times(scenes: list[ScenarioEvent]) -> list[tuple[float, str, str]]:
        dated = re.compile(r"20\d\d-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?")
        return [(s.at_s, s.event_type, dated.sub("then", s.body.decode())) for s in scenes]

    first, later = (
        list(takewhile(lambda scene: scene.at_s < 60, scenario_events(7, start_ms, 60)))
        for start_ms in (START_MS, START_MS + 3 * 24 * 3600 * 1000)
    )
    assert first != later
    assert without_times(first) == without_times(later)


def test_another_seed_makes_another_scenario():
    assert [s.event_type for s in told(1, 60.0)] != [s.event_type for s in told(2, 60.0)]


def test_a_day_of_the_account_shows_every_event_type_and_every_way_a_job_can_end():
    scenes = told(1, 1.0, natural_s=24 * 3600)
    assert {scene.event_type for scene in scenes} == set(type_ids(ETL))
    courses = {tuple(s.event_type for s in life) for life in lives(scenes).values()}
    assert courses >= ALLOWED_LIVES


@pytest.mark.parametrize("seed", range(1, 30))
def test_a_story_begins_at_once_and_is_soon_busy(seed):
    scenes = list(takewhile(lambda scene: scene.at_s < 15, scenario_events(seed, START_MS, 60)))
    assert scenes[0] == next(scenario_events(seed, START_MS, 60))
    assert scenes[0].at_s == 0
    assert len(scenes) >= 10
