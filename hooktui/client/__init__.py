"""The typed client of ``/v1``: what console, command line and sources use, and scripts may import.

    from hooktui.client import PlainClient, calls, find_server

    with PlainClient(find_server(os.environ)) as client:
        client.call(calls.send_event(1, "job.failed", body))

Names are imported when they are used, so that a command pays only for its own transport.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hooktui.client import calls
    from hooktui.client.answers import Problem
    from hooktui.client.asynchronous import AsyncClient
    from hooktui.client.calls import Call, CreatedHook
    from hooktui.client.connection import ServerAddress, find_server
    from hooktui.client.plain import PlainClient
    from hooktui.client.start import start_server
    from hooktui.domain.wire.feed import AttemptLine, FeedLine, FeedPage

__all__ = [
    "AsyncClient",
    "AttemptLine",
    "Call",
    "CreatedHook",
    "FeedLine",
    "FeedPage",
    "PlainClient",
    "Problem",
    "ServerAddress",
    "calls",
    "find_server",
    "start_server",
]

_MODULES = {
    "AsyncClient": "asynchronous",
    "AttemptLine": "feed",
    "Call": "calls",
    "CreatedHook": "calls",
    "FeedLine": "feed",
    "FeedPage": "feed",
    "PlainClient": "plain",
    "Problem": "answers",
    "ServerAddress": "connection",
    "find_server": "connection",
    "start_server": "start",
}


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        if name == "calls":
            return import_module("hooktui.client.calls")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
