"""The listening sockets of a server: always a Unix socket, and TCP if configured."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
import stat
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from hooktui import sockets
from hooktui.domain.errors import Conflict
from hooktui.domain.paths import InstallPaths
from hooktui.domain.text import tls_reason
from hooktui.server.settings import BadSettings, Settings, split_listen

_log = logging.getLogger(__package__)

SOCKET_MODE = 0o660
"""The owner and its group may connect; the kernel's credentials decide on their roles."""


_NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class TlsFiles:
    """Certificate and private key of the TCP listeners, loaded again once they are renewed.

    Attributes:
        context: for the next handshake.
        fault: why the files in their present state are not used; None if they are.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load them.

        Raises:
            BadSettings: they cannot be used.
        """
        self._files = (certificate, key)
        self._contents = [_content(file) for file in self._files]
        self.context = _load(certificate, key)
        self.fault: str | None = None

    def look(self) -> None:
        """Load them if their content has changed; keep the old ones if the new cannot be used."""
        contents = [_content(file) for file in self._files]
        if contents == self._contents:
            return
        self._contents = contents
        try:
            self.context = _load(*self._files)
        except BadSettings as bad:
            self.fault = bad.detail
            _log.error("the old certificate is still in use: %s", bad.detail)
        else:
            self.fault = None
            _log.info("loaded the renewed certificate %s", self._files[0])


def tls(settings: Settings) -> TlsFiles | None:
    """Return certificate and key of the TCP listeners; None without TLS.

    Raises:
        BadSettings: they cannot be used.
    """
    return None if settings.tls_files is None else TlsFiles(*settings.tls_files)


def _content(file: Path) -> bytes | str:
    """Return the content of a file, or why it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        return str(error.strerror)


def _load(certificate: Path, key: Path) -> ssl.SSLContext:
    _check_pem(certificate, "certificate", b"CERTIFICATE-----")
    _check_pem(key, "private key", b"PRIVATE KEY-----")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password OpenSSL asks the terminal for that of an encrypted key.
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:  # includes ssl.SSLError
        why = tls_reason(error) if isinstance(error, ssl.SSLError) else str(error.strerror)
        if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
            why = "the key belongs to another certificate"
        elif b"ENCRYPTED" in key.read_bytes():
            why = "the key is encrypted; store it without a passphrase"
        elif why == "PEM lib":
            why = "one of them is incomplete or damaged; copy both again"
        raise BadSettings(f"cannot use {certificate} with {key} for TLS: {why}") from None
    return context


def _check_pem(file: Path, expected: str, mark: bytes) -> None:
    content = _content(file)
    if isinstance(content, str):
        raise BadSettings(f"cannot read {file}: {content}")
    if mark not in content:
        raise BadSettings(f"{file} holds no {expected} in PEM format")


async def bind_tcp(settings: Settings) -> list[socket.socket]:
    """Return listening sockets for the configured address, if there is one.

    Raises:
        BadSettings: the address cannot be bound, or needs TLS.
    """
    if settings.listen is None:
        return []
    host, port = split_listen(settings.listen)
    loop = asyncio.get_running_loop()
    bound: list[socket.socket] = []
    try:
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        addresses = dict.fromkeys((entry[0], entry[4]) for entry in infos)
        hosts = [str(address[0]).partition("%")[0] for _, address in addresses]
        if settings.tls_cert is None and not all(ip_address(host).is_loopback for host in hosts):
            raise BadSettings(
                f"listening on {settings.listen} needs TLS: it is not a loopback address;"
                " set tls_cert and tls_key (--tls-cert, --tls-key)"
            )
        for family, address in sorted(addresses):  # those of IPv4 first
            try:
                bound.append(_listening(family, address))
            except OSError as error:
                # /etc/hosts names ::1 for localhost also where IPv6 is off.
                if family != socket.AF_INET6 or not bound or error.errno not in _NO_IPV6:
                    raise
    except OSError as error:
        close(bound)
        raise BadSettings(
            f"cannot listen on {settings.listen}: {error.strerror or error}"
        ) from None
    return bound


def _listening(family: int, address: tuple[object, ...]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(2048)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


def close(listening: Sequence[socket.socket]) -> None:
    """Close sockets."""
    for listener in listening:
        listener.close()


def refuse_running_server_of_others(where: InstallPaths) -> None:
    """Refuse a home on which another user's server runs, before its files are read.

    Raises:
        NotAllowed: the socket may not be opened, as for other commands.
        Conflict: that server listens.
    """
    try:
        sockets.connect(where.socket, timeout_s=1).close()
        owner = where.home.stat().st_uid
    except PermissionError as error:
        from hooktui.client.address import ServerAddress
        from hooktui.client.responses import no_connection

        raise no_connection(ServerAddress(socket=where.socket), error) from None
    except OSError:
        return  # no server
    if owner != os.geteuid():
        raise _another_server(where.socket)


def _another_server(path: Path) -> Conflict:
    return Conflict(f"another server listens on {path}; stop it first with: hooktui stop")


def bind_unix(path: Path) -> socket.socket:
    """Return the listening Unix socket; replace one that a killed server left.

    Raises:
        BadSettings: it cannot be bound.
        Conflict: another server listens there.
    """
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        _remove_stale(path)
        return sockets.bind(path, SOCKET_MODE)
    except OSError as error:
        raise BadSettings(f"cannot listen on {path}: {error.strerror or error}") from None


def _remove_stale(path: Path) -> None:
    """Remove the socket that a killed server left; the caller holds the lock of the home."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise BadSettings(f"{path} exists and is not a socket; move it, or set HOOKTUI_SOCKET")
    try:
        sockets.connect(path, timeout_s=1).close()
    except (ConnectionRefusedError, FileNotFoundError):
        path.unlink(missing_ok=True)
    else:
        raise _another_server(path)


def unlink(path: Path, inode: int) -> None:
    """Remove our socket, unless it was replaced."""
    with contextlib.suppress(FileNotFoundError):
        if path.lstat().st_ino == inode:
            path.unlink()
