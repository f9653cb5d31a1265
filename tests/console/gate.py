"""A gate before the real API: it notes what is asked, and holds, breaks or refuses answers.

It listens on a Unix socket of its own, in the loop of the test, and passes on byte by byte what it
is not told to spoil. So a console sees a slow, a dying or a forbidding server on a real connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

FEED = "GET /v1/feed"


@dataclass
class Held:
    """Requests that wait at the gate; the server hears of them with the `release`."""

    arrived: int = 0
    _go: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let the answers go, and those that come later."""
        self._go.set()

    async def wait(self) -> None:
        """Wait for the release."""
        self.arrived += 1
        await self._go.wait()


@dataclass(frozen=True)
class Asked:
    """One request as it came by: ``call`` is such as ``POST /v1/hooks/12/ping``."""

    call: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Passing:
    """A request at the gate: what is asked, and how it is passed on and answered."""

    asked: Asked
    writer: asyncio.StreamWriter
    pass_on: Callable[[], Awaitable[bytes]]


Spoil = Callable[[Passing], Awaitable[None]]
"""Answers a request badly; what it leaves open is closed behind it."""


class Gate:
    """Stands between a console and the server.

    Attributes:
        socket: where it listens.
        asked: everything that came by, the feed's long polls left out.
    """

    def __init__(self, upstream: Path, socket: Path) -> None:
        self.socket = socket
        self.asked: list[Asked] = []
        self._rules: list[tuple[re.Pattern[str], Spoil]] = []
        self._held: list[Held] = []
        self._upstream = upstream
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- what a test says

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_unix_server(self._serve, self.socket)

    async def close(self) -> None:
        """Listen no more, and drop every connection: the server is gone."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self.socket.unlink(missing_ok=True)
        self.drop()

    def drop(self) -> None:
        """Drop every connection; whoever comes again is let in."""
        for writer in list(self._open):
            writer.transport.abort()

    async def end(self) -> None:
        """Close, and leave nothing behind."""
        await self.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _, writer in self._idle:
            writer.close()

    def spoil(self, call: str, how: Spoil) -> None:
        """Answer badly from now on what fits a pattern, such as ``POST .*/ping``."""
        self._rules.insert(0, (re.compile(call), how))

    def hold(self, call: str) -> Held:
        """Hold what fits a pattern, as a server does that takes long."""
        held = Held()
        self._held.append(held)

        async def hold(passing: Passing) -> None:
            await held.wait()
            passing.writer.write(await passing.pass_on())

        self.spoil(call, hold)
        return held

    def hold_answer(self, call: str, *, drop: bool = False) -> Held:
        """Do at once what fits a pattern, and hold its answer; ``drop`` it after the release."""
        held = Held()
        self._held.append(held)

        async def hold(passing: Passing) -> None:
            answer = await passing.pass_on()
            await held.wait()
            if drop:
                passing.writer.transport.abort()
            else:
                passing.writer.write(answer)

        self.spoil(call, hold)
        return held

    def release(self) -> None:
        """Let go what is held."""
        for held in self._held:
            held.release()
        self._held.clear()

    def mend(self) -> None:
        """Spoil nothing any more, and hold nothing."""
        self._rules.clear()
        self.release()

    def count(self, call: str) -> int:
        """Return how often something was asked."""
        wanted = re.compile(call)
        return sum(bool(wanted.fullmatch(one.call)) for one in self.asked)

    # -- passing on

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # it was let in as the gate was closed
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while await self._one(reader, writer):
                    pass
        except asyncio.CancelledError:
            return  # the test is over
        finally:
            self._tasks.discard(task)
            self._open.discard(writer)
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection goes on."""
        asked, target = await _read(reader)
        how = None
        if asked.call != FEED:
            self.asked.append(asked)
        for wanted, spoil in self._rules:
            if wanted.fullmatch(asked.call):
                how = spoil
                break

        async def pass_on() -> bytes:
            return await self._pass_on(asked, target)

        if how is None:
            writer.write(await pass_on())
        else:
            await how(Passing(asked, writer, pass_on))
        if writer.is_closing():
            return False
        await writer.drain()
        return True

    async def _pass_on(self, asked: Asked, target: str) -> bytes:
        while self._idle and self._idle[-1][0].at_eof():
            self._idle.pop()[1].close()
        reader, writer = (
            self._idle.pop() if self._idle else await asyncio.open_unix_connection(self._upstream)
        )
        first = f"{asked.call.partition(' ')[0]} {target} HTTP/1.1"
        kept = (one for one in asked.headers.items() if one[0] not in ("host", "connection"))
        try:
            writer.write(_head(first, [("host", "localhost"), *kept]) + asked.body)
            status, headers, body = await _read_answer(reader)
        except BaseException:
            writer.transport.abort()
            raise
        self._idle.append((reader, writer))
        return _answer(status, [(k, v) for k, v in headers.items() if k not in _OURS], body)


