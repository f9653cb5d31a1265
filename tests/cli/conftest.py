"""Commands run in this process, and as processes where that matters.

Starting one takes 0.3 s of CPU, a hundred times as long as most commands.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hooktui.cli.main import main
from tests.support.installation import signals_restored
from tests.support.scripted_server import Scripted, serving
from tests.support.waiting import wait_for


@dataclass
class Result:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Scripted]:
    with serving(tmp_path / "server.sock") as scripted:
        yield scripted


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Return the paths of a test, whatever is installed on this machine."""
    paths = {
        "HOME": tmp_path,
        "HOOKTUI_HOME": tmp_path / "home",
        "HOOKTUI_SOCKET": tmp_path / "server.sock",
    }
    return {name: str(path) for name, path in paths.items()}


@pytest.fixture
def run(environ, capfd, monkeypatch) -> Callable[..., Result]:
    """Run a command line in this process; stdin is no terminal."""

    def run_one(*arguments: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main(arguments, environ)
        sys.stdout.flush()
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return run_one


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    with signals_restored():
        yield


@dataclass
class Process:
    """A command that goes on; its lines are there as soon as they are written."""

    process: subprocess.Popen[bytes]
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)

    def wait_for(self, condition: Callable[[], object]) -> None:
        wait_for(condition, what=self)


def _collect(stream: Any, lines: list[str]) -> threading.Thread:
    def read() -> None:
        for line in iter(stream.readline, b""):
            lines[len(lines) :] = [line.decode().rstrip("\n")]

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def start(environ) -> Iterator[Callable[..., Process]]:
    """Start a command as a process; it ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start_one(*arguments: str) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-m", "hooktui", *arguments],
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        running = Process(process)
        _collect(process.stdout, running.out)
        _collect(process.stderr, running.err)
        return running

    yield start_one
    for process in started:
        process.kill()
        process.wait(10)
