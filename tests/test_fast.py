"""What ``-m fast`` runs: four folders whole, but for PostgreSQL and the long suites."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.conftest import _is_fast

ROOT = Path(__file__).parent.parent
FOLDERS = ("tests/domain", "tests/client", "tests/cli", "tests/contract")


COLLECT = """
import json, sys, pytest
for arguments in json.load(sys.stdin):
    print("collected:", flush=True)
    if code := pytest.main(["--collect-only", "-q", "-n0", *arguments]):
        sys.exit(code)
"""


def collected(*command_lines: list[str]) -> list[set[str]]:
    """Return the names of the tests that each command line of pytest would run.

    One process collects for all of them, and imports each test once.
    """
    listed = subprocess.run(
        [sys.executable, "-c", COLLECT],
        cwd=ROOT, input=json.dumps(command_lines), capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert listed.returncode == 0, listed.stdout + listed.stderr
    _, *lists = listed.stdout.split("collected:\n")
    return [{line for line in one.splitlines() if line.startswith("tests/")} for one in lists]


# Red when a test of these folders is left out, for it is slow or marked otherwise, or when another
# folder, a soak test or PostgreSQL gets in.
def test_fast_is_every_test_of_four_folders_that_needs_no_postgresql():
    fast, default = collected(["-m", "fast"], ["-m", "not soak", *FOLDERS])
    assert fast <= default
    left_out = default - fast
    assert left_out
    assert all("postgres" in one.partition("::")[2] for one in left_out)
    assert not any("postgres" in one.partition("[")[2].split("-") for one in fast)
    assert all(any(one.startswith(f"{folder}/") for one in fast) for folder in FOLDERS)


# Red when only the parameters of a test are looked at: it may ask for a database itself.
@pytest.mark.parametrize(
    ("fixtures", "fast"), [([], True), (["tmp_path"], True), (["tmp_path", "postgres"], False)]
)
def test_who_asks_for_postgresql_is_not_fast(fixtures: list[str], fast: bool):
    item = Mock(path=ROOT / "tests/domain/test_some.py", fixturenames=fixtures, callspec=None)
    item.get_closest_marker.return_value = None
    assert _is_fast(item) is fast
