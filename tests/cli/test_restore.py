"""``hooktui restore`` as people run it: processes, exit codes, and what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import LocalInstallation


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[LocalInstallation]:
    """A home with a backup beside it, and one more event than the backup holds."""
    folder = tmp_path_factory.mktemp("restore")
    installation = LocalInstallation(folder / "a home")
    installation.home.mkdir(mode=0o700)
    installation.start()
    installation.emit("job.failed")
    installation.ok("backup", str(folder / "copy.db"))
    installation.emit("job.failed")
    yield installation
    installation.stop()


@pytest.fixture
def running(home: LocalInstallation) -> LocalInstallation:
    """The home while its server runs, whichever test ran before on this worker."""
    if home.server is None or home.server.poll() is not None:
        home.start()
    return home


@pytest.fixture
def stopped(home: LocalInstallation) -> LocalInstallation:
    """The home while no server runs."""
    home.stop()
    return home


def backup_of(installation: LocalInstallation) -> str:
    return str(installation.home.parent / "copy.db")


def test_a_running_server_is_not_robbed_of_its_database(running: LocalInstallation) -> None:
    refused = running.run("restore", backup_of(running))
    assert refused.returncode == 1
    assert b"stop it first with: hooktui stop" in refused.stderr
    assert len(running.json("events", "list")) == 2


def test_a_restore_says_what_it_did_and_how_to_go_back(stopped: LocalInstallation) -> None:
    done = stopped.run("restore", backup_of(stopped))
    assert done.returncode == 0, done.stderr
    assert b" 1 event, the newest from 20" in done.stdout
    (kept,) = [one for one in stopped.home.iterdir() if ".before-" in one.name]
    assert f"hooktui restore '{kept}'\n" in done.stderr.decode()
    stopped.start()
    assert len(stopped.json("events", "list")) == 1
    stopped.stop()

    back = stopped.json("restore", str(kept), "--yes")
    assert back["events"] == 2
    assert back["migrated_from"] is None
    assert back["waiting"] == 0


@pytest.mark.parametrize("name", ["nowhere.db", "."])
def test_a_file_that_cannot_be_read_is_a_usage_error(stopped: LocalInstallation, name: str) -> None:
    result = stopped.run("restore", name)
    assert result.returncode == 2
    assert b"cannot read" in result.stderr


def test_what_is_no_backup_is_refused_input(stopped: LocalInstallation, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("buy milk")
    result = stopped.run("restore", str(tmp_path / "notes"), "--json")
    assert result.returncode == 6
    assert b'"status": 422' in result.stderr


def test_a_restore_is_of_this_machine(stopped: LocalInstallation) -> None:
    result = stopped.run("restore", backup_of(stopped), "--connect", "http://127.0.0.1:1")
    assert result.returncode == 2


def test_postgresql_has_its_own_tools(stopped: LocalInstallation) -> None:
    elsewhere = {"HOOKTUI_DATABASE_URL": "postgresql://127.0.0.1/hooktui"}
    result = stopped.run("restore", backup_of(stopped), environ=elsewhere)
    assert result.returncode == 6
    assert b"pg_restore" in result.stderr
