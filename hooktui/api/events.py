"""Events come in here, and can be looked at afterwards.

Taking one in is the hot path: no framework between the bytes and the engine, and the stored body is
exactly what was sent.
"""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import Caller, caller_of
from hooktui.api.answers import JSON, answer
from hooktui.api.bodies import (
    check_json,
    check_json_type,
    check_ndjson_type,
    lines_of,
    read_body,
)
from hooktui.api.parameters import (
    AccountParameter,
    EventParameter,
    Text,
    Window,
    account_number,
    filter_of,
)
from hooktui.api.reading import check_account, read_in
from hooktui.api.service import Service, service_of
from hooktui.domain import ids
from hooktui.domain.catalogue import unknown
from hooktui.domain.errors import FieldError, Malformed, Refused, TooLarge
from hooktui.domain.ids import AccountId
from hooktui.domain.objects import Catalogue, Event, EventDetail, Page
from hooktui.domain.text import visible
from hooktui.store import queries
from hooktui.store.contract import Accepted, Offer

MAX_BODY_BYTES = 256 * 1024
MAX_LINES, MAX_LINES_BYTES = 1000, 8 * 1024 * 1024
MAX_KEY_LENGTH = 255

router = APIRouter()


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """One line of NDJSON; ``data`` stays the exact slice."""

    type: str
    data: msgspec.Raw
    key: str | None = None


_decode_line = msgspec.json.Decoder(_Line).decode


async def accept_one(request: Request) -> Response:
    """Take in one event: the body is what its receivers get, byte by byte."""
    scope = request.scope
    check_json_type(scope)
    body = await read_body(scope, request.receive, MAX_BODY_BYTES)
    check_json(body)
    service = service_of(request)
    event_type: str = request.path_params["event"]
    if event_type not in service.event_types:
        raise Refused.field("/type", unknown(service.catalogue, visible(event_type, limit=100)))
    account = await _account(request, service, caller_of(request))
    key = request.headers.get("idempotency-key")
    if key is not None:
        wrong = _check_key(key)
        if wrong:
            raise Refused.field("/key", f"Idempotency-Key {wrong}")
    (accepted,) = await service.engine.accept([Offer(account, event_type, body, key)])
    return Response(_encode(accepted), 202, media_type=JSON)


async def accept_many(request: Request) -> Response:
    """Take in many events, one a line: all or none of them, in one transaction."""
    scope = request.scope
    check_ndjson_type(scope)
    body = await read_body(scope, request.receive, MAX_LINES_BYTES)
    service = service_of(request)
    account = await _account(request, service, caller_of(request))
    offers = _offers(body, account, service)
    accepted = await service.engine.accept(offers)
    inside = b",".join([_encode(one) for one in accepted])
    return Response(b'{"accepted":%d,"data":[%b]}' % (len(accepted), inside), 202, media_type=JSON)


def _offers(body: bytes, account: AccountId, service: Service) -> list[Offer]:
    offers: list[Offer] = []
    errors: list[FieldError] = []
    for number, line in lines_of(body):
        if len(offers) == MAX_LINES:
            raise TooLarge(f"more than {MAX_LINES} lines; send them in several requests")
        found = _parse_line(number, line)
        data = bytes(found.data)
        if len(data) > MAX_BODY_BYTES:
            raise TooLarge(f"line {number + 1}: data is over {MAX_BODY_BYTES // 1024} KiB")
        if found.type not in service.event_types:
            wrong = unknown(service.catalogue, visible(found.type, limit=100))
            errors.append(FieldError(f"/{number}/type", f"line {number + 1}: {wrong}"))
        if found.key is not None:
            wrong_key = _check_key(found.key)
            if wrong_key:
                detail = f"line {number + 1}: key {wrong_key}"
                errors.append(FieldError(f"/{number}/key", detail))
        offers.append(Offer(account, found.type, data, found.key))
    if errors:
        raise Refused.fields(errors)
    if not offers:
        raise Malformed('the body is empty; send lines of {"type": …, "data": …}')
    return offers


def _parse_line(number: int, line: bytes) -> _Line:
    what = f"line {number + 1}"
    # First the whole line as JSON: the decoder only skips over ``data`` and takes any bytes there.
    check_json(line, what)
    try:
        return _decode_line(line)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        pointer = f"/{number}" + place.rstrip("`").replace(".", "/")
        raise Refused.field(pointer, f"{what}: {message[:1].lower()}{message[1:200]}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # JSON by the RFC that this parser does not take, such as "\ud800" in a type.
        raise Malformed(f"{what}: {error}") from None


def _check_key(key: str) -> str | None:
    if not 1 <= len(key) <= MAX_KEY_LENGTH:
        return f"has {len(key)} characters; 1 to {MAX_KEY_LENGTH} are taken"
    if not key.isprintable():
        return "holds control characters; use printable ones"
    return None


async def _account(request: Request, service: Service, caller: Caller) -> AccountId:
    """Return the account that an event is for; a look into the store only the first time."""
    asked = None
    if request.scope["query_string"]:
        asked = account_number(request.query_params.get("account"))
    account = caller.account(asked)
    if account not in service.accounts:
        await check_account(service, account)
        service.accounts.add(account)
    return account


def _encode(accepted: Accepted) -> bytes:
    # The type is one of the catalogue's, whose letters need no escape.
    return (
        f'{{"id":"{ids.encode("evt", accepted.id)}","type":"{accepted.type}",'
        f'"account":{accepted.account},"deliveries":{accepted.deliveries},'
        f'"skipped":{accepted.skipped},"duplicate":{"true" if accepted.duplicate else "false"}}}'
    ).encode("ascii")


@router.get("/v1/events", response_model=Page[Event])
async def list_events(
    request: Request,
    window: Window,
    account: AccountParameter = None,
    type: Text = None,  # noqa: A002 - the parameter's name on the wire
    q: Text = None,
) -> Response:
    """List events, newest first."""
    service = service_of(request)
    owner = caller_of(request).account(account)
    page = await read_in(service, owner, queries.list_events, owner, window, type, filter_of(q))
    return answer(page)


@router.get("/v1/events/{event}", response_model=EventDetail)
async def get_event(
    request: Request, event: EventParameter, account: AccountParameter = None
) -> Response:
    """Show one event with its body, its deliveries and the hooks it skipped."""
    service = service_of(request)
    owner = caller_of(request).account_or_any(account)
    return answer(await service.store.read(queries.get_event, owner, event))


@router.get("/v1/event-types", response_model=Catalogue)
async def event_types(request: Request) -> Response:
    """List the groups and types of events that this installation knows."""
    return answer(service_of(request).catalogue)
