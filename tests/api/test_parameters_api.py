"""Parameters of a call: what a route does not know is refused, for it would change nothing."""

from __future__ import annotations

import pytest


# Red when unknown parameters are ignored: the first of these listed every delivery.
@pytest.mark.parametrize(
    ("path", "pointer", "known"),
    [
        ("/v1/deliveries?statu=failed", "/statu", "status"),
        ("/v1/hooks?limit=1&page=2", "/page", "cursor"),
        ("/v1/feed?since=1h", "/since", "after"),
        ("/v1/status?verbose=1", "/verbose", "account"),
        ("/v1/events?a/b=", "/a~1b", "limit"),
        ("/v1/event-types?x", "/x", "known: "),
    ],
)
def test_an_unknown_parameter_is_refused_and_the_known_ones_named(api, path, pointer, known):
    answer = api.get(path)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert known in error["detail"]


def test_an_unknown_parameter_stops_an_event_and_a_change(api):
    headers = {"Content-Type": "application/json"}
    sent = api.post("/v1/events/job.failed?acount=7", content=b"{}", headers=headers)
    assert (sent.status_code, sent.json()["errors"][0]["pointer"]) == (422, "/acount")
    made = api.post("/v1/accounts?name=x", json={"name": "y"})
    assert (made.status_code, made.json()["errors"][0]["pointer"]) == (422, "/name")


def test_who_watches_a_server_may_add_what_keeps_a_cache_away(api):
    assert api.get("/healthz?t=1").status_code == 200


# Red when a bound is taken out: the store would take as much, and search for what cannot be there.
@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/hooks?limit=501", "/limit"),
        ("/v1/deliveries?limit=0", "/limit"),
        ("/v1/audit?user=" + "u" * 2001, "/user"),
        ("/v1/events?type=" + "t" * 2001, "/type"),
    ],
    ids=["too many", "none", "a long user", "a long type"],
)
def test_a_parameter_is_bounded(api, path, pointer):
    answer = api.get(path)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
