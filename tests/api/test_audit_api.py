"""The audit trail over the API: what is in it, who sees what of it, and who was refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from hooktui.api.limits import DenialLog, DenialQuota
from hooktui.api.peer_credentials import PeerCredentials, origin_of
from tests.support.clocks import Clock

FIELDS = {"url": "http://127.0.0.1:9/", "events": ["job"]}


def entries(api: httpx.Client, **wanted: str | int) -> list[dict[str, object]]:
    answer = api.get("/v1/audit", params={"limit": 500, **wanted})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def newest(api: httpx.Client) -> int:
    return entries(api, limit=1)[0]["id"]


@pytest.fixture
def hook(api, account) -> int:
    return api.post("/v1/hooks", params={"account": account}, json=FIELDS).json()["id"]


def test_an_edit_a_reveal_and_a_refusal_are_reported_with_who_and_what(api, account, hook):
    api.patch(f"/v1/hooks/{hook}", json={"name": "second", "headers": {"A": "b"}})
    api.get(f"/v1/hooks/{hook}/secret")
    api.get(f"/v1/hooks/{hook}/secret", headers={"Hooktui-Role": "viewer"})
    refused = entries(api, target=f"/v1/hooks/{hook}*")
    assert [(e["action"], e["role"], e["result"]) for e in refused] == [
        ("GET refused", "viewer", "refused")
    ]
    revealed, edited, made = entries(api, target=f"hook {hook}", account=account)
    assert (revealed["action"], revealed["result"]) == ("secret.reveal", "done")
    assert (edited["before"], edited["after"]) == (
        {"headers": {}, "name": "127.0.0.1"}, {"headers": {"A": "b"}, "name": "second"},
    )  # fmt: skip
    assert made["action"] == "hook.create"
    for entry in (revealed, edited, made):
        assert (entry["role"], entry["account"]) == ("admin", account)
        assert entry["origin"].startswith(f"unix pid={os.getpid()} uid={os.geteuid()}")
        assert len(bytes.fromhex(entry["hash"])) == 32


def test_each_kind_of_act_leaves_an_entry(api, account, hook):
    before = newest(api)
    api.post(f"/v1/hooks/{hook}/ping")
    token = api.post("/v1/tokens", json={"name": "x", "role": "viewer"}).json()
    api.delete(f"/v1/tokens/{token['id']}")
    api.post(f"/v1/hooks/{hook}/secret/rotate", json={})
    api.post(f"/v1/hooks/{hook}/secret/finish")
    api.delete(f"/v1/hooks/{hook}")
    api.post("/v1/accounts", json={"name": f"of {before}"})
    api.post("/v1/purge", json={"older_than": "90d"})
    acts = [entry["action"] for entry in entries(api) if entry["id"] > before]
    assert acts[::-1] == [
        "hook.ping",
        "token.create", "token.revoke", "secret.rotate", "secret.finish", "hook.delete",
        "account.create", "events.purge",
    ]  # fmt: skip
    assert token["token"] not in api.get("/v1/audit", params={"limit": 500}).text


def test_a_call_beyond_the_role_is_recorded(api, tcp):
    made = api.post("/v1/tokens", json={"name": "climber", "role": "viewer"}).json()
    headers = {"Authorization": f"Bearer {made['token']}", "Hooktui-Role": "admin"}
    url = tcp.base_url.join("/v1/hooks")
    assert httpx.get(url, headers=headers, trust_env=False, timeout=None).status_code == 403
    (entry,) = entries(api, user=f"token {made['id']} (climber)")
    assert (entry["action"], entry["role"], entry["origin"]) == (
        "GET refused", "viewer", "tcp 127.0.0.1",
    )  # fmt: skip


def test_an_invalid_token_is_reported_without_showing_it(api, tcp):
    made = api.post("/v1/tokens", json={"name": "t", "role": "viewer"}).json()
    api.delete(f"/v1/tokens/{made['id']}")
    headers = {"Authorization": f"Bearer {made['token']}"}
    url = tcp.base_url.join("/v1/deliveries")
    answer = httpx.get(url, headers=headers, trust_env=False, timeout=None)
    assert answer.status_code == 401
    assert answer.json()["detail"] == ("unknown or revoked token; ask an admin for a new one")
    (entry,) = entries(api, user=f"claimed token {made['id']}")
    assert (entry["role"], entry["result"]) == ("none", "refused")
    assert made["token"] not in json.dumps(entry)


def test_a_bound_token_sees_the_acts_of_its_account_alone(api, tcp, account, hook):
    made = api.post("/v1/tokens", json={"name": "t", "role": "admin", "account": account}).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    url = tcp.base_url.join("/v1/audit")
    seen = httpx.get(url, headers=headers, trust_env=False, timeout=None).json()["data"]
    assert {entry["account"] for entry in seen} == {account}
    assert f"hook {hook}" in {entry["target"] for entry in seen}
    for path in ("/v1/audit?account=1", "/v1/audit/verify"):
        answer = httpx.get(tcp.base_url.join(path), headers=headers, trust_env=False, timeout=None)
        assert answer.status_code == 403


def test_the_chain_is_walked_from_any_entry_and_compared_with_what_was_noted(api, hook):
    whole = api.get("/v1/audit/verify").json()
    assert whole["broken"] is None
    assert whole["entries"] >= 2
    head = whole["head"]
    rest = api.get("/v1/audit/verify", params={"after": head["id"] - 1}).json()
    assert (rest["entries"], rest["head"]["hash"]) == (1, head["hash"])
    noted = {"known": f"{head['id']}:{head['hash']}"}
    assert api.get("/v1/audit/verify", params=noted).json()["broken"] is None
    forged = {"known": f"{head['id']}:{'ab' * 32}"}
    assert api.get("/v1/audit/verify", params=forged).json()["broken"]["id"] == head["id"]
    for wrong in ({"known": "7"}, {"known": "7:xyz"}, {"after": "-1"}, {"after": "x"}):
        assert api.get("/v1/audit/verify", params=wrong).status_code == 422


@pytest.mark.parametrize("wrong", [{"since": "yesterday"}, {"order": "up"}, {"account": "x"}])
def test_a_list_that_cannot_be_is_refused(api, wrong):
    assert api.get("/v1/audit", params=wrong).status_code == 422


def test_what_a_process_claims_is_reported_as_a_claim_and_looks_like_nothing_else(
    api, server, hook
):
    environ = os.environ | {
        "HOOKTUI_SOCKET": str(server.paths.socket),
        "SUDO_USER": 'eve" loginuid=0 claimed "x\x1b[2J',
        "SSH_CONNECTION": "192.0.2.7 5000 192.0.2.8 22",
    }
    command = [sys.executable, "-m", "hooktui", "hooks", "delete", str(hook), "--yes"]
    subprocess.run(command, env=environ, check=True, capture_output=True, timeout=30)
    (entry,) = entries(api, target=f"hook {hook}", action="hook.delete")
    origin = entry["origin"]
    assert f"uid={os.geteuid()} " in origin
    assert 'claimed SSH_CONNECTION="192.0.2.7 5000 192.0.2.8 22"' in origin
    assert 'claimed SUDO_USER="eve\\" loginuid=0 claimed \\"x' in origin
    assert "\x1b" not in origin


# Red when the kernel's word on who logged in is left out, or that nobody did is told as a number.
def test_the_login_that_led_to_a_process_is_reported():
    log_in = "import contextlib, sys\nwith contextlib.suppress(OSError):\n"
    log_in += "    open('/proc/self/loginuid', 'w').write('4242')\nprint(flush=True); input()"
    command = [sys.executable, "-c", log_in]
    with subprocess.Popen(command, env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one:
        one.stdout.readline()
        login = Path(f"/proc/{one.pid}/loginuid").read_text()
        origin = origin_of(PeerCredentials(one.pid, os.geteuid(), 0))
        one.communicate(b"\n", 20)
    told = "" if login == "4294967295" else f" loginuid={login}"
    assert origin == f"unix pid={one.pid} uid={os.geteuid()}{told}"


def test_nothing_is_said_of_a_process_that_belongs_to_somebody_else():
    # As when the one that asked is gone, and its number was given to another's.
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(
        command, env={"SUDO_USER": "eve"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        theirs, mine = (
            PeerCredentials(other.pid, os.geteuid() + 1, 0),
            PeerCredentials(other.pid, os.geteuid(), 0),
        )
        assert origin_of(theirs) == f"unix pid={other.pid} uid={theirs.uid}"
        assert origin_of(mine).endswith('claimed SUDO_USER="eve"')
        other.communicate(b"\n", 20)


# Red when the environment is read whole, on the event loop: it may have some megabytes.
def test_a_long_environment_of_a_caller_is_not_read_to_its_end():
    command = [sys.executable, "-c", "print(flush=True); input()"]
    environ = {"FIRST": "x" * 70_000, "SUDO_USER": "eve"}
    with subprocess.Popen(
        command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as caller:
        caller.stdout.readline()
        origin = origin_of(PeerCredentials(caller.pid, os.geteuid(), 0))
        caller.communicate(b"\n", 20)
    assert "claimed" not in origin


# How much of the trail somebody may fill by being refused


def test_the_same_refusal_is_reported_once_a_minute_and_the_rest_are_counted():
    clock = Clock()
    refusals = DenialLog(clock.steady_s)
    share = DenialQuota(10, 10.0)
    assert refusals.admit(share, "eve", "GET", "/v1/hooks") == 0
    assert [refusals.admit(share, "eve", "GET", "/v1/hooks") for _ in range(5)] == [None] * 5
    assert refusals.admit(share, "eve", "GET", "/v1/tokens") == 5
    assert refusals.admit(share, "bob", "GET", "/v1/hooks") == 0
    clock.advance(61)
    assert refusals.admit(share, "eve", "GET", "/v1/hooks") == 0


def test_nobody_fills_the_trail_and_no_other_pays_for_it():
    clock = Clock()
    refusals = DenialLog(clock.steady_s)
    share = DenialQuota(10, 10.0)
    told = [refusals.admit(share, "eve", str(n)) for n in range(1000)]
    assert told == [0] * 10 + [None] * 990
    assert refusals.admit(share, "bob", "1") == 0
    clock.advance(20)
    assert [refusals.admit(share, "eve", f"later {n}") for n in range(3)] == [990, 0, None]


def test_callers_without_a_token_write_a_bounded_number_of_entries(api, tcp, monkeypatch):
    before = newest(api)
    for number in range(130):
        httpx.get(tcp.base_url.join(f"/v1/hooks/{number + 1}"), trust_env=False, timeout=None)
    told = [e for e in entries(api, user="no token") if e["id"] > before]
    assert 0 < len(told) <= 101
