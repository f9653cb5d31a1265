"""Parameters and bodies of several routes: ids, the account, the window of a list, times."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Final, Literal, get_args, get_origin

from fastapi import APIRouter, Depends, Path, Query
from fastapi.dependencies.models import Dependant
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from starlette.requests import Request
from starlette.types import Scope

from hooktui.api.access import caller_of
from hooktui.domain import ids
from hooktui.domain.clock import now_ms, parse_moment
from hooktui.domain.errors import FieldError, Refused, pointer
from hooktui.domain.filters.hook_search import parse_hook_search
from hooktui.domain.filters.parser import FilterError, parse
from hooktui.domain.filters.terms import Filter
from hooktui.domain.ids import DeliveryId, EventId, HookId
from hooktui.domain.setting import as_whole
from hooktui.domain.signatures import MAX_SECRET_LENGTH, MIN_SECRET_LENGTH
from hooktui.domain.wire.pages import MAX_LIMIT
from hooktui.store.planning.accept import MAX_KEY, key_fault
from hooktui.store.queries.pages import DEFAULT_LIMIT, PageRequest

if TYPE_CHECKING:
    from fastapi._compat import ModelField

MAX_TEXT = 2000


class RequestBody(BaseModel):
    """The JSON body of a request: its members alone, each of its own type."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


_INTEGER = re.compile(r"[1-9][0-9]{0,17}")  # fits a 64-bit column
MAX_ID = 10**18 - 1
INTEGER_SCHEMA = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
_INTEGER_SCHEMA = WithJsonSchema(dict(INTEGER_SCHEMA))


KEY_BOUNDS: Final = {"minLength": 1, "maxLength": MAX_KEY}
SECRET_BOUNDS: Final = {"minLength": MIN_SECRET_LENGTH, "maxLength": MAX_SECRET_LENGTH}

WHOLE = BeforeValidator(as_whole)
"""Comes after the bounds of a parameter: the OpenAPI document omits bounds that come after it."""


def _number(text: object) -> int:
    if isinstance(text, str) and _INTEGER.fullmatch(text):
        return int(text)
    if isinstance(text, str) and text.isascii() and text.isdigit() and text.strip("0"):
        raise ValueError(f"{text[:40]!r} is not an id; ids have at most 18 digits and no leading 0")
    raise ValueError(f"{str(text)[:40]!r} is not an id; ids are whole numbers from 1")


def _decoder(prefix: ids.Prefix) -> BeforeValidator:
    return BeforeValidator(lambda text: ids.decode(prefix, str(text)[:100]))


def _text_schema(prefix: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{prefix}_[0-9A-HJKMNP-TV-Z]{{13}}$"})


HookParameter = Annotated[HookId, BeforeValidator(_number), _INTEGER_SCHEMA, Path()]
TokenParameter = Annotated[int, BeforeValidator(_number), _INTEGER_SCHEMA, Path()]
EventParameter = Annotated[EventId, _decoder("evt"), _text_schema("evt"), Path()]
DeliveryParameter = Annotated[DeliveryId, _decoder("dlv"), _text_schema("dlv"), Path()]
ReplayParameter = Annotated[int, _decoder("rpl"), _text_schema("rpl"), Path()]
AlertParameter = Annotated[int, _decoder("alr"), _text_schema("alr"), Path()]

HookQuery = Annotated[HookId | None, BeforeValidator(_number), _INTEGER_SCHEMA, Query()]
HookQueries = Annotated[
    Sequence[Annotated[HookId, BeforeValidator(_number), _INTEGER_SCHEMA]], Query(max_length=100)
]
EventQuery = Annotated[EventId | None, _decoder("evt"), _text_schema("evt"), Query()]

ACCOUNT: Final = "The account; if omitted, that of a bound token, else {}."
AccountParameter = Annotated[
    int | None,
    BeforeValidator(_number),
    _INTEGER_SCHEMA,
    Query(description=ACCOUNT.format(1)),
]


def _without_nul(text: str | None) -> str | None:
    # No stored text contains it, and PostgreSQL refuses it as a value.
    if text is not None and "\0" in text:
        raise ValueError(f"{text[:40]!r} contains NUL; leave it out")
    return text


Text = Annotated[str | None, AfterValidator(_without_nul), Query(max_length=MAX_TEXT)]


async def refuse_unread(request: Request) -> None:
    """Refuse what a route does not read: a misspelt filter would list everything.

    These are unknown and repeated parameters, and fields in the body of a request that takes none.
    Like each dependency it is a coroutine: FastAPI calls a plain function in a thread.

    Raises:
        Refused: names each of them.
    """
    route = request.scope["route"]
    # Monitoring may call /healthz with a parameter that bypasses caches.
    if request.query_params and request.url.path.startswith("/v1/"):
        fields = _query_fields(route.dependant)
        refuse_unknown(request.query_params, {field.alias for field in fields})
        once = [field.alias for field in fields if not _is_list(field.field_info.annotation)]
        refuse_repeated(request.query_params.multi_items(), once)
    if request.method in ("POST", "DELETE"):
        body = await request.body()
        if route.body_field is None:
            _refuse_body(body)
        elif body.strip() == b"null":  # FastAPI takes it for no body where that is optional
            raise Refused.field("", "the body must be a JSON object")


def make_router(tag: str) -> APIRouter:
    """Return the router of a module; its routes are complete when they are declared.

    FastAPI completes the routes of an included router at the first request, which would block the
    event loop for 0.1 s.

    Args:
        tag: a chapter of the API's documentation.
    """
    return APIRouter(
        tags=[tag],
        dependencies=[Depends(refuse_unread)],
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
            FieldError(pointer([name[:50]]), f"unknown parameter {name[:50]!r}; known: {names}")
            for name in unknown
        )


def refuse_repeated(given: Iterable[tuple[str, str]], names: Collection[str]) -> None:
    """Check that parameters with one value are given once: else it is unclear which one counts.

    Raises:
        Refused: names each that is repeated.
    """
    counts = Counter(name for name, _ in given)
    repeated = [name for name in names if counts[name] > 1]
    if repeated:
        raise Refused.fields(
            FieldError(pointer([name]), f"the parameter {name} is there twice; send it once")
            for name in repeated
        )


def _refuse_body(body: bytes) -> None:
    """Refuse the fields of a request that takes none: the caller meant another request."""
    content = json.loads(body, parse_int=str) if body.strip() else {}
    if content == {}:
        return
    name = next(iter(content)) if isinstance(content, dict) else ""
    raise Refused.field(
        pointer([name] if name else []),
        "this request takes no fields; leave them out, or send the request that they belong to",
    )


def _is_list(annotation: object) -> bool:
    return get_origin(annotation) in (list, Sequence) or any(map(_is_list, get_args(annotation)))


def _query_fields(dependant: Dependant) -> list[ModelField]:
    inner = [_query_fields(dependency) for dependency in dependant.dependencies]
    return [*dependant.query_params, *chain.from_iterable(inner)]


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
    int | None,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string"}),
    Query(description="A time (RFC 3339), or an age such as 10m or 7d."),
]


