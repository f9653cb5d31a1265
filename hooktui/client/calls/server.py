"""Calls for the server itself: status, sending, data, keys and health."""

from __future__ import annotations

from hooktui.client.calls.call import Call, get, given, nothing, send
from hooktui.domain.wire.diagnosis import DoctorReport
from hooktui.domain.wire.server import EngineState, KeyRotation, Keys, Purge, ServerStatus

BACKUP_TIMEOUT_S = 4 * 3600.0
"""Time to copy and check some hundred GB."""

DOCTOR_TIMEOUT_S = 90.0
"""The server checks the database for 30 s at most; the rest is for a busy disk."""


def server_status(account: int | None = None) -> Call[ServerStatus]:
    """Read the status of the server."""
    return get(ServerStatus, "status", account=account)


def pause() -> Call[EngineState]:
    """Stop all sending except pings at every server of the installation."""
    return send("POST", EngineState, "engine", "pause")


def resume() -> Call[EngineState]:
    """Resume sending."""
    return send("POST", EngineState, "engine", "resume")


def purge(older_than: str, after: str | None = None, *, account: int | None = None) -> Call[Purge]:
    """Delete events older than ``30d`` (or a time); repeat with ``after`` until it is complete."""
    fields = given(older_than=older_than, after=after)
    return send("POST", Purge, "purge", fields=fields, account=account)


def backup() -> Call[None]:
    """Copy the database and send the copy: for ``download`` of a client."""
    accept = {"Accept": "application/vnd.sqlite3, application/json"}
    return send("POST", None, "backup", headers=accept, timeout_s=BACKUP_TIMEOUT_S)


def checkup() -> Call[DoctorReport]:
    """Check disk, database, clock and files at the server."""
    return send("GET", DoctorReport, "doctor", timeout_s=DOCTOR_TIMEOUT_S)


def list_keys() -> Call[Keys]:
    """List the keys that encrypt secrets, by their ids."""
    return get(Keys, "keys")


def rotate_keys(*, keep_old: bool = False) -> Call[KeyRotation]:
    """Encrypt all values with a new key; repeat while something is ``left``."""
    return send("POST", KeyRotation, "keys", "rotate", fields={"keep_old": keep_old})


def healthy() -> Call[None]:
    """Check whether a server is alive; needs no token."""
    return Call("GET", "/healthz", nothing, timeout_s=5.0)
