"""A token that is bound to an account, in the hands of somebody who guesses the ids of others.

Its role is admin, so that nothing but the account stands between it and everything. Each call with
an id is made with the ids of another account: alone, with that account named, and with its own.
"""

from __future__ import annotations

import json
import os
import re
import socket
from uuid import uuid4

import httpx
import pytest

from hooktui.api.access import RULES
from tests.support.waiting import wait_for

THEIRS = "a name that only they may read"
GUESSED = [rule for rule in RULES if "{" in rule.path and rule.path != "/v1/events/{event}"]
GUESSED += [rule for rule in RULES if (rule.method, rule.path) == ("GET", "/v1/events/{event}")]
LISTS = [
    "/v1/hooks", "/v1/events", "/v1/deliveries", "/v1/tokens", "/v1/audit", "/v1/feed",
    "/v1/undelivered", "/v1/replays", "/v1/alerts",
]  # fmt: skip


@pytest.fixture
def theirs(api, receiver):
    """Everything that another account can have, by the names of ids in paths."""
    account = api.post("/v1/accounts", json={"name": f"theirs {uuid4()}"}).json()["id"]
    here = {"account": account}
    fields = {"url": receiver.url, "events": ["job"], "name": THEIRS, "retry_schedule_s": []}
    receiver.released.clear()  # so that only the calls below change anything
    hook = api.post("/v1/hooks", params=here, json=fields).json()["id"]
    content = json.dumps({"note": THEIRS})
    keyed = {"Idempotency-Key": THEIRS}
    path = "/v1/events/job.failed"
    event = api.post(path, params=here, headers=keyed, content=content).json()["id"]
    (delivery,) = api.get(f"/v1/events/{event}").json()["deliveries"]
    token = api.post("/v1/tokens", params=here, json={"name": THEIRS, "role": "viewer"}).json()
    body = {"selection": {"hooks": [hook], "filter": f'"{THEIRS}"'}}
    replay = api.post("/v1/replays", params=here, json=body).json()["id"]
    wait_for(lambda: api.get(f"/v1/replays/{replay}").json()["state"] == "finished")
    closed = {"url": "http://127.0.0.1:9/", "events": ["cluster"], "name": THEIRS}
    closed |= {"retry_schedule_s": [], "max_in_flight": 1}
    other = api.post("/v1/hooks", params=here, json=closed).json()["id"]
    api.post("/v1/events/cluster.error", params=here, json={})
    failed = {**here, "type": "delivery.gave_up"}
    wait_for(lambda: api.get("/v1/alerts", params=failed).json()["data"])
    wait_for(lambda: api.get(f"/v1/hooks/{other}").json()["in_flight"] == 0)
    (alert,) = api.get("/v1/alerts", params=failed).json()["data"]
    yield {
        "account": account, "hook": hook, "event": event, "delivery": delivery["id"],
        "token": token["id"], "replay": replay, "alert": alert["id"], "cause": alert["cause"],
    }  # fmt: skip
    receiver.released.set()


@pytest.fixture
def bound(api, account, server):
    """A client with a token that is an admin's in an account of its own."""
    made = api.post("/v1/tokens", params={"account": account}, json={"name": "b", "role": "admin"})
    host, port = server.listen[0]
    with httpx.Client(
        base_url=f"http://{host}:{port}",
        headers={"Authorization": f"Bearer {made.json()['token']}"},
        trust_env=False,
        timeout=40,
    ) as client:
        yield client


def _all_of(api, theirs):
    """What an admin sees of the other account; the audit trail shows each change and reveal."""
    here = {"account": theirs["account"]}
    return [api.get(path, params=here).json()["data"] for path in LISTS if path != "/v1/feed"]


# Red when a route looks a thing up in any account instead of the token's own.
@pytest.mark.parametrize("rule", GUESSED, ids=lambda rule: f"{rule.method} {rule.path}")
def test_what_another_account_has_is_not_there(api, bound, account, theirs, rule):
    before = _all_of(api, theirs)
    path = re.sub(r"\{(\w+)\}", lambda found: str(theirs[found[1]]), rule.path)
    steers = {"rate_per_s": 7} if "replay" in rule.path else {"active": False}
    bodies: dict[str, object] = {"PATCH": steers}
    if rule.path.endswith("/give-up"):
        bodies["POST"] = {"until": "0s"}
    if rule.path.endswith("/snooze"):
        bodies["POST"] = {"for_s": 60}
    for params in ({}, {"account": account}, {"account": theirs["account"]}):
        if rule.path == "/v1/tokens/{token}" and params:
            continue  # it takes no account
        answer = bound.request(rule.method, path, params=params, json=bodies.get(rule.method))
        other = params.get("account") == theirs["account"]
        assert answer.status_code == (403 if other else 404), (params, answer.text)
        assert THEIRS not in answer.text
    assert _all_of(api, theirs) == before


