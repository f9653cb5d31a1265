"""Purge and backup from the command line, against the real server."""

from __future__ import annotations

import shutil

import pytest

from tests.support.installation import LocalInstallation


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    installation = LocalInstallation(tmp_path_factory.mktemp("upkeep") / "home")
    installation.home.mkdir(mode=0o700)
    installation.start()
    yield installation
    installation.stop()


def test_a_purge_asks_or_needs_yes(home):
    refused = home.run("purge", "--older-than", "30d")
    assert refused.returncode == 2
    assert b"--yes" in refused.stderr


def test_a_purge_prints_how_much_went(home):
    for _ in range(3):
        home.emit("job.failed")
    assert home.json("purge", "--older-than", "1d", "--yes")["events"] == 0
    assert "deleted 3 events" in home.ok("purge", "--older-than", "0s", "--yes")
    assert home.json("events", "list") == []


def test_a_purge_of_nonsense_is_refused(home):
    assert home.run("purge", "--older-than", "soon", "--yes").returncode == 2
    # Red when it asks first: "Delete all events older than soon permanently?"
    assert b"'soon' is not a time" in home.run("purge", "--older-than", "soon").stderr
    assert home.run("purge", "--yes").returncode == 2


def test_a_backup_is_a_database_that_another_server_starts_from(home, tmp_path):
    event = home.emit("job.failed")
    copy = tmp_path / "copy.db"
    made = home.json("backup", str(copy))
    assert made["events"] >= 1
    assert copy.stat().st_mode & 0o777 == 0o600

    other = LocalInstallation(tmp_path / "other")
    other.home.mkdir(mode=0o700)
    copy.rename(other.home / "hooktui.db")
    shutil.copy(home.home / "hooktui.key", other.home / "hooktui.key")
    other.start()
    try:
        assert event in [one["id"] for one in other.json("events", "list")]
    finally:
        other.stop()
