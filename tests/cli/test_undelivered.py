"""``hooktui undelivered`` and ``hooktui deliveries cancel --filter``."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from hooktui.domain.filters.parser import parse
from hooktui.domain.filters.terms import TimeBound
from hooktui.domain.wire.undelivered import NOT_GIVEN_UP
from tests.support.scripted_server import DELIVERY, HOOK, answer, page, problem

GROUP = {
    "hook": 3, "name": "Slack relay", "cause": "http_5xx", "count": 1096, "gave_up": 1092,
    "retrying": 4, "count_is_estimate": False, "oldest_at": "2026-11-25T00:00:00.000Z",
    "newest_at": "2026-11-25T00:05:00.000Z", "waits_for": "breaker",
    "example": {"delivery": "dlv_01JDG3R8Z4000", "event_type": "job.failed", "last_status": 503},
    "state": "open", "state_by": None, "state_until": None, "alert": "alr_01JDG3R8Z4000",
}  # fmt: skip
TOTALS = {"count": 1096, "gave_up": 1092, "retrying": 4, "held": 0, "skipped": 0}


def groups(*some: dict, until: str | None = None):
    fields = {"data": some, "next": None, "prev": None, "total": len(some)}
    more = {"total_is_estimate": False, "totals": TOTALS, "counting_until": until}
    return answer(fields | more)


def query_of(asked) -> dict[str, list[str]]:
    return parse_qs(urlsplit(asked.path).query)


def body_of(asked) -> dict[str, object]:
    return json.loads(asked.body)


def test_groups_are_a_table(run, server):
    skipped = GROUP | {
        "hook": 5, "cause": "skipped", "count": 7, "gave_up": 0, "retrying": 0, "example": None,
        "state": "acknowledged", "state_by": "ann", "count_is_estimate": True, "waits_for": None,
    }  # fmt: skip
    server.will(groups(GROUP, skipped))
    result = run("undelivered", "list", "--hook", "3", "--hook", "5", "--state", "open")
    assert result.code == 0, result.err
    first, second = result.out.splitlines()[1:3]
    assert first.split()[:7] == ["3", "Slack", "relay", "http_5xx", "1,096", "1,092", "4"]
    assert "breaker" in first
    assert first.rstrip().endswith("open")
    assert "about 7" in second
    assert second.rstrip().endswith("acknowledged by ann")
    assert {name: query_of(server.asked[0])[name] for name in ("hook", "state")} == {
        "hook": ["3", "5"], "state": ["open"],
    }  # fmt: skip


def test_an_unfinished_count_is_said(run, server):
    server.will(groups(GROUP, until="2026-11-20T00:00:00.000Z"))
    assert "2026-11-20T00:00:00.000Z" in run("undelivered", "list").err


def test_groups_as_json_are_an_array(run, server):
    server.will(groups(GROUP))
    assert run("undelivered", "list", "--json").json == [GROUP]


def test_a_group_is_acknowledged_and_snoozed(run, server):
    server.will(
        answer(GROUP | {"state": "acknowledged"}),
        answer(GROUP | {"state": "snoozed", "state_until": "2026-11-25T04:00:00.000Z"}),
    )
    assert "acknowledged" in run("undelivered", "acknowledge", "3", "http_5xx").err
    assert "snoozed until 2026" in run("undelivered", "snooze", "3", "dns", "--for", "4h").err
    assert [urlsplit(asked.path).path for asked in server.asked] == [
        "/v1/undelivered/3/http_5xx/acknowledge", "/v1/undelivered/3/dns/snooze",
    ]  # fmt: skip
    assert body_of(server.asked[1]) == {"for_s": 14400.0}
    assert run("undelivered", "snooze", "3", "dns", "--for", "soon").code == 2
    for wrong in ("59s", "31d"):  # red when the server refuses for_s in seconds
        refused = run("undelivered", "snooze", "3", "dns", "--for", wrong)
        assert refused.code == 2
        assert refused.err == f"hooktui: --for must be from 1m to 30d, not {wrong}\n"


def test_a_group_is_given_up_to_its_newest_event(run, server):
    # Red when a later event is given up, too, or a call is not continued.
    server.will(
        answer(HOOK | {"account": 7}),
        groups(GROUP),
        answer({"given_up": 1000, "cancelled": 0, "next": "dlv_01JDG3R8Z4000"}),
        answer({"given_up": 92, "cancelled": 4, "next": None}),
    )
    result = run("undelivered", "give-up", "3", "http_5xx", "--yes")
    assert (result.code, result.out) == (0, "gave up 1,092 events and cancelled 4 deliveries\n")
    # Red when the hook is looked for in account 1 alone: acknowledge and snooze find it in any.
    assert query_of(server.asked[1])["account"] == ["7"]
    assert [body_of(asked) for asked in server.asked[2:]] == [
        {"until": GROUP["newest_at"]},
        {"until": GROUP["newest_at"], "after": "dlv_01JDG3R8Z4000"},
    ]


def test_a_group_that_is_being_sent_is_not_given_up(run, server):
    # Red when it says that 0 events were given up, without a reason.
    server.will(answer(HOOK), groups(GROUP), answer({"given_up": 0, "cancelled": 0, "next": None}))
    result = run("undelivered", "give-up", "3", "http_5xx", "--yes")
    assert (result.code, result.out) == (0, f"gave up nothing: {NOT_GIVEN_UP}\n")


def test_giving_up_asks_first(run, server):
    server.will(groups(GROUP), groups())
    result = run("undelivered", "give-up", "3", "http_5xx", "--account", "1")
    assert result.code == 2
    assert "Give up 1,096 events of hook 3 (Slack relay), cause http_5xx?" in result.err
    assert run("undelivered", "give-up", "3", "dns", "--yes", "--account", "1").code == 3
    assert len(server.asked) == 2


def test_deliveries_are_cancelled_by_filter(run, server):
    server.will(
        page(DELIVERY, total=1100),
        answer({"cancelled": 1000, "sending": 1, "next": "3.dlv_01JDG3R8Z4000"}),
        answer({"cancelled": 100, "sending": 1, "next": None}),
    )
    result = run("deliveries", "cancel", "--filter", "hook:3 -event:job", "--yes")
    assert result.code == 0, result.err
    assert result.out == "cancelled 1,100 deliveries; 2 are being sent\n"
    assert query_of(server.asked[0])["q"] == ["hook:3 -event:job status:pending"]
    first, second = (body_of(asked) for asked in server.asked[1:])
    assert first == {"q": "hook:3 -event:job", "until": DELIVERY["created_at"]}
    assert second == first | {"after": "3.dlv_01JDG3R8Z4000"}


# Red when the ages of a filter count back from now in the list and from the newest match at the
# cancellation: what was not listed was cancelled.
@pytest.mark.parametrize("filter_", ["hook:3 since:30m", "until:30m -since:5m,1h word"])
def test_exactly_the_deliveries_that_were_counted_are_cancelled(run, server, filter_):
    server.will(page(DELIVERY, total=1), answer({"cancelled": 1, "sending": 0, "next": None}))
    result = run("deliveries", "cancel", "--filter", filter_, "--yes")
    assert result.code == 0, result.err
    cancelled = body_of(server.asked[1])["q"]
    assert query_of(server.asked[0])["q"] == [f"{cancelled} status:pending"]
    terms = parse(cancelled).terms
    assert len(terms) == len(parse(filter_).terms)
    values = [value for term in terms for value in term.values]
    assert not any(isinstance(value, TimeBound) and value.is_age for value in values)


def test_cancelling_by_filter_asks_first_and_says_when_nothing_matches(run, server):
    server.will(page(DELIVERY, total=1100), page())
    result = run("deliveries", "cancel", "--filter", "hook:3")
    assert result.code == 2
    assert "Cancel 1,100 deliveries matching the filter?" in result.err
    assert run("deliveries", "cancel", "--filter", "hook:3").out == "cancelled 0 deliveries\n"


@pytest.mark.parametrize(
    "arguments", [(), ("dlv_01JDG3R8Z4000", "--filter", "hook:3")], ids=["nothing", "both"]
)
def test_ids_or_a_filter_are_cancelled_not_both(run, server, arguments):
    assert run("deliveries", "cancel", *arguments, "--yes").code == 2
    assert server.asked == []


@pytest.mark.parametrize("filter_", ["", "   "])
def test_an_empty_filter_does_not_cancel_everything(run, server, filter_):
    result = run("deliveries", "cancel", "--filter", filter_, "--yes")
    assert (result.code, server.asked) == (2, [])
    assert "status:pending" in result.err


def test_a_refused_filter_is_reported(run, server):
    server.will(problem(422, "filter, column 1: unknown key"))
    assert "column 1" in run("deliveries", "cancel", "--filter", "x:y", "--yes").err


def test_deliveries_show_their_result(run, server):
    server.will(page(DELIVERY | {"last_status": 503}, DELIVERY | {"last_status": "dns"}))
    head, first, second = run("deliveries", "list").out.splitlines()[:3]
    assert "RESULT" in head
    assert " 503 " in first
    assert " dns " in second
