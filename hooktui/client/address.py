"""The address of a server (a Unix socket or an HTTP origin), and how a client finds it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from hooktui.domain import paths as known
from hooktui.installation import find_paths

_HOST_AND_PORT = re.compile(r"(?!unix:)([^/:]+|\[[^/]+\]):[0-9]+")
_LOOPBACK = re.compile(r"localhost|::1|127(\.[0-9]{1,3}){3}")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """One server: a Unix socket if ``socket`` is set, else scheme, host and port.

    Attributes:
        socket: the Unix socket, or None.
        scheme: ``http`` or ``https``.
        host: name or address, IPv6 without brackets.
        port: the TCP port.
        token: for ``Authorization: Bearer``; never sent over a Unix socket, where the kernel
            identifies the caller.
    """

    socket: Path | None = None
    scheme: str = "http"
    host: str = "localhost"
    port: int = 80
    token: str | None = field(default=None, repr=False)

    @property
    def origin(self) -> str:
        """The base URL of requests."""
        if self.socket is not None:
            return "http://localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_service(self) -> bool:
        """Whether it is the address of this machine's system service."""
        return self.socket == known.SYSTEM.socket

    def __str__(self) -> str:
        return self.origin if self.socket is None else str(self.socket)


def find_server(environ: Mapping[str, str], connect: str | None = None) -> ServerAddress:
    """Return the address of the server from ``--connect`` or the environment.

    Args:
        environ: such as ``os.environ``; ``HOOKTUI_TOKEN`` is the token for TCP.
        connect: ``https://host[:port]``, ``http://`` to this machine, or the path of a socket.

    Raises:
        ValueError: ``connect`` is none of these; names the expected form.
        NoHomeFolder: the environment names no folder at all.
    """
    if not connect:
        return ServerAddress(socket=find_paths(environ).socket)
    if _HOST_AND_PORT.fullmatch(connect):
        raise ValueError(
            f"{connect[:100]!r} has no scheme; write https:// before it, or http:// for a server"
            " of this machine without TLS"
        )
    if "://" not in connect:
        return ServerAddress(socket=Path(connect.removeprefix("unix:")))
    token = environ.get("HOOKTUI_TOKEN", "").strip()
    if not (token.isascii() and token.isprintable()):
        raise ValueError("HOOKTUI_TOKEN is not a token; a token looks like hkt_1_…")
    return _origin(connect, token or None)


def _origin(url: str, token: str | None) -> ServerAddress:
    try:
        parts = urlsplit(url)
    except ValueError as error:  # without the URL, which may hold a password
        raise ValueError(f"--connect: {error}; write https://host:port") from None
    scheme, host = parts.scheme, parts.hostname or ""
    try:
        port = parts.port
        host.encode("idna")  # as the look-up does
    except ValueError:
        port = 0
    if parts.username is not None:
        raise ValueError("use HOOKTUI_TOKEN instead of a user and password in the address")
    if scheme not in ("http", "https") or not host or port == 0:
        raise ValueError(f"{url[:100]!r} is not the address of a server; write https://host:port")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{url[:100]!r} has a path; --connect expects https://host:port only")
    if scheme == "http" and not _LOOPBACK.fullmatch(host):
        raise ValueError(f"http://{host} would send the token unencrypted; use https://{host}")
    return ServerAddress(
        scheme=scheme, host=host, port=port or (443 if scheme == "https" else 80), token=token
    )
