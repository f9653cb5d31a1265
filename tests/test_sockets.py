"""Unix sockets at paths that the kernel would refuse."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hooktui import sockets


def _long(folder: Path) -> Path:
    deep = folder / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    return deep / "hooktui.sock"


@pytest.mark.parametrize("place", [lambda folder: folder / "hooktui.sock", _long])
def test_a_socket_is_bound_and_reached_whatever_the_length_of_its_path(tmp_path, place):
    path = place(tmp_path)
    with sockets.bind(path, 0o660) as listener:
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with sockets.connect(path, 1) as client:
            client.sendall(b"hello")
            server, _ = listener.accept()
            with server:
                server.settimeout(1)
                assert server.recv(5) == b"hello"


def test_nothing_stays_open_after_a_failed_connect(tmp_path):
    path = _long(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FileNotFoundError):
        sockets.connect(path, 1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_path_that_exists_is_not_taken_over(tmp_path):
    path = tmp_path / "hooktui.sock"
    with sockets.bind(path, 0o660), pytest.raises(OSError, match="in use"):
        sockets.bind(path, 0o660)
