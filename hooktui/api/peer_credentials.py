"""The peer of the Unix socket: its credentials from the kernel, and its names."""

from __future__ import annotations

import grp
import json
import os
import pwd
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from hooktui.domain.text import visible

_UCRED = struct.Struct("iII")  # struct ucred of unix(7)
_NO_LOGIN = 0xFFFF_FFFF  # the loginuid of a process without a login, (uid_t) -1
_CLAIMS = ("SUDO_USER", "SSH_CONNECTION")
_MAX_READ_BYTES = 64 * 1024  # of an environment, on the event loop


@dataclass(frozen=True, slots=True)
class PeerCredentials:
    """A process that connected, as the kernel recorded it at that moment (``SO_PEERCRED``)."""

    pid: int
    uid: int
    gid: int

    @property
    def is_owner(self) -> bool:
        """Whether the user is root or the server's owner, who could stop the server anyway."""
        return self.uid in (0, os.geteuid())


@dataclass(frozen=True, slots=True)
class Names:
    """The name of a user, and the names of all its groups."""

    user: str
    groups: frozenset[str]


def peer_of(connected: socket.socket) -> PeerCredentials | None:
    """Return the peer of a connected socket; None if it is not a Unix socket."""
    if connected.family != socket.AF_UNIX:
        return None
    found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return PeerCredentials(*_UCRED.unpack(found))


def names_of(peer: PeerCredentials) -> Names:
    """Look up the names of a peer; may block (name services)."""
    try:
        user = pwd.getpwuid(peer.uid).pw_name
    except KeyError:
        return Names(str(peer.uid), _group_names([peer.gid]))
    # The groups of the account, not of the process: new members need not log in again.
    return Names(user, _group_names(os.getgrouplist(user, peer.gid)))


def _group_names(gids: list[int]) -> frozenset[str]:
    names = set()
    for gid in gids:
        try:
            names.add(grp.getgrgid(gid).gr_name)
        except KeyError:  # a group without a name cannot have a role
            continue
    return frozenset(names)


def origin_of(peer: PeerCredentials) -> str:
    """Return the origin of a peer for the audit trail.

    The login uid comes from the kernel. Values of the process's environment are only *claimed*, and
    quoted so that no claim looks like another part; they are read only if the kernel allows it. If
    the process has ended, its number may belong to another user's process: nothing is added then.
    """
    parts = [f"unix pid={peer.pid} uid={peer.uid}"]
    process = Path("/proc") / str(peer.pid)
    if not _belongs_to(process, peer.uid):
        return parts[0]
    login = _read(process / "loginuid").strip()
    if login.isdigit() and int(login) != _NO_LOGIN:
        parts.append(f"loginuid={int(login)}")
    for entry in _read(process / "environ").split("\0"):
        name, _, value = entry.partition("=")
        if name in _CLAIMS and value:
            parts.append(f"claimed {name}={json.dumps(visible(value, limit=100))}")
    return " ".join(parts)


def _belongs_to(process: Path, uid: int) -> bool:
    # The effective uid, as in SO_PEERCRED; root for a process that cannot be dumped (setuid).
    try:
        return process.stat().st_uid == uid
    except OSError:
        return False


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_READ_BYTES).decode("utf-8", "replace")
    except OSError:  # the process has ended, or access is denied
        return ""
