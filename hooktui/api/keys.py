"""The keys that secrets are sealed with: which there are, and how they are rotated."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import caller_of
from hooktui.api.answers import answer
from hooktui.api.service import service_of
from hooktui.domain.errors import Conflict
from hooktui.domain.wire.server import KeyRotation, Keys
from hooktui.store.rotation import keys_in_use, rotate_keys

ROTATE_WITHIN_S = 15.0
"""Work of one call; a client calls again while something is ``left``."""

router = APIRouter()


class KeyRotationBody(BaseModel):
    """``keep_old``: old keys stay, so that backups made before can still be restored."""

    model_config = ConfigDict(extra="forbid", strict=True)

    keep_old: bool = False


@router.get("/v1/keys", response_model=Keys)
async def keys(request: Request) -> Response:
    """List keys by their ids, with how many values each has sealed."""
    service = service_of(request)
    return answer(await keys_in_use(service.store, service.key_file))


@router.post("/v1/keys/rotate", response_model=KeyRotation)
async def rotate(request: Request, body: KeyRotationBody) -> Response:
    """Seal everything with a new key; what a call leaves, or a kill, the next one goes on with."""
    service = service_of(request)
    if service.rotating.locked():
        raise Conflict("a rotation of the keys is at work; wait for its end")
    async with service.rotating:
        done = await rotate_keys(
            service.store,
            service.key_file,
            caller_of(request).actor,
            keep_old=body.keep_old,
            within_s=ROTATE_WITHIN_S,
        )
    return answer(done)
