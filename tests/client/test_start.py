"""Starting a real server in the background."""

import os
import signal
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hooktui.client import PlainClient, ServerAddress, calls, start
from hooktui.client.start import spawn_server
from hooktui.domain.errors import NoServer
from hooktui.domain.paths import paths_of


@pytest.fixture
def environ(tmp_path):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HOOKTUI_", "XDG_"))}
    return {**kept, "HOOKTUI_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}


@pytest.fixture
def here(environ):
    here = paths_of(environ)
    yield here
    try:
        with PlainClient(ServerAddress(socket=here.socket)) as client:
            pid = client.server_pid()
    except NoServer:
        return
    ended = os.pidfd_open(pid)
    os.kill(pid, signal.SIGTERM)
    import select

    assert select.select([ended], [], [], 20)[0], "the server ends on SIGTERM"
    os.close(ended)


def pid_of(here):
    with PlainClient(ServerAddress(socket=here.socket)) as client:
        status = client.call(calls.server_status())
        assert client.server_pid() == status.servers[0].pid
        return status.servers[0].pid


def test_a_started_server_answers_and_has_a_session_of_its_own(here, environ):
    start.start_server(here, environ)
    pid = pid_of(here)
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    assert "started" in here.log.read_text()
    assert stat.S_IMODE(here.log.stat().st_mode) == 0o600


# Red when the paths are passed on as they are: the server makes its home in the folder "/".
def test_a_server_in_the_background_has_the_home_of_a_relative_path(
    here, environ, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path.parent)
    relative = {**environ, "HOOKTUI_HOME": f"{tmp_path.name}/home"}
    started = spawn_server(paths_of(relative), relative)
    start.wait_until_it_responds(started, here)
    assert pid_of(here) == started.pid


def test_two_that_start_at_once_end_up_with_one_server(here, environ, monkeypatch):
    monkeypatch.setattr(start, "OTHER_SERVER_GRACE_S", start.START_TIMEOUT_S)  # a busy machine
    errors = []

    def begin():
        try:
            start.start_server(here, environ)
        except NoServer as error:
            errors.append(error)

    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert pid_of(here)


def test_a_server_that_cannot_start_says_why(here, environ):
    here.home.mkdir()
    here.config.write_text("listen = 'nonsense'\n")
    with pytest.raises(NoServer, match=r"ended during its start: .*nonsense"):
        start.start_server(here, environ)


def test_a_home_that_cannot_be_made_is_one_line(here, environ, tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be")
    with pytest.raises(NoServer, match="cannot start a server"):
        start.start_server(here, environ)


FEW = 4


# Red when a server that listens but does not respond yet, as on a busy machine, ends the start.
def test_a_server_that_takes_long_to_respond_is_awaited(here, environ, monkeypatch):
    impatient = replace(calls.healthy(), timeout_s=0.05)
    asked = []

    def ask():
        asked.append(time.monotonic())
        if len(asked) == FEW:  # what it did not respond to before is repeated from here on
            os.kill(pid_of_spawned[0], signal.SIGCONT)
        return impatient if len(asked) < FEW else calls.healthy()

    def spawn_and_stop(*given):
        process = spawn_server(*given)
        while not here.socket.is_socket():
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGSTOP)
        pid_of_spawned.append(process.pid)
        return process

    pid_of_spawned = []
    monkeypatch.setattr("hooktui.client.start.spawn_server", spawn_and_stop)
    monkeypatch.setattr("hooktui.client.start.healthy", ask)
    start.start_server(here, environ)
    assert len(asked) >= FEW
    assert pid_of(here) == pid_of_spawned[0]
