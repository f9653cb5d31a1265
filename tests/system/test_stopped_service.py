"""Which installation is meant does not depend on whether the system service runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hooktui.client.start import start_server
from hooktui.console.app import ConsoleApp
from hooktui.console.shell.server_connection import ConnectionState
from hooktui.domain import paths
from hooktui.installation import find_paths, system_installed
from tests.console.conftest import Console
from tests.console.test_server_connection import environ_of
from tests.system.installed import OTHER_UID, Machine

EVIDENCE = {
    "state": "var/lib/hooktui",
    "settings": "etc/hooktui",
    "runtime": "run/hooktui",
    "unit": "etc/systemd/system/hooktui.service",
    "packaged unit": "usr/lib/systemd/system/hooktui.service",
}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "root").mkdir()
    (tmp_path / "person").mkdir()
    return Machine(tmp_path / "root", tmp_path / "person")


def install(machine: Machine, which: str = "state") -> None:
    path = machine.root / EVIDENCE[which]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch() if path.suffix else path.mkdir(mode=0o750)


@pytest.mark.parametrize("which", EVIDENCE)
def test_each_trace_of_the_service_is_enough(machine, which, monkeypatch) -> None:
    """Red when one of `SystemPaths.evidence` is left out."""
    monkeypatch.setattr(paths, "SYSTEM", machine.system)
    assert not system_installed()
    install(machine, which)
    assert system_installed()
    found = find_paths({"HOME": "/people/ann"})
    assert (found.service, found.home) == (True, machine.system.home)
    own = find_paths({"HOME": "/people/ann", "HOOKTUI_HOME": "/h"})
    assert (own.service, own.home) == (False, Path("/h"))


@needs_root
def test_it_takes_no_rights_to_see_the_service(machine, monkeypatch) -> None:
    """Red when a folder that may not be searched counts as missing."""
    monkeypatch.setattr(paths, "SYSTEM", machine.system)
    (machine.root / "etc").mkdir(mode=0o700)
    child = os.fork()
    if child == 0:
        os.setresuid(OTHER_UID, OTHER_UID, OTHER_UID)
        os._exit(0 if system_installed() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


COMMANDS = (
    ("status",),
    ("pause",),
    ("emit", "job.failed", "/dev/null"),
    ("hooks", "list"),
    ("deliveries", "list"),
    ("events", "list"),
    ("log",),
    ("accounts", "list"),
    ("tokens", "list"),
    ("audit", "list"),
    ("keys", "list"),
    ("keys", "rotate"),
    ("purge", "--older-than", "30d", "--yes"),
    ("stop",),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_means_the_stopped_service_and_names_what_starts_it(machine, command) -> None:
    """Red when a command falls back to the caller's own folder (B1, B2)."""
    install(machine)
    result = machine.run(*command)
    assert result.returncode == 5, result.stderr
    hint = "no server to stop" if command == ("stop",) else "systemctl start hooktui"
    assert hint in result.stderr
    assert str(machine.system.socket) in result.stderr
    assert list(machine.home.iterdir()) == []


@needs_root
@pytest.mark.parametrize("which", ["state", "unit"])
@pytest.mark.parametrize("uid", [0, OTHER_UID])
def test_nobody_starts_a_server_beside_the_service_by_hand(machine, which, uid) -> None:
    """Red without `refuse_start_beside_service`."""
    install(machine, which)
    if which == "state":
        os.chown(machine.system.home, 12345, 12345)
    machine.home.chmod(0o777)
    result = machine.run("serve", uid=uid)
    assert result.returncode == 4
    assert "systemctl start hooktui" in result.stderr
    assert "HOOKTUI_HOME" in result.stderr
    assert list(machine.home.iterdir()) == []


async def test_a_console_waits_for_the_service_and_starts_no_server(
    machine, tmp_path, monkeypatch
) -> None:
    """Red when the console starts a personal server while the service is down (B2)."""
    install(machine, "unit")
    monkeypatch.setattr(paths, "SYSTEM", machine.system)
    app = ConsoleApp(environ=machine.environ)
    async with app.run_test(size=(150, 30)) as pilot:
        console = Console(app, pilot)
        await console.shows("systemctl start hooktui", "the hooktui service is not running")
        service = machine.start_service(tmp_path / "log")
        try:
            await console.shows("No hooks yet")
            machine.end_service(service)
            await console.until(lambda: app.connection.state is ConnectionState.LOST)
            await console.shows("systemctl start hooktui")
            service = machine.start_service(tmp_path / "log")
            await console.until(lambda: app.connection.state is ConnectionState.CONNECTED)
        finally:
            machine.end_service(service)
    assert not app.connection.started
    assert [one for one in machine.home.rglob("*") if one.name.startswith("hooktui.")] == []


def test_a_home_of_ones_own_has_a_server_beside_the_service(machine, tmp_path, monkeypatch) -> None:
    install(machine)
    monkeypatch.setattr(paths, "SYSTEM", machine.system)
    environ = environ_of(tmp_path / "own")
    server = start_server(find_paths(environ), environ)
    try:
        assert (tmp_path / "own" / "hooktui.sock").is_socket()
    finally:
        server.terminate()
        server.wait(20)
