"""``hooktui selftest`` as a person runs it: real processes, a verdict, an exit code."""

import json
import os
import subprocess
import sys

import pytest


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    keep = {name: text for name, text in os.environ.items() if not name.startswith("HOOKTUI_")}
    return subprocess.run(
        [sys.executable, "-m", "hooktui", "selftest", *arguments],
        env=keep,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_a_selftest_kills_its_own_server_and_says_what_was_lost():
    result = run("--kill", "--rounds", "1", "--json")
    assert result.returncode == 0, result.stderr
    proof = json.loads(result.stdout)
    assert proof["good"]
    assert proof["kills"] == 1
    assert proof["verdict"]["accepted"] > 0
    assert proof["verdict"]["delivered"] == 2 * proof["verdict"]["accepted"]
    assert proof["verdict"]["lost"] == []


@pytest.mark.parametrize("arguments", [("--rounds", "3"), ("--kill", "--rounds", "0")])
def test_rounds_that_mean_nothing_are_refused(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert "--rounds" in result.stderr
