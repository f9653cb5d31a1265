"""One write transaction on SQLite: its shared state, its operations, and its side effects."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection

from hooktui.domain.alerts import AlertRules
from hooktui.domain.ids import AccountId, HookId, IdClock
from hooktui.domain.json_text import Steps
from hooktui.domain.live_hook import LiveHook
from hooktui.store import write_queue
from hooktui.store.live_hooks import LiveHooks
from hooktui.store.planning.accept import KnownKey, Lease, Plan
from hooktui.store.planning.record import RecordedHook
from hooktui.store.sqlite.files import damaged, is_damage
from hooktui.store.tx import SideEffects, Tx
from hooktui.store.vault import Vault

R = TypeVar("R")


@dataclass(slots=True)
class WriteTransaction:
    """The state that the operations of one transaction share.

    ``raw`` and ``conn`` are the same connection, for hot statements and for changes.
    ``secrets_used`` is when each secret's last use was last stored, ``clock_moved_ms`` how far the
    clock was set since the last commit, ``batches`` the results that may open or end alerts.
    """

    raw: sqlite3.Connection
    conn: Connection
    vault: Vault
    ids: IdClock
    live: LiveHooks
    now_ms: int
    lease: Lease
    secrets_used: dict[int, int]
    rules: AlertRules
    notes: SideEffects = field(default_factory=SideEffects)
    accepted: list[Plan] = field(default_factory=list)
    new_keys: dict[tuple[AccountId, str], KnownKey] = field(default_factory=dict)
    loaded: dict[HookId, LiveHook | None] = field(default_factory=dict)
    feed_end: int | None = None
    feed_rows: int = 0
    feed_items: int = 0
    clock_moved_ms: int = 0
    batches: list[RecordedHook] = field(default_factory=list)

    def tx(self) -> Tx:
        """Return a change in this transaction."""
        return Tx(
            self.conn, self.now_ms, self.vault, self.ids, self.live, self.rules,
            self.notes.hooks_changed,
        )  # fmt: skip


class Operation(write_queue.Operation[R]):
    """An operation on SQLite.

    The steps are separate so that the same code serves a writer in the event loop and one in a
    thread: `load` and `execute` access the database, `plan` accesses objects of the event loop.
    The live hooks, which all of them read, change only in its thread, between transactions.

    Attributes:
        long_bytes: the part of ``size_bytes`` in values longer than a page of the database.
    """

    long_bytes = 0

    def load(self, work: WriteTransaction) -> Steps[None] | None:
        """Read the data for `plan`, inside the transaction; steps are as those of `plan`."""

    def plan(self, work: WriteTransaction) -> Steps[None] | None:
        """Decide what to write; in the event loop's thread, between `load` and `execute`.

        Returns:
            the steps to run if it may take long.
        """

    def execute(self, work: WriteTransaction) -> R | Steps[R] | None:
        """Write, and return the result that is delivered after the commit.

        Returns:
            the steps that return the result if it may take long.
        """
        raise NotImplementedError


class ChangeOperation(Operation[R]):
    """A change of ``hooktui.store.changes`` in a savepoint: its failure affects no other."""

    order = 2

    def __init__(self, change: Callable[[Tx], R]) -> None:
        super().__init__(weight=10)
        self._change = change

    def execute(self, work: WriteTransaction) -> R | None:
        """Run it; an error affects only this operation as long as the transaction lives."""
        work.raw.execute("SAVEPOINT one_change")
        result = None
        try:
            tx = work.tx()
            result = self._change(tx)
            work.notes.merge(tx.notes)
        except Exception as error:
            if not work.raw.in_transaction:
                raise  # SQLite rolled all of it back
            work.raw.execute("ROLLBACK TO one_change")
            cause = getattr(error, "orig", None) or error  # SQLAlchemy wraps the driver's error
            self.error = damaged(cause, "nothing was stored") if is_damage(cause) else error
        work.raw.execute("RELEASE one_change")
        return result