_SKEW_MS: Final = 10_000
"""The clock of a caller may be ahead by as much."""


def past_moment(name: str, text: str) -> int:
    """Return the time (ms) in a field of a body that names what is older.

    Raises:
        Refused: it is not a time, or in the future.
    """
    try:
        at_ms = _moment(text)
    except ValueError as error:
        raise Refused.field(f"/{name}", f"{name}: {error}") from None
    now = now_ms()
    if not 0 <= at_ms <= now + _SKEW_MS:
        raise Refused.field(f"/{name}", f"{name} is in the future, or before 1970")
    return min(at_ms, now)


def next_of(prefix: ids.Prefix, text: str) -> int:
    """Return the id from which a call continues the previous one.

    Raises:
        Refused: it is not an id of this kind.
    """
    try:
        return ids.decode(prefix, text[:100])
    except ValueError:
        raise Refused.field("/after", "after must be the next of the previous call") from None


CURSOR: Final = "The `next` or `prev` of a page; the other parameters are those of that page."


async def _window(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT), WHOLE] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=MAX_TEXT, description=CURSOR)] = None,
    sort: Annotated[str | None, Query(max_length=100)] = None,
    order: Annotated[Literal["asc", "desc"] | None, Query()] = None,
    from_end: Annotated[bool, Query(description="The last page, in the same order.")] = False,
) -> PageRequest:
    return PageRequest(
        limit=limit,
        cursor=cursor,
        sort=sort,
        order=order,
        from_end=from_end,
        selection=_selection_of(request),
    )


_OF_THE_WINDOW: Final = frozenset(inspect.signature(_window).parameters)


def _selection_of(request: Request) -> str:
    """Return a digest of all that selects the rows of a list: path, parameters and account.

    Elsewhere a cursor would skip rows without notice: those before its place that match there.
    """
    given = sorted(
        item for item in request.query_params.multi_items() if item[0] not in _OF_THE_WINDOW
    )
    selected = json.dumps([request.url.path, caller_of(request).bound_to, given])
    return hashlib.sha256(selected.encode()).hexdigest()[:16]


Window = Annotated[PageRequest, Depends(_window)]
"""The page of a list: ``limit``, ``cursor``, ``sort``, ``order``, ``from_end``."""


def filter_of(q: str | None, read: Callable[[str], Filter] = parse) -> Filter | None:
    """Parse the filter in ``q``; None: no filter.

    Raises:
        Refused: it is not a filter; names the column.
    """
    if q is None or not q.strip():
        return None
    try:
        return read(q)
    except FilterError as error:
        raise Refused.field("/q", error.detail) from None


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


_REVISION_1 = re.compile(r"hooktui/\S+")


def is_of_revision_1(request: Request) -> bool:
    """Return whether a request comes from a client that reads the first revision of the API.

    Clients of hooktui state the revision in ``User-Agent``, as in ``hooktui/0.1.0 api/2``; those of
    revision 1 state none.
    """
    return _REVISION_1.fullmatch(request.headers.get("user-agent", "")) is not None


def read_idempotency_key(scope: Scope) -> str | None:
    """Return the ``Idempotency-Key`` of a request, if it has one.

    Raises:
        Refused: it cannot be one, or there are two: it is unclear which one names a repetition.
    """
    keys = [value for name, value in scope["headers"] if name == b"idempotency-key"]
    if not keys:
        return None
    try:
        key = str(keys[0], "utf-8")
    except UnicodeDecodeError:
        raise Refused.field("/key", "Idempotency-Key is not UTF-8") from None
    wrong = "is there twice; send one" if len(keys) > 1 else key_fault(key)
    if wrong:
        raise Refused.field("/key", f"Idempotency-Key {wrong}")
    return key
