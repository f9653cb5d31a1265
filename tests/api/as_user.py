"""A request by a process of another user: only root can make one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hooktui import sockets


def ask_as(uid: int, path: Path, target: str, role: str | None = None) -> bytes:
    """Return the answer that a process of another user gets over a Unix socket."""
    lowered = "" if role is None else f"Hooktui-Role: {role}\r\n"
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        with sockets.connect(path, 10) as client:
            request = f"GET {target} HTTP/1.1\r\nHost: x\r\n{lowered}Connection: close\r\n\r\n"
            with suppress(BrokenPipeError):
                client.sendall(request.encode())
            # Who is refused at the door may be hung up on while it still talks.
            with suppress(ConnectionResetError, BrokenPipeError):
                while part := client.recv(65536):
                    os.write(writing, part)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        content = answer.read()
    os.waitpid(child, 0)
    return content


@contextmanager
def hold_as(uid: int, path: Path, count: int) -> Iterator[None]:
    """Have a process of another user keep connections open, each amid its first request."""
    ready, opened = os.pipe()
    done, over = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(over)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        held = [sockets.connect(path, 10) for _ in range(count)]
        for client in held:
            client.sendall(b"GET /healthz HTTP/1.1\r\n")
        os.write(opened, b"x")
        os.read(done, 1)
        os._exit(0)
    os.close(opened)
    os.close(done)
    try:
        assert os.read(ready, 1) == b"x"
        yield
    finally:
        os.close(over)
        os.close(ready)
        os.waitpid(child, 0)
