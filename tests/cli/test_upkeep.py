"""Keeping house from the command line, against the real server."""

from __future__ import annotations

import pytest

from tests.system.conftest import Installation


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("upkeep") / "home")
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
    assert "dropped 3 events" in home.ok("purge", "--older-than", "0s", "--yes")
    assert home.json("events", "list") == []


def test_a_purge_of_nonsense_is_refused(home):
    assert home.run("purge", "--older-than", "soon", "--yes").returncode == 6
    assert home.run("purge", "--yes").returncode == 2
