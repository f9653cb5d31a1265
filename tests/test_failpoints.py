"""Failpoints: named, armed by one variable, refused when misspelt, and free when not armed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

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


def test_kill_is_kill_9():
    code = "from hooktui import failpoints as f; f.arm('before_send:kill'); f.hit('before_send')"
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL


# Red when the one variable is enough: it would kill a real server that inherits it.
@pytest.mark.parametrize("testing", [None, "", "0", "true", " 1"])
def test_a_failpoint_is_armed_only_where_the_environment_says_that_this_is_a_test(testing):
    environ = {"HOOKTUI_FAILPOINT": "before_send:error"}
    if testing is not None:
        environ["HOOKTUI_TESTING"] = testing
    with pytest.raises(ValueError, match="this is for tests; unset it, or set HOOKTUI_TESTING=1"):
        failpoints.arm_from(environ)
    failpoints.hit("before_send")


def test_both_variables_arm_a_point_and_the_second_alone_nothing():
    failpoints.arm_from(failpoints.environment("before_send:error"))
    with pytest.raises(failpoints.FailpointReached):
        failpoints.hit("before_send")
    failpoints.arm_from({"HOOKTUI_TESTING": "1"})
    failpoints.hit("before_send")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        (failpoints.environment("nowhere:kill"), "there is no failpoint 'nowhere'"),
        ({"HOOKTUI_FAILPOINT": "before_send:kill"}, "this is for tests; unset it"),
    ],
)
def test_a_server_with_a_wrong_failpoint_does_not_start(tmp_path, variables, says):
    result = subprocess.run(
        [sys.executable, "-m", "hooktui", "serve"],
        env={"HOOKTUI_HOME": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert result.returncode == 2
    assert f"HOOKTUI_FAILPOINT: {says}" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_stop_holds_a_process_until_it_is_continued():
    code = "from hooktui import failpoints as f; f.arm('before_send:stop'); f.hit('before_send')"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        assert process.wait(20) == 0
