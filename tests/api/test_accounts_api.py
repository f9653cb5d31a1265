"""Accounts, tokens, roles: who may do what, asked of the real server."""

from __future__ import annotations

import base64
import contextlib
import re
import sqlite3
import time

import httpx
import pytest

from hooktui.domain.clock import now_ms
from tests.support.waiting import wait_for


def test_an_operator_may_switch_a_hook_and_nothing_else(api, account):
    fields = {"url": "http://127.0.0.1:9/", "events": ["job"]}
    hook = api.post("/v1/hooks", params={"account": account}, json=fields).json()["id"]
    operator = {"Hooktui-Role": "operator"}
    path = f"/v1/hooks/{hook}"
    assert api.patch(path, json={"active": False}, headers=operator).status_code == 200
    both = {"active": True, "name": "x"}
    assert api.patch(path, json=both, headers=operator).status_code == 403
    assert api.patch(path, json={"name": "x"}, headers=operator).status_code == 403
    assert api.patch(path, json={"active": True, "version": 2}, headers=operator).status_code == 200
    viewer = {"Hooktui-Role": "viewer"}
    assert api.patch(path, json={"active": False}, headers=viewer).status_code == 403
    assert api.get(path).json()["active"] is True


def test_an_unknown_role_is_refused(api):
    answer = api.get("/v1/hooks", headers={"Hooktui-Role": "king"})
    assert answer.status_code == 400
    assert "viewer" in answer.json()["detail"]


# Tokens


def _token(api, **fields):
    answer = api.post("/v1/tokens", json={"name": "t", "role": "viewer"} | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def _status(tcp, authorization, path="/v1/hooks", method="GET", **given):
    headers = {"Authorization": authorization} if authorization is not None else {}
    url = tcp.base_url.join(path)
    return httpx.request(method, url, headers=headers, trust_env=False, **given, timeout=None)


def test_a_token_is_shown_once_and_opens_the_api(api, tcp):
    made = _token(api)
    assert re.fullmatch(rf"hkt_{made['id']}_[0-9a-z]{{32,}}", made["token"])
    listed = api.get("/v1/tokens", params={"limit": 500}).json()["data"]
    shown = next(token for token in listed if token["id"] == made["id"])
    assert shown.get("token") is None
    assert _status(tcp, f"Bearer {made['token']}").status_code == 200
    pair = base64.b64encode(f"{made['token']}:".encode()).decode()
    assert _status(tcp, f"Basic {pair}").status_code == 200
    assert _status(tcp, f"bearer {made['token']}").status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer x", "Bearer hkt_1_" + "a" * 32, "Basic !!", "Digest x",
     "Bearer hkt_99999999999999999999_" + "a" * 32, b"Bearer hkt_1_\xe9" + b"a" * 32],
)  # fmt: skip
def test_without_a_good_token_tcp_says_401(tcp, authorization):
    answer = _status(tcp, authorization)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["title"] == "Not authenticated"


def test_a_token_whose_end_is_changed_is_worth_nothing(api, tcp):
    token = _token(api)["token"]
    other = token[:-1] + ("a" if token[-1] != "a" else "b")
    assert _status(tcp, f"Bearer {other}").status_code == 401


def test_the_use_of_a_token_is_noted(api, tcp):
    made = _token(api)
    assert made["last_used_at"] is None
    _status(tcp, f"Bearer {made['token']}")
    listed = api.get("/v1/tokens", params={"limit": 500}).json()["data"]
    assert next(t for t in listed if t["id"] == made["id"])["last_used_at"]


def test_a_revoked_token_is_worth_nothing_at_once(api, tcp):
    made = _token(api)
    assert _status(tcp, f"Bearer {made['token']}").status_code == 200
    assert api.delete(f"/v1/tokens/{made['id']}").status_code == 204
    assert _status(tcp, f"Bearer {made['token']}").status_code == 401
    assert api.delete(f"/v1/tokens/{made['id']}").status_code == 404


