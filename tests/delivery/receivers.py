"""Receivers in the loop of the test, each with one behaviour."""

from __future__ import annotations

import asyncio
import ctypes
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from hooktui.domain.addresses import ParsedUrl, parse_url

_SO_ATTACH_FILTER = 26

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Return one request, head and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return head + await reader.readexactly(int(value))
    return head


def drop_packets(sock: socket.socket, *, over: int = -1) -> None:
    """Let the kernel drop what arrives for a socket, as a firewall does: packets over a size."""
    program = b"".join(
        struct.pack("HBBI", *step)
        for step in (
            (0x80, 0, 0, 0),  # the length of the packet
            (0x35, 0, 1, over + 1),  # at least this?
            (0x06, 0, 0, 0),  # drop it
            (0x06, 0, 0, 0xFFFF_FFFF),  # accept it
        )
    )
    steps = ctypes.create_string_buffer(program, len(program))
    sock.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", 4, ctypes.addressof(steps))
    )


def may_drop_packets() -> bool:
    """Whether the kernel lets this user filter packets; some let only root do it."""
    with socket.socket() as sock:
        try:
            drop_packets(sock)
        except PermissionError:
            return False
    return True


@dataclass
class Receiver:
    """A running server: where it is, and what it saw."""

    target: ParsedUrl
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    closed_by_peer: asyncio.Event = field(default_factory=asyncio.Event)


class Receivers:
    """Starts receivers and stops them all at the end."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def behaving(
        self, behaviour: Behaviour, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> Receiver:
        """Start a receiver that does with each connection what ``behaviour`` does."""
        receiver: Receiver

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            receiver.connections += 1
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            try:
                await behaviour(reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                receiver.closed_by_peer.set()
            finally:
                writer.close()

        server = await asyncio.start_server(serve, host, 0, ssl=tls)
        self._servers.append(server)
        port = server.sockets[0].getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        scheme = "https" if tls else "http"
        receiver = Receiver(parse_url(f"{scheme}://{shown}:{port}/in"))
        return receiver

    async def answering(self, *answers: bytes, tls: ssl.SSLContext | None = None) -> Receiver:
        """Start a receiver that gives these answers in turn on each connection, then waits.

        An empty answer closes the connection.
        """
        receiver: Receiver

        async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for answer in answers:
                receiver.requests.append(await read_request(reader))
                if not answer:
                    return
                writer.write(answer)
                await writer.drain()
            await reader.read()  # until the client closes
            receiver.closed_by_peer.set()

        receiver = await self.behaving(behaviour, tls=tls)
        return receiver

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
