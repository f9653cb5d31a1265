"""The transaction that a change runs in, and the side effects that follow its commit.

Changes are plain functions ``change(tx, …)``, one file for each noun; ``changes`` exports them all.
They do not depend on SQLite or PostgreSQL and never commit: the store runs each in a savepoint of
the writer's next transaction (SQLite) or in a transaction of its own (PostgreSQL).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection
from sqlmodel import Session

from hooktui.domain.alerts import AlertRules
from hooktui.domain.ids import AccountId, HookId, IdClock
from hooktui.domain.roles import Actor
from hooktui.store import audit
from hooktui.store.feed_items import HookEdit, Item, hook_item
from hooktui.store.live_hooks import LiveHooks
from hooktui.store.vault import Vault


class SideEffects(msgspec.Struct):
    """The side effects of a transaction: feed items to write, and notices to send after the commit.

    ``paused`` is set if the transaction paused (True) or resumed (False) all sending. ``waiting``
    is the change of the number of waiting deliveries per hook, written before the commit,
    ``secrets_used`` the written last uses of secrets.
    """

    feed: list[Item] = []
    hooks_changed: set[HookId] = set()
    paused: bool | None = None
    due: dict[HookId, int] = {}
    waiting: dict[HookId, int] = {}
    secrets_used: dict[int, int] = {}
    follow_ups: list[Callable[[Tx], None]] = []

    def mark_due(self, hook: HookId, due_ms: int) -> None:
        """Note that a hook has a pending delivery that is due at a time."""
        earliest_ms = self.due.get(hook)
        if earliest_ms is None or due_ms < earliest_ms:
            self.due[hook] = due_ms

    def count_waiting(self, hook: HookId, change: int) -> None:
        """Add to the number of waiting deliveries of a hook."""
        self.waiting[hook] = self.waiting.get(hook, 0) + change

    def merge(self, other: SideEffects) -> None:
        """Merge the side effects of a part that succeeded."""
        self.feed += other.feed
        self.hooks_changed |= other.hooks_changed
        if other.paused is not None:
            self.paused = other.paused
        if self.due:  # else the other's are the whole result, copied in one call
            for hook, due_ms in other.due.items():
                self.mark_due(hook, due_ms)
        else:
            self.due.update(other.due)
        if self.waiting:
            for hook, change in other.waiting.items():
                self.count_waiting(hook, change)
        else:
            self.waiting.update(other.waiting)
        self.follow_ups += other.follow_ups


@dataclass(slots=True)
class Tx:
    """One change inside a write transaction.

    ``live`` are the hooks as of the last commit, ``changed_before`` those that earlier changes of
    the same transaction changed, ``notes`` the side effects at and after the commit.
    """

    conn: Connection
    now_ms: int
    vault: Vault
    ids: IdClock
    live: LiveHooks
    rules: AlertRules
    changed_before: Set[HookId]
    notes: SideEffects = field(default_factory=SideEffects)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a session for rows as model objects; the end of the block writes their changes."""
        with Session(
            self.conn, join_transaction_mode="create_savepoint", expire_on_commit=False
        ) as session:
            yield session
            session.commit()

    def feed(self, item: Item) -> None:
        """Put an item of ``feed_items`` into the change feed."""
        self.notes.feed.append(item)

    def hook_edited(self, account: AccountId, hook: HookId, edit: HookEdit) -> None:
        """Put an edit of a hook into the change feed, and reload the hook after the commit."""
        self.feed(hook_item(account, hook, edit))
        self.hook_changed(hook)

    def hook_changed(self, hook: HookId) -> None:
        """Reload the live form of a hook after the commit."""
        self.notes.hooks_changed.add(hook)

    def due(self, hook: HookId, due_ms: int) -> None:
        """Notify the engine after the commit that a delivery of a hook is due at a time."""
        self.notes.mark_due(hook, due_ms)

    def follow_up(self, change: Callable[[Tx], None]) -> None:
        """Run a change in a later transaction: the rest of work that is too much for one."""
        self.notes.follow_ups.append(change)

    def audit(
        self,
        actor: Actor,
        action: str,
        target: str,
        *,
        account: AccountId | None = None,
        before: Mapping[str, object] | None = None,
        after: Mapping[str, object] | None = None,
        result: str = "done",
    ) -> None:
        """Add an entry to the audit trail."""
        audit.append(
            self.conn,
            self.vault,
            self.now_ms,
            actor,
            action,
            target,
            account=account,
            before=before,
            after=after,
            result=result,
        )
