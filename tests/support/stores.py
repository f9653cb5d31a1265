"""What tests of a store start from: hooks, events to offer, results of attempts."""

from __future__ import annotations

import functools
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hooktui.domain.deliveries import (
    ErrorClass,
    Exchange,
    RetryDecision,
    RetryState,
    after_exchange,
    error_of_status,
)
from hooktui.domain.filters.parser import parse
from hooktui.domain.filters.terms import Filter
from hooktui.domain.hook_settings import HookSettings
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.roles import Actor, Role
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.hooks import Hook
from hooktui.store import changes, queries
from hooktui.store.base import Store
from hooktui.store.contract import (
    Acceptance,
    AttemptResult,
    ClaimedDelivery,
    CommitNotice,
    NewEvent,
)
from hooktui.store.queries.pages import PageRequest
from hooktui.store.sqlite.schema import prepare
from hooktui.store.sqlite.store import SqliteStore
from hooktui.store.tx import Tx
from tests.support.clocks import Clock

ADA = Actor("ada", Role.ADMIN, "a test")
BOB = Actor("bob", Role.OPERATOR, "a test")
DEFAULT = AccountId(1)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "http://127.0.0.2:9/in"


@dataclass
class Opened:
    """A store, and how to open it again on the same data."""

    open_it: Callable[[], Awaitable[Store]]
    store: Store
    clock: Clock

    async def again(self) -> Store:
        await self.store.close()
        self.store = await self.open_it()
        return self.store


def lay_new_database(home: Path) -> None:
    """Put a new database and its key into a home: a copy, as to make one takes 50 ms of CPU."""
    for name, content in _new_database().items():
        (home / name).touch(0o600)
        (home / name).write_bytes(content)


@functools.cache
def _new_database() -> dict[str, bytes]:
    """Return the files of a home with a new database, by name."""
    with tempfile.TemporaryDirectory() as folder:
        database, key_file = Path(folder, "hooktui.db"), Path(folder, "hooktui.key")
        raw, _, _ = prepare(database, key_file)
        raw.close()
        return {one.name: one.read_bytes() for one in (database, key_file)}


async def open_in(home: Path) -> SqliteStore:
    return await SqliteStore.open(home / "hooktui.db", key_file=home / "hooktui.key")


def always(_: HookId) -> bool:
    return True


def settings(**changed: object) -> HookSettings:
    return HookSettings(**({"url": URL, "events": ("job",), "name": "a hook"} | changed))


async def make_hook(store: Store, account: AccountId = DEFAULT, **changed: object) -> Hook:
    return await store.write(changes.create_hook, ADA, account, settings(**changed), SECRET)


async def make_hooks(store: Store, count: int, **changed: object) -> list[HookId]:
    """Create many hooks in one transaction."""

    def create(tx: Tx) -> list[HookId]:
        some = settings(**changed)
        made = [changes.create_hook(tx, ADA, DEFAULT, some, SECRET) for _ in range(count)]
        return [HookId(hook.id) for hook in made]

    return await store.write(create)


def offer(body: bytes = b"{}", event_type: str = "job.failed", key: str | None = None) -> NewEvent:
    return NewEvent(DEFAULT, event_type, body, key)


async def emit(store: Store, count: int = 1, **changed: object) -> list[Acceptance]:
    accepted, _ = await store.accept([offer(**changed) for _ in range(count)])
    return accepted


def result_of(
    claim: ClaimedDelivery,
    clock: Clock,
    status_code: int | None = 200,
    error: ErrorClass | None = None,
    schedule_s: Sequence[float] = (5, 300),
    decision: RetryDecision | None = None,
    took_ms: int = 20,
    secret_ids: Sequence[int] = (),
    **details: object,
) -> AttemptResult:
    if status_code is not None:
        error = error or error_of_status(status_code)
    exchange = Exchange(status_code=status_code, error=error, total_ms=took_ms, **details)
    state = RetryState(claim.trigger, claim.tries, claim.interruptions)
    return AttemptResult(
        claim=claim,
        decision=decision or after_exchange(state, exchange, schedule_s, 0.5, None),
        exchange=exchange,
        started_at_ms=clock.ms - took_ms,
        finished_at_ms=clock.ms,
        secret_ids=tuple(secret_ids),
    )


async def attempt(store: Store, clock: Clock, hook: Hook, status_code: int = 200) -> list[bool]:
    """Claim what is due of a hook, and record one answer to all of it."""
    claims = await store.claim(HookId(hook.id), 100)
    return await store.record([result_of(claim, clock, status_code) for claim in claims])


def delivery_query(q: Filter | str | None = None, **wanted: object) -> queries.DeliveryQuery:
    return queries.DeliveryQuery(q=parse(q) if isinstance(q, str) else q, **wanted)


async def deliveries(store: Store, **wanted: object) -> list[Delivery]:
    query = delivery_query(**wanted)
    page = PageRequest(limit=500, sort="id")
    return (await store.read(queries.list_deliveries, DEFAULT, page, query)).data


async def the_delivery(store: Store) -> Delivery:
    (one,) = await deliveries(store)
    return one


async def the_hook(store: Store, hook: Hook | HookId) -> Hook:
    identity = HookId(hook.id) if isinstance(hook, Hook) else hook
    return await store.read(queries.get_hook, DEFAULT, identity)


class Heard:
    """Collects the signals of a store."""

    def __init__(self, store: Store) -> None:
        self.signals: list[CommitNotice] = []
        store.subscribe(self.signals.append)

    @property
    def due(self) -> dict[HookId, int]:
        return {hook: ms for signals in self.signals for hook, ms in signals.due.items()}

    @property
    def changed(self) -> set[HookId]:
        return {hook for signals in self.signals for hook in signals.hooks_changed}


def damage(database: Path, table: str) -> None:
    """Overwrite the first page of a table; no process may have the database open."""
    with closing(sqlite3.connect(database)) as raw:
        find = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        (page,) = raw.execute(find, (table,)).fetchone()
        (size,) = raw.execute("PRAGMA page_size").fetchone()
    with database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