_JSON = [("content-type", "application/json")]
_OURS = ("transfer-encoding", "content-length", "connection", "content-encoding")


async def _read(reader: asyncio.StreamReader) -> tuple[Asked, str]:
    (method, target, _), headers = await _read_head(reader)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    path, _, query = target.partition("?")
    return Asked(f"{method} {path}", query, headers, body), target


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    (_, status, _), headers = await _read_head(reader)
    if headers.get("transfer-encoding") != "chunked":
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return int(status), headers, body
    parts = []
    while size := int(await reader.readline(), 16):
        parts.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return int(status), headers, b"".join(parts)


async def _read_head(reader: asyncio.StreamReader) -> tuple[list[str], dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    lines = (line.partition(":") for line in head[1:] if line)
    return head[0].split(" ", 2), {name.strip().lower(): value.strip() for name, _, value in lines}


def _head(first: str, headers: list[tuple[str, str]]) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _answer(status: int, headers: list[tuple[str, str]], body: bytes) -> bytes:
    length = [] if status == 204 else [("content-length", str(len(body)))]
    return _head(f"HTTP/1.1 {status} So", [*headers, *length]) + body


# -- ways to answer badly


def says(status: int, detail: str, **headers: str) -> Spoil:
    """Answer with a problem, and do nothing."""
    fields = {"type": "about:blank", "title": "No", "status": status, "detail": detail}
    given = [("content-type", "application/problem+json")]
    given += [(name.replace("_", "-"), value) for name, value in headers.items()]

    async def spoil(passing: Passing) -> None:
        passing.writer.write(_answer(status, given, json.dumps(fields).encode()))

    return spoil


def changed(**fields: object) -> Spoil:
    """Answer as the server does, with other values of some fields."""

    async def spoil(passing: Passing) -> None:
        body = (await passing.pass_on()).partition(b"\r\n\r\n")[2]
        answer = json.loads(body) | fields
        passing.writer.write(_answer(200, _JSON, json.dumps(answer).encode()))

    return spoil


def as_role(role: str) -> Spoil:
    """Tell the console that it acts in another role."""
    return changed(role=role)


async def reset(passing: Passing) -> None:
    """Drop the connection, and do nothing."""
    passing.writer.transport.abort()


async def lost(passing: Passing) -> None:
    """Do what is asked, and drop the connection."""
    await passing.pass_on()
    passing.writer.transport.abort()


async def half(passing: Passing) -> None:
    """Do what is asked, and give half of the answer."""
    answer = await passing.pass_on()
    end = answer.index(b"\r\n\r\n") + 4
    passing.writer.write(
        answer[: end - 3] if end == len(answer) else answer[: (end + len(answer)) // 2]
    )
    await passing.writer.drain()
    passing.writer.close()


async def page(passing: Passing) -> None:
    """Do what is asked; a proxy puts a page of its own in place of the answer."""
    await passing.pass_on()
    html = b"<html><h1>502 Bad Gateway</h1></html>"
    passing.writer.write(_answer(502, [("content-type", "text/html")], html))
