"""``hooktui doctor`` as people run it: with a server, without one, and with one that is lost."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.support.installation import Installation, LocalInstallation
from tests.support.ports import free_port


def states(checkup: dict) -> dict[str, str]:
    return {check["name"]: check["state"] for check in checkup["checks"]}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    installation = LocalInstallation(tmp_path_factory.mktemp("doctor") / "home")
    installation.home.mkdir(mode=0o700)
    installation.start()
    yield installation
    installation.stop()


def test_with_a_server_it_tells_what_the_server_sees(home: Installation) -> None:
    text = home.ok("doctor")
    assert "responded in" in text
    assert "p50" in text
    found = home.json("doctor")
    assert states(found)["server"] == "ok"
    assert "fail" not in states(found).values()
    assert {"clock", "open files", "leases", "integrity", "key file"} <= set(states(found))


def test_who_is_no_admin_is_not_told(home: Installation) -> None:
    assert home.run("doctor", "--role", "viewer").returncode == 4


def test_over_tcp_it_needs_a_server(home: Installation) -> None:
    assert home.run("doctor", "--connect", "http://127.0.0.1:9").returncode == 5


def test_without_a_server_it_looks_itself(idle_home: Installation) -> None:
    assert states(idle_home.json("doctor"))["server"] == "warn"
    idle_home.start()
    idle_home.emit("job.failed")
    idle_home.stop()
    found = idle_home.json("doctor")
    assert found["state"] == "warn"
    assert {"fsync", "wal", "leases", "waiting", "integrity", "key file"} <= set(states(found))


def test_what_fails_is_the_exit_code(idle_home: Installation) -> None:
    idle_home.start()
    idle_home.stop()
    (idle_home.home / "hooktui.key").chmod(0o644)
    result = idle_home.run("doctor")
    assert result.returncode == 1
    assert b"chmod 600" in result.stdout
    assert b"problem" in result.stdout


def test_settings_that_stop_a_start_are_a_line(idle_home: Installation) -> None:
    (idle_home.home / "config.toml").write_text("keep_days = -1\n")
    result = idle_home.run("doctor")
    assert result.returncode == 1
    assert b"keep_days" in result.stdout


def test_a_process_that_holds_the_home_and_does_not_answer_is_named(idle_home) -> None:
    script = (
        "import pathlib, sys, signal\n"
        "from hooktui.store.durable_files import HomeLock\n"
        "HomeLock(pathlib.Path(sys.argv[1])).acquire()\n"
        "print('held', flush=True)\n"
        "signal.pause()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(idle_home.home)], stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        result = idle_home.run("doctor")
        assert result.returncode == 1
        assert f"process {holder.pid} is running but does not respond".encode() in result.stdout
        assert b"integrity" not in result.stdout
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        holder.stdout.close()


def test_a_server_that_hangs_is_named_and_its_database_left_alone(home: Installation) -> None:
    assert home.server is not None
    home.server.send_signal(signal.SIGSTOP)
    try:
        result = home.run("doctor")
    finally:
        home.server.send_signal(signal.SIGCONT)
    assert result.returncode == 1
    assert f"kill {home.server.pid}".encode() in result.stdout
    assert b"integrity" not in result.stdout


def test_it_looks_whether_somebody_listens_where_the_settings_say(idle_home) -> None:
    listen = {"HOOKTUI_LISTEN": f"127.0.0.1:{free_port()}"}
    idle_home.environ |= listen
    idle_home.start()
    assert states(idle_home.json("doctor"))["listens"] == "ok"
    idle_home.stop()
    idle_home.environ.pop("HOOKTUI_LISTEN")
    idle_home.start()
    result = idle_home.run("doctor", environ=listen)
    assert result.returncode == 1
    assert b"restart the server" in result.stdout
