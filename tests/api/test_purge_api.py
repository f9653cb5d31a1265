"""Purging through the API."""

from __future__ import annotations

import sqlite3

import pytest

from hooktui.api.routes import operations

BODY = {"older_than": "0s"}


def audit_of(server, action):
    with sqlite3.connect(f"file:{server.paths.database}?mode=ro", uri=True) as conn:
        rows = conn.execute('SELECT "user", after FROM audit WHERE action = ?', (action,))
        return rows.fetchall()


def emit(api, account, count=1):
    for _ in range(count):
        answer = api.post("/v1/events/job.failed", params={"account": account}, json={})
        assert answer.status_code == 202, answer.text


def events_of(api, account):
    return api.get("/v1/events", params={"account": account}).json()["total"]


def test_a_purge_tells_what_went_and_leaves_other_accounts_alone(api, account, server):
    emit(api, account, 3)
    emit(api, 1)
    there = events_of(api, 1)
    answer = api.post("/v1/purge", params={"account": account}, json=BODY)
    assert answer.status_code == 200, answer.text
    gone = answer.json()
    assert (gone["events"], gone["deliveries"], gone["next"]) == (3, 0, None)
    assert events_of(api, account) == 0
    assert events_of(api, 1) == there
    said = [after for _, after in audit_of(server, "events.purge")]
    assert any('"events":3' in after.replace(" ", "") for after in said)


def test_a_purge_in_several_calls_drops_all(api, account, monkeypatch):
    monkeypatch.setattr(operations, "PURGE_WITHIN_S", -1.0)
    monkeypatch.setattr("hooktui.store.planning.retention.SCANNED_AT_ONCE", 2)
    emit(api, account, 5)
    gone, body, calls = 0, dict(BODY), 0
    while True:
        answer = api.post("/v1/purge", params={"account": account}, json=body).json()
        gone, calls = gone + answer["events"], calls + 1
        if answer["next"] is None:
            break
        body = {"older_than": answer["before"], "after": answer["next"]}
    assert gone == 5
    assert calls > 1


@pytest.mark.parametrize(
    "body",
    [{}, {"older_than": "soon"}, {"older_than": "2999-01-01T00:00:00Z"}, {"older_than": 5},
     {"older_than": "1d", "after": "dlv_1"}, {"older_than": "900000d"}],
)  # fmt: skip
def test_a_purge_of_nonsense_is_refused(api, body):
    answer = api.post("/v1/purge", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"]


def test_only_an_admin_of_all_accounts_may_purge(api, account, tcp):
    operator = {"Hooktui-Role": "operator"}
    assert api.post("/v1/purge", json=BODY, headers=operator).status_code == 403
    fields = {"name": "bound", "role": "admin", "account": account}
    token = api.post("/v1/tokens", json=fields).json()["token"]
    bound = {"Authorization": f"Bearer {token}"}
    assert tcp.post("/v1/purge", json=BODY, headers=bound).status_code == 403
