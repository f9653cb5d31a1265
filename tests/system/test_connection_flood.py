"""A flood of connections without a token, with the places of a usual installation."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from hooktui.api.connection_limiter import MAX_CONNECTIONS
from tests.system.test_memory import Pressed, pressed  # noqa: F401 - a fixture

FLOOD = MAX_CONNECTIONS + 100


def _asks(server: Pressed, address: str) -> bytes:
    """Return the first bytes of the response to a caller with a good token."""
    with socket.create_connection(server.address, 20, (address, 0)) as client:
        client.sendall(server.event(b"{}", path="/job.failed"))
        return client.recv(4096)[:13]


# Red without shares, without a reserve, or when the oldest connection is not the one to go.
@pytest.mark.parametrize("address", ["127.0.0.9", "127.0.0.1"])
def test_1100_half_heads_lock_out_nobody_with_a_token(pressed, address):  # noqa: F811
    with ExitStack() as stack:
        for number in range(FLOOD):
            client = stack.enter_context(
                socket.create_connection(pressed.address, 20, ("127.0.0.9", 0))
            )
            client.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
            if number >= FLOOD - 24:
                assert _asks(pressed, address) == b"HTTP/1.1 202 "
