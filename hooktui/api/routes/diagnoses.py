"""Diagnoses of hooks: check the receiver step by step, ping it, and return a verdict."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from hooktui.api.access import Caller, caller_of
from hooktui.api.diagnosis_runs import Diagnoses, DiagnosisRun, Key
from hooktui.api.parameters import AccountParameter, HookParameter, make_router
from hooktui.api.responses import encode, respond
from hooktui.api.routes.deliveries import detail_of
from hooktui.api.service import Service, read, service_of
from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.diagnosis import DiagnosisInput, connection_checks, diagnose
from hooktui.domain.errors import Unavailable
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.wire.deliveries import Attempt
from hooktui.domain.wire.diagnosis import ConnectionFindings, Diagnosis, DiagnosisLine, Step
from hooktui.domain.wire.hooks import Hook, with_pace
from hooktui.store import queries
from hooktui.store.queries.hooks import no_hook
from hooktui.store.tx import Tx

router = make_router("hooks")


_LINES = "application/x-ndjson"
_AS_LINES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The findings; requested as lines, each step as soon as it has ended.",
        "content": {_LINES: {"schema": {"$ref": "#/components/schemas/DiagnosisLine"}}},
    }
}


@router.post("/v1/hooks/{hook}/diagnose", response_model=Diagnosis, responses=_AS_LINES)
async def diagnose_hook(
    request: Request, hook: HookParameter, account: AccountParameter = None
) -> Response:
    """Check a hook's receiver and ping it; 200 whatever was found, with a verdict and a fix.

    Takes up to 50 s. Callers during a running diagnosis of the hook share its result. With
    `Accept: application/x-ndjson` each step is a line as soon as it has ended, and the last line
    has the whole; the diagnosis ends when its last caller disconnects.
    """
    service, caller = service_of(request), caller_of(request)
    owner = caller.account_or_any(account)
    shown = await read(request, queries.get_hook, owner, hook)
    live = service.store.hooks().get(hook)
    if live is None:
        raise no_hook(hook)
    whose = AccountId(shown.account)
    await service.store.write(
        Tx.audit, caller.actor, "hook.diagnose", f"hook {hook}", account=whose
    )
    key = (live.id, live.version)
    run = service.diagnosing.join(key, partial(_diagnose, service, caller, shown, live))
    if _wants_lines(request):
        return _Lines(service.diagnosing, key, run)
    try:
        return respond(await run.result())  # to the end: a disconnect is not detected here
    finally:
        service.diagnosing.leave(key, run)


def _wants_lines(request: Request) -> bool:
    accepted = request.headers.get("accept", "").lower().split(",")
    return any(media_type.partition(";")[0].strip() == _LINES for media_type in accepted)


class _Lines(StreamingResponse):
    """The lines of a diagnosis; leaves the run when it ends or the client disconnects."""

    def __init__(self, diagnoses: Diagnoses, key: Key, run: DiagnosisRun) -> None:
        super().__init__((encode(line) + b"\n" async for line in run.follow()), media_type=_LINES)
        self._leave = partial(diagnoses.leave, key, run)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


async def _diagnose(
    service: Service,
    caller: Caller,
    shown: Hook,
    live: LiveHook,
    notify: Callable[[DiagnosisLine], None],
) -> Diagnosis:
    started_ms = now_ms()
    sent = 0

    def notify_step(findings: ConnectionFindings, running: Step) -> None:
        nonlocal sent
        checks = connection_checks(findings, live.target, live.id, now_ms())
        notify(DiagnosisLine(checks=tuple(checks[sent:]), running=running))
        sent = len(checks)

    notify(DiagnosisLine(running="name"))
    findings = await service.probe(live, notify_step)
    if service.stopping.is_set():
        raise Unavailable("the server is stopping; it sends no more pings")
    ping = None
    if findings.error is None:
        notify_step(findings, "ping")
        ping = await _ping(service, caller, shown, live.id)
    # Read again: a 410 has disabled it, and the backlog may have been sent meanwhile.
    after = await service.reads.run(
        caller, partial(service.store.read, queries.get_hook, None, live.id)
    )
    still = service.store.hooks().get(live.id, live)
    return diagnose(
        DiagnosisInput(
            hook=with_pace(after, service.engine.pace_of(live.id)),
            target=live.target,
            findings=findings,
            ping=ping,
            breaker_until_ms=still.breaker_until_ms,
            paused=service.store.paused,
            started_at=to_rfc3339(started_ms),
            now_ms=now_ms(),
        )
    )


async def _ping(service: Service, caller: Caller, shown: Hook, hook: HookId) -> Attempt | None:
    delivery = await service.engine.ping(hook, encode(shown))
    get = partial(service.store.read, queries.get_delivery, None, delivery)
    record = await service.reads.run(caller, get)
    attempts = (await detail_of(service, caller, record)).attempts
    return attempts[-1] if attempts else None
