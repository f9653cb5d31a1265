"""Why a hook got an event, or did not, in words."""

from dataclasses import replace

import pytest

from hooktui.domain.event_outcomes import (
    MAX_LETTERS,
    EventFacts,
    HookFacts,
    HookOutcome,
    misfitting_steps,
    why_not_subscribed,
    why_skipped_steps,
)
from hooktui.domain.json_text import finish


def misfitting(text, event):
    return finish(misfitting_steps(text, event))


def why_skipped(hook, event, reason):
    return finish(why_skipped_steps(hook, event, reason))


BEFORE, THEN, AFTER = 1_000, 2_000, 3_000
HOOK = HookFacts(
    events=("job.failed", "cluster"), filter=None, active=True, created_ms=500, changed_ms=BEFORE
)
EVENT = EventFacts("job.failed", THEN, {"cluster_id": 7, "tags": ["a", "b"], "errors": "disk full"})


def test_a_disabled_hook_says_whether_it_is_active_now():
    why = why_skipped(replace(HOOK, active=False), EVENT, "disabled")
    assert (why.outcome, why.reason) == (
        HookOutcome.DISABLED,
        "was disabled when the event was received",
    )
    assert why_skipped(HOOK, EVENT, "disabled").reason.endswith("; it is active now")


@pytest.mark.parametrize(
    ("text", "misfits"),
    [
        ("data.cluster_id:52", ["data.cluster_id:52 (it is 7)"]),
        ("data.cluster_id:7 data.gone:x", ["data.gone:x (there is no such field)"]),
        ("-data.tags:b", ['-data.tags:b (it is "a", "b")']),
        ("event:job.started,cluster", ["event:job.started,cluster (it is job.failed)"]),
        (
            'data.cluster_id:1  data.errors:"no space"',
            ["data.cluster_id:1 (it is 7)", 'data.errors:"no space" (it is "disk full")'],
        ),
        ("data.cluster_id:7", []),
        ("status:failed", []),  # no filter of a hook in this version
    ],
)
def test_the_terms_that_do_not_fit_are_named_with_what_is_there(text: str, misfits: list[str]):
    """Red when a term is named that fits, or one that does not is left out."""
    assert misfitting(text, EVENT) == misfits


def test_a_long_value_is_cut():
    found = misfitting("data.errors:x", replace(EVENT, data={"errors": "e" * 10_000}))
    assert len(found[0]) < 2 * MAX_LETTERS


@pytest.mark.parametrize(
    ("hook", "event", "reason", "as_of_now"),
    [
        ({"filter": "data.cluster_id:8"}, {}, "did not match: data.cluster_id:8 (it is 7)", False),
        ({"filter": "data.cluster_id:8", "changed_ms": AFTER}, {}, "(it is 7)", True),
        ({"filter": "data.cluster_id:7", "changed_ms": AFTER}, {}, "the current one would", True),
        ({"changed_ms": AFTER}, {}, "it has none now", True),
        ({"filter": "data.a:1"}, {"purged": True}, "the body is purged", False),
    ],
)
def test_a_filter_that_changed_since_is_reported_as_of_now(hook, event, reason, as_of_now):
    """Red when an edited hook is taken for what it was when the event came."""
    why = why_skipped(replace(HOOK, **hook), replace(EVENT, **event), "filter")
    assert why.outcome == HookOutcome.FILTER
    assert reason in why.reason
    assert why.as_of_now is as_of_now


@pytest.mark.parametrize(
    ("hook", "kind", "decision", "reason", "as_of_now"),
    [
        ({}, "job.started", HookOutcome.NOT_SUBSCRIBED, "subscribes to job.failed, cluster", False),
        ({"changed_ms": AFTER}, "job.started", HookOutcome.NOT_SUBSCRIBED, "subscribes to", True),
        ({"created_ms": AFTER}, "job.failed", HookOutcome.LATER, "created after", False),
        ({"changed_ms": AFTER}, "job.failed", HookOutcome.LATER, "subscribes to it now", True),
        ({}, "ping", HookOutcome.NOT_SUBSCRIBED, "a ping is only sent to", False),
    ],
)
def test_a_hook_that_was_not_asked_says_what_it_asks_for(hook, kind, decision, reason, as_of_now):
    why = why_not_subscribed(replace(HOOK, **hook), replace(EVENT, type=kind))
    assert (why.outcome, why.as_of_now) == (decision, as_of_now)
    assert reason in why.reason


def test_a_long_selection_is_cut():
    many = replace(HOOK, events=tuple(f"job.{n}" for n in range(9)))
    assert why_not_subscribed(many, replace(EVENT, type="x.y")).reason.endswith("job.4, 4 more")
