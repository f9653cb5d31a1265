"""``GET /v1/doctor``: the server's own look at itself."""

from __future__ import annotations

import pytest


def test_the_server_looks_at_itself(api):
    answer = api.get("/v1/doctor")
    assert answer.status_code == 200, answer.text
    found = {check["name"]: check for check in answer.json()["checks"]}
    assert {
        "fsync",
        "disk",
        "wal",
        "clock",
        "leases",
        "key file",
        "integrity",
        "outbound",
        "shortage",
    } <= set(found)
    assert [name for name, check in found.items() if check["state"] == "fail"] == []
    assert all(set(check) == {"name", "state", "value", "advice"} for check in found.values())


@pytest.mark.parametrize("role", ["viewer", "operator", "producer"])
def test_only_admins_may_ask(server, role):
    with server.client(**{"Hooktui-Role": role}) as client:
        assert client.get("/v1/doctor").status_code == 403
