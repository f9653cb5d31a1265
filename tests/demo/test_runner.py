"""The process of a demo and its server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hooktui.client.start import spawn_server
from hooktui.demo import runner
from hooktui.domain.errors import Malformed
from hooktui.domain.paths import paths_of


# Red when only a server that responds is stopped: its home is removed, so nobody finds it.
def test_a_server_that_responds_wrongly_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes: list[subprocess.Popen[bytes]] = []

    def spawn(*given: object) -> subprocess.Popen[bytes]:
        processes.append(spawn_server(*given))  # type: ignore[arg-type]
        return processes[0]

    def respond_wrongly(*_: object) -> None:
        raise Malformed("this is not an HTTP request")

    monkeypatch.setattr(runner, "spawn_server", spawn)
    monkeypatch.setattr(runner, "wait_until_it_responds", respond_wrongly)
    home = paths_of({"HOOKTUI_HOME": str(tmp_path / "home")})
    with pytest.raises(Malformed), runner._running_server(home):
        pass
    assert processes[0].returncode is not None
