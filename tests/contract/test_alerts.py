"""Alerts: opened, ended and announced by the transaction that decides."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from hooktui.domain.alerts import AlertState
from hooktui.domain.hook_settings import HookSettings
from hooktui.domain.ids import HookId
from hooktui.domain.wire.alerts import Alert
from hooktui.domain.wire.hooks import Hook
from hooktui.store import changes, queries
from hooktui.store.contract import RetentionPeriods
from hooktui.store.queries.pages import PageRequest
from hooktui.store.tables import EVENT
from tests.support.stores import (
    ADA,
    DEFAULT,
    Opened,
    deliveries,
    emit,
    make_hook,
    result_of,
    the_hook,
)

KEEP = RetentionPeriods()
MINUTE = 60
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


async def look(opened: Opened, times: int = 1) -> None:
    for _ in range(times):
        await opened.store.look_at_alerts(KEEP)


async def edit(opened: Opened, hook: Hook, **changed: object) -> Hook:
    def change(before: HookSettings) -> HookSettings:
        return before.replace(**changed) if hasattr(before, "replace") else _replaced(before)

    def _replaced(before: HookSettings) -> HookSettings:
        from dataclasses import replace

        return replace(before, **changed)

    return await opened.store.write(changes.change_hook, ADA, None, HookId(hook.id), change)


async def alert_hook(opened: Opened, **changed: object) -> Hook:
    return await make_hook(opened.store, **({"events": ("hooktui",), "name": "ops"} | changed))


async def test_a_hook_is_failing_after_three_failures_over_a_minute(opened: Opened) -> None:
    # Red when the count or the time is left out of the rule.
    hook = await make_hook(opened.store, name="Slack relay")
    ops = await alert_hook(opened)
    await fail(opened, hook, times=5, every_s=10)
    assert await alerts(opened) == []
    assert not opened.store.hooks()[HookId(hook.id)].failing
    opened.clock.advance(10)
    await fail(opened, hook)
    (alert,) = await alerts(opened)
    assert (alert.type, alert.state, alert.key) == (
        "hook.failing", "open", f"hook.failing:{hook.id}",
    )  # fmt: skip
    assert alert.hooks_notified == 1
    assert opened.store.hooks()[HookId(hook.id)].failing
    ((kind, body),) = await announced(opened)
    assert kind == "hooktui.hook.failing"
    newest = (await deliveries(opened.store, hook=HookId(hook.id)))[-1]
    assert body == {
        "alert": {
            "id": alert.id, "type": "hook.failing", "key": alert.key, "state": "open",
            "opened_at": alert.opened_at, "resolved_at": None, "resolution": None, "count": 1,
            "alert_path": False,
        },
        "account": 1,
        "summary": f"hook {hook.id} (Slack relay) is failing: http_5xx, 6 in a row",
        "hook": {"id": hook.id, "name": "Slack relay", "host": "127.0.0.2:9"},
        "cause": "http_5xx",
        "code": 503,
        "failures_in_a_row": 6,
        "failing_since": body["failing_since"],
        "waiting": 6,
        "example": newest.id,
    }  # fmt: skip
    (sent,) = await deliveries(opened.store, hook=HookId(ops.id))
    assert (sent.status, sent.event_type) == ("pending", "hooktui.hook.failing")
    assert (await the_hook(opened.store, ops)).stats.waiting == 1
    stats = (await the_hook(opened.store, hook)).stats
    assert (stats.failing, stats.failing_since) == (True, body["failing_since"])
