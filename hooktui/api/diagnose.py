"""Diagnosing a hook: looks at its receiver step by step, pings it, and says what is wrong."""

from __future__ import annotations

import asyncio
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import caller_of
from hooktui.api.answers import answer, encode
from hooktui.api.delivery_details import detail_of
from hooktui.api.parameters import AccountParameter, HookParameter
from hooktui.api.service import Service, service_of
from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.diagnosis import Diagnosis
from hooktui.domain.errors import Unavailable
from hooktui.domain.hooks import LiveHook
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.objects import Attempt, Hook
from hooktui.domain.verdicts import Found, diagnose
from hooktui.store import changes, queries
from hooktui.store.hook_queries import no_hook

router = APIRouter()


@router.post("/v1/hooks/{hook}/diagnose", response_model=Diagnosis)
async def diagnose_hook(
    request: Request, hook: HookParameter, account: AccountParameter = None
) -> Response:
    """Look at a hook's receiver and ping it; 200 whatever was found, with a verdict and a fix.

    Takes up to 50 s. Whoever asks while one runs for the hook gets the result of that one.
    """
    service, caller = service_of(request), caller_of(request)
    owner = caller.account_or_any(account)
    shown = await service.store.read(queries.get_hook, owner, hook)
    live = service.store.hooks().get(hook)
    if live is None:
        raise no_hook(hook)
    whose = AccountId(shown.account)
    await service.store.write(changes.audit_diagnosis, caller.actor, whose, hook)
    return answer(await _shared(service, shown, live))


async def _shared(service: Service, shown: Hook, live: LiveHook) -> Diagnosis:
    """Join the diagnosis of this version of a hook that runs, or begin one.

    It is a task of its own, so that it goes on for the others when one of them leaves.
    """
    key = (live.id, live.version)
    running = service.diagnosing.get(key)
    if running is None:
        running = asyncio.create_task(_diagnose(service, shown, live), name=f"diagnose {live.id}")
        service.diagnosing[key] = running
        running.add_done_callback(partial(_ended, service, key))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if running.cancelled():
            raise Unavailable("the server is stopping; it cut the diagnosis off") from None
        raise


def _ended(service: Service, key: tuple[HookId, int], task: asyncio.Task[Diagnosis]) -> None:
    del service.diagnosing[key]
    if not task.cancelled():
        task.exception()  # at a stop nobody may be left to look at it


async def _diagnose(service: Service, shown: Hook, live: LiveHook) -> Diagnosis:
    started_ms = now_ms()
    look = await service.look(live)
    if service.stopping.is_set():
        raise Unavailable("the server is stopping; it sends no ping any more")
    ping = await _ping(service, shown, live.id) if look.error is None else None
    # Read again: a 410 has switched it off, and what waits may have gone out meanwhile.
    after = await service.store.read(queries.get_hook, None, live.id)
    still = service.store.hooks().get(live.id, live)
    return diagnose(
        Found(
            hook=after,
            target=live.target,
            look=look,
            ping=ping,
            breaker_until_ms=still.breaker_until_ms,
            paused=service.store.paused,
            started_at=to_rfc3339(started_ms),
            now_ms=now_ms(),
        )
    )


async def _ping(service: Service, shown: Hook, hook: HookId) -> Attempt | None:
    delivery = await service.engine.ping(hook, encode(shown))
    record = await service.store.read(queries.get_delivery, None, delivery)
    attempts = (await detail_of(service, record)).attempts
    return attempts[-1] if attempts else None
