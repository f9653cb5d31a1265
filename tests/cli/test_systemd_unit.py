"""The systemd unit: that systemd takes it whatever the paths, and how far it shuts us in."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from hooktui.cli import systemd_unit as unit_module
from hooktui.cli.systemd_unit import hidden_place, unit

ANALYZE = shutil.which("systemd-analyze")
_RUNTIME_FOLDER = Path("/run/systemd")
"""systemd-analyze makes it where systemd never ran, which only root may."""
needs_systemd = pytest.mark.skipif(
    ANALYZE is None or not (_RUNTIME_FOLDER.is_dir() or os.geteuid() == 0),
    reason="systemd-analyze is not installed, or may not make its folder",
)
MAX_EXPOSED = 20
"""Tenths, on systemd's scale of 0 to 100; it says OK to what is below 50."""


def parsed(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    one = tmp_path / "hooktui.service"
    one.write_text(unit(["--listen", "127.0.0.1:8088"]))
    return one


def test_every_restriction_is_in_it() -> None:
    """Red when a directive is dropped (strict: or stands twice)."""
    found = parsed(unit([]))
    assert found["Unit"]["StartLimitIntervalSec"] == "0"
    assert found["Install"]["WantedBy"] == "multi-user.target"
    wanted = {
        "Type": "notify", "NotifyAccess": "main", "WatchdogSec": "60", "Restart": "on-failure",
        "RestartPreventExitStatus": "2", "User": "hooktui", "Group": "hooktui",
        "StateDirectory": "hooktui", "StateDirectoryMode": "0750", "RuntimeDirectory": "hooktui",
        "RuntimeDirectoryMode": "0750", "ReadOnlyPaths": "-/etc/hooktui", "UMask": "0077",
        "RestartForceExitStatus": "SIGHUP", "SyslogLevel": "err",
        "LoadCredential": "hooktui.key", "LimitCORE": "0",
        "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "",
        "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes",
        "PrivateDevices": "yes", "ProtectKernelTunables": "yes", "ProtectKernelModules": "yes",
        "ProtectKernelLogs": "yes", "ProtectControlGroups": "yes",
        "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX", "RestrictNamespaces": "yes",
        "RestrictSUIDSGID": "yes", "LockPersonality": "yes", "MemoryDenyWriteExecute": "yes",
        "SystemCallFilter": "@system-service", "SystemCallArchitectures": "native",
    }  # fmt: skip
    assert wanted.items() <= dict(found["Service"]).items()
    # Who calls is looked up in /proc and among the users: these would hide it.
    # systemd gives such a folder to the service's user, and makes it writable (B11).
    assert "ConfigurationDirectory" not in found["Service"]
    assert not {"PrivateUsers", "ProtectProc", "ProcSubset", "DynamicUser"} & set(found["Service"])


@pytest.mark.parametrize(
    "options",
    [
        ["--tls-cert", "/etc/my certs/it's.pem", "--tls-key", "/etc/100%/key.pem"],
        ["--database", '@/etc/"quoted"'],
        ["--database", "@/etc/$HOME/${x}"],
        ["--database", "@/etc/back\\slash"],
        ["--database", "@/etc/%h"],
    ],
)
def test_odd_options_and_paths_come_through_whole(options: Sequence[str], monkeypatch) -> None:
    """Red when ``%`` (specifiers), ``$`` (variables) or quotes are not escaped for systemd."""
    monkeypatch.setattr(unit_module, "program", lambda: ["/opt/my hook's/%n/bin/hooktui"])
    line = parsed(unit(options))["Service"]["ExecStart"]
    assert as_systemd_reads(line) == ["/opt/my hook's/%n/bin/hooktui", "serve", *options]


def as_systemd_reads(line: str) -> list[str]:
    """Split a command line by the rules of systemd.service(5), as far as we use them."""
    words = shlex.split(line)  # they agree in double quotes; in single ones they do not
    assert not re.search(r"(^| )'", line)
    assert "%" not in line.replace("%%", "")
    assert "$" not in line.replace("$$", "")
    return [word.replace("%%", "%").replace("$$", "$") for word in words]


@needs_systemd
@pytest.mark.parametrize("name", ["my hook", "100%n", "$HOME", "plain"])
def test_systemd_finds_the_program_whatever_its_path(tmp_path: Path, monkeypatch, name) -> None:
    """Red when ``%`` is left alone or ``$`` doubled. systemd refuses quotes there."""
    folder = tmp_path / name
    folder.mkdir()
    program = folder / "hooktui"
    program.touch(0o755)
    monkeypatch.setattr(unit_module, "program", lambda: [str(program)])
    file = tmp_path / "hooktui.service"
    file.write_text(unit([]))
    result = analyze("verify", "--man=no", file)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("options", [[], ["--database", "@/etc/100% $HOME/it's"]])
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path, options: Sequence[str]) -> None:
    file = tmp_path / "hooktui.service"
    file.write_text(unit(options))
    result = analyze("verify", "--man=no", file)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@needs_systemd
