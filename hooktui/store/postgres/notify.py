"""Hints between the servers of a database about changes: the feed, hooks, the key, the time.

NOTIFY takes a global lock at its commit, so hints are collected and sent by a separate connection,
a few times a second. They only save time: every server queries for changes each second anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection, text

from hooktui.domain.errors import HooktuiError
from hooktui.domain.ids import HookId
from hooktui.domain.live_hook import LiveHook
from hooktui.store.live_hooks import load_live_hooks
from hooktui.store.postgres import sql
from hooktui.store.postgres.clock import DatabaseClock
from hooktui.store.postgres.connections import FAULTS, Raw, reason_of, waits
from hooktui.store.postgres.due_bounds import LOOK_UP_EVERY_S
from hooktui.store.queries.engine import is_paused
from hooktui.store.vault import ID_BYTES, Vault

_log = logging.getLogger(__name__)

CHANNEL: Final = "hooktui"
GATHER_S: Final = 0.02
POLL_EVERY_S: Final = 1.0
DUE_EVERY_S: Final = LOOK_UP_EVERY_S
"""A server that dies between a commit and its hint leaves due deliveries unannounced."""
_MAX_HOOKS: Final = 200
"""A payload holds 8,000 bytes."""


class Hint(msgspec.Struct, array_like=True):
    """A message of one server to the others.

    Attributes:
        server: its lease token, by which a server ignores its own.
        due: hooks that have a pending delivery, and when; None: too many to name.
    """

    server: int
    due: dict[HookId, int] | None = None


class Hints:
    """Sends and receives hints, and polls the store.

    Args:
        connect: opens the connection for both.
        server: the lease token of this server.
        poll: reads changes; called at each received hint, and every second.
        due_received: called with the hooks that have due deliveries; None: any may.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Raw]],
        server: int,
        poll: Callable[[], Awaitable[None]],
        due_received: Callable[[Mapping[HookId, int] | None], None],
    ) -> None:
        self._connect = connect
        self._server = server
        self._poll = poll
        self._due_received = due_received
        self._due: dict[HookId, int] = {}
        self._something = False
        self._wake = asyncio.Event()

    def announce(self, due: Mapping[HookId, int]) -> None:
        """Announce a commit and its due deliveries to the other servers."""
        for hook, due_ms in due.items():
            self._due[hook] = min(due_ms, self._due.get(hook, due_ms))
        if not self._something:
            self._something = True
            self._wake.set()

    async def run(self) -> None:
        """Send and receive hints until it is cancelled."""
        pauses = waits()
        while True:
            try:
                raw = await self._connect()
            except HooktuiError as error:
                _log.warning("no connection for hints: %s", error)
            else:
                pauses = waits()
                try:
                    await self._follow(raw)
                except (HooktuiError, *FAULTS) as error:
                    _log.warning(
                        "reading the changes of other servers failed: %s", reason_of(error)
                    )
                except Exception:  # keep polling after any error
                    _log.exception("reading the changes of other servers failed")
                finally:
                    await raw.close()
            await asyncio.sleep(max(next(pauses), 0.25))

    async def _follow(self, raw: Raw) -> None:
        received = asyncio.Event()

        def on_hint(_raw: object, _pid: int, _channel: str, payload: object) -> None:
            hint = _decoded(payload)
            if hint is None or hint.server == self._server:
                return
            received.set()
            self._wake.set()
            self._due_received(hint.due)

        await raw.add_listener(CHANNEL, on_hint)
        loop = asyncio.get_running_loop()
        last_poll_s, last_due_s = -POLL_EVERY_S, -DUE_EVERY_S
        while True:
            if self._something:
                await raw.execute("SELECT pg_notify($1, $2)", CHANNEL, self._payload())
            if received.is_set() or loop.time() - last_poll_s >= POLL_EVERY_S:
                received.clear()
                last_poll_s = loop.time()
                await self._poll()
            if loop.time() - last_due_s >= DUE_EVERY_S:
                last_due_s = loop.time()
                # Fails in a session that has ended, in which no hint arrives.
                await raw.execute("SELECT pg_listening_channels()")
                self._due_received(None)
            await asyncio.sleep(GATHER_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_EVERY_S):
                    await self._wake.wait()
            self._wake.clear()

    def _payload(self) -> str:
        due, self._due, self._something = self._due, {}, False
        many = len(due) > _MAX_HOOKS
        return msgspec.json.encode(Hint(self._server, None if many else due)).decode()


def _decoded(payload: object) -> Hint | None:
    try:
        return msgspec.json.decode(str(payload), type=Hint)
    except msgspec.MsgspecError:
        return None  # not one of ours; hints only save time


_INSTALLATION = text("SELECT live_version, sealed FROM installation")


class News(NamedTuple):
    """Changes of people: their version, the encrypting key, the pause, and the hooks."""

    version: int
    key: bytes
    paused: bool
    hooks: dict[HookId, LiveHook | None]


def changed_hooks(conn: Connection, vault: Vault, known: int, now_ms: int) -> News:
    """Return the changes of people since a version; below 0: all hooks."""
    version, sealed = conn.execute(_INSTALLATION).one()
    if known < 0:
        hooks = load_live_hooks(conn, vault, now_ms)
    else:
        rows = conn.execute(text(sql.CHANGED_HOOKS), {"known": known}).scalars().all()
        changed = [HookId(hook) for hook in rows]
        hooks = load_live_hooks(conn, vault, now_ms, changed) if changed else {}
    return News(version, sealed[:ID_BYTES], is_paused(conn), hooks)


def read_state(conn: Connection, clock: DatabaseClock) -> tuple[int, int]:
    """Return the newest feed row and the version of the hooks; set the clock."""
    asked_ns = time.monotonic_ns()
    version, database_ms, newest = conn.execute(text(sql.INSTALLATION_STATE)).one()
    clock.set_from(database_ms, asked_ns)
    return newest or 0, version
