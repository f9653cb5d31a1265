"""An installation in its own folder, used through the installed commands."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hooktui.cli.main import main
from hooktui.client.address import ServerAddress
from hooktui.client.start import responds
from hooktui.domain.paths import paths_of
from tests.support.waiting import wait_for

PYTHON = shlex.quote(sys.executable)
"""This Python as a word of a shell: its folder may have spaces."""
SAMPLES = Path(__file__).parents[1] / "samples"


class Installation:
    """One ``HOOKTUI_HOME`` with everything in it, used only through the installed commands."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = home / "test-serve.log"
        self.server: subprocess.Popen[bytes] | None = None
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("HOOKTUI_", "XDG_"))}
        self.environ = {
            **keep,
            "HOOKTUI_HOME": str(home),
            "HOOKTUI_ALLOW_NETWORKS": "127.0.0.0/8,::1/128",  # localhost may be both
            "HOME": str(home),
            "NO_COLOR": "1",
        }

    def run(
        self, *arguments: str, stdin: bytes | None = None, environ: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "hooktui", *arguments],
            env=self.environ | (environ or {}),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=60,
        )

    def ok(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Run a command that must succeed; return what it prints."""
        result = self.run(*arguments, stdin=stdin)
        assert result.returncode == 0, (arguments, result.stdout, result.stderr)
        assert b"Traceback" not in result.stderr
        return result.stdout.decode()

    def json(self, *arguments: str, stdin: bytes | None = None) -> Any:
        return json.loads(self.ok(*arguments, "--json", stdin=stdin))

    def start(self, *arguments: str, files: int | None = None) -> None:
        """Start the server and wait until it answers; it may have so many files open."""

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        log = self.log.open("ab")
        self.server = subprocess.Popen(
            [sys.executable, "-m", "hooktui", "serve", *arguments],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=None if files is None else limit,
        )
        log.close()

        wait_for(self._answers, 60, "the server answers")

    def _answers(self) -> bool:
        """Whether the server is there; asked from here, as a command takes as long as its start."""
        assert self.server is not None
        assert self.server.poll() is None, self.log.read_text()
        return responds(ServerAddress(socket=paths_of(self.environ).socket))

    def kill(self) -> None:
        """End the server as a power cut would."""
        assert self.server is not None
        self.server.send_signal(signal.SIGKILL)
        self.server.wait(10)

    def stop(self) -> None:
        if self.server is not None and self.server.poll() is None:
            self.server.terminate()
            try:
                self.server.wait(20)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait(10)
                raise

    def create_hook(self, url: str, *options: str, events: str = "job,cluster") -> Any:
        return self.json("hooks", "create", "--url", url, "--events", events, *options)

    def emit(self, event_type: str) -> str:
        return self.ok("emit", event_type, str(SAMPLES / f"{event_type}.json")).strip()

    def deliveries(self, *arguments: str) -> Any:
        return self.json("deliveries", "list", *arguments)


@contextlib.contextmanager
def signals_restored() -> Iterator[None]:
    """Restore the signals that a command changes for its process, such as SIGHUP of ``serve``."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTSTP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class LocalInstallation(Installation):
    """An installation whose server is a process, while its commands run in this one."""

    def run(
        self, *arguments: str, stdin: bytes | None = None, environ: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        given, out, err = io.BytesIO(stdin or b""), io.BytesIO(), io.BytesIO()
        environ = self.environ | (environ or {})
        with pytest.MonkeyPatch.context() as patch:
            for name in (one for one in environ if one.startswith("HOOKTUI_")):
                patch.setenv(name, environ[name])  # settings are read from the process
            for name, stream in (("stdin", given), ("stdout", out), ("stderr", err)):
                patch.setattr(sys, name, io.TextIOWrapper(stream, "utf-8", write_through=True))
            with signals_restored():
                code = main(arguments, environ)
            sys.stdout.flush()
            return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
