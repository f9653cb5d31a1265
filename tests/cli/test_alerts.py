"""``hooktui alerts``, and the exit code of ``hooktui status`` while alerts reach nobody."""

from __future__ import annotations

import json

import pytest

from hooktui.cli.time_format import when
from tests.support.scripted_server import answer, page, problem

ALERT = {
    "id": "alr_0000000000001", "account": 1, "type": "hook.failing", "key": "hook.failing:3",
    "state": "open", "summary": "hook 3 (Slack relay) is failing: dns, 7 in a row", "hook": 3,
    "hook_name": "Slack relay", "cause": None, "replay": None, "count": 1,
    "opened_at": "2026-11-27T10:00:00.000Z", "changed_at": "2026-11-27T10:00:00.000Z",
    "changed_by": "hooktui", "snoozed_until": None, "resolved_at": None, "resolution": None,
    "announced_at": "2026-11-27T10:00:00.000Z", "hooks_notified": 1,
}  # fmt: skip
STATUS = {
    "version": "1", "database": None, "role": "viewer", "user": "ann", "servers": [],
    "backlog": {"count": 0, "held": 0, "oldest_due_at": None, "hooks": []}, "rates": None,
    "disk": None, "alerts": {"open": 2, "acknowledged": 1, "snoozed": 0},
}  # fmt: skip


def path(state: str, *hooks: dict[str, object]) -> dict[str, object]:
    return {"alert_path": {"state": state, "hooks": list(hooks)}}


def test_the_list_shows_the_summary(run, server):
    server.will(page(ALERT))
    result = run("alerts", "list")
    assert result.code == 0
    assert "hook 3 (Slack relay) is failing" in result.out
    assert server.asked[-1].path == "/v1/alerts?limit=50"
    assert run("alerts", "list", "--state", "resolved", "--json").json == [ALERT]
    assert server.asked[-1].path == "/v1/alerts?state=resolved&limit=50"
    assert run("alerts", "list", "--state", "loud").code == 2


def test_an_alert_is_shown_with_its_facts(run, server):
    server.will(answer(ALERT))
    result = run("alerts", "show", ALERT["id"])
    assert "3 (Slack relay)" in result.out
    assert "to 1 hook" in result.out
    ended = {"state": "resolved", "resolved_at": ALERT["opened_at"], "announced_at": None}
    server.will(answer({**ALERT, **ended}))  # one that is resolved from the start
    assert "to 1 hook" in run("alerts", "show", ALERT["id"]).out
    server.will(answer({**ALERT, **ended, "hooks_notified": 0}))
    assert "never" in run("alerts", "show", ALERT["id"]).out
    server.will(problem(404, "no such alert"))
    assert run("alerts", "show", ALERT["id"]).code == 3


def test_alerts_are_acknowledged_one_by_one(run, server):
    server.will(answer({**ALERT, "state": "acknowledged"}))
    other = "alr_0000000000002"
    result = run("alerts", "acknowledge", ALERT["id"], other)
    assert result.code == 0
    assert [asked.path for asked in server.asked] == [
        f"/v1/alerts/{ALERT['id']}/acknowledge", f"/v1/alerts/{other}/acknowledge",
    ]  # fmt: skip
    server.will(problem(409, "the alert is resolved already"))
    assert run("alerts", "acknowledge", ALERT["id"]).code == 1


def test_a_snooze_needs_a_time(run, server):
    until = "2026-11-27T14:00:00.000Z"
    server.will(answer({**ALERT, "state": "snoozed", "snoozed_until": until}))
    result = run("alerts", "snooze", ALERT["id"], "--for", "4h")
    assert (result.code, f"until {when(until)}" in result.err) == (0, True)
    assert json.loads(server.asked[-1].body) == {"for_s": 14400}
    for wrong in ("30s", "31d", "soon"):
        assert run("alerts", "snooze", ALERT["id"], "--for", wrong).code == 2
    assert run("alerts", "snooze", ALERT["id"]).code == 2
    assert len(server.asked) == 1


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_the_status_fails_while_alerts_reach_nobody(run, server, as_json):
    broken = {"hook": 7, "name": "ops", "state": "failing", "since": "2026-11-27T10:00:00.000Z"}
    server.will(answer(STATUS | path("failing", broken)))
    result = run("status", *as_json)
    assert result.code == 1
    if not as_json:
        assert "hook 7 (ops) is failing since" in result.out
        assert "2 open, 1 acknowledged, 0 snoozed" in result.out
    for state in ("ok", "none"):
        server.will(answer(STATUS | path(state)))
        assert run("status", *as_json).code == 0
    older = {name: value for name, value in STATUS.items() if name != "alerts"}
    server.will(answer(older))
    assert run("status", *as_json).code == 0


def test_alerts_are_allowed_in_restricted_mode(run, server, environ):
    environ["HOOKTUI_RESTRICTED"] = "1"
    server.will(page(ALERT))
    assert run("alerts", "list").code == 0
