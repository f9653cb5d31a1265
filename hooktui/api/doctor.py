"""How the installation is, as far as its server can see: for ``hooktui doctor``."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.answers import answer
from hooktui.api.service import service_of
from hooktui.domain.wire.diagnosis import Checkup, checkup_of

router = APIRouter()


@router.get("/v1/doctor", response_model=Checkup)
async def doctor(request: Request) -> Response:
    """Measure disk, database, clock and files; takes up to half a minute of a large database."""
    return answer(checkup_of(await service_of(request).check()))