def test_systemd_counts_it_among_the_least_exposed(file: Path) -> None:
    """Red when one of the stronger restrictions is dropped: measured 1.6 of 10 (systemd 257)."""
    result = analyze("security", "--offline=true", f"--threshold={MAX_EXPOSED}", file)
    assert result.returncode == 0, result.stdout[-400:]
    weaker = file.read_text().replace("SystemCallFilter=@system-service\n", "")
    file.write_text(weaker)
    assert analyze(
        "security", "--offline=true", f"--threshold={MAX_EXPOSED}", file
    ).returncode == 1  # fmt: skip


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ada:hidden@db/x",
        "postgresql://db/x?user=ada&password=hidden",
        "postgresql:/ada:hidden@db/x",
        "postgresql://ada:hid/den:hidden@db/x",
        "postgresq://ada:hidden@db/x",
        "postgresql:hidden@db/x",
    ],
)
def test_a_password_is_not_put_into_a_file_that_all_can_read(address: str) -> None:
    result = print_unit(address)
    assert result.returncode == 2
    assert "all users can read a unit file" in result.stderr
    assert "hidden" not in result.stdout + result.stderr


# Red when only the program is looked at: one of pyenv or uv has its Python in the home of root.
@pytest.mark.parametrize("hidden", ["", "code", "python", "program"])
def test_a_part_of_the_program_that_the_service_cannot_see_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: str
) -> None:
    homes = tmp_path / "root"
    folders = {
        part: (homes if part == hidden else tmp_path) / part
        for part in ("code", "python", "program")
    }
    for folder in folders.values():
        folder.mkdir(parents=True)
    python = folders["python"] / "python3"
    python.touch()
    link = folders["program"] / "python3"
    link.symlink_to(python)
    monkeypatch.setattr(sys, "argv", ["-m"])
    monkeypatch.setattr(sys, "executable", str(link))
    monkeypatch.setattr(unit_module, "_HIDDEN", (str(homes),))
    monkeypatch.setattr(unit_module, "__file__", str(folders["code"] / "systemd_unit.py"))
    assert hidden_place() == (str(folders[hidden]) if hidden else None)


# Red when each "@" is taken for the end of a password, or the ":" of a scheme for its begin.
@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_user_without_a_password_is_put_into_it(scheme: str) -> None:
    address = f"{scheme}://ada@db1:5432,db2:5432/x"
    result = print_unit(address)
    assert result.returncode == 0
    assert f"serve --database {address}\n" in result.stdout


# Red when paths are written as they are given: the service works in the folder "/".
def test_relative_paths_are_those_of_the_folder_where_it_is_printed(tmp_path: Path) -> None:
    options = ["--tls-cert", "c.pem", "--tls-key", "tls/k.pem", "--database"]
    for database, absolute in (
        ("@address", f"@{tmp_path}/address"),
        ("sqlite:///x.db", f"sqlite:///{tmp_path}/x.db"),
        ("postgresql://db/x", "postgresql://db/x"),
    ):
        result = subprocess.run(
            [sys.executable, "-m", "hooktui", "serve", "--print-unit", *options, database],
            capture_output=True, text=True, timeout=60, cwd=tmp_path,
        )  # fmt: skip
        paths = f"--tls-cert {tmp_path}/c.pem --tls-key {tmp_path}/tls/k.pem"
        assert f" {paths} --database {absolute}\n" in result.stdout


def print_unit(address: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hooktui", "serve", "--print-unit", "--database", address],
        capture_output=True, text=True, timeout=60, env=dict(os.environ),
    )  # fmt: skip
