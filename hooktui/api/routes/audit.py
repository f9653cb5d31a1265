"""The audit trail: its entries and the verification of its chain."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import caller_of
from hooktui.api.parameters import (
    WHOLE,
    AccountParameter,
    Moment,
    Text,
    Window,
    make_router,
)
from hooktui.api.responses import respond
from hooktui.api.service import read, read_in, service_of
from hooktui.domain.errors import Refused
from hooktui.domain.wire.access import AuditCheck, AuditEntry
from hooktui.domain.wire.pages import Page
from hooktui.store import queries
from hooktui.store.queries import AuditQuery, KnownEntry

_KNOWN = re.compile(r"([1-9][0-9]{0,17}):([0-9a-fA-F]{64})")

router = make_router("access")


@router.get("/v1/audit", response_model=Page[AuditEntry])
async def list_audit(
    request: Request,
    window: Window,
    account: AccountParameter = None,
    user: Text = None,
    role: Text = None,
    action: Text = None,
    target: Text = None,
    result: Text = None,
    since: Moment = None,
    until: Moment = None,
) -> Response:
    """List audit entries, newest first; a trailing ``*`` in a text matches any rest.

    Without ``account`` all entries are listed, because many belong to no account.
    """
    owner = caller_of(request).account_or_any(account)
    query = AuditQuery(
        user=user,
        role=role,
        action=action,
        target=target,
        result=result,
        since_ms=since,
        until_ms=until,
    )
    return respond(await read_in(request, owner, queries.list_audit, window, query))


@router.get("/v1/audit/verify", response_model=AuditCheck)
async def verify_audit(
    request: Request,
    after: Annotated[int, Query(ge=0, le=2**63 - 1), WHOLE] = 0,
    known: Text = None,
) -> Response:
    """Verify a part of the chain after an entry; repeat with ``next`` until it is null.

    ``known`` is an entry that was noted before, as ``ID:HASH``; the chain must still contain it.
    """
    vault = service_of(request).store.vault
    noted = None if known is None else _known(known)
    return respond(await read(request, queries.check_chain, vault, after, known=noted))


def _known(text: str) -> KnownEntry:
    match = _KNOWN.fullmatch(text)
    if match is None:
        raise Refused.field("/known", f"{text[:80]!r} is not an entry; write it as ID:HASH")
    return KnownEntry(int(match[1]), bytes.fromhex(match[2]))