# Red when a list takes the account from the caller's words, or conditions widen it.
@pytest.mark.parametrize("path", LISTS)
def test_lists_hold_nothing_of_another_account(api, bound, account, theirs, path):
    assert bound.get(path, params={"account": theirs["account"]}).status_code == 403
    twice = [("account", account), ("account", theirs["account"])]
    for params in (twice, twice[::-1]):
        assert THEIRS not in bound.get(path, params=params).text
    first = api.get("/v1/feed", params={"account": theirs["account"], "limit": 1}).json()["next"]
    wanted = {
        "/v1/deliveries": [{"hook": theirs["hook"]}, {"event": theirs["event"]}],
        "/v1/events": [{"q": "data.note:*"}, {"q": THEIRS.split()[0]}],
        "/v1/feed": [{"from_end": True}, {"after": first}, {"q": f"hook:{theirs['hook']}"}],
        "/v1/undelivered": [{"hook": theirs["hook"]}, {"state": "open"}],
        "/v1/audit": [{"target": f"hook {theirs['hook']}"}, {"action": "*"}],
    }
    for params in [*wanted.get(path, []), {}, {"account": account}]:
        shown = bound.get(path, params=params)
        assert shown.status_code == 200, (params, shown.text)
        assert THEIRS not in shown.text, params
        assert all(one.get("account") in (account, None) for one in shown.json()["data"])


def test_what_it_makes_is_its_own_whatever_it_says(api, bound, account, theirs):
    there = {"account": theirs["account"]}
    before = _all_of(api, theirs)
    hook = {"url": "http://127.0.0.1:9/", "events": ["job"]}
    for path, fields in (
        ("/v1/hooks", hook),
        ("/v1/events/job.failed", {}),
        ("/v1/tokens", {"name": "t", "role": "admin"}),
    ):
        assert bound.post(path, params=there, json=fields).status_code == 403
    token = {"name": "t", "role": "admin"}
    assert bound.post("/v1/tokens", json=token | there).status_code == 403
    assert bound.post("/v1/tokens", json=token).json()["account"] == account
    assert bound.post("/v1/hooks", json=hook).json()["account"] == account
    # The same key was used by the other account, with another body: it belongs to each by itself.
    keyed = bound.post("/v1/events/job.failed", headers={"Idempotency-Key": THEIRS}, json={})
    assert (keyed.status_code, keyed.json()["account"]) == (202, account)
    assert _all_of(api, theirs) == before


def test_calls_about_all_accounts_are_not_for_it(bound):
    about_all = [rule for rule in RULES if rule.all_accounts]
    assert {rule.path for rule in about_all} >= {"/v1/purge", "/v1/backup", "/v1/audit/verify"}
    for rule in about_all:
        answer = bound.request(rule.method, rule.path, json={} if rule.method == "POST" else None)
        assert answer.status_code == 403, rule
        assert "and this call is about all" in answer.json()["detail"]


INSTALLATION = ("database", "servers", "rates", "disk", "connections", "clients", "loop")
OF_ITS_OWN = {"version", "role", "user", "backlog", "paused", "breakers", "keep", "bound_to"}
OF_ITS_OWN |= {"alerts", "alert_path"}


# Red when a field of the status that concerns the machine or all accounts is given to the token of
# one of them. A new field must be sorted into one of the two.
def test_the_status_tells_it_nothing_about_the_installation(api, bound, account, theirs, server):
    whole, narrow = api.get("/v1/status"), bound.get("/v1/status")
    assert {*INSTALLATION, *OF_ITS_OWN} == set(whole.json()) == set(narrow.json())
    for name in INSTALLATION:
        assert whole.json()[name]
        assert not narrow.json()[name]
    assert narrow.json()["backlog"]["count"] == 0 < whole.json()["backlog"]["count"]
    assert narrow.json()["bound_to"] == account
    told = str(whole.json())
    known = (str(server.paths.home), str(os.getpid()), socket.gethostname())
    for fact in known:
        assert fact in told
        assert fact not in narrow.text


def test_figures_and_diagnoses_of_the_installation_are_not_for_it(bound):
    for path in ("/metrics", "/v1/doctor", "/v1/keys"):
        assert bound.get(path).status_code == 403
