"""What the tests of alerts do with a store, and what they read there."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from hooktui.domain.alerts import AlertState
from hooktui.domain.hook_settings import HookSettings
from hooktui.domain.ids import HookId
from hooktui.domain.wire.alerts import Alert
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.undelivered import UndeliveredGroup
from hooktui.store import changes, queries
from hooktui.store.queries.pages import PageRequest
from hooktui.store.tables import EVENT
from tests.support.stores import ADA, BOB, DEFAULT, Opened, emit, make_hook, result_of

QUIET = 600


async def fail(
    opened: Opened,
    hook: Hook,
    times: int = 1,
    every_s: float = 0,
    code: int = 503,
    schedule_s: Sequence[float] = (5, 5, 5, 5, 5, 5, 5, 5),
) -> None:
    """Send events to a hook that all fail, one after the other."""
    await answer(opened, hook, [code] * times, every_s, schedule_s)


async def answer(
    opened: Opened,
    hook: Hook,
    codes: Sequence[int],
    every_s: float = 0,
    schedule_s: Sequence[float] = (5,) * 8,
) -> None:
    for code in codes:
        await emit(opened.store)
        claims = await opened.store.claim(HookId(hook.id), 1)
        results = [result_of(one, opened.clock, code, schedule_s=schedule_s) for one in claims]
        assert results
        await opened.store.record(results)
        opened.clock.advance(every_s)


async def alerts(opened: Opened, **wanted: Any) -> list[Alert]:
    """All alerts, oldest first."""
    found: list[Alert] = []
    for state in AlertState:
        query = queries.AlertQuery(state=state, **wanted)
        page = await opened.store.read(queries.list_alerts, DEFAULT, PageRequest(limit=500), query)
        found += page.data
    return sorted(found, key=lambda alert: alert.id)


async def announced(opened: Opened) -> list[tuple[str, dict[str, Any]]]:
    """The events of the server itself, oldest first: type and body."""
    rows = select(EVENT.c.type, EVENT.c.body).where(EVENT.c.type.like("hooktui.%"))
    found = await opened.store.read(lambda conn: conn.execute(rows.order_by(EVENT.c.id)).all())
    return [(kind, json.loads(body)) for kind, body in found]


async def types(opened: Opened) -> list[str]:
    return [kind.removeprefix("hooktui.") for kind, _ in await announced(opened)]


async def check_alerts(opened: Opened, times: int = 1) -> None:
    for _ in range(times):
        await opened.store.check_alerts()


async def deliver_all(opened: Opened) -> None:
    """Deliver everything that is due, so that no queue is behind."""
    for hook in list(opened.store.hooks()):
        while claims := await opened.store.claim(hook, 100):
            results = [result_of(claim, opened.clock) for claim in claims]
            await opened.store.record(results)


async def edit(opened: Opened, hook: Hook, **changed: object) -> Hook:
    def change(before: HookSettings) -> HookSettings:
        return replace(before, **changed)

    return await opened.store.write(changes.change_hook, ADA, None, HookId(hook.id), change)


async def alert_hook(opened: Opened, **changed: object) -> Hook:
    return await make_hook(opened.store, **({"events": ("hooktui",), "name": "ops"} | changed))


async def failing_hook(opened: Opened, **changed: object) -> Hook:
    """A hook with an open alert; the last failure is now."""
    hook = await make_hook(opened.store, **changed)
    await fail(opened, hook, times=4, every_s=30)
    (alert,) = await alerts(opened, hook=HookId(hook.id))
    assert alert.state == "open"
    return hook


async def dead_letters(opened: Opened, hook: Hook, codes: Sequence[int]) -> None:
    """Give up deliveries, each followed by a success, so that the hook is not failing."""
    for code in codes:
        await answer(opened, hook, [code, 200], schedule_s=())


async def change_group(
    opened: Opened, change: Callable[..., int], hook: Hook, cause: str, *values: float
) -> int:
    """Acknowledge or snooze a group as the API does; return how many alerts that changed."""
    store = opened.store
    identity, now_ms = HookId(hook.id), opened.clock.ms
    group = await store.read(queries.get_undelivered, None, identity, cause, now_ms=now_ms)
    return await store.write(change, BOB, group, *values)


async def shown_group(opened: Opened, hook: Hook, cause: str) -> UndeliveredGroup:
    identity, now_ms = HookId(hook.id), opened.clock.ms
    return await opened.store.read(queries.get_undelivered, None, identity, cause, now_ms=now_ms)


async def give_up(opened: Opened, hook: Hook, cause: str) -> None:
    identity = HookId(hook.id)
    await opened.store.write(changes.give_up, BOB, None, identity, cause, opened.clock.ms)
