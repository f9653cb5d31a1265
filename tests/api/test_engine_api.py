"""``POST /v1/engine/pause`` and ``resume``, and what the status tells of the engine."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

QUIET_S = 0.3


@pytest.fixture(autouse=True)
def going(api: httpx.Client) -> Iterator[None]:
    yield
    api.post("/v1/engine/resume")


def emit(api: httpx.Client, account: int) -> str:
    answer = api.post(f"/v1/events/job.failed?account={account}", json={"id": 1})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def hook(api: httpx.Client, account: int, url: str, **fields: object) -> int:
    body = {"url": url, "events": ["job"], **fields}
    answer = api.post(f"/v1/hooks?account={account}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


# Red when the route does not reach the store, or the engine does not look at it.
def test_while_paused_events_are_taken_in_and_nothing_is_sent(
    api: httpx.Client, account: int, receiver: Receiver
):
    number = hook(api, account, receiver.url)
    paused = api.post("/v1/engine/pause")
    assert paused.status_code == 200, paused.text
    state = paused.json()["paused"]
    assert set(state) == {"at", "by"}
    assert api.post("/v1/engine/pause").json()["paused"] == state
    emit(api, account)
    time.sleep(QUIET_S)
    assert receiver.requests == []
    status = api.get(f"/v1/status?account={account}").json()
    assert status["paused"] == state
    assert status["backlog"]["count"] == 1
    assert status["backlog"]["hooks"][0] == {
        "hook": number, "count": 1, "name": "127.0.0.1",
    }  # fmt: skip
    ping = api.post(f"/v1/hooks/{number}/ping").json()["delivery"]
    assert ping["status"] == "delivered"

    assert api.post("/v1/engine/resume").json() == {"paused": None}
    wait_for(lambda: len(receiver.requests) == 2)
    assert api.get("/v1/status").json()["paused"] is None


def test_the_feed_tells_every_account(api: httpx.Client, account: int):
    after = api.get(f"/v1/feed?account={account}&from_end=true&limit=1").json()["next"]
    state = api.post("/v1/engine/pause").json()
    page = api.get(f"/v1/feed?account={account}&after={after}").json()
    (line,) = [one for one in page["data"] if one["kind"] == "engine"]
    assert line["paused"] == state["paused"]


def test_a_bound_token_may_not_stop_the_others(api: httpx.Client, account: int, tcp: httpx.Client):
    fields = {"name": "t", "role": "admin", "account": account}
    made = api.post("/v1/tokens", json=fields).json()["token"]
    answer = tcp.post("/v1/engine/pause", headers={"Authorization": f"Bearer {made}"})
    assert answer.status_code == 403
    assert api.get("/v1/status").json()["paused"] is None


def test_the_status_names_open_breakers_and_what_is_kept(
    api: httpx.Client, account: int, receiver: Receiver
):
    receiver.status = 500
    number = hook(api, account, receiver.url, retry_schedule_s=[3600], max_in_flight=1)
    for _ in range(10):
        emit(api, account)

    def opened() -> list[dict[str, object]]:
        found: list[dict[str, object]] = api.get(f"/v1/status?account={account}").json()["breakers"]
        return found

    wait_for(opened)
    (breaker,) = opened()
    assert (breaker["hook"], breaker["name"], breaker["failures"]) == (number, "127.0.0.1", 10)
    assert str(breaker["probe_at"]).endswith("Z")
    status = api.get("/v1/status").json()
    assert status["keep"] == {"days": 30, "bodies_days": 7}
    assert 0 < status["disk"]["reserve"] < status["disk"]["total"]
