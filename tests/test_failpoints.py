"""Failpoints: named, armed by one variable, refused when misspelt, and free when not armed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hooktui import failpoints


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    failpoints.arm(None)


def test_nothing_happens_at_a_point_that_is_not_armed():
    failpoints.arm(None)
    failpoints.hit("before_send")
    failpoints.arm("after_send_before_record:error")
    failpoints.hit("before_send")


def test_an_error_is_raised_once_at_the_pass_that_is_named():
    failpoints.arm("before_send:error@3, after_claim_commit:error")
    failpoints.hit("before_send")
    failpoints.hit("before_send")
    with pytest.raises(failpoints.FailpointReached, match="before_send"):
        failpoints.hit("before_send")
    failpoints.hit("before_send")
    with pytest.raises(failpoints.FailpointReached):
        failpoints.hit("after_claim_commit")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere:kill", "no failpoint 'nowhere'"),
        ("before_send", "ACTION"),
        ("before_send:explode", "kill or stop or block or error"),
        ("before_send:kill@0", "from 1"),
        ("before_send:kill@", "from 1"),
        ("before_send:kill@x", "from 1"),
        ("before_send:kill,", "no failpoint ''"),
    ],
)
def test_what_is_misspelt_is_refused_with_what_to_write(text, said):
    with pytest.raises(ValueError, match=said):
        failpoints.arm(text)


def test_the_manual_names_every_point():
    manual = (Path(__file__).parent.parent / "docs" / "reliability.md").read_text()
    known = failpoints.POINTS | failpoints.UPKEEP_POINTS | failpoints.KEY_POINTS
    for name, meaning in known.items():
        assert f"| `{name}` | {meaning} |" in manual


def test_kill_is_kill_9():
    code = "from hooktui import failpoints as f; f.arm('before_send:kill'); f.hit('before_send')"
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL


def test_a_server_with_an_unknown_failpoint_does_not_start(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "hooktui", "serve"],
        env={"HOOKTUI_HOME": str(tmp_path), "HOOKTUI_FAILPOINT": "nowhere:kill"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert result.returncode == 2
    assert "HOOKTUI_FAILPOINT: there is no failpoint 'nowhere'" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_stop_holds_a_process_until_it_is_continued():
    code = "from hooktui import failpoints as f; f.arm('before_send:stop'); f.hit('before_send')"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        assert process.wait(20) == 0
