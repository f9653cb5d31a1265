"""What many routes share: bodies, ids in paths, the account, the window of a list, times."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from starlette.requests import Request

from hooktui.domain import ids
from hooktui.domain.clock import now_ms, parse_moment
from hooktui.domain.errors import FieldError, Refused, pointer
from hooktui.domain.filters.hook_search import parse_hook_search
from hooktui.domain.filters.parser import Filter, FilterError, parse, parse_event_filter
from hooktui.domain.ids import DeliveryId, EventId, HookId
from hooktui.store.queries.pages import PageRequest

DEFAULT_LIMIT, MAX_LIMIT = 50, 500
MAX_TEXT = 2000


class RequestBody(BaseModel):
    """The JSON body of a request: its members alone, each of its own type."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


_INTEGER = re.compile(r"[1-9][0-9]{0,17}")  # fits a 64-bit column
MAX_ID = 10**18 - 1
INTEGER_SCHEMA = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
_INTEGER_SCHEMA = WithJsonSchema(dict(INTEGER_SCHEMA))


def _number(text: object) -> int:
    if isinstance(text, str) and _INTEGER.fullmatch(text):
        return int(text)
    raise ValueError(f"{str(text)[:40]!r} is not an id; ids are whole numbers from 1")


def _event(text: object) -> EventId:
    return EventId(ids.decode("evt", str(text)[:100]))


def _delivery(text: object) -> DeliveryId:
    return DeliveryId(ids.decode("dlv", str(text)[:100]))


def _replay(text: object) -> int:
    return ids.decode("rpl", str(text)[:100])


def _alert(text: object) -> int:
    return ids.decode("alr", str(text)[:100])


