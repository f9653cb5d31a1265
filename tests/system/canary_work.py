"""A day's work on an installation with secrets of every kind, and what is kept of it to search."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.installation import Installation
from tests.support.waiting import wait_for
from tests.system.canary import Canaries, EchoingReceiver

RUN_ALL = """
import json, sys
from hooktui.cli.main import main
for arguments in json.load(sys.stdin):
    sys.stderr.write(f"<{main(arguments)}>\\n")
"""


@dataclass
class Planted:
    """An installation, what is planted in it, and a password for its database."""

    home: Installation
    canaries: Canaries
    password: str
    data: Path | None = None
    """Folder of the PostgreSQL server."""

    def client(self) -> httpx.Client:
        return httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.home.home / "hooktui.sock"), verify=False),
            base_url="http://hooktui",
            timeout=40,
        )


def plant_key(planted: Planted, name: str) -> None:
    line = (planted.home.home / "hooktui.key").read_text().splitlines()[-1]
    planted.canaries.plant(name, base64.b64decode(line.split()[1]))


def _reveals(planted: Planted, where: str, answer: str, *names: str) -> None:
    """Hold that an answer shows some secrets, and no other."""
    for name in names:
        secret = planted.canaries.secrets[name].decode()
        assert secret in answer, f"{where} does not show {name}"
        answer = answer.replace(secret, "")
    planted.canaries.look_at(where, answer)


def _file(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text + "\n")
    return f"@{folder / name}"


def do_the_work(planted: Planted, receiver: str, folder: Path) -> int:
    """Create, edit, rotate, ping, fail, resend; return the hook."""
    home, canaries = planted.home, planted.canaries
    secret = canaries.plant("set secret", "set" + secrets.token_hex(16))
    header = canaries.plant("header", "hdr" + secrets.token_hex(12))
    password = canaries.plant("basic-auth password", 'pw"\\' + secrets.token_hex(12))
    later = canaries.plant("header of an edit", "key" + secrets.token_hex(12))
    made = home.ok(
        "hooks", "create", "--json", "--name", "first", "--url", receiver, "--events", "job",
        "--secret", _file(folder, "secret", secret), "--retry-schedule", "1s,1s",
        "--header", f"X-Api-Key={_file(folder, 'header', header)}",
        "--basic-auth", _file(folder, "basic", f"ada:{password}"),
    )  # fmt: skip
    hook = json.loads(made)["id"]
    _reveals(planted, "hooks create", made, "set secret")
    canaries.look_at("hooks edit", home.ok(
        "hooks", "edit", str(hook), "--header", f"X-Other={_file(folder, 'later', later)}",
    ))  # fmt: skip
    other = home.create_hook(receiver, "--name", "second", events="job.failed")
    canaries.plant("made secret", other["secret"])
    canaries.look_at("hooks ping", home.ok("hooks", "ping", str(hook)))
    event = home.emit("job.failed")
    wait_for(lambda: not home.deliveries("status:pending,sending"), 30, "all is sent")
    rotated = canaries.plant("rotated secret", "rot" + secrets.token_hex(16))
    answer = home.ok("hooks", "secret", str(hook), "--rotate", "--secret",
                     _file(folder, "rotated", rotated), "--json")  # fmt: skip
    _reveals(planted, "rotate", answer, "rotated secret", "set secret")
    _reveals(planted, "reveal", home.ok("hooks", "secret", str(other["id"])), "made secret")
    delivery = home.deliveries(f"hook:{hook}")[0]["id"]
    canaries.look_at("resend", home.ok("deliveries", "resend", delivery))
    canaries.look_at("event", home.ok("events", "show", event))
    token = home.ok("tokens", "create", "ci", "--role", "viewer").strip()
    canaries.plant("token", token)
    first = home.run("keys", "rotate")
    assert first.returncode == 1, "the armed fault"
    canaries.look_at("a fault", first.stderr)
    canaries.look_at("keys rotate", home.ok("keys", "rotate"))
    plant_key(planted, "second key")
    gone = home.ok("tokens", "create", "gone", "--role", "admin").strip()
    canaries.plant("revoked token", gone)
    home.ok("tokens", "revoke", gone.split("_")[1], "--yes")
    return int(hook)


def lose_events(planted: Planted, receiver: str, folder: Path) -> None:
    """Let a hook give up, notify another one of it, and replay what was lost."""
    home, canaries = planted.home, planted.canaries
    lost = home.create_hook(
        receiver + EchoingReceiver.REFUSED, "--name", "third", "--retry-schedule", "1s",
        "--header", f"X-Api-Key=@{folder / 'header'}", events="cluster.error",
    )  # fmt: skip
    canaries.plant("secret of a hook that fails", lost["secret"])
    operator = home.create_hook(receiver, "--name", "ops", events="hooktui")
    canaries.plant("secret of an alert hook", operator["secret"])
    home.emit("cluster.error")
    wait_for(lambda: len(home.json("alerts", "list")) == 2, 30, "a hook is failing and gave up")
    home.ok("replay", "run", "--hook", str(lost["id"]), "--yes")


def give_bad_input(planted: Planted, receiver: str) -> None:
    """Send bodies and heads that are wrong, with a secret in each."""
    secret = planted.canaries.plant("mistyped secret", "oops" + secrets.token_hex(12))
    hook = {"url": receiver, "events": ["job"]}
    bodies: list[Any] = [
        hook | {"secret": [secret]},
        hook | {"secret": secret + "\x00"},
        hook | {"secret": secret * 200},
        hook | {"basic_auth": secret},
        hook | {"basic_auth": {"user": "ada", "password": {"it": secret}}},
        hook | {"basic_auth": {"user": "ada", "password": secret + "\n"}},
        hook | {"basic_auth": {"user": "ada", "password": secret * 100}},
        hook | {"headers": {"X-Api-Key": f"{secret}\r\nX: y"}},
        hook | {"headers": {"X-Api-Key": secret * 400}},
        hook | {"headers": {"X-Api-Key": [secret]}},
        hook | {"headers": [secret]},
        hook | {"headers": f"X-Api-Key: {secret}"},
        hook | {"url": f"http://ada:{secret}@127.0.0.1/"},
        hook | {"active": secret, "max_in_flight": secret, "timeout_s": secret},
        hook | {"retry_schedule_s": [secret], "signature_hash": secret},
        secret,
        [secret],
    ]
    with planted.client() as client:
        for number, body in enumerate(bodies):
            for path in ("/v1/hooks", "/v1/hooks/1/secret/rotate", "/v1/tokens"):
                answer = client.post(path, json=body)
                assert 400 <= answer.status_code < 500, (number, path, answer.text)
                planted.canaries.look_at(f"refused body {number} at {path}", answer.content)
            answer = client.patch("/v1/hooks/1", json=body)
            planted.canaries.look_at(f"refused edit {number}", answer.content)
        for text in (f'{{"secret": "{secret}', f'{{"secret": "{secret}"}} x', secret):
            for path in ("/v1/hooks", "/v1/hooks/1/secret/rotate", "/v1/events/job.failed"):
                answer = client.post(
                    path, content=text, headers={"Content-Type": "application/json"}
                )
                planted.canaries.look_at(f"no JSON at {path}", answer.content)
        for name in ("Authorization", "Cookie", "Content-Type", "Host"):
            answer = client.get("/v1/hooks", headers={name: f"Bearer {secret}"})
            planted.canaries.look_at(f"header {name}", answer.content)
    with httpx.Client(base_url=_tcp(planted), timeout=20) as client:
        token = planted.canaries.secrets["revoked token"].decode()
        for headers in (
            {"Authorization": f"Bearer {secret}"}, {"Authorization": secret},
            {"Authorization": f"Bearer {token}"}, {"Authorization": f"Bearer {token}x"},
        ):  # fmt: skip
            answer = client.get("/v1/hooks", headers=headers)
            assert answer.status_code == 401
            planted.canaries.look_at("a wrong token", answer.content)
        answer = client.get("/v1/hooks", auth=("ada", secret))
        planted.canaries.look_at("a wrong password", answer.content)
        token = planted.canaries.secrets["token"].decode()
        answer = client.get("/v1/hooks", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
        planted.canaries.look_at("over TCP", answer.content)


def _tcp(planted: Planted) -> str:
    (line,) = [
        one for one in planted.home.log.read_text().splitlines() if " started version" in one
    ]
    return f"http://{line.partition('listen=')[2].strip()}"


def read_everything(planted: Planted, hook: int) -> None:
    """Get each thing that the API shows."""
    with planted.client() as client:
        deliveries = client.get("/v1/deliveries?limit=500").json()["data"]
        assert len(deliveries) >= 4

        def ids(name: str) -> list[str]:
            some = client.get(f"/v1/{name}").json()["data"]
            assert some, name
            return [one["id"] for one in some]

        assert client.get("/v1/undelivered").json()["data"]
        events = ids("events?q=event:hooktui.*")
        paths = [
            "/openapi.json", "/healthz", "/readyz", "/v1/accounts", "/v1/hooks",
            f"/v1/hooks/{hook}", "/v1/events", "/v1/event-types", "/v1/deliveries", "/v1/tokens",
            "/v1/audit?limit=500", "/v1/audit/verify", "/v1/feed?after=0", "/v1/status",
            "/v1/doctor", "/v1/keys", "/v1/alerts", "/v1/undelivered", "/v1/replays", "/metrics",
            *(f"/v1/{name}/{one}" for name in ("alerts", "replays") for one in ids(name)),
            *(f"/v1/events/{one}" for one in events),
            *(f"/v1/deliveries/{one['id']}" for one in deliveries),
        ]  # fmt: skip
        for path in paths:
            answer = client.get(path)
            planted.canaries.look_at(f"GET {path}", answer.content + repr(answer.headers).encode())
    shown = dict(planted.canaries.seen)[f"GET /v1/deliveries/{deliveries[-1]['id']}"]
    assert b"X-Echo-" in shown, "the receiver's echo is stored"


def run_the_commands(planted: Planted, folder: Path) -> None:
    """Run what shows and what fails, in one process; secrets are typed where they do not belong."""
    secret = planted.canaries.secrets["mistyped secret"].decode()
    address = f"postgresql://ada:{planted.password}@127.0.0.1:9/x"
    cut = f"postgresql://ada:{planted.password}/x@127.0.0.1/x"
    asked = f"postgresql://ada:{planted.password}?x@127.0.0.1/x"
    database = _file(folder, "address", address)
    create = ["hooks", "create", "--url", "http://127.0.0.1/", "--events", "job"]
    commands = [
        ["hooks", "list"], ["hooks", "show", "1"], ["events", "list"], ["deliveries", "list"],
        ["log"], ["status"], ["tokens", "list"], ["audit", "list"], ["keys", "list"], ["doctor"],
        ["alerts", "list"], ["undelivered", "list"], ["replay", "list"],
        ["replay", "plan", "--all-hooks"], ["hooks", "diagnose", "1"], ["hooks", "diagnose", "2"],
        ["backup", str(planted.home.home / "copy.db")],
        [*create, "--basic-auth", secret],
        [*create, "--header", f"Authorization: Bearer {secret}"],
        [*create, "--header", f"X-Api-Key={secret}\n"],
        [*create, "--secret", f"{secret}\n"],
        [*create, "--secert", secret],
        ["hooks", "edit", "1", "--basic-auth", f"ada:{secret}\n"],
        ["--connect", f"http://ada:{secret}@127.0.0.1:9", "status"],
        ["verify", "--secret", secret, "--signature", "x", str(folder / "secret")],
        *(["serve", "--database", one] for one in (address, cut, asked, database)),
        ["serve", "--database", f"sqlite:{secret}"],
        *(["move", "--to", one] for one in (address, cut, asked, database)),
        ["serve", "--print-unit", "--database", address],
        ["serve", "--print-unit", "--database", database],
    ]  # fmt: skip
    commands += [[*command, "--json"] for command in commands]
    result = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        env=planted.home.environ, input=json.dumps(commands).encode(), capture_output=True,
        timeout=100,
    )  # fmt: skip
    assert result.stderr.count(b"<") >= len(commands), result.stderr
    planted.canaries.look_at("stdout of commands", result.stdout)
    planted.canaries.look_at("stderr of commands", result.stderr)
