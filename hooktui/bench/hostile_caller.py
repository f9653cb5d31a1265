"""A viewer and a producer that send the worst allowed requests until they are killed.

    python -m hooktui.bench.hostile_caller SOCKET

They run as the server's own user, who has no limit of rates and a higher one of long polls; so they
keep to ten polls, and to one other request at a time.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from hooktui.bench.producer import connect, read_response
from hooktui.domain.errors import HooktuiError
from hooktui.domain.wire.events import MAX_BODY_BYTES

_POLLS: Final = 10
_EVENT: Final = "cluster.error"
"""A type to which no measured hook subscribes."""
_FILTER: Final = "data.a:" + ",".join(f"*{n:x}q*" for n in range(280))
_WORDS: Final = " ".join(f"-*x{n:x}*y*" for n in range(180))
"""A filter of the maximum length that matches nothing, so that all of it is evaluated."""


def _post(path: str, body: bytes, kind: str = "application/json") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode("ascii") + body


def _get(path: str, **query: str | int) -> bytes:
    return f"GET {path}?{urlencode(query)} HTTP/1.1\r\nHost: x\r\n\r\n".encode("ascii")


def _filled(before: bytes, unit: bytes, after: bytes) -> bytes:
    room = MAX_BODY_BYTES - len(before) - len(after)
    return before + unit * (room // len(unit)) + after


def producer_requests() -> list[bytes]:
    """Return bodies that are expensive to check, and batches that are expensive to split."""
    bodies = [
        _filled(b"[" + b"[]," * 201 + b'"', b'\\"', b""),
        _filled(b'{"a":[', b"[],", b"1]}"),
        _filled(b'{"a":["\\ud83d",', b"1,", b"1]}"),
        _filled(b'{"a":[', b'["["],', b"1]}"),
    ]
    line = b'{"type":"cluster.errr","data":{}}\n'
    batches = [b"\n" * 8_388_608, b"\n" * 10_000 + line * 1000]
    return [
        *(_post(f"/v1/events/{_EVENT}", body) for body in bodies),
        *(_post("/v1/events", batch, "application/x-ndjson") for batch in batches),
    ]


def viewer_requests() -> list[bytes]:
    """Return searches that read much and find nothing."""
    unknown = [f"job.faile{n}" for n in range(1900)]
    return [
        _get("/v1/feed", q=_FILTER, from_end="true"),
        _get("/v1/feed", q=_WORDS, from_end="true"),
        _get("/v1/events", q=_FILTER, limit=500),
        _get("/v1/deliveries", q=_WORDS, limit=500),
        _post("/v1/hooks/dry-run", json.dumps({"events": ["job"], "filter": _FILTER}).encode()),
        _post("/v1/hooks/dry-run", json.dumps({"events": unknown}).encode()),
        _post("/v1/hooks/dry-run", _filled(b'{"a":"', b"9" * 4300 + b"x", b'"}')),
    ]


async def _ask_again_and_again(path: Path, requests: Iterable[bytes]) -> None:
    """Send requests one after another; reconnect if refused."""
    left = itertools.cycle(requests)
    while True:
        try:
            reader, writer = await connect(path)
            while True:
                writer.write(next(left))
                await read_response(reader)
        except (OSError, EOFError, HooktuiError):
            await asyncio.sleep(0.05)


async def main(path: Path) -> None:
    """Send until the process is killed."""
    poll = _get("/v1/feed", q=_FILTER, wait=30)
    await asyncio.gather(
        _ask_again_and_again(path, producer_requests()),
        _ask_again_and_again(path, viewer_requests()),
        *(_ask_again_and_again(path, [poll]) for _ in range(_POLLS)),
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
