"""The rules of replays: selections, verdicts, sums of plans."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from hooktui.domain.clock import to_rfc3339
from hooktui.domain.errors import Conflict, Refused
from hooktui.domain.replays import (
    MAX_HOOKS,
    Act,
    Newest,
    PairSelection,
    ReplayMode,
    ReplaySkip,
    ReplayState,
    add_plans,
    after_filters,
    assess_pair,
    check_rate,
    check_selection,
    check_transition,
    wire_selection,
)
from hooktui.domain.wire.replays import PlannedHook, ReplayPlan, ReplaySelection

NOW = 1_800_000_000_000
BOUND = 100


def selected(mode: str = "failed", **fields: object) -> PairSelection:
    given = {"hooks": (1,), "mode": mode, "since": "1h", **fields}
    return check_selection(ReplaySelection(**given), NOW)


# Red when the filter is measured as it was given: with times for its ages it could be stored, and
# not be read again, and neither could the list of replays or the feed.
@pytest.mark.parametrize("length", [1_900, 1_985, 1_999, 2_000])
@pytest.mark.parametrize("ages", ["since:1d ", "-until:1h,2h ", ""])
def test_a_selection_that_is_accepted_can_be_read_again(ages: str, length: int):
    text = ages + "x" * (length - len(ages))
    if ages and length > 1_950:
        with pytest.raises(Refused, match="more than 2,000 characters"):
            selected(filter=text)
    else:
        accepted = selected(filter=text)
        assert check_selection(wire_selection(accepted), 0) == accepted


def test_a_selection_gets_absolute_times_and_keeps_them():
    first = selected(until=None, filter="since:10m -until:2h,30m word")
    assert (first.since_ms, first.until_ms) == (NOW - 3_600_000, NOW)
    again = check_selection(wire_selection(first), NOW + 99_999_999)
    assert again == first
    assert str(to_rfc3339(NOW - 600_000)) in (first.filter or "")


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "sent", "since": None},
        {"mode": "unknown"},
        {"cause": "unknown"},
        {"mode": "sent", "cause": "dns"},
        {"mode": "never-sent", "filter": "code:5xx"},
        {"filter": "code:"},
        {"hooks": ()},
        {"hooks": tuple(range(1, MAX_HOOKS + 2))},
        {"hooks": tuple(range(1, 22)), "mode": "all"},
        {"since": "1h", "until": "2h"},
        {"until": "soon"},
    ],
)
def test_bad_selections_are_refused(fields: dict[str, object]):
    with pytest.raises(Refused):
        selected(**fields)


# Red when the text of two bad times does not say which is which: people read the text alone.
def test_a_bad_time_is_named_in_the_text():
    with pytest.raises(Refused, match=r"since: 'x' is not a time.*; until: 'y' is not a time"):
        selected(since="x", until="y")


def test_rates_have_limits():
    assert check_rate(0.1) == 0.1
    assert check_rate(1000) == 1000
    for rate in (0.09, 1001, -1):
        with pytest.raises(Refused):
            check_rate(rate)


def test_states():
    allowed = {
        ("running", "paused"), ("running", "finished"), ("running", "aborted"),
        ("paused", "running"), ("paused", "aborted"),
    }  # fmt: skip
    for before in ReplayState:
        for after in ReplayState:
            if (before.value, after.value) in allowed:
                check_transition("rpl_1", before, after)
            else:
                with pytest.raises(Conflict, match="rpl_1"):
                    check_transition("rpl_1", before, after)


FAILED = Newest(9, "failed", "dns", None)
RETRYING = Newest(9, "pending", "dns", None)
WAITING = Newest(9, "pending", None, None)
SENT = Newest(9, "delivered", None, None)
CASES = {
    ReplayMode.FAILED: (None, Act.SEND, Act.RETRY, None, None),
    ReplayMode.NEVER_SENT: (Act.SEND, None, None, None, None),
    ReplayMode.SENT: (None, Act.SEND, Act.RETRY, ReplaySkip.WAITING, Act.SEND),
    ReplayMode.ALL: (Act.SEND, Act.SEND, Act.RETRY, ReplaySkip.WAITING, Act.SEND),
}


@pytest.mark.parametrize("mode", ReplayMode)
def test_each_mode_judges_pairs(mode: ReplayMode):
    chosen = selected(mode)
    found = tuple(
        assess_pair(chosen, newest, candidate=None, replay=5, bound=BOUND)
        for newest in (None, FAILED, RETRYING, WAITING, SENT)
    )
    assert found == CASES[mode]


def test_newer_own_and_other_deliveries():
    chosen = selected()
    newer = structs.replace(FAILED, id=BOUND + 1)
    assert assess_pair(chosen, newer, candidate=9, replay=5, bound=BOUND) is ReplaySkip.SUPERSEDED
    own = structs.replace(newer, replay=5)
    assert assess_pair(chosen, own, candidate=9, replay=5, bound=BOUND) is None
    assert assess_pair(chosen, FAILED, candidate=8, replay=5, bound=BOUND) is None
    being_sent = structs.replace(RETRYING, status="sending")
    assert assess_pair(chosen, being_sent, candidate=9, replay=5, bound=BOUND) is ReplaySkip.WAITING
    other = selected(cause="http_404")
    assert assess_pair(other, FAILED, candidate=9, replay=5, bound=BOUND) is None


def test_the_filter_comes_before_the_body_and_the_order():
    chosen = selected()
    checks = {"fits": True, "purged": True, "ordered": True}
    assert after_filters(Act.SEND, chosen, **checks) is ReplaySkip.PURGED
    assert after_filters(Act.SEND, chosen, **checks | {"fits": False}) is ReplaySkip.FILTER
    assert after_filters(Act.SEND, chosen, **checks | {"purged": False}) is ReplaySkip.ORDERED
    with_ordered = replace(chosen, include_ordered=True)
    within = checks | {"purged": False}
    assert after_filters(Act.SEND, with_ordered, **within) is Act.SEND
    assert after_filters(ReplaySkip.WAITING, chosen, **checks) is ReplaySkip.WAITING
    assert after_filters(None, chosen, **checks) is None


def test_pings_and_own_events():
    assert selected().includes_type("hooktui.hook.failing")
    assert not selected("all").includes_type("hooktui.hook.failing")
    assert selected("all").includes_type("job.failed")


def page(rate: float, *hooks: PlannedHook, kept_s: float | None = None) -> ReplayPlan:
    """Return a page of a plan that counted some hooks."""
    total = sum(hook.selected for hook in hooks)
    return ReplayPlan(
        selection=ReplaySelection(hooks="all"), rate_per_s=rate, total=total, retrying=0,
        duplicates=0, oldest_at=None, newest_at=None, estimate_s=total, hooks=hooks, kept_s=kept_s,
    )  # fmt: skip


def slow(hook: int, selected: int) -> PlannedHook:
    return PlannedHook(hook=hook, name="slow", selected=selected, rate_per_s=1)


# Red when the estimates of pages are added: hooks that are sent to side by side take the longest.
def test_the_estimate_of_a_plan_does_not_depend_on_its_pages():
    assert add_plans(page(50, slow(1, 60)), page(50, slow(2, 40))).estimate_s == 60
    assert add_plans(page(50, slow(1, 60)), page(50, slow(1, 40))).estimate_s == 100
    assert add_plans(page(0.5, slow(1, 60)), page(0.5, slow(2, 40))).estimate_s == 200
    of_an_old_server = [PlannedHook(hook=hook, name="", selected=60) for hook in (1, 2)]
    assert add_plans(*(page(4, hook) for hook in of_an_old_server)).estimate_s == 30
    endless = add_plans(page(50, replace(slow(1, 60), rate_per_s=5e-324)), page(50, slow(2, 40)))
    assert endless.estimate_s == 100 * 365 * 86_400


# Red when each page is compared with its own part of the time.
def test_a_plan_warns_of_retention_by_the_duration_of_all_its_pages():
    warnings = [
        add_plans(page(50, slow(1, 60), kept_s=kept_s), page(50, slow(1, 60))).warnings
        for kept_s in (None, 120, 119)
    ]
    assert [len(some) for some in warnings] == [0, 0, 1]
    assert "retention deletes" in warnings[-1][0]
    both = add_plans(page(50, slow(1, 9), kept_s=8), page(50, slow(1, 9), kept_s=7))
    assert (len(both.warnings), both.kept_s) == (1, 7)
