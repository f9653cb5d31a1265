"""The alerts of replays over HTTP, on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from hooktui.bench.databases import databases_of
from tests.api.test_replays_api import ended, fail, make_hook, shown, start
from tests.support.receivers import Receiver, receiving
from tests.support.running_server import RunningServer, running_server
from tests.support.waiting import wait_for


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[RunningServer]:
    with ExitStack() as stack:
        given = {}
        if request.param == "postgres":
            databases = databases_of(request.getfixturevalue("postgres").url())
            given["database_url"] = stack.enter_context(databases.fresh())
        yield stack.enter_context(running_server(tmp_path_factory.mktemp("home"), **given))


@pytest.fixture
def operator(api: httpx.Client, account: int) -> Iterator[Receiver]:
    """A receiver of the alerts of replays."""
    with receiving() as running:
        types = ["hooktui.replay.paused", "hooktui.alert.closed", "hooktui.replay.finished"]
        make_hook(api, account, running.url, events=types)
        yield running


def announced(operator: Receiver, count: int) -> list[tuple[str, str]]:
    """Return the types and states of the alerts that were sent, once there are so many."""
    bodies = [json.loads(request.body)["alert"] for request in operator.wait_for(count)]
    return [(alert["type"], alert["state"]) for alert in bodies]


def alerts(api: httpx.Client, account: int, state: str) -> list[tuple[str, str, str | None]]:
    params = {"account": account, "state": state}
    found = api.get("/v1/alerts", params=params).json()["data"]
    ours = [one for one in found if one["type"].startswith("replay.")]
    return [(one["type"], one["replay"], one["resolution"]) for one in ours]


@pytest.fixture
def paused(api: httpx.Client, account: int, receiver: Receiver) -> dict[str, str]:
    """A replay that paused itself, as its receiver still fails."""
    hook = fail(api, account, receiver, 60, max_in_flight=8)
    receiver.status = 404
    replay = start(api, account, rate=1000, selection={"hooks": [hook]})
    assert ended(api, replay, "paused")["state_reason"] == "20 attempts in a row failed"
    receiver.status = 200
    return replay


# Red without the alert, its end, or the announcement of either.
def test_a_replay_that_pauses_itself_opens_an_alert_until_it_is_resumed(
    api: httpx.Client, account: int, operator: Receiver, paused: dict[str, str]
) -> None:
    assert announced(operator, 1) == [("replay.paused", "open")]
    assert alerts(api, account, "open") == [("replay.paused", paused["id"], None)]
    api.post(f"/v1/replays/{paused['id']}/resume")
    assert ended(api, paused)["state"] == "finished"
    assert announced(operator, 3) == [
        ("replay.paused", "open"), ("replay.paused", "resolved"), ("replay.finished", "resolved"),
    ]  # fmt: skip
    assert alerts(api, account, "open") == []
    body = json.loads(operator.requests[-1].body)
    progress = shown(api, paused)["progress"]
    assert {name: body["replay"][name] for name in ("sent", "delivered", "failed")} == {
        name: progress[name] for name in ("sent", "delivered", "failed")
    }


def test_an_abort_ends_the_alert_of_a_paused_replay(
    api: httpx.Client, account: int, operator: Receiver, paused: dict[str, str]
) -> None:
    assert announced(operator, 1) == [("replay.paused", "open")]
    api.post(f"/v1/replays/{paused['id']}/abort", json={})
    assert announced(operator, 2) == [("replay.paused", "open"), ("replay.paused", "resolved")]
    assert alerts(api, account, "resolved") == [("replay.paused", paused["id"], "ended")]


def test_a_person_who_pauses_opens_no_alert(
    api: httpx.Client, account: int, operator: Receiver, receiver: Receiver
) -> None:
    hook = fail(api, account, receiver, 20)
    replay = start(api, account, rate=1, selection={"hooks": [hook]})
    assert api.post(f"/v1/replays/{replay['id']}/pause").json()["state"] == "paused"
    assert alerts(api, account, "open") == []
    api.patch(f"/v1/replays/{replay['id']}", json={"rate_per_s": 500})
    api.post(f"/v1/replays/{replay['id']}/resume")
    wait_for(lambda: shown(api, replay)["state"] == "finished")
    assert announced(operator, 1) == [("replay.finished", "resolved")]
