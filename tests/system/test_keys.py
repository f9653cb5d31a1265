"""``hooktui keys`` against a server at work: rotation under load, and keys that are gone."""

from __future__ import annotations

import subprocess
import sys

from tests.support.installation import Installation, LocalInstallation
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

INSTALLATION = LocalInstallation


def test_a_rotation_while_events_come_in_changes_what_seals_and_nothing_else(
    home: Installation, receiver: Receiver
) -> None:
    hook = home.create_hook(receiver.url)
    (before,) = home.json("keys", "list")
    assert (before["seals"], before["present"], before["values"]) == (True, True, 2)
    sending = subprocess.Popen(
        [sys.executable, "-m", "hooktui", "emit", "--many"],
        env=home.environ, stdin=subprocess.PIPE,
    )  # fmt: skip
    done = home.json("keys", "rotate")
    sending.communicate(b'{"type":"job.failed","data":{}}\n' * 50)
    assert sending.returncode == 0
    assert (done["made"], done["dropped"], done["kept"]) == (True, [before["id"]], [])
    (after,) = home.json("keys", "list")
    assert after == {"id": done["key"], "seals": True, "present": True, "values": 2}
    assert "encrypts" in home.ok("keys", "list")
    assert home.json("hooks", "secret", str(hook["id"]))["secret"] == hook["secret"]
    home.stop()
    home.start()
    home.emit("job.completed")
    wait_for(lambda: len(receiver.requests) == 51)
    assert home.ok("audit", "verify")
    actions = [entry["action"] for entry in home.json("audit", "list", "--limit", "5")]
    assert "keys.drop" in actions
    assert "keys.rotate" in actions
    assert b"".join(path.read_bytes() for path in [home.log]).find(b"Traceback") == -1


def test_who_is_no_admin_rotates_nothing(home: Installation) -> None:
    assert home.run("keys", "rotate", "--role", "operator").returncode == 4
    assert home.run("keys", "list", "--role", "viewer").returncode == 4


def test_a_new_key_is_put_on_top_of_a_file_and_printed_without_one(
    idle_home: Installation,
) -> None:
    file = idle_home.home / "credential"
    assert len(idle_home.ok("keys", "new").split()) == 2
    assert idle_home.ok("keys", "new", str(file)) == ""
    (first,) = keys_of(file.read_text())
    assert file.stat().st_mode & 0o777 == 0o600
    idle_home.ok("keys", "new", str(file))
    second, old = keys_of(file.read_text())
    assert old == first
    assert second != first
    file.chmod(0o644)
    refused = idle_home.run("keys", "new", str(file))
    assert refused.returncode == 2
    assert b"others can read the key file" in refused.stderr
    assert len(keys_of(file.read_text())) == 2


def test_a_server_whose_keys_are_gone_does_not_start_and_says_what_to_do(
    home: Installation, receiver: Receiver
) -> None:
    home.create_hook(receiver.url)
    home.stop()
    key_file = home.home / "hooktui.key"
    key_file.rename(home.home / "away")
    refused = home.run("serve")
    assert refused.returncode == 1
    line = refused.stderr.decode()
    assert "the key file" in line
    assert "is missing, and the database was encrypted with it; restore it from a backup" in line
    assert "Traceback" not in line
    assert not key_file.exists()
    (home.home / "away").rename(key_file)
    key_file.chmod(0o640)
    refused = home.run("serve")
    assert refused.returncode == 1
    assert b"others can read the key file" in refused.stderr
    key_file.chmod(0o600)
    home.start()


def test_server_and_doctor_read_the_keys_of_the_variable(idle_home: Installation) -> None:
    variable = {"HOOKTUI_KEY": idle_home.ok("keys", "new").strip()}
    idle_home.environ |= variable
    idle_home.start()
    idle_home.stop()
    assert not (idle_home.home / "hooktui.key").exists()
    assert "variable HOOKTUI_KEY" in idle_home.run("doctor").stdout.decode()
    del idle_home.environ["HOOKTUI_KEY"]
    assert idle_home.run("doctor").returncode == 1


def keys_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]
