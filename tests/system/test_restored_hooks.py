"""Hooks that come in beside the API, in a backup or another server's database: judged all the same.

Where a hook was made, its network may have been open; that counts for nothing here. A URL is looked
at while it is saved, and these were saved elsewhere: the judge at the connect must hold alone.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

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


def _with_two_hooks(home: Installation, receiver: Receiver) -> None:
    """Make a hook with an address and one with a name, both with a delivery that waits."""
    receiver.script["/in"] = [503, 503]
    home.start()
    for where in (receiver.url, receiver.url.replace("127.0.0.1", "localhost")):
        home.create_hook(where, "--retry-schedule", "1h,1h")
    home.emit("job.failed")
    wait_for(lambda: len(receiver.requests_to("/in")) == 2)
    wait_for(lambda: len(home.deliveries("status:pending")) == 2)


def _all_are_refused(home: Installation, receiver: Receiver) -> None:
    """See that what waits, what is new and a ping reach nobody while no network is open."""
    home.environ["HOOKTUI_ALLOW_NETWORKS"] = ""
    home.start()
    for waiting in home.deliveries("status:pending"):
        home.ok("deliveries", "resend", waiting["id"])
    home.emit("job.failed")
    hooks = home.json("hooks", "list")
    for hook in hooks:
        ping = home.run("hooks", "ping", str(hook["id"]))
        assert b"loopback address" in ping.stdout + ping.stderr
        assert b"HOOKTUI_ALLOW_NETWORKS=" in ping.stdout + ping.stderr

    # Two that waited, two that are new, and the pings.
    wait_for(lambda: len(home.deliveries("error:address_refused")) == 6)
    # An edit of something else goes through and opens nothing.
    home.ok("hooks", "edit", str(hooks[0]["id"]), "--name", "renamed")
    assert home.run("hooks", "ping", str(hooks[0]["id"])).returncode != 0
    assert len(receiver.requests) == 2


# Red when the judge at the connect is taken out.
def test_a_restored_hook_reaches_no_closed_network(
    idle_home: Installation, receiver: Receiver
) -> None:
    _with_two_hooks(idle_home, receiver)
    copy = str(idle_home.home.parent / "copy.db")
    idle_home.ok("backup", copy)
    idle_home.stop()
    idle_home.ok("restore", copy)
    _all_are_refused(idle_home, receiver)


# Red when the judge at the connect is taken out.
def test_a_moved_hook_reaches_no_closed_network(
    idle_home: Installation, receiver: Receiver, url: str
) -> None:
    _with_two_hooks(idle_home, receiver)
    idle_home.stop()
    idle_home.ok("move", "--to", url)
    idle_home.environ["HOOKTUI_DATABASE_URL"] = url
    _all_are_refused(idle_home, receiver)


WRONG = {
    "http://user:pw@127.0.0.1/": b"not contain a user or password",
    "http://2130706433/": b"unusual form",
    "unix:///run/x.sock": b"unix URLs",
}
"""URLs that nobody may save, and what is said of each."""


# Red when a restore does not look at its hooks as a start does.
def test_a_url_that_nobody_may_save_is_not_restored_either(
    home: Installation, receiver: Receiver
) -> None:
    home.create_hook(receiver.url)
    copy = home.home.parent / "copy.db"
    home.ok("backup", str(copy))
    home.stop()
    for wrong, reason in WRONG.items():
        with closing(sqlite3.connect(copy)) as database_file, database_file:
            database_file.execute("UPDATE hook SET url = ?", (wrong,))
        refused = home.run("restore", str(copy))
        assert refused.returncode != 0
        assert b"stored hook 1" in refused.stderr
        assert reason in refused.stderr
        assert b"pw@" not in refused.stderr
    home.start()
    assert home.json("hooks", "list")[0]["url"] == receiver.url
