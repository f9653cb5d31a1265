"""An engine on a store, and receivers that respond the same for as long as they run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hooktui.delivery.engine import Engine
from hooktui.domain.catalogue import ETL
from hooktui.domain.hook_settings import HookSettings, check_settings
from hooktui.domain.roles import Actor, Role
from hooktui.domain.signatures import make_secret
from hooktui.store.changes.hooks import create_hook
from hooktui.store.contract import NewEvent
from hooktui.store.queries.deliveries import list_deliveries
from hooktui.store.queries.pages import PageRequest
from hooktui.store.sqlite.store import SqliteStore
from tests.delivery.receivers import read_request
from tests.support.waiting import until

ACTOR = Actor("test", Role.ADMIN, "tests")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 500 Busy\r\nContent-Length: 0\r\n\r\n"
GONE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"


@dataclass
class RunningEngine:
    """An engine that sends, and its store."""

    store: SqliteStore
    engine: Engine

    async def patient_hook(self, url: str, **settings) -> int:
        """A hook that tries again after an hour."""
        return await self.hook(url, retry_schedule_s=(3600.0,), **settings)

    async def hook(self, url: str, *, account: int = 1, **settings) -> int:
        defaults = {"events": ("job",), "retry_schedule_s": (0.01,)}
        draft = HookSettings(url=url, **(defaults | settings))
        checked = check_settings(draft, ETL)
        hook = await self.store.write(create_hook, ACTOR, account, checked, make_secret())
        return hook.id

    async def emit(self, count: int = 1) -> None:
        offers = [NewEvent(1, "job.failed", b'{"n":%d}' % n) for n in range(count)]
        await self.engine.accept(offers)

    async def deliveries(self, **wanted):
        page = await self.store.read(list_deliveries, 1, PageRequest(limit=500))
        found = page.data
        for name, value in wanted.items():
            found = [d for d in found if getattr(d, name) == value]
        return found

    async def all_are(self, status: str, count: int):
        async def settled():
            return len(await self.deliveries(status=status)) == count

        await until(settled)


def url_of(receiver) -> str:
    target = receiver.target
    return f"http://{target.host}:{target.port}/in"


def forever(answer: bytes, seen: list[bytes], delay_s: float = 0.0):
    async def behaviour(reader, writer):
        while True:
            seen.append(await read_request(reader))
            if delay_s:
                await asyncio.sleep(delay_s)
            writer.write(answer)
            await writer.drain()

    return behaviour
