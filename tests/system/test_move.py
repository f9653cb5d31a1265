"""``hooktui move`` as people run it, with a real server on either side of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.installation import Installation, LocalInstallation
from tests.support.postgres import database
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

INSTALLATION = LocalInstallation


@pytest.fixture
async def url(postgres):
    async with database(postgres) as one:
        yield one


def move(home: Installation, to: str, *more: str):
    return home.run("move", "--to", to, *more)


def test_a_delivery_that_waits_is_sent_from_there(
    idle_home: Installation, receiver: Receiver, url: str
) -> None:
    receiver.script["/in"] = [503]
    idle_home.start()
    idle_home.create_hook(receiver.url, "--retry-schedule", "1h")
    idle_home.emit("job.failed")
    receiver.wait_for(1)
    (waiting,) = wait_for(lambda: idle_home.deliveries("status:pending"))
    refused = move(idle_home, url)
    assert refused.returncode == 1
    assert b"stop it first with: hooktui stop" in refused.stderr
    idle_home.stop()

    moved = move(idle_home, url)

    assert moved.returncode == 0, moved.stderr
    assert b"HOOKTUI_DATABASE_URL" in moved.stderr
    serve = idle_home.run("serve")
    assert serve.returncode == 1
    assert b"was moved to postgresql://" in serve.stderr
    assert b"was moved to" in idle_home.run("doctor").stdout

    idle_home.environ["HOOKTUI_DATABASE_URL"] = url
    idle_home.start()
    assert idle_home.deliveries()[0]["id"] == waiting["id"]
    idle_home.ok("deliveries", "resend", waiting["id"])
    first, second = receiver.wait_for(2)
    assert second.body == first.body
    for header in ("webhook-id", "X-Hook-Delivery", "X-Hook-Signature"):
        assert second.headers[header] == first.headers[header]
    looked = {check["name"]: check for check in looked_into(idle_home)}
    assert looked["servers"]["value"].startswith("1 running")
    assert looked["server"]["state"] == looked["clock skew"]["state"] == "ok"


def looked_into(home: Installation) -> Any:
    result = home.run("doctor", "--json")  # 1: the PostgreSQL of the tests does without fsync
    assert result.returncode == 1, result.stderr
    return json.loads(result.stdout)["checks"]


def test_the_address_may_come_from_a_file_and_shows_no_password(home: Installation) -> None:
    home.stop()
    (home.home / "address").write_text("postgresql://ada:hidden@127.0.0.1:1/hooks\n")
    result = move(home, f"@{home.home / 'address'}", "--json")
    assert result.returncode == 1
    assert b"cannot reach postgresql://127.0.0.1:1/hooks" in result.stderr
    assert b"hidden" not in result.stderr + result.stdout


@pytest.mark.parametrize("address", ["sqlite:///x.db", "127.0.0.1", "postgresql://127.0.0.1"])
def test_an_address_of_something_else_is_a_usage_error(idle_home, address: str) -> None:
    result = move(idle_home, address)
    assert result.returncode == 2
    assert b"postgresql://" in result.stderr


def test_without_a_database_there_is_nothing_to_move(idle_home: Installation) -> None:
    result = move(idle_home, "postgresql://127.0.0.1:1/hooks")
    assert result.returncode == 6
    assert b"nothing to move" in result.stderr
