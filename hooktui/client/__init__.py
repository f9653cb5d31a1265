"""The typed client of ``/v1`` for the console, the commands, the demo, and scripts.

    from hooktui.client import PlainClient, calls, find_server

    with PlainClient(find_server(os.environ)) as client:
        client.call(calls.send_event(1, "job.failed", body))

Names are imported on first use, so that a command loads only its own transport.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hooktui.client import calls as calls
    from hooktui.client.address import ServerAddress as ServerAddress
    from hooktui.client.address import find_server as find_server
    from hooktui.client.async_client import AsyncClient as AsyncClient
    from hooktui.client.calls import Call as Call
    from hooktui.client.sync_client import PlainClient as PlainClient

_MODULES = {
    "AsyncClient": "hooktui.client.async_client",
    "Call": "hooktui.client.calls",
    "PlainClient": "hooktui.client.sync_client",
    "ServerAddress": "hooktui.client.address",
    "find_server": "hooktui.client.address",
}
__all__ = ["calls", *_MODULES]


def __getattr__(name: str) -> object:
    if name == "calls":
        return import_module("hooktui.client.calls")
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value
