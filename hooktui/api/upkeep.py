"""Keeping house: dropping what is old."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import caller_of
from hooktui.api.answers import answer
from hooktui.api.parameters import AccountParameter, moment
from hooktui.api.reading import check_account
from hooktui.api.service import service_of
from hooktui.domain import ids
from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.errors import Refused
from hooktui.domain.wire.server import Purge
from hooktui.store import changes

PURGE_WITHIN_S = 5.0
"""Work of one call; a client that wants all of it gone calls again with ``next``."""

router = APIRouter()


class PurgeBody(BaseModel):
    """What to drop: events older than ``30d``, or from before an RFC 3339 time.

    ``after`` is the ``next`` of the call before.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    older_than: str
    after: str | None = None


@router.post("/v1/purge", response_model=Purge)
async def purge(request: Request, body: PurgeBody, account: AccountParameter = None) -> Response:
    """Drop old events with their deliveries and attempts; ``next`` says where to go on."""
    service, caller = service_of(request), caller_of(request)
    before_ms, after = _checked(body)
    owner = caller.account_or_any(account)
    if owner is not None:
        await check_account(service, owner)
    before = to_rfc3339(before_ms)
    if body.after is None:  # told before anything goes, so that nothing goes untold
        await service.store.write(changes.audit_purge, caller.actor, owner, {"before": before})
    gone = await service.store.purge(before_ms, within_s=PURGE_WITHIN_S, account=owner, after=after)
    if gone.events:
        told = {"before": before, "events": gone.events, "deliveries": gone.deliveries}
        await service.store.write(changes.audit_purge, caller.actor, owner, told)
    rest = None if gone.after is None else ids.encode("evt", gone.after)
    return answer(Purge(before, gone.events, gone.deliveries, gone.attempts, rest))


def _checked(body: PurgeBody) -> tuple[int, int]:
    try:
        before_ms = moment(body.older_than)
    except ValueError as error:
        raise Refused.field("/older_than", f"older_than: {error}") from None
    if not 0 <= before_ms <= now_ms():
        raise Refused.field("/older_than", "older_than lies in the future, or before 1970")
    try:
        return before_ms, 0 if body.after is None else ids.decode("evt", body.after[:100])
    except ValueError:
        raise Refused.field("/after", "after is the next of the call before") from None
