"""``GET /v1/doctor``: the server's own look at itself."""

from __future__ import annotations

import pytest

from hooktui.store.sqlite.store import SqliteStore
from tests.support.running_server import running_server

MIB = 1 << 20


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


# Red when each looks at the disk alone: after a purge events were accepted, and doctor reported
# that they are refused.
def test_all_count_the_space_for_events_as_the_guard_does(tmp_path, monkeypatch):
    monkeypatch.setattr(SqliteStore, "_free_inside", lambda _: 30 * MIB)
    with running_server(tmp_path) as server, server.client() as api:
        for on_disk, space in ((40, 70), (63, 93), (31, 31)):
            monkeypatch.setattr(SqliteStore, "_free_on_disk", lambda _, free=on_disk: free * MIB)
            disk = api.get("/v1/status").json()["disk"]
            assert (disk["free"], disk["reserve"]) == (space * MIB, 64 * MIB)
            assert f"hooktui_disk_free_bytes {space * MIB}\n" in api.get("/metrics").text
            checks = {check["name"]: check for check in api.get("/v1/doctor").json()["checks"]}
            assert checks["disk"]["state"] == ("fail" if space < 64 else "warn")


@pytest.mark.parametrize("role", ["viewer", "operator", "producer"])
def test_only_admins_may_ask(server, role):
    with server.client(**{"Hooktui-Role": role}) as client:
        assert client.get("/v1/doctor").status_code == 403
