"""``GET /v1/hooks/{id}/health``: what it tells of real deliveries, and what it refuses."""

from __future__ import annotations

import pytest

from tests.support.waiting import wait_for


def test_the_attempts_of_a_hook_are_reported_over_time(api, account, receiver):
    # Red when the counts of another hook are told, or the newest step is left out.
    fields = {"url": receiver.url, "events": ["job"]}
    hook = api.post(f"/v1/hooks?account={account}", json=fields).json()["id"]
    headers = {"Content-Type": "application/json"}
    api.post(f"/v1/events/job.failed?account={account}", content=b"{}", headers=headers)

    def delivered():
        health = api.get(f"/v1/hooks/{hook}/health", params={"hours": 1}).json()
        return health if any(point["delivered"] for point in health["points"]) else None

    shown = wait_for(delivered)
    assert (shown["hook"], shown["step_s"], len(shown["points"])) == (hook, 300, 12)
    assert shown["types"] == [
        {"type": "job.failed", "deliveries": 1, "delivered": 1, "failed": 0, "waiting": 0}
    ]
    (point,) = (one for one in shown["points"] if one["delivered"])
    assert point["p50_ms"] <= point["p95_ms"]
    assert shown["points"][-1]["backlog"] == 0


@pytest.mark.parametrize("hours", ["0", "745", "1.5", "x"])
def test_a_time_that_is_not_kept_is_refused(api, hours):
    answer = api.get("/v1/hooks/1/health", params={"hours": hours})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/hours")


def test_a_hook_that_is_not_there_is_said(api, account):
    assert api.get("/v1/hooks/424242/health").status_code == 404
