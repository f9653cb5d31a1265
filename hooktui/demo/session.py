"""A running demo, as seen by the foreground process: a temporary server."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from hooktui.client.address import ServerAddress, find_server
from hooktui.client.start import own_environment
from hooktui.domain.errors import NoServer
from hooktui.domain.text import visible

CLOSE_S = 15.0
"""The runner stops within two seconds; a longer wait means that it hangs."""


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo; console and commands with its ``environ`` use its server."""

    address: ServerAddress
    environ: Mapping[str, str]


@contextmanager
def running_demo(seed: int, environ: Mapping[str, str]) -> Iterator[Demo]:
    """Run a temporary account with its server and receiver until the block ends.

    The ``HOOKTUI_*`` of ``environ`` are removed, so that the user's own installation is not read or
    changed. The same seed gives the same events and responses.

    Raises:
        NoServer: it did not start.
    """
    clean = {name: value for name, value in environ.items() if not name.startswith("HOOKTUI_")}
    with tempfile.TemporaryFile() as errors:
        process = _start(seed, clean, errors)
        try:
            mine = {**clean, "HOOKTUI_HOME": _home_of(process, errors)}
            yield Demo(find_server(mine), mine)
        finally:
            _end(process)


def _start(seed: int, environ: Mapping[str, str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", "hooktui.demo.runner", str(seed)],
        env=own_environment(environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    )


def _home_of(process: subprocess.Popen[bytes], errors: IO[bytes]) -> str:
    """Wait until the runner is ready; return the home."""
    line = process.stdout.readline() if process.stdout is not None else b""
    if line:
        home: str = json.loads(line)["home"]
        return home
    process.wait()
    errors.seek(0)
    said = errors.read().strip().splitlines() or [b"it said nothing"]
    raise NoServer(f"the demo did not start: {visible(said[-1], limit=500)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close the runner's stdin: it stops the server and removes the home."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(CLOSE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
