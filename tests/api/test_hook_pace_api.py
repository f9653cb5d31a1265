"""The present pace of hooks in the API."""

from __future__ import annotations

import json

from tests.support.running_server import running_server
from tests.support.waiting import wait_for

IDLE = {"in_flight": 0, "in_flight_limit": 10, "limited_by": None}


def made(api, account, url, **fields) -> dict:
    body = {"url": url, "events": ["job"], **fields}
    answer = api.post("/v1/hooks", params={"account": account}, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def shown(api, hook: int) -> dict:
    return api.get(f"/v1/hooks/{hook}").json()


def pace(hook: dict) -> dict:
    return {name: hook[name] for name in IDLE}


def emit(api, account, count: int) -> None:
    lines = '{"type":"job.failed","data":{}}\n' * count
    answer = api.post(
        "/v1/events",
        params={"account": account},
        content=lines,
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.status_code == 202, answer.text


def test_a_hook_and_a_list_show_what_is_in_flight_and_the_limit(api, account, receiver):
    receiver.released.clear()
    hook = made(api, account, receiver.url)
    assert pace(hook) == IDLE
    fixed = made(api, account, receiver.url, max_in_flight=3, events=["cluster"])
    emit(api, account, 4)
    receiver.wait_for(4)
    listed = api.get("/v1/hooks", params={"account": account}).json()["data"]
    busy = IDLE | {"in_flight": 4}
    assert {one["id"]: pace(one) for one in listed} == {
        hook["id"]: busy,
        fixed["id"]: IDLE | {"in_flight_limit": 3},
    }
    assert pace(shown(api, hook["id"])) == busy
    receiver.released.set()


def test_an_overload_is_named_with_its_response(api, account, receiver):
    receiver.status = 503
    hook = made(api, account, receiver.url, retry_schedule_s=[3600])
    emit(api, account, 12)
    limited_by = wait_for(lambda: shown(api, hook["id"])["limited_by"])
    assert (limited_by["kind"], limited_by["response"]) == ("overload", "503")
    assert limited_by["in_flight"] >= 1
    assert (limited_by["per_s"], limited_by["share"]) == (None, None)
    assert shown(api, hook["id"])["in_flight_limit"] < 10


def test_the_health_has_the_limit_since_its_first_change(api, account, receiver):
    receiver.status = 503
    hook = made(api, account, receiver.url, retry_schedule_s=[3600])
    untouched = made(api, account, receiver.url, events=["cluster"])
    emit(api, account, 12)
    wait_for(lambda: shown(api, hook["id"])["limited_by"])
    health = api.get(f"/v1/hooks/{hook['id']}/health", params={"hours": 1}).json()
    assert health["points"][0]["limit_max"] is None
    # The last point, unless five minutes were over just now.
    cut = next(point for point in health["points"] if point["limit_max"] == 10)
    assert cut["limit_min"] < 10
    assert cut["at"] >= health["points"][-2]["at"]
    assert health["limits_since"] >= cut["at"]
    health = api.get(f"/v1/hooks/{untouched['id']}/health", params={"hours": 1}).json()
    assert health["limits_since"] is None
    assert {point["limit_max"] for point in health["points"]} == {None}


def test_the_body_of_a_ping_has_no_pace(api, account, receiver):
    hook = made(api, account, receiver.url)
    assert api.post(f"/v1/hooks/{hook['id']}/ping").status_code == 200
    body = json.loads(receiver.wait_for(1)[0].body)
    assert pace(body) == dict.fromkeys(IDLE)


def test_a_server_bounds_every_adaptive_limit(tmp_path):
    given = {"auto_in_flight_max": 4, "allow_networks": "127.0.0.0/8"}
    with running_server(tmp_path, **given) as server, server.client() as api:
        hooks = [
            made(api, 1, "http://127.0.0.1:9/", **fields)
            for fields in ({}, {"max_in_flight_cap": 2}, {"max_in_flight_cap": 9},
                           {"max_in_flight": 9}, {"ordered": True})
        ]  # fmt: skip
        limits = [shown(api, hook["id"])["in_flight_limit"] for hook in hooks]
        assert limits == [4, 2, 4, 9, 1]
