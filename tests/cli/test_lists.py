"""Lists: bare arrays, limits, pages, and what an empty one says."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from hooktui.domain.clock import now_ms, to_rfc3339
from tests.support.scripted_server import DELIVERY, HOOK, answer, page


def queries(server):
    return [parse_qs(urlsplit(asked.path).query) for asked in server.asked]


def hooks(*numbers):
    return [{**HOOK, "id": number} for number in numbers]


def test_a_list_is_a_bare_array_of_at_most_50(run, server):
    server.will(page(*hooks(1, 2), following="c2", total=70))
    result = run("hooks", "list", "--json", "--limit", "2")
    assert [hook["id"] for hook in result.json] == [1, 2]
    assert result.err == ""
    server.will(page(*hooks(1)))
    run("hooks", "list")
    assert queries(server)[-1] == {"limit": ["50"]}


def test_all_follows_the_cursors(run, server):
    server.will(page(*hooks(1, 2), following="c2", total=3), page(*hooks(3), total=3))
    result = run("hooks", "list", "--all", "--json", "--account", "4")
    assert [hook["id"] for hook in result.json] == [1, 2, 3]
    assert queries(server) == [
        {"limit": ["500"], "account": ["4"]},
        {"limit": ["500"], "account": ["4"], "cursor": ["c2"]},
    ]


def test_a_limit_over_a_page_is_fetched_in_pages(run, server):
    full = page(*hooks(*range(500)), following="c2", total=900)
    server.will(full, page(*hooks(*range(500, 700)), following="c3", total=900))
    result = run("hooks", "list", "--limit", "700", "--json")
    assert len(result.json) == 700
    assert [query["limit"] for query in queries(server)] == [["500"], ["200"]]


BOTH = "--all shows all, --limit N at most N; give one of them"
LISTS = ("hooks", "events", "deliveries", "alerts", "undelivered", "replay", "audit", "tokens",
         "accounts")  # fmt: skip


# Red when --all wins without a word, also over a limit that is refused alone.
@pytest.mark.parametrize("group", LISTS)
@pytest.mark.parametrize("limit", ["0", "-1", "5"])
def test_all_and_a_limit_exclude_each_other(run, server, group, limit):
    refused = run(group, "list", "--all", f"--limit={limit}")
    assert (refused.code, refused.err) == (2, f"hooktui: {BOTH}\n")
    assert run(group, "list", f"--limit={limit}", "--all").err == refused.err
    assert server.asked == []


def test_what_is_left_out_is_said(run, server):
    server.will(page(*hooks(1), following="c2", total=1200))
    result = run("hooks", "list", "--limit", "1")
    assert "1 of 1,200" in result.err
    assert run("hooks", "list", "--limit", "1", "--quiet").err == ""


def test_a_search_goes_on_behind_a_page_that_holds_nothing(run, server):
    pages = (page(following="c2", total=70), page(following="c3", total=70), page(DELIVERY))
    server.will(*pages)
    result = run("deliveries", "list", "status:cancelled", "--json")
    assert len(result.json) == 1
    assert [query.get("cursor") for query in queries(server)] == [None, ["c2"], ["c3"]]


@pytest.mark.parametrize("kind", ["hooks", "events", "deliveries", "tokens", "accounts"])
def test_an_empty_list_says_what_to_do(run, server, kind):
    server.will(page())
    result = run(kind, "list")
    assert (result.code, result.out) == (0, "")
    assert "hooktui" in result.err
    assert run(kind, "list", "--json").json == []


TOTALS = {"count": 0, "gave_up": 0, "retrying": 0, "held": 0, "skipped": 0}
NOTHING = answer({"data": [], "next": None, "prev": None, "total": 0, "total_is_estimate": False,
                  "totals": TOTALS})  # fmt: skip
NARROWED = {
    "hooks list zzzz": "no match for zzzz; omit the filter to list all",
    "events list event:cluster.error": "no match for event:cluster.error; omit the filter",
    "deliveries list status:cancelled -hook:3": "no match for status:cancelled -hook:3; omit",
    "alerts list --state resolved":
        "no match for --state resolved; omit the filter to list all unresolved alerts",
    "audit list --user=": "no match for --user ''; omit the filter",
    "audit list --user ann --since 7d": "no match for --user ann --since 7d; omit the filter",
    "undelivered list --hook 3 --hook 5 --state open":
        "no match for --hook 3 --hook 5 --state open; omit the filter to list all",
    "replay list --state paused --hook 4": "no match for --state paused --hook 4; omit",
    "hooks list zzzz --account 4": "no match for zzzz in account 4; omit the filter",
    "tokens list --account 4":
        "no tokens in account 4; create one: hooktui --account 4 tokens create NAME",
}  # fmt: skip


# Red when a filter without a match is reported as an account without objects.
@pytest.mark.parametrize("command", NARROWED)
def test_an_empty_result_of_a_filter_is_not_an_empty_list(run, server, command):
    server.will(NOTHING)
    result = run(*command.split())
    assert (result.code, result.out) == (0, "")
    assert NARROWED[command] in result.err
    if "no match" in result.err:
        assert "create one" not in result.err
        assert "send one" not in result.err


# Red when a list is added whose note claims too much, or names no filter that was given.
@pytest.mark.parametrize(
    "command", ["hooks", "events", "deliveries", "alerts", "audit", "undelivered", "replay"]
)
def test_an_empty_list_without_a_filter_has_no_match_to_report(run, server, command):
    server.will(NOTHING)
    for options in ((), ("--limit", "3"), ("--all",)):
        result = run(command, "list", *options)
        assert result.code == 0
        assert result.err.startswith("no ")
        assert "match" not in result.err


def test_filter_terms_are_joined_and_may_be_negative(run, server):
    server.will(page(DELIVERY))
    run("deliveries", "list", "status:failed", "-hook:12", "connection reset", "--limit", "5")
    assert queries(server)[0]["q"] == ["status:failed -hook:12 connection reset"]
    assert queries(server)[0]["limit"] == ["5"]


def test_deliveries_show_what_comes_next(run, server):
    held = {**DELIVERY, "id": "dlv_2", "held": True}
    server.will(page(DELIVERY, held))
    first, second = run("deliveries", "list").out.splitlines()[1:]
    assert first.split()[:6] == ["dlv_01JDG3R8Z4000", "pending", "12", "job.failed", "event", "1"]
    assert second.split()[1] == "held"


# Red when a delivery is due in the past, although its hook's open breaker or a pause holds it up.
def test_deliveries_are_not_due_before_they_can_be_sent(run, server):
    due, probe = to_rfc3339(now_ms() - 900_000), to_rfc3339(now_ms() + 430_000)
    waits = ({}, {"probe_at": probe}, {"paused": True}, {"held": True, "probe_at": probe},
             {"status": "delivered"})  # fmt: skip
    server.will(page(*({**DELIVERY, "created_at": due, "next_attempt_at": due} | w for w in waits)))
    shown = [
        line.partition("15 min ago")[2].strip()
        for line in run("deliveries", "list").out.splitlines()
    ]
    assert shown[1:] == ["due 15 min ago", "in 7 min", "paused", "", ""]


def test_event_types_are_one_flat_list(run, server):
    kind = {"id": "job.failed", "name": "Job Failed", "description": "It failed."}
    server.will(answer({"groups": [{"id": "job", "name": "Job", "types": [kind]}]}))
    assert run("events", "types", "--json").json == [{**kind, "group": "job"}]
    assert "job.failed  Job Failed  It failed." in run("events", "types").out


def test_a_list_that_breaks_off_still_reports_the_error(run, server):
    from tests.support.scripted_server import problem

    server.will(page(*hooks(1), following="c2", total=2), problem(503, "stopping"))
    result = run("hooks", "list", "--all", "--json")
    assert result.code == 1
    assert json.loads(result.err)["detail"] == "stopping"


# Red when a value that has no other is shown as a change from nothing.
def test_an_entry_of_the_audit_trail_shows_each_value_before_and_after(run, server):
    entry = {"id": 1, "at": "2026-01-01T00:00:00Z", "user": "ada", "role": "admin", "origin": "tcp",
             "action": "alert.snooze", "target": "alert alr_1", "account": 1, "result": "done",
             "before": {"state": "open"}, "after": {"key": "failing:12", "state": "snoozed"},
             "hash": "00"}  # fmt: skip
    server.will(page(entry))
    assert "state: open → snoozed, key: failing:12" in run("audit", "list").out
