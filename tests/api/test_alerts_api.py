"""Operator alerts over HTTP, with a server whose rules are quick."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.receivers import Receiver, receiving
from tests.support.running_server import RunningServer, running_server
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[RunningServer]:
    home = tmp_path_factory.mktemp("home")
    given = {"alert_after_failures": 2, "alert_after_s": 0, "listen": "127.0.0.1:0"}
    with running_server(home, **given) as one:
        yield one


def hook(api: httpx.Client, account: int, url: str, **fields: object) -> int:
    body = {"url": url, "events": ["job"], "name": "n", **fields}
    answer = api.post(f"/v1/hooks?account={account}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def emit(api: httpx.Client, account: int, count: int = 1) -> None:
    for _ in range(count):
        answer = api.post(f"/v1/events/job.failed?account={account}", json={"id": 1})
        assert answer.status_code == 202, answer.text


def alerts(api: httpx.Client, account: int, **wanted: object) -> list[dict[str, object]]:
    answer = api.get("/v1/alerts", params={"account": account, **wanted})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


@pytest.fixture
def broken() -> Iterator[Receiver]:
    with receiving(Receiver(status=500)) as running:
        yield running


@pytest.fixture
def failing(api: httpx.Client, account: int, broken: Receiver) -> int:
    """A hook whose deliveries have failed, with an open alert; it tries no more."""
    number = hook(api, account, broken.url, retry_schedule_s=[])
    emit(api, account, 3)
    group = {"account": account, "hook": number}

    def gave_up() -> int:
        return sum(
            one["gave_up"] for one in api.get("/v1/undelivered", params=group).json()["data"]
        )

    wait_for(lambda: len(alerts(api, account)) == 2 and gave_up() == 3)
    return number


def test_an_alert_is_sent_listed_and_acknowledged(
    api: httpx.Client, account: int, receiver: Receiver, broken: Receiver
):
    hook(api, account, receiver.url, events=["hooktui.hook.failing", "hooktui.hook.recovered"])
    number = hook(api, account, broken.url, retry_schedule_s=[])
    emit(api, account, 3)
    wait_for(lambda: receiver.requests)
    body = json.loads(receiver.requests[0].body)
    assert body["alert"]["key"] == f"hook.failing:{number}"
    assert body["cause"] == "http_5xx"
    wait_for(lambda: len(alerts(api, account)) == 2)
    (shown,) = alerts(api, account, type="hook.failing")
    assert shown["id"] == body["alert"]["id"]
    assert (shown["state"], shown["hook"], shown["hook_name"]) == ("open", number, "n")
    assert api.get(f"/v1/alerts/{shown['id']}").json() == shown
    assert alerts(api, account, hook=number, state="resolved") == []
    assert alerts(api, account, key=shown["key"]) == [shown]
    seen = api.post(f"/v1/alerts/{shown['id']}/acknowledge").json()
    assert seen["state"] == "acknowledged"
    answer = api.post(f"/v1/alerts/{shown['id']}/snooze", json={"for_s": 60})
    assert (answer.status_code, answer.json()["state"]) == (200, "snoozed")
    for wrong in ({"for_s": 59}, {"for_s": 2592001}, {}, {"for_s": "1h"}):
        answer = api.post(f"/v1/alerts/{shown['id']}/snooze", json=wrong)
        assert answer.status_code == 422, wrong
    edited = api.patch(f"/v1/hooks/{number}", json={"active": False})
    assert edited.status_code == 200
    answer = api.post(f"/v1/alerts/{shown['id']}/acknowledge")
    assert answer.status_code == 409
    assert api.get("/v1/alerts/alr_0000000000001").status_code == 404


def test_a_group_is_acknowledged_and_snoozed(api: httpx.Client, account: int, failing: int):
    path = f"/v1/undelivered/{failing}/http_5xx"
    group = api.post(f"{path}/acknowledge").json()
    assert (group["state"], group["gave_up"], group["cause"]) == ("acknowledged", 3, "http_5xx")
    assert {alert["state"] for alert in alerts(api, account)} == {"acknowledged"}
    group = api.post(f"{path}/snooze", json={"for_s": 3600}).json()
    assert group["state"] == "snoozed"
    assert api.post(f"/v1/undelivered/{failing}/dns/acknowledge").status_code == 404
    assert api.post("/v1/undelivered/424242/dns/acknowledge").status_code == 404
    answer = api.post(f"/v1/undelivered/{failing}/weather/acknowledge")
    assert answer.status_code == 422
    assert "http_400 to http_499" in answer.json()["errors"][0]["detail"]


def test_failing_means_an_open_alert_everywhere(api: httpx.Client, account: int, failing: int):
    other = hook(api, account, "http://127.0.0.1:9/", retry_schedule_s=[600])
    found = api.get("/v1/hooks", params={"account": account, "q": "status:failing"}).json()
    assert [one["id"] for one in found["data"]] == [failing]
    stats = api.get(f"/v1/hooks/{failing}").json()["stats"]
    assert stats["failing"] is True
    assert stats["failing_since"] is not None
    stats = api.get(f"/v1/hooks/{other}").json()["stats"]
    assert (stats["failing"], stats["failing_since"]) == (False, None)
    assert 'hooktui_alerts_open{type="hook.failing"}' in api.get("/metrics").text


def test_the_status_says_whether_alerts_reach_somebody(
    api: httpx.Client, account: int, broken: Receiver
):
    status = api.get("/v1/status", params={"account": account}).json()
    assert status["alert_path"] == {"state": "none", "hooks": []}
    number = hook(api, account, broken.url, events=["hooktui", "job"], retry_schedule_s=[])
    status = api.get("/v1/status", params={"account": account}).json()
    assert status["alert_path"]["state"] == "ok"
    emit(api, account, 3)
    wait_for(lambda: alerts(api, account, type="hook.failing"))
    status = api.get("/v1/status", params={"account": account}).json()
    assert status["alerts"] == {"open": 2, "acknowledged": 0, "snoozed": 0}
    path = status["alert_path"]
    assert path["state"] == "failing"
    assert [(one["hook"], one["state"]) for one in path["hooks"]] == [(number, "failing")]
    assert "hooktui_alert_path_up 0" in api.get("/metrics").text
    (check,) = [one for one in api.get("/v1/doctor").json()["checks"] if one["name"] == "alerts"]
    assert check["state"] == "fail"
    assert f"{number} (n) is failing" in check["value"]


def test_producers_cannot_send_operator_events(api: httpx.Client, account: int):
    for event_type in ("hooktui.hook.failing", "hooktui.made.up"):
        answer = api.post(f"/v1/events/{event_type}?account={account}", json={})
        assert answer.status_code == 422
        assert "sent by hooktui itself" in answer.text
    line = b'{"type": "hooktui.disk.low", "data": {}}'
    headers = {"Content-Type": "application/x-ndjson"}
    answer = api.post(f"/v1/events?account={account}", content=line, headers=headers)
    assert answer.status_code == 422


def test_alerts_are_in_the_feed(api: httpx.Client, account: int, failing: int):
    lines = api.get("/v1/feed", params={"account": account, "from_end": True}).json()["data"]
    found = [line for line in lines if line["kind"] == "alert"]
    assert {line["type"] for line in found} == {"hook.failing", "delivery.gave_up"}
    assert {line["change"] for line in found} == {"open"}
    params = {"account": account, "from_end": True, "q": f"hook:{failing}"}
    lines = api.get("/v1/feed", params=params).json()["data"]
    assert [line["kind"] for line in lines].count("alert") == 2


def test_a_storm_of_410_sends_one_alert_for_each_hook(
    api: httpx.Client, account: int, receiver: Receiver
):
    hook(api, account, receiver.url, events=["hooktui"])
    with receiving(Receiver(status=410)) as gone:
        hooks = [hook(api, account, gone.url, name=f"n{n}") for n in range(5)]
        emit(api, account, 20)
        wait_for(lambda: len(alerts(api, account)) == len(hooks))
        time.sleep(0.5)
    assert {alert["type"] for alert in alerts(api, account)} == {"hook.disabled"}
    wait_for(lambda: len(receiver.requests) >= len(hooks))
    keys = [json.loads(request.body)["alert"]["key"] for request in receiver.requests]
    assert sorted(keys) == sorted(f"hook.disabled:{number}" for number in hooks)
