"""Undelivered events by the API: the list, giving up, cancelling by filter."""

from __future__ import annotations

import json
import sqlite3

import pytest

from hooktui.api.routes import undelivered
from hooktui.domain.clock import from_rfc3339, now_ms, to_rfc3339
from hooktui.domain.errors import Unavailable
from tests.support.waiting import wait_for


@pytest.fixture
def make(api, account, receiver):
    def create(**fields):
        wanted = {"url": receiver.url, "events": ["job"], "retry_schedule_s": []} | fields
        answer = api.post("/v1/hooks", params={"account": account}, json=wanted)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    return create


@pytest.fixture
def emit(api, account):
    def send(count=1, body=b"{}"):
        for _ in range(count):
            answer = api.post("/v1/events/job.failed", params={"account": account}, content=body)
            assert answer.status_code == 202, answer.text

    return send


@pytest.fixture
def groups(api, account):
    def listed(**params):
        answer = api.get("/v1/undelivered", params={"account": account} | params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return listed


@pytest.fixture
def failed(make, emit, groups, receiver):
    """A hook whose receiver refused three events."""
    receiver.status = 503
    hook = make(name="Slack relay")
    emit(3)
    wait_for(lambda: groups()["totals"]["gave_up"] == 3, what="three dead letters")
    return hook


def audit_of(server, action, account):
    with sqlite3.connect(f"file:{server.paths.database}?mode=ro", uri=True) as conn:
        query = "SELECT target, after FROM audit WHERE action = ? AND account_id = ?"
        rows = conn.execute(query, (action, account)).fetchall()
    return [(target, json.loads(after)) for target, after in rows]


def test_the_list_has_the_fields_of_the_contract(failed, groups):
    found = groups()
    assert found.keys() == {
        "data", "next", "prev", "total", "total_is_estimate", "totals", "counting_until",
    }  # fmt: skip
    assert found["totals"] == {
        "count": 3, "gave_up": 3, "retrying": 0, "held": 0, "skipped": 0,
    }  # fmt: skip
    (group,) = found["data"]
    example = group.pop("example")
    assert example["delivery"].startswith("dlv_")
    assert (example["event_type"], example["last_status"]) == ("job.failed", 503)
    assert group.pop("oldest_at") <= group.pop("newest_at")
    assert group.pop("alert").startswith("alr_")
    limited_by = group.pop("limited_by")  # its 503 have cut the limit
    assert (limited_by["kind"], limited_by["response"]) == ("overload", "503")
    assert group == {
        "hook": failed, "name": "Slack relay", "cause": "http_5xx", "count": 3, "gave_up": 3,
        "retrying": 0, "count_is_estimate": False, "waits_for": None, "state": "open",
        "state_by": None, "state_until": None,
    }  # fmt: skip


def test_the_list_is_narrowed_and_sorted(failed, make, groups, api, account):
    other = make(name="other")
    assert groups(hook=[failed, other])["total"] == 1
    assert groups(hook=other)["total"] == 0
    assert groups(cause="http_5xx", state="open", sort="hook", order="desc")["total"] == 1
    assert groups(state="snoozed")["total"] == 0
    for params, words in (
        ({"cause": "http_503"}, "http_400 to http_499, http_5xx, http_other, held, skipped"),
        ({"sort": "name"}, "newest_at, oldest_at, count, hook"),
        ({"state": "resolved"}, "acknowledged"),
        ({"hook": "x"}, "not an id"),
    ):
        answer = api.get("/v1/undelivered", params={"account": account} | params)
        assert answer.status_code == 422
        assert words in answer.text
    assert api.get("/v1/undelivered", params={"account": 424242}).status_code == 404


def test_the_feed_finds_undelivered_events(failed, api, account):
    for q in ("status:undelivered", "cause:http_5*"):
        params = {"account": account, "q": q, "from_end": "true"}
        lines = api.get("/v1/feed", params=params).json()["data"]
        assert {line["kind"] for line in lines} == {"attempt", "delivery"}
        assert {(line["cause"], line["replay"]) for line in lines} == {("http_5xx", None)}
    params["q"] = "status:waiting"
    statuses = {line["status"] for line in api.get("/v1/feed", params=params).json()["data"]}
    assert statuses <= {"pending", "sending"}


def give_up(api, account, hook, cause, **body):
    path = f"/v1/undelivered/{hook}/{cause}/give-up"
    return api.post(path, params={"account": account}, json={"until": "0s"} | body)


def killed(*_args, **_kwargs):
    raise Unavailable("as if the server was killed")


def test_a_give_up_that_a_kill_ends_is_audited(failed, groups, api, account, server, monkeypatch):
    # Red when the only entry is written at the end.
    monkeypatch.setattr(undelivered.changes, "audit_give_up", killed)
    assert give_up(api, account, failed, "http_5xx").status_code == 503
    assert groups()["data"] == []
    ((target, entry),) = audit_of(server, "undelivered.give_up", account)
    assert (target, entry.keys()) == (f"hook {failed}", {"cause", "until"})


def test_a_group_is_given_up_with_its_scope_and_counts_audited(
    failed, groups, api, account, server
):
    answer = give_up(api, account, failed, "http_5xx")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"given_up": 3, "cancelled": 0, "next": None}
    assert groups()["data"] == []
    (target, scope), (_, entry) = audit_of(server, "undelivered.give_up", account)
    assert target == f"hook {failed}"
    assert from_rfc3339(scope["until"]) <= now_ms()
    assert entry == scope | {"given_up": 3, "cancelled": 0}
    assert scope.pop("cause") == "http_5xx"
    assert give_up(api, account, failed, "http_5xx").status_code == 404


