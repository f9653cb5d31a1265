"""``hooktui audit`` on a real installation, and on one whose file somebody has changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.support.installation import Installation, LocalInstallation

INSTALLATION = LocalInstallation


def forge(home: Installation, *statements: str) -> None:
    """Change the database behind the server's back, as somebody who owns its files can."""
    with closing(sqlite3.connect(home.home / "hooktui.db")) as raw, raw:
        for name in ("update", "delete", "replace"):
            raw.execute(f"DROP TRIGGER IF EXISTS audit_refuses_{name}")
        for statement in statements:
            raw.execute(statement)


@pytest.mark.slow
def test_a_trail_that_was_changed_while_the_server_was_down_is_found(home: Installation) -> None:
    hook = home.create_hook("http://127.0.0.1:9/")["id"]
    for _ in range(3):
        home.ok("hooks", "secret", str(hook))
    home.run("--role", "viewer", "hooks", "secret", str(hook))
    entries = home.json("audit", "list")
    assert [entry["action"] for entry in entries] == [
        "GET refused", "secret.reveal", "secret.reveal", "secret.reveal", "hook.create",
    ]  # fmt: skip
    shown = home.ok("audit", "list", "--action", "secret.*", "--limit", "2")
    assert shown.count("secret.reveal") == 2
    assert home.json("audit", "list", "--limit", "2") == entries[:2]
    whole = home.json("audit", "verify")
    assert whole["entries"] == 5
    assert whole["broken"] is None
    noted = f"{whole['head']['id']}:{whole['head']['hash']}"
    told = home.ok("audit", "verify", "--known", noted)
    assert told.splitlines()[-1] == noted
    assert told.startswith("the audit trail is intact: 5 entries")

    # Somebody takes one reveal back.
    home.stop()
    forge(home, "DELETE FROM audit WHERE id = 3")
    home.start()
    broken = home.run("audit", "verify")
    assert broken.returncode == 1
    assert broken.stdout.decode().splitlines() == [
        "the audit trail is broken at entry 4: it does not continue entry 2: entries between"
        " them were removed or replaced",
        "intact entries before it: 2",
    ]
    as_json = home.run("audit", "verify", "--json")
    assert (as_json.returncode, as_json.stderr) == (1, b"")
    assert b'"broken": {"id": 4, ' in as_json.stdout

    # Somebody cuts off all that came after the first reveal.
    home.stop()
    forge(home, "DELETE FROM audit WHERE id > 2")
    home.start()
    unaided = home.run("audit", "verify")
    assert unaided.returncode == 1
    assert b"entry 5 was the last one, but the trail ends at 2: truncated" in unaided.stdout
    cut = home.run("audit", "verify", "--known", noted)
    assert cut.returncode == 1
    assert b"the trail ends at entry 2: truncated" in cut.stdout
    assert home.run("--role", "viewer", "audit", "verify").returncode == 4
    assert home.run("audit", "verify", "--known", "x").returncode == 6