def _text_schema(prefix: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{prefix}_[0-9A-HJKMNP-TV-Z]{{13}}$"})


HookParameter = Annotated[HookId, BeforeValidator(_number), _INTEGER_SCHEMA, Path()]
TokenParameter = Annotated[int, BeforeValidator(_number), _INTEGER_SCHEMA, Path()]
EventParameter = Annotated[EventId, BeforeValidator(_event), _text_schema("evt"), Path()]
DeliveryParameter = Annotated[DeliveryId, BeforeValidator(_delivery), _text_schema("dlv"), Path()]
ReplayParameter = Annotated[int, BeforeValidator(_replay), _text_schema("rpl"), Path()]
AlertParameter = Annotated[int, BeforeValidator(_alert), _text_schema("alr"), Path()]

HookQuery = Annotated[HookId | None, BeforeValidator(_number), _INTEGER_SCHEMA, Query()]
HookQueries = Annotated[
    Sequence[Annotated[HookId, BeforeValidator(_number), _INTEGER_SCHEMA]], Query(max_length=100)
]
EventQuery = Annotated[EventId | None, BeforeValidator(_event), _text_schema("evt"), Query()]

AccountParameter = Annotated[
    int | None,
    BeforeValidator(_number),
    _INTEGER_SCHEMA,
    Query(description="The account; 1 if omitted."),
]
Text = Annotated[str | None, Query(max_length=MAX_TEXT)]


async def only_known(request: Request) -> None:
    """Refuse parameters that a route does not have: a misspelt filter would list everything.

    Like each dependency it is a coroutine: FastAPI calls a plain function in a thread.

    Raises:
        Refused: names each of them, and the known ones.
    """
    # Monitoring may call /healthz with a parameter that bypasses caches.
    if request.query_params and request.url.path.startswith("/v1/"):
        refuse_unknown(request.query_params, _names_of(request.scope["route"].dependant))


def make_router(tag: str) -> APIRouter:
    """Return the router of a module; its routes are complete when they are declared.

    FastAPI completes the routes of an included router at the first request, which would block the
    event loop for 0.1 s.

    Args:
        tag: a chapter of the API's documentation.
    """
    return APIRouter(
        tags=[tag],
        dependencies=[Depends(only_known)],
        generate_unique_id_function=lambda route: route.name,
        strict_content_type=False,
    )


def refuse_unknown(given: Iterable[str], known: Collection[str]) -> None:
    """Check that all given names of parameters are known.

    Raises:
        Refused: names each unknown one.
    """
    names = ", ".join(sorted(known)) or "none"
    unknown = [name for name in given if name not in known]
    if unknown:
        raise Refused.fields(
            FieldError(
                pointer([name[:50]]), f"there is no parameter {name[:50]!r} here; known: {names}"
            )
            for name in unknown
        )


def _names_of(dependant: Dependant) -> set[str]:
    names = {field.alias for field in dependant.query_params}
    return names.union(*(_names_of(dependency) for dependency in dependant.dependencies))


def account_number(text: str | None) -> int | None:
    """Return the number of an account from a query.

    Raises:
        Refused: it is not a number.
    """
    if text is None:
        return None
    try:
        return _number(text)
    except ValueError as error:
        raise Refused.field("/account", f"account: {error}") from None


def _moment(text: str) -> int:
    return parse_moment(text.replace(" ", "+"), now_ms())  # an unescaped +


Moment = Annotated[
    int | None, BeforeValidator(_moment), WithJsonSchema({"type": "string"}), Query()
]


def past_moment(name: str, text: str) -> int:
    """Return the time (ms) in a field of a body that names what is older.

    Raises:
        Refused: it is not a time, or in the future.
    """
    try:
        at_ms = _moment(text)
    except ValueError as error:
        raise Refused.field(f"/{name}", f"{name}: {error}") from None
    if not 0 <= at_ms <= now_ms():
        raise Refused.field(f"/{name}", f"{name} is in the future, or before 1970")
    return at_ms


def next_of(prefix: ids.Prefix, text: str) -> int:
    """Return the id from which a call continues the previous one.

    Raises:
        Refused: it is not an id of this kind.
    """
    try:
        return ids.decode(prefix, text[:100])
    except ValueError:
        raise Refused.field("/after", "after must be the next of the previous call") from None


async def _window(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=MAX_TEXT)] = None,
    sort: Annotated[str | None, Query(max_length=100)] = None,
    order: Annotated[Literal["asc", "desc"] | None, Query()] = None,
    from_end: Annotated[bool, Query()] = False,
) -> PageRequest:
    return PageRequest(limit=limit, cursor=cursor, sort=sort, order=order, from_end=from_end)


Window = Annotated[PageRequest, Depends(_window)]
"""The page of a list: ``limit``, ``cursor``, ``sort``, ``order``, ``from_end``."""


def filter_of(q: str | None) -> Filter | None:
    """Parse the filter in ``q``; None: no filter.

    Raises:
        Refused: it is not a filter; names the column.
    """
    return _filter_of(q, parse)


def event_filter_of(q: str | None) -> Filter | None:
    """Parse the filter of events in ``q``; None: no filter.

    Raises:
        Refused: it is not a filter; names the column.
    """
    return _filter_of(q, parse_event_filter)


def hook_search_of(q: str | None) -> str | None:
    """Return a validated search for hooks as text; None: no search.

    Raises:
        Refused: it is not a search; names the column.
    """
    try:
        parse_hook_search(q or "")
    except FilterError as error:
        raise Refused.field("/q", error.detail) from None
    return q


def _filter_of(q: str | None, read: Callable[[str], Filter]) -> Filter | None:
    if q is None or not q.strip():
        return None
    try:
        return read(q)
    except FilterError as error:
        raise Refused.field("/q", error.detail) from None


_REVISION_1 = re.compile(r"hooktui/\S+")


def is_of_revision_1(request: Request) -> bool:
    """Return whether a request comes from a client that reads the first revision of the API.

    Clients of hooktui state the revision in ``User-Agent``, as in ``hooktui/0.1.0 api/2``; those of
    revision 1 state none.
    """
    return _REVISION_1.fullmatch(request.headers.get("user-agent", "")) is not None
