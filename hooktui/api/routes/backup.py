"""A copy of the database for the caller: created beside the database, then sent.

The server writes no file that a caller names. The copy is complete before the response starts, so
its head contains size and digest: a client detects a copy that was cut off or changed.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hooktui.api.access import caller_of
from hooktui.api.connection import UNREAD_DEADLINE
from hooktui.api.parameters import make_router
from hooktui.api.responses import NO_STORE
from hooktui.api.service import disconnected, service_of, tasks_of
from hooktui.store.contract import DatabaseCopy
from hooktui.store.tx import Tx

MEDIA_TYPE: Final = "application/vnd.sqlite3"
IDLE_S: Final = 60.0
"""Time without progress after which a caller is considered gone; its disk may pause for a while."""
PIECE_BYTES: Final = 256 * 1024
"""Bytes in memory at once, besides the socket's buffer."""

_DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    201: {
        "description": "The database, a SQLite file.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        "headers": {
            "Repr-Digest": {
                "description": "SHA-256 of the file: `sha-256=:BASE64:` (RFC 9530).",
                "required": True,
                "schema": {"type": "string"},
            }
        },
    }
}

router = make_router("server")


@router.post("/v1/backup", status_code=201, response_class=Response, responses=_DOCUMENTED)
async def backup(request: Request) -> Response:
    """Copy the database and send the copy; its `Repr-Digest` holds its SHA-256."""
    service = service_of(request)
    async with AsyncExitStack() as stack:
        (watching,) = await stack.enter_async_context(tasks_of(disconnected(request)))
        await service.store.write(Tx.audit, caller_of(request).actor, "backup", "database")
        copy = await stack.enter_async_context(service.store.backup(watching.done))
        return _CopyResponse(copy, watching.done, stack.pop_all())
    raise AssertionError("unreachable")


class _CopyResponse(Response):
    """Sends a copy in pieces, and deletes it after the last one or when the caller leaves."""

    def __init__(self, copy: DatabaseCopy, gone: Callable[[], bool], held: AsyncExitStack) -> None:
        super().__init__(
            status_code=201,
            media_type=MEDIA_TYPE,
            headers={
                "Content-Length": str(copy.size),
                "Repr-Digest": f"sha-256=:{base64.b64encode(copy.sha256).decode()}:",
                "Content-Disposition": 'attachment; filename="hooktui-backup.db"',
                **NO_STORE,
            },
        )
        self._copy = copy
        self._gone = gone
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"][UNREAD_DEADLINE] = IDLE_S
        async with self._held:
            head = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **head})
            for offset in range(0, self._copy.size, PIECE_BYTES):
                if self._gone():
                    return
                piece = await asyncio.to_thread(os.pread, self._copy.file, PIECE_BYTES, offset)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
