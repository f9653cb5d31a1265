"""Memory of a real server while its clients do not read what they asked for.

The bound: twice the 32 MiB of one caller (`MAX_UNSENT_OF_CALLER`; an allocator keeps about as much
again), a response on its way in each of four readers, and what every connection may hold besides
(uvicorn's high-water mark and a request head).
"""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack

from hooktui.api.connection import MAX_HEAD_BYTES, MAX_PIPELINED
from hooktui.api.response_budget import MAX_UNSENT_OF_CALLER
from tests.support.waiting import wait_for
from tests.system.test_memory import MIB, Pressed, pressed  # noqa: F401 - a fixture

HIGH_WATER_BYTES = 64 * 1024
LARGEST_RESPONSE = 4 * MIB
KEPT_BY_ALLOCATOR = 32 * MIB
"""Freed memory counts as the process's while the allocator keeps it for the threads that read."""


def _bound(connections: int) -> int:
    """Return how many bytes the connections of one caller may take."""
    each = 2 * HIGH_WATER_BYTES + MAX_HEAD_BYTES
    responses = 2 * MAX_UNSENT_OF_CALLER + 4 * LARGEST_RESPONSE
    return responses + connections * each + KEPT_BY_ALLOCATOR


def _large_delivery(server: Pressed) -> tuple[str, str]:
    """Return the path of a delivery that is shown in over 3 MB, and a viewer's token."""
    installation = server.installation
    installation.ok("hooks", "create", "--url", "http://127.0.0.1:9/in", "--events", "job")
    body = installation.home / "large.json"
    # DEL is one byte here, and six characters in each of the two places that show the body.
    body.write_bytes(json.dumps("\x7f" * 250_000, ensure_ascii=False).encode())
    installation.ok("emit", "job.failed", str(body))
    (delivery,) = wait_for(lambda: installation.json("deliveries", "list"))
    token = installation.json("tokens", "create", "v", "--role", "viewer")["token"]
    return f"/v1/deliveries/{delivery['id']}", token


def _do_not_read(server: Pressed, stack: ExitStack, count: int, request: bytes) -> None:
    for _ in range(count):
        client = stack.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(server.address)
        client.sendall(request * (MAX_PIPELINED - 1))
        server.look()
    for _ in range(20):  # until the server has done what it does
        time.sleep(0.1)
        server.look()


# Red without the bound of a caller (each holds 3 MB), and when a connection begins another request.
def test_a_viewer_that_does_not_read_takes_no_more_than_its_bound(pressed):  # noqa: F811
    path, token = _large_delivery(pressed)
    request = (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()
    for count in (16, 100):
        with ExitStack() as stack:
            _do_not_read(pressed, stack, count, request)
        print(f"{count} connections: {pressed.most_grown / MIB:.1f} MiB")
        assert pressed.most_grown < _bound(count)


def test_a_source_without_a_token_takes_no_more_either(pressed):  # noqa: F811
    with ExitStack() as stack:
        request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        _do_not_read(pressed, stack, 600, request)
    assert pressed.most_grown < _bound(600)
