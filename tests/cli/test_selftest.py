"""``hooktui selftest`` as a person runs it: real processes, a verdict, an exit code."""

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests.support.waiting import wait_for


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
    report = json.loads(result.stdout)
    assert report["good"]
    assert report["kills"] == 1
    assert report["verdict"]["accepted"] > 0
    assert report["verdict"]["delivered"] == 2 * report["verdict"]["accepted"]
    assert report["verdict"]["lost"] == []


@pytest.mark.parametrize("arguments", [("--rounds", "3"), ("--kill", "--rounds", "0")])
def test_rounds_that_mean_nothing_are_refused(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert "--rounds" in result.stderr


def test_a_selftest_that_is_ended_leaves_no_process_and_no_folder(tmp_path):
    command = [sys.executable, "-m", "hooktui", "selftest", "--kill", "--rounds", "1000"]
    environ = {name: text for name, text in os.environ.items() if not name.startswith("HOOKTUI_")}
    with subprocess.Popen(command, env=environ | {"TMPDIR": str(tmp_path)}) as process:
        wait_for(lambda: list(tmp_path.glob("*/*/hooktui.sock")))
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert children
    assert not [child for child in children if child.is_running()]
    assert list(tmp_path.iterdir()) == []
