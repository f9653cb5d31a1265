"""The demo's receiver: a local HTTP server with one path for each behaviour.

It supports only requests of hooktui (POST with a Content-Length, over kept connections). The
response to the n-th request on a path depends only on the seed, the path and n, not on a clock or
on other paths.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Self

from hooktui.slices import end_tasks


class Behaviour(StrEnum):
    """The behaviour of a receiver; also its path."""

    FAST = "fast"
    SLOW = "slow"
    FLAKY = "flaky"
    BUSY = "busy"
    DOWN = "down"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Reply:
    """A response and its delay."""

    status: int
    delay_s: float
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


_HTML = (("Content-Type", "text/html; charset=utf-8"),)
_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)
_GONE_AT = 3
"""The request that gets a 410: late enough for some history of the hook, early enough to see."""


def reply(behaviour: Behaviour, seed: int, path: str, number: int) -> Reply:
    """Return the response to a request.

    ``number`` is 1 for the first request on this path.
    """
    dice = random.Random(f"{seed} {path} {number}")  # noqa: S311 - a behaviour, not a secret
    usual_s = dice.uniform(0.003, 0.04)
    if behaviour is Behaviour.SLOW:
        return _taken(dice.uniform(1.0, 2.0), number)
    if behaviour is Behaviour.FLAKY and _stumbles(seed, path, number, share=0.5):
        trace = (
            b"Traceback (most recent call last):\n  ...\npsycopg.OperationalError: too many clients"
        )
        return Reply(500, usual_s, trace, _TEXT)
    if behaviour is Behaviour.BUSY and _stumbles(seed, path, number, share=0.4):
        headers = (("Content-Type", "application/json"), ("Retry-After", "1"))
        return Reply(429, usual_s, b'{"ok":false,"error":"rate_limited"}', headers)
    if behaviour is Behaviour.DOWN:
        if dice.random() < 0.5:
            return Reply(503, usual_s, b"<h1>503 Service Unavailable</h1>", _HTML)
        return Reply(500, usual_s, b'{"error":"java.lang.NullPointerException"}')
    if behaviour is Behaviour.GONE and number == _GONE_AT:
        return Reply(410, usual_s, b'{"error":"this endpoint has been retired"}')
    return _taken(usual_s, number)


def _taken(delay_s: float, number: int) -> Reply:
    return Reply(200, delay_s, b'{"ok":true,"received":%d}' % number)


def _stumbles(seed: int, path: str, number: int, *, share: float) -> bool:
    """Return whether a request fails: the first of a pair may, the second succeeds.

    The first of all fails, so that every run shows a retry.
    """
    pair, second = divmod(number - 1, 2)
    if second:
        return False
    return pair == 0 or random.Random(f"{seed} {path} pair {pair}").random() < share  # noqa: S311


_REQUEST = re.compile(rb"[A-Z]+ (/[!-~]*) HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,9})\r\n", re.IGNORECASE)
_MISSING = Reply(404, 0.0, b'{"error":"no such path"}')


class Receiver:
    """Listens inside ``async with``; the behaviour of a path is its name, such as ``/flaky``."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._counts: Counter[str] = Counter()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    def url(self, behaviour: Behaviour) -> str:
        """Return the URL of a behaviour."""
        return f"http://127.0.0.1:{self.port}/{behaviour.value}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        await end_tasks(self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        try:
            while await self._respond(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # the client disconnected, or does not speak HTTP
        except asyncio.CancelledError:
            return  # shutdown; in Python 3.11 the streams' callback fails for a cancelled task
        finally:
            writer.close()

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and respond; return whether another may follow."""
        head = await reader.readuntil(b"\r\n\r\n")
        requested = _REQUEST.match(head)
        if requested is None:
            return False
        match = _LENGTH.search(head)
        await reader.readexactly(int(match[1]) if match else 0)
        response = self._reply(requested[1].decode("latin-1"))
        await asyncio.sleep(response.delay_s)
        writer.write(_response(response))
        await writer.drain()
        return True

    def _reply(self, path: str) -> Reply:
        if path[1:] not in tuple(Behaviour):
            return _MISSING
        self._counts[path] += 1
        return reply(Behaviour(path[1:]), self._seed, path, self._counts[path])


def _response(response: Reply) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        "Server: hooktui-demo",
        *(f"{name}: {value}" for name, value in response.headers),
        f"Content-Length: {len(response.body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + response.body
