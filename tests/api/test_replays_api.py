"""``/v1/replays``: plan, run, steer, and what a real server does meanwhile."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from hooktui.domain.clock import to_rfc3339
from hooktui.domain.replays import MAX_HOOKS_OF_EVENTS
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for


def make_hook(api: httpx.Client, account: int, url: str, **fields: object) -> int:
    body = {"url": url, "events": ["job"], "retry_schedule_s": [], **fields}
    answer = api.post(f"/v1/hooks?account={account}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def emit(api: httpx.Client, account: int, count: int) -> None:
    events = ({"type": "job.failed", "data": {"n": n}} for n in range(count))
    lines = "".join(json.dumps(event) + "\n" for event in events)
    answer = api.post(
        f"/v1/events?account={account}",
        content=lines,
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.status_code == 202, answer.text


def counts(api: httpx.Client, account: int, status: str) -> int:
    return api.get(f"/v1/deliveries?account={account}&status={status}").json()["total"]


def fail(api: httpx.Client, account: int, receiver: Receiver, count: int, **fields: object) -> int:
    """Make a hook that fails to get some events, then heals."""
    receiver.status = 404
    hook = make_hook(api, account, receiver.url, **fields)
    emit(api, account, count)
    wait_for(lambda: counts(api, account, "failed") == count)
    receiver.status = 200
    receiver.requests.clear()
    return hook


def plan(api: httpx.Client, account: int, **selection: object) -> dict[str, Any]:
    answer = api.post(f"/v1/replays/plan?account={account}", json={"selection": selection})
    assert answer.status_code == 200, answer.text
    return answer.json()


def start(api: httpx.Client, account: int, rate: float = 200, **body: object) -> dict[str, Any]:
    content = {"rate_per_s": rate, **body}
    answer = api.post(f"/v1/replays?account={account}", json=content)
    assert answer.status_code == 201, answer.text
    return answer.json()


def shown(api: httpx.Client, replay: dict[str, Any]) -> dict[str, Any]:
    return api.get(f"/v1/replays/{replay['id']}").json()


def ended(api: httpx.Client, replay: dict[str, Any], *states: str) -> dict[str, Any]:
    """Wait for the end of a replay, or a state."""

    def now() -> bool:
        return shown(api, replay)["state"] in (states or ("finished", "aborted"))

    wait_for(now, within_s=30)
    return shown(api, replay)


def test_a_plan_changes_nothing_and_run_sends_what_it_counted(
    api: httpx.Client, account: int, receiver: Receiver
) -> None:
    hook = fail(api, account, receiver, 30)
    before = api.get(f"/v1/feed?account={account}&from_end=true").json()["next"]
    planned = plan(api, account, hooks="all")
    assert planned["total"] == 30
    assert planned["selection"]["hooks"] == [hook]
    # Red when a time to come is kept: the replay shows it, and sends nothing that comes later.
    later = plan(api, account, hooks="all", until="2999-01-01T00:00:00Z")
    assert planned["selection"]["until"] <= later["selection"]["until"] < "2999"
    both = {"hooks": "all", "since": "2998-01-01T00:00:00Z", "until": "2999-01-01T00:00:00Z"}
    refused = api.post(f"/v1/replays/plan?account={account}", json={"selection": both})
    assert refused.json()["errors"][0]["pointer"] == "/selection/since"
    assert (planned["complete"], planned["next"], planned["duplicates"]) == (True, None, 0)
    assert api.get(f"/v1/feed?account={account}&from_end=true").json()["next"] == before
    again = plan(api, account, **planned["selection"])
    assert again["selection"] == planned["selection"]
    replay = start(api, account, selection=planned["selection"], max_deliveries=planned["total"])
    done = ended(api, replay)
    assert done["state"] == "finished"
    progress = done["progress"]
    assert (progress["sent"], progress["delivered"], progress["failed"]) == (30, 30, 0)
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 30
    assert len(receiver.requests) == 30
    assert plan(api, account, hooks=[hook])["total"] == 0
    assert plan(api, account, hooks=[hook], mode="sent", since="1h")["duplicates"] == 30


def test_a_plan_knows_the_rate_of_each_hook_and_how_long_events_are_kept(
    api: httpx.Client, account: int, receiver: Receiver
) -> None:
    fail(api, account, receiver, 3, rate_per_s=0.5)
    planned = plan(api, account, hooks="all")
    assert (planned["hooks"][0]["rate_per_s"], planned["estimate_s"]) == (0.5, 6)
    assert 29 * 86_400 < planned["kept_s"] < 30 * 86_400


def test_feed_and_audit_name_it(api: httpx.Client, account: int, receiver: Receiver) -> None:
    hook = fail(api, account, receiver, 3)
    position = api.get(f"/v1/feed?account={account}&from_end=true").json()["next"]
    replay = start(api, account, selection={"hooks": [hook]})
    ended(api, replay)
    lines = api.get(f"/v1/feed?account={account}&after={position}").json()["data"]
    states = [line["state"] for line in lines if line["kind"] == "replay"]
    assert states[-1] == "finished"
    entries = api.get(f"/v1/audit?account={account}&action=replay.*").json()["data"]
    assert {entry["action"] for entry in entries} == {"replay.create", "replay.finish"}


def test_pause_takes_effect_before_its_answer(
    api: httpx.Client, account: int, receiver: Receiver
) -> None:
    hook = fail(api, account, receiver, 200)
    replay = start(api, account, rate=50, selection={"hooks": [hook]})
    wait_for(lambda: len(receiver.requests) > 5)
    paused = api.post(f"/v1/replays/{replay['id']}/pause").json()
    assert paused["state"] == "paused"
    sent = paused["progress"]["sent"]
    assert shown(api, replay)["progress"]["sent"] == sent < 200
    wait_for(lambda: shown(api, replay)["progress"]["waiting"] == 0)
    assert shown(api, replay)["progress"]["sent"] == sent
    answer = api.patch(f"/v1/replays/{replay['id']}", json={"rate_per_s": 1000})
    assert answer.json()["rate_per_s"] == 1000
    assert api.post(f"/v1/replays/{replay['id']}/resume").json()["state"] == "running"
    assert ended(api, replay)["progress"]["delivered"] == 200
    assert len(receiver.requests) == 200


def test_a_receiver_that_still_fails_is_set_aside(
    api: httpx.Client, account: int, receiver: Receiver
) -> None:
    # Red when failures are not counted: all 200 would be tried.
    hook = fail(api, account, receiver, 200, max_in_flight=8)
    receiver.status = 404
    replay = start(api, account, rate=1000, selection={"hooks": [hook]})
    paused = ended(api, replay, "paused")
    assert paused["state_reason"] == "20 attempts in a row failed"
    assert paused["hooks"][0]["state"] == "set_aside"
    assert 20 <= len(receiver.requests) <= 20 + 4
    receiver.status = 200
    api.post(f"/v1/replays/{replay['id']}/resume")
    assert ended(api, replay)["state"] == "finished"


# Red when only the attempts that the replay starts itself are counted: all 30 would be tried.
def test_a_receiver_that_still_fails_in_order_is_set_aside(
    api: httpx.Client, account: int, receiver: Receiver
) -> None:
    hook = fail(api, account, receiver, 30, ordered=True)
    receiver.status = 404
    selection = {"hooks": [hook], "include_ordered": True}
    replay = start(api, account, rate=1000, selection=selection)
    paused = ended(api, replay, "paused", "finished")
    assert (paused["state"], paused["hooks"][0]["state"]) == ("paused", "set_aside")
    assert 20 <= len(receiver.requests) <= 20 + 1
    receiver.status = 200
    api.post(f"/v1/replays/{replay['id']}/resume")
    assert ended(api, replay)["state"] == "finished"


def test_abort_keeps_what_was_sent(api: httpx.Client, account: int, receiver: Receiver) -> None:
    hook = fail(api, account, receiver, 100)
    replay = start(api, account, rate=20, selection={"hooks": [hook]})
    wait_for(lambda: len(receiver.requests) > 2)
    answer = api.post(f"/v1/replays/{replay['id']}/abort", json={"cancel_waiting": True})
    assert answer.json()["state"] == "aborted"
    assert api.post(f"/v1/replays/{replay['id']}/abort").status_code == 409
    listed = api.get(f"/v1/replays?account={account}&state=aborted&hook={hook}").json()
    assert [one["id"] for one in listed["data"]] == [replay["id"]]


def test_the_rate_is_kept(api: httpx.Client, account: int, receiver: Receiver) -> None:
    hook = fail(api, account, receiver, 60)
    begun_s = time.time()
    replay = start(api, account, rate=30, selection={"hooks": [hook]})
    ended(api, replay)
    assert max(request.at for request in receiver.requests) - begun_s >= 1.8


def test_an_idempotency_key(api: httpx.Client, account: int, receiver: Receiver) -> None:
    hook = fail(api, account, receiver, 1)
    body = {"selection": {"hooks": [hook]}}
    path, headers = f"/v1/replays?account={account}", {"Idempotency-Key": f"k{account}"}
    first = api.post(path, json=body, headers=headers)
    again = api.post(path, json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = api.post(path, json=body | {"rate_per_s": 7}, headers=headers)
    assert other.status_code == 422


# Red when the selection is checked and resolved before the key is looked up.
def test_a_repeated_request_is_answered_though_it_would_be_refused_now(
    api: httpx.Client, account: int, receiver: Receiver
) -> None:
    hook = fail(api, account, receiver, 1)
    deleted = make_hook(api, account, receiver.url)
    until = to_rfc3339(int((time.time() + 1) * 1000))
    refused_later: list[tuple[dict[str, object], int]] = [
        ({"hooks": "all"}, 409),  # no hook has undelivered events
        ({"hooks": "all", "mode": "all", "since": "1h"}, 422),  # more hooks than it may have
        ({"hooks": [hook], "since": "1s", "until": until}, 422),  # the first time passes the other
        ({"hooks": [deleted]}, 404),
    ]
    path = f"/v1/replays?account={account}"

    def post(number: int, rate: float = 1000) -> httpx.Response:
        body = {"selection": refused_later[number][0], "rate_per_s": rate}
        return api.post(path, json=body, headers={"Idempotency-Key": f"{account}-{number}"})

    created = []
    for number in range(len(refused_later)):
        answer = post(number)
        assert answer.status_code == 201, answer.text
        created.append(ended(api, answer.json())["id"])
    for _ in range(MAX_HOOKS_OF_EVENTS):
        make_hook(api, account, receiver.url)
    assert api.delete(f"/v1/hooks/{deleted}").is_success
    for number, (selection, status) in enumerate(refused_later):
        body = {"selection": selection}
        wait_for(lambda body=body, status=status: api.post(path, json=body).status_code == status)
        again = post(number)
        assert (again.status_code, again.json().get("id")) == (200, created[number]), again.text
        assert post(number, rate=7).status_code == 422


@pytest.mark.parametrize(
    ("selection", "pointer"),
    [
        ({"hooks": "all", "mode": "sent"}, "/selection/since"),
        ({"hooks": "all", "mode": "none"}, "/selection/mode"),
        ({"hooks": "all", "cause": "nothing"}, "/selection/cause"),
        ({"hooks": "all", "mode": "all", "since": "1h", "cause": "dns"}, "/selection/cause"),
        ({"hooks": "all", "filter": "nope:1"}, "/selection/filter"),
        ({"hooks": "all", "mode": "never-sent", "since": "1h", "filter": "code:5xx"},
         "/selection/filter"),
        ({"hooks": [*range(1, 30)], "mode": "all", "since": "1h"}, "/selection/hooks"),
        ({"hooks": []}, "/selection/hooks"),
        ({"hooks": "all", "since": "yesterday"}, "/selection/since"),
    ],
)  # fmt: skip
def test_bad_selections_are_refused(
    api: httpx.Client, account: int, selection: dict[str, object], pointer: str
) -> None:
    for path in ("plan", ""):
        answer = api.post(
            f"/v1/replays/{path}?account={account}".replace("/?", "?"),
            json={"selection": selection},
        )
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == pointer


def test_rates_and_hooks_are_checked(api: httpx.Client, account: int, receiver: Receiver) -> None:
    hook = make_hook(api, account, receiver.url)
    for rate in (0.01, 2000):
        body = {"selection": {"hooks": [hook]}, "rate_per_s": rate}
        assert api.post(f"/v1/replays?account={account}", json=body).status_code == 422
    for path in ("/v1/replays", "/v1/replays/plan"):
        body = {"selection": {"hooks": [hook]}}
        assert api.post(f"{path}?account=1", json=body).status_code == 404


def test_a_busy_hook_is_named(api: httpx.Client, account: int, receiver: Receiver) -> None:
    hook = fail(api, account, receiver, 50)
    replay = start(api, account, rate=1, selection={"hooks": [hook]})
    body = {"selection": {"hooks": [hook]}}
    answer = api.post(f"/v1/replays?account={account}", json=body)
    assert answer.status_code == 409
    assert replay["id"] in answer.json()["detail"]
    api.post(f"/v1/replays/{replay['id']}/abort")


# Red while a plan of what is refused read as if it could be run.
def test_a_plan_says_why_it_cannot_be_run_now(
    api: httpx.Client, account: int, receiver: Receiver
) -> None:
    hook = fail(api, account, receiver, 5)
    assert plan(api, account, hooks=[hook])["warnings"] == []
    made = start(api, account, rate=1, selection={"hooks": [hook], "mode": "failed"})
    (warning,) = plan(api, account, hooks=[hook])["warnings"]
    assert warning.startswith(f"cannot be run now: hook {hook} has the unfinished replay")
    assert made["id"] in warning
    api.post(f"/v1/replays/{made['id']}/abort", json={})
    assert plan(api, account, hooks=[hook])["warnings"] == []
    api.patch(f"/v1/hooks/{hook}", json={"active": False})
    (warning,) = plan(api, account, hooks=[hook])["warnings"]
    assert "all hooks of this replay are disabled" in warning


def test_a_pause_of_all_sending_holds_it(
    api: httpx.Client, account: int, receiver: Receiver
) -> None:
    hook = fail(api, account, receiver, 10)
    api.post("/v1/engine/pause")
    try:
        replay = start(api, account, selection={"hooks": [hook]})
        wait_for(lambda: shown(api, replay)["hooks"][0]["waits_for"] == "paused")
        assert receiver.requests == []
    finally:
        api.post("/v1/engine/resume")
    assert ended(api, replay)["progress"]["delivered"] == 10


def test_never_sent(api: httpx.Client, account: int, receiver: Receiver) -> None:
    off = make_hook(api, account, receiver.url, active=False)
    emit(api, account, 5)
    api.patch(f"/v1/hooks/{off}", json={"active": True})
    assert plan(api, account, hooks=[off], mode="never-sent", since="1h")["total"] == 5
    replay = start(api, account, selection={"hooks": [off], "mode": "never-sent", "since": "1h"})
    assert ended(api, replay)["progress"]["delivered"] == 5
    assert len(receiver.requests) == 5
