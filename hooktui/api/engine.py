"""Pausing all sending of this installation, and letting it go on."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import caller_of
from hooktui.api.answers import answer
from hooktui.api.service import service_of
from hooktui.domain.wire.server import EngineState
from hooktui.store import changes

router = APIRouter()


@router.post("/v1/engine/pause", response_model=EngineState)
async def pause(request: Request) -> Response:
    """Send nothing but pings from now on, at any server; events are taken in, and wait."""
    actor = caller_of(request).actor
    return answer(await service_of(request).store.write(changes.pause, actor))


@router.post("/v1/engine/resume", response_model=EngineState)
async def resume(request: Request) -> Response:
    """Send again; what is due goes out at once."""
    actor = caller_of(request).actor
    return answer(await service_of(request).store.write(changes.resume, actor))