def test_a_token_ends_when_it_should(api, tcp, monkeypatch):
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    made = _token(api, expires_at=soon)
    assert _status(tcp, f"Bearer {made['token']}").status_code == 200
    monkeypatch.setattr("hooktui.api.identity.now_ms", lambda: now_ms() + 7_200_000)
    wait_for(lambda: _status(tcp, f"Bearer {made['token']}").status_code == 401)
    answer = _status(tcp, f"Bearer {made['token']}")
    assert answer.json()["detail"] == "this token has expired; ask an admin for a new one"


def test_a_list_shows_of_tokens_what_they_may_and_never_what_they_are(api, tcp):
    made = _token(api, role="operator", expires_at="2099-01-01T00:00:00Z")
    _status(tcp, f"Bearer {made['token']}")
    answer = api.get("/v1/tokens", params={"limit": 500})
    listed = next(token for token in answer.json()["data"] if token["id"] == made["id"])
    assert (listed["role"], listed["expires_at"]) == ("operator", "2099-01-01T00:00:00.000Z")
    assert listed["last_used_at"] is not None
    random = made["token"].split("_")[2]
    assert len(random) * 5 >= 160  # bits, in base 32
    assert random not in answer.text
    assert random not in api.get("/v1/audit", params={"limit": 500}).text


def test_two_tokens_are_as_different_as_chance_makes_them(api):
    one, other = (_token(api)["token"].split("_")[2] for _ in range(2))
    assert sum(a == b for a, b in zip(one, other, strict=True)) < 12


def test_a_token_has_its_role_and_may_lower_it(api, tcp):
    made = _token(api, role="operator")
    bearer = f"Bearer {made['token']}"
    assert _status(tcp, bearer, "/v1/tokens").status_code == 403
    assert _status(tcp, bearer, "/v1/hooks/424242/ping", "POST").status_code == 404
    lowered = {"Authorization": bearer, "Hooktui-Role": "viewer"}
    url = tcp.base_url.join("/v1/hooks/424242/ping")
    assert httpx.post(url, headers=lowered, trust_env=False, timeout=None).status_code == 403
    raised = {"Authorization": bearer, "Hooktui-Role": "admin"}
    answer = httpx.get(
        tcp.base_url.join("/v1/hooks"), headers=raised, trust_env=False, timeout=None
    )
    assert answer.status_code == 403
    assert "never raise" in answer.json()["detail"]


def test_a_bound_token_sees_its_account_and_no_other(api, account, tcp):
    made = _token(api, role="admin", account=account)
    fields = {"url": "http://127.0.0.1:9/", "events": ["job"]}
    ours = api.post("/v1/hooks", params={"account": account}, json=fields).json()["id"]
    theirs = api.post("/v1/hooks", json=fields).json()["id"]
    bearer = f"Bearer {made['token']}"
    assert [h["id"] for h in _status(tcp, bearer).json()["data"]] == [ours]
    assert _status(tcp, bearer, f"/v1/hooks?account={account}").status_code == 200
    assert _status(tcp, bearer, "/v1/hooks?account=1").status_code == 403
    assert _status(tcp, bearer, f"/v1/hooks/{ours}").status_code == 200
    assert _status(tcp, bearer, f"/v1/hooks/{theirs}").status_code == 404
    assert _status(tcp, bearer, f"/v1/hooks/{theirs}", "DELETE").status_code == 404
    accounts = _status(tcp, bearer, "/v1/accounts").json()
    assert [one["id"] for one in accounts["data"]] == [account]
    assert _status(tcp, bearer, "/v1/accounts", "POST", json={"name": "n"}).status_code == 403
    event = _status(tcp, bearer, "/v1/events/job.failed", "POST", json={}).json()
    assert event["account"] == account
    other = {"name": "x", "role": "viewer", "account": 1}
    assert _status(tcp, bearer, "/v1/tokens", "POST", json=other).status_code == 403
    own = {"name": "x", "role": "viewer"}
    assert _status(tcp, bearer, "/v1/tokens", "POST", json=own).json()["account"] == account
    assert {t["account"] for t in _status(tcp, bearer, "/v1/tokens").json()["data"]} == {account}


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"role": "king"}, "/role"),
        ({"role": None}, "/role"),
        ({"account": 424242}, "/account"),
        ({"account": 0}, "/account"),
        ({"account": "1"}, "/account"),
        ({"expires_at": "tomorrow"}, "/expires_at"),
        ({"expires_at": "2000-01-01T00:00:00Z"}, "/expires_at"),
        ({"name": "a\nb"}, "/name"),
        ({"scope": "x"}, "/scope"),
    ],
)
def test_a_bad_token_is_refused(api, fields, pointer):
    answer = api.post("/v1/tokens", json={"name": "t", "role": "viewer"} | fields)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