def test_a_group_is_given_up_in_several_calls(failed, groups, api, account, monkeypatch):
    monkeypatch.setattr(undelivered, "WITHIN_S", -1.0)
    monkeypatch.setattr("hooktui.store.changes.deliveries._CANCELLED_AT_ONCE", 1)
    until = groups()["data"][0]["newest_at"]
    first = give_up(api, account, failed, "http_5xx", until=until).json()
    assert (first["given_up"], groups()["totals"]["count"]) == (1, 2)
    done, after = 1, first["next"]
    while after is not None:
        part = give_up(api, account, failed, "http_5xx", until=until, after=after).json()
        done, after = done + part["given_up"], part["next"]
    assert done == 3
    assert groups()["data"] == []


def test_what_cannot_be_given_up_is_refused(failed, groups, api, account):
    ahead = to_rfc3339(now_ms() + 60_000)
    for hook, cause, body, status, words in (
        (424242, "http_5xx", {}, 404, "no hook 424242"),
        (failed, "dns", {}, 404, "cause dns"),
        (failed, "held", {}, 404, "cause held"),
        (failed, "http_503", {}, 422, "http_other, held, skipped"),
        (failed, "http_5xx", {"until": ahead}, 422, "future"),
        (failed, "http_5xx", {"until": "soon"}, 422, "not a time"),
        (failed, "http_5xx", {"after": "dlv_1"}, 422, "next of the previous call"),
    ):
        answer = give_up(api, account, hook, cause, **body)
        assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert groups()["totals"]["count"] == 3


# Red when it is refused: the clock of a console may be ahead by a little.
def test_a_time_a_little_ahead_means_now(failed, groups, api, account):
    ahead = to_rfc3339(now_ms() + 5_000)
    assert give_up(api, account, failed, "http_5xx", until=ahead).json()["given_up"] == 3
    assert groups()["totals"]["count"] == 0


def cancel(api, account, q, **body):
    params = {"account": account}
    return api.post("/v1/deliveries/cancel", params=params, json={"q": q, "until": "0s"} | body)


@pytest.fixture
def held(make, emit, api, account, groups, receiver):
    """A disabled hook with four deliveries that wait for it."""
    receiver.status = 503
    hook = make(retry_schedule_s=[3600])
    emit(3)
    emit(1, b'{"a": 1}')
    wait_for(lambda: groups()["totals"]["retrying"] == 4, what="four retries")
    api.patch(f"/v1/hooks/{hook}", params={"account": account}, json={"active": False})
    return hook


def test_deliveries_are_cancelled_by_filter(held, groups, api, account, server):
    assert cancel(api, account, "data.a:1").json() == {
        "cancelled": 1, "sending": 0, "next": None,
    }  # fmt: skip
    assert groups()["totals"]["retrying"] == 3
    assert cancel(api, account, "status:delivered").json()["cancelled"] == 0
    assert cancel(api, account, f"hook:{held} cause:http_*").json()["cancelled"] == 3
    assert groups()["data"] == []
    entries = audit_of(server, "delivery.cancel_many", account)
    assert [(entry["q"], entry.get("cancelled")) for _, entry in entries] == [
        ("data.a:1", None), ("data.a:1", 1),
        (f"hook:{held} cause:http_*", None), (f"hook:{held} cause:http_*", 3),
    ]  # fmt: skip


def test_a_cancel_that_a_kill_ends_is_audited(held, groups, api, account, server, monkeypatch):
    # Red when the only entry is written at the end.
    monkeypatch.setattr(undelivered.changes, "audit_cancel", killed)
    assert cancel(api, account, "data.a:1").status_code == 503
    assert groups()["totals"]["retrying"] == 3
    ((target, entry),) = audit_of(server, "delivery.cancel_many", account)
    assert (target, entry["q"], entry.keys()) == ("deliveries", "data.a:1", {"q", "until"})


def test_deliveries_are_cancelled_in_several_calls(held, api, account, monkeypatch):
    monkeypatch.setattr(undelivered, "WITHIN_S", -1.0)
    monkeypatch.setattr("hooktui.store.queries.deliveries._OPEN_READ", 1)
    cancelled, calls, body = 0, 0, {"until": to_rfc3339(now_ms())}
    while True:
        part = cancel(api, account, "status:held", **body).json()
        cancelled, calls = cancelled + part["cancelled"], calls + 1
        if part["next"] is None:
            break
        body["after"] = part["next"]
    assert cancelled == 4
    assert calls >= 4


def test_what_cannot_be_cancelled_is_refused(held, groups, api, account):
    ahead = to_rfc3339(now_ms() + 60_000)
    for q, body, words in (
        ("", {}, "empty"),
        ("  ", {}, "empty"),
        ("status:zzz", {}, "column 8"),
        ("status:held", {"until": ahead}, "future"),
        ("status:held", {"after": "dlv_0000000000001"}, "next of the previous call"),
        ("status:held", {"after": "1.x"}, "next of the previous call"),
    ):
        answer = cancel(api, account, q, **body)
        assert (answer.status_code, words in answer.text) == (422, True), answer.text
    assert groups()["totals"]["retrying"] == 4
