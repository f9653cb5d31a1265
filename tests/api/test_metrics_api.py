"""``/metrics``: read by Prometheus' own parser; figures that move with what happens."""

from __future__ import annotations

import time

import httpx
from prometheus_client.parser import text_string_to_metric_families

from hooktui import __version__
from tests.support.waiting import wait_for


def figures(api: httpx.Client) -> dict[tuple[str, str], float]:
    """Return every sample by its name and the value of its label (or "")."""
    answer = api.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def waited(api, condition) -> dict[tuple[str, str], float]:
    """Return the figures as soon as something is so in them."""
    return wait_for(lambda: now if condition(now := figures(api)) else None)


def hook_of(api, account, url, **fields) -> int:
    body = {"url": url, "events": ["job"], **fields}
    return api.post("/v1/hooks", params={"account": account}, json=body).json()["id"]


def test_what_is_taken_in_and_sent_is_counted(api, account, receiver):
    before = figures(api)
    hook_of(api, account, receiver.url)
    off = hook_of(api, account, receiver.url)
    assert api.patch(f"/v1/hooks/{off}", json={"active": False}).status_code == 200
    sent = api.post("/v1/events/job.failed", params={"account": account}, json={"id": 1})
    assert sent.status_code == 202
    delivered = ("hooktui_attempts_total", "delivered")
    now = waited(api, lambda now: now[delivered] == before[delivered] + 1)
    accepted = ("hooktui_events_accepted_total", "")
    assert now[accepted] == before[accepted] + 1
    for state in ("active", "disabled"):
        name = ("hooktui_hooks", state)
        assert now[name] == before[name] + 1
    commits = ("hooktui_commit_seconds_count", "writer")
    seconds = ("hooktui_commit_seconds_sum", "writer")
    assert now[commits] > before[commits]
    assert 0 < now[seconds] - before[seconds] < 60
    assert now["hooktui_build_info", __version__] == 1
    assert 0 < now["hooktui_disk_free_bytes", ""] < now["hooktui_disk_total_bytes", ""]
    assert abs(now["process_start_time_seconds", ""] - time.time()) < 3600


def test_what_fails_and_what_waits_is_counted(api, account, receiver):
    before = figures(api)
    receiver.status = 500
    hook = hook_of(api, account, receiver.url, retry_schedule_s=[3600])
    api.post("/v1/events/job.failed", params={"account": account}, json={"id": 1})
    failed, waiting = ("hooktui_attempts_total", "failed"), ("hooktui_deliveries_waiting", "")
    now = waited(api, lambda now: now[failed] == before[failed] + 1)
    assert now[waiting] == before[waiting] + 1
    assert now["hooktui_oldest_due_seconds", ""] == 0  # it waits for its time
    api.patch(f"/v1/hooks/{hook}", json={"active": False})
    held = ("hooktui_deliveries_held", "")
    now = figures(api)
    assert (now[held], now[waiting]) == (before[held] + 1, before[waiting])
    api.delete(f"/v1/hooks/{hook}")


def test_attempts_in_flight_are_counted(api, account, receiver):
    receiver.released.clear()
    hook_of(api, account, receiver.url)
    in_flight = ("hooktui_attempts_in_flight", "")
    before = figures(api)[in_flight]
    api.post("/v1/events/job.failed", params={"account": account}, json={"id": 1})
    receiver.wait_for(1)
    assert figures(api)[in_flight] == before + 1
    receiver.released.set()
    waited(api, lambda now: now[in_flight] == before)


def test_hooks_with_attempts_in_flight_are_counted_one_by_one(api, account, receiver):
    receiver.released.clear()
    busy = str(hook_of(api, account, receiver.url, max_in_flight=3))
    idle = str(hook_of(api, account, receiver.url, events=["cluster"]))
    api.post("/v1/events/job.failed", params={"account": account}, json={"id": 1})
    receiver.wait_for(1)
    now = figures(api)
    assert now["hooktui_hook_in_flight", busy] == 1
    assert now["hooktui_hook_in_flight_limit", busy] == 3
    assert now["hooktui_hook_overloads_total", busy] == 0
    assert ("hooktui_hook_in_flight", idle) not in now
    receiver.released.set()
    waited(api, lambda now: ("hooktui_hook_in_flight", busy) not in now)


def test_a_hook_whose_limit_was_cut_stays_counted(api, account, receiver):
    receiver.status = 503
    cut = str(hook_of(api, account, receiver.url, retry_schedule_s=[3600]))
    for number in range(12):
        api.post("/v1/events/job.failed", params={"account": account}, json={"id": number})
    overloads = ("hooktui_hook_overloads_total", cut)
    now = waited(api, lambda now: now.get(overloads, 0) > 0)
    assert now["hooktui_hook_in_flight_limit", cut] < 10


def test_a_pause_is_seen(api):
    assert figures(api)["hooktui_paused", ""] == 0
    assert api.post("/v1/engine/pause").is_success
    try:
        waited(api, lambda now: now["hooktui_paused", ""] == 1)
    finally:
        api.post("/v1/engine/resume")


def test_a_token_that_is_bound_to_an_account_does_not_see_all_accounts(api, account, server):
    bound = {"name": "t", "role": "viewer", "account": account}
    token = api.post("/v1/tokens", json=bound).json()["token"]
    free = api.post("/v1/tokens", json={"name": "t", "role": "viewer"}).json()["token"]
    host, port = server.listen[0]
    url = f"http://{host}:{port}/metrics?cache=no"
    codes = [
        httpx.get(
            url, headers={"Authorization": f"Bearer {one}"}, trust_env=False, timeout=None
        ).status_code
        for one in (token, free, "hkt_1_none")
    ]
    assert codes == [403, 200, 401]


# Red when connections or what the machine lacks cannot be watched.
def test_connections_and_what_the_machine_lacks_are_figures(api):
    now = figures(api)
    assert now["hooktui_outbound_connections_limit", ""] > 0
    assert {("hooktui_outbound_connections", state) for state in ("in_use", "idle")} <= set(now)
    conditions = ("open_files", "system_open_files", "memory", "buffers", "ports", "lookups")
    assert {("hooktui_shortages_total", condition) for condition in conditions} <= set(now)
    found = api.get("/v1/status").json()["connections"]
    assert found["most"] == now["hooktui_outbound_connections_limit", ""]
    assert found["shortage"] is None