# Accounts


def test_a_fresh_install_has_one_account(api):
    accounts = api.get("/v1/accounts", params={"sort": "id", "limit": 1}).json()
    assert [(one["id"], one["name"]) for one in accounts["data"]] == [(1, "default")]


# Red when a token may be nameless: the audit trail and a warning of doctor name nobody.
@pytest.mark.parametrize("path", ["/v1/accounts", "/v1/tokens"])
@pytest.mark.parametrize(
    "name",
    [
        {},
        *(
            {"name": name}
            for name in ("", " ", "\t", "\u3000", "\xa0 ", "a\nb", "x" * 201, 1, None)
        ),
    ],
)
def test_an_account_and_a_token_need_a_name(api, path, name):
    role = {"role": "viewer"} if path == "/v1/tokens" else {}
    answer = api.post(path, json=role | name)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/name"]


def test_a_name_has_no_blanks_at_its_ends(api):
    assert _token(api, name=" ci ")["name"] == "ci"
    assert api.post("/v1/accounts", json={"name": " Cy "}).json()["name"] == "Cy"


def test_a_name_is_taken_once(api):
    assert api.post("/v1/accounts", json={"name": "twin"}).status_code == 201
    assert api.post("/v1/accounts", json={"name": "twin"}).status_code == 409


# The audit trail


def test_refusals_of_calls_that_change_or_reveal_are_audited(api, account, server):
    fields = {"url": "http://127.0.0.1:9/", "events": ["job"]}
    hook = api.post("/v1/hooks", params={"account": account}, json=fields).json()["id"]
    viewer = {"Hooktui-Role": "viewer"}
    assert api.get(f"/v1/hooks/{hook}/secret", headers=viewer).status_code == 403
    assert api.patch(f"/v1/hooks/{hook}", json={}, headers=viewer).status_code == 403
    operator = {"Hooktui-Role": "operator"}
    assert api.patch(f"/v1/hooks/{hook}", json={"name": "x"}, headers=operator).status_code == 403
    query = "SELECT action, role FROM audit WHERE target = ? AND result = 'refused' ORDER BY rowid"
    with contextlib.closing(
        sqlite3.connect(f"file:{server.paths.database}?mode=ro", uri=True)
    ) as db:
        found = db.execute(query, (f"/v1/hooks/{hook}/secret",)).fetchall()
        assert found == [("GET refused", "viewer")]
        found = db.execute(query, (f"/v1/hooks/{hook}",)).fetchall()
        assert found == [("PATCH refused", "viewer"), ("PATCH refused", "operator")]


# Red when one of them is ignored: the token has an account that its admin did not mean.
@pytest.mark.parametrize("bound", [False, True])
def test_a_token_with_two_accounts_is_refused(api, account, tcp, bound):
    headers = {}
    if bound:
        made = _token(api, role="admin", account=account)
        headers = {"Authorization": f"Bearer {made['token']}"}
    body = {"name": "t", "role": "viewer", "account": 1 if not bound else account}
    other = account if not bound else 1
    answer = tcp.post("/v1/tokens", params={"account": other}, json=body, headers=headers)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/account"
    assert f"account {other}" in error["detail"]
    assert f"account {body['account']}" in error["detail"]
    for params in ({"account": body["account"]}, {}):
        answer = tcp.post("/v1/tokens", params=params, json=body, headers=headers)
        assert answer.json()["account"] == body["account"]


# Red when only numbers below 1 are refused: the database takes 64 bits, and the answer was a 500.
@pytest.mark.parametrize("account", [0, -1, 10**18, 2**63, 10**40])
def test_an_account_that_no_database_can_hold_is_refused(api, account):
    fields = {"name": "t", "role": "viewer", "account": account}
    answer = api.post("/v1/tokens", json=fields)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/account"
