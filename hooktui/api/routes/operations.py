"""Operations: purge, doctor, pause and resume, encryption keys."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import caller_of
from hooktui.api.parameters import AccountParameter, RequestBody, make_router, next_of, past_moment
from hooktui.api.responses import respond
from hooktui.api.service import check_account, in_turn, service_of
from hooktui.domain import ids
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.errors import Conflict
from hooktui.domain.wire.diagnosis import DoctorReport, report_of
from hooktui.domain.wire.server import EngineState, KeyRotation, Keys, Purge
from hooktui.store import changes, key_rotation
from hooktui.store.tx import Tx

PURGE_WITHIN_S = 5.0
"""Time limit of one call; to delete everything, a client calls again with ``next``."""

router = make_router("server")


class PurgeBody(RequestBody):
    """The scope of a purge: events older than ``30d``, or from before an RFC 3339 time.

    ``after`` is the ``next`` of the previous call.
    """

    older_than: str
    after: str | None = None


@router.post("/v1/purge", response_model=Purge)
async def purge(request: Request, body: PurgeBody, account: AccountParameter = None) -> Response:
    """Delete old events with their deliveries and attempts; ``next`` says where to continue."""
    service, caller = service_of(request), caller_of(request)
    before_ms = past_moment("older_than", body.older_than)
    after = 0 if body.after is None else next_of("evt", body.after)
    owner = caller.account_or_any(account)
    await check_account(service, owner)
    before = to_rfc3339(before_ms)
    entry = partial(
        Tx.audit, actor=caller.actor, action="events.purge", target="events", account=owner
    )
    if body.after is None:  # audited before anything is deleted
        await service.store.write(entry, after={"before": before})
    gone = await service.store.purge(before_ms, within_s=PURGE_WITHIN_S, account=owner, after=after)
    if gone.events:
        result = {"before": before, "events": gone.events, "deliveries": gone.deliveries}
        await service.store.write(entry, after=result)
    rest = None if gone.after is None else ids.encode("evt", gone.after)
    return respond(Purge(before, gone.events, gone.deliveries, gone.attempts, rest))


@router.get("/v1/doctor", response_model=DoctorReport)
async def doctor(request: Request) -> Response:
    """Check disk, database, clock and files; takes up to half a minute for a large database."""
    return respond(report_of(await service_of(request).check()))


@router.post("/v1/engine/pause", response_model=EngineState)
async def pause_sending(request: Request) -> Response:
    """Pause all sending except pings at every server; events are still accepted and queued."""
    actor = caller_of(request).actor
    return respond(await service_of(request).store.write(changes.pause, actor))


@router.post("/v1/engine/resume", response_model=EngineState)
async def resume_sending(request: Request) -> Response:
    """Resume sending; due deliveries are sent immediately."""
    actor = caller_of(request).actor
    return respond(await service_of(request).store.write(changes.resume, actor))


ROTATE_WITHIN_S = 15.0
"""Time limit of one call; a client calls again while something is ``left``."""


class KeyRotationBody(RequestBody):
    """``keep_old``: old keys stay, so that backups made before can still be restored."""

    keep_old: bool = False


@router.get("/v1/keys", response_model=Keys)
async def list_keys(request: Request) -> Response:
    """List keys by their ids, with how many values each has encrypted."""
    service = service_of(request)
    return respond(
        await in_turn(request, partial(key_rotation.keys_in_use, service.store, service.key_file))
    )


@router.post("/v1/keys/rotate", response_model=KeyRotation)
async def rotate_keys(request: Request, body: KeyRotationBody) -> Response:
    """Encrypt all values with a new key; the next call continues an incomplete rotation."""
    service = service_of(request)
    if service.rotating.locked():
        raise Conflict("a rotation of the keys is in progress; wait until it has ended")
    async with service.rotating:
        done = await key_rotation.rotate_keys(
            service.store,
            service.key_file,
            caller_of(request).actor,
            keep_old=body.keep_old,
            within_s=ROTATE_WITHIN_S,
        )
    return respond(done)
