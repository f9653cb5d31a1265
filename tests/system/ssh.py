"""A real ``sshd`` on loopback, as an ordinary process with its own keys and configuration."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.ports import free_port
from tests.system.terminal import Terminal, open_terminal

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/local/sbin"
_PROGRAMS = ("sshd", "ssh", "ssh-keygen")
_RUN = Path("/run/sshd")


def disabled_reason() -> str | None:
    """Return why no sshd can be run here, or None."""
    missing = [name for name in _PROGRAMS if _program(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: openssh-server)"
    try:
        me = pwd.getpwuid(os.geteuid())
    except KeyError:
        return f"the user {os.geteuid()} has no account to log in to"
    if not os.access(me.pw_shell, os.X_OK) or Path(me.pw_shell).name in ("nologin", "false"):
        return f"nobody can log in as {me.pw_name}: the shell is {me.pw_shell}"
    if os.geteuid() != 0:
        return None if _terminals_are_given() else "here only root's sshd can give terminals away"
    if not any(one.pw_name == "sshd" for one in pwd.getpwall()):
        return "there is no user sshd, as whom sshd works until somebody has logged in"
    if _is_locked(me.pw_name):
        return f"the account {me.pw_name} is locked"
    return None


def _program(name: str) -> str | None:
    return shutil.which(name, path=_PATH)


def _terminals_are_given() -> bool:
    """Return whether a new terminal belongs to the group tty; sshd would have to make it so."""
    mine, theirs = os.openpty()
    try:
        return os.fstat(theirs).st_gid == grp.getgrnam("tty").gr_gid
    except KeyError:  # no such group: then sshd does not ask for it
        return True
    finally:
        os.close(mine)
        os.close(theirs)


def _is_locked(user: str) -> bool:
    lines = Path("/etc/shadow").read_text().splitlines()
    return any(line.startswith(f"{user}:!") for line in lines)


class Sshd:
    """One sshd that lets this very user in, with forced commands only.

    Args:
        folder: for keys, configuration and log.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.port = free_port()
        folder.mkdir(mode=0o700)
        self._make_key("host")
        host_key = (folder / "host.pub").read_text()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host_key}")
        self._authorized = folder / "authorized_keys"
        self._authorized.touch(0o600)
        settings = {
            "ListenAddress": f"127.0.0.1:{self.port}",
            "HostKey": folder / "host",
            "AuthorizedKeysFile": self._authorized,
            "PidFile": "none",
            "UsePAM": "no",
            "StrictModes": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "forced-commands-only",
            # More than any distribution takes, to see that it does not help.
            "AcceptEnv": "LANG LC_* HOOKTUI_* TEXTUAL_*",
            "Subsystem": "sftp internal-sftp",
        }
        config = folder / "sshd_config"
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        if os.geteuid() == 0:
            _RUN.mkdir(mode=0o755, exist_ok=True)  # as its service does; sshd refuses without it
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(_program("sshd")), "-D", "-e", "-f", config], stdout=log, stderr=log
            )
        self._wait_until_it_listens()

    def add_key(self, name: str, line: str) -> None:
        """Make a key, and let it in with the options of a line of ``authorized_keys``."""
        self._make_key(name)
        public = (self.folder / f"{name}.pub").read_text()
        with self._authorized.open("a") as file:
            file.write(f"{line} {public}")

    def command(self, key: str, *words: str, options: Sequence[str] = ()) -> list[str]:
        """Return the command line of an ``ssh`` with a key, and what it asks to be run there."""
        given = {
            "IdentityFile": self.folder / key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.folder / "known_hosts",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
        }
        settings = [f"-o{name}={value}" for name, value in given.items()]
        where = ["-p", str(self.port), f"{self.user}@127.0.0.1", "--", *words]
        return [str(_program("ssh")), "-F", "none", *settings, *options, *where]

    def run(
        self, key: str, *words: str, options: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run an ``ssh`` without a terminal to its end."""
        command = self.command(key, *words, options=options)
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )

    def open(self, key: str, *options: str, environ: dict[str, str] | None = None) -> Terminal:
        """Log in with a key, in a terminal."""
        command = self.command(key, options=["-tt", *options])
        return open_terminal(command, dict(os.environ) | (environ or {}))

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _make_key(self, name: str) -> None:
        command = [str(_program("ssh-keygen")), "-q", "-t", "ed25519", "-N", "", "-C", name]
        subprocess.run([*command, "-f", self.folder / name], check=True, capture_output=True)

    def _wait_until_it_listens(self) -> None:
        deadline, pause = time.monotonic() + 20, threading.Event()
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                pause.wait(0.02)
            else:
                return
        raise RuntimeError(f"sshd does not listen:\n{(self.folder / 'log').read_text()}")
