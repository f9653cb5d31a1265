"""Responses as JSON, and errors as problem objects (RFC 9457).

JSON is written in ASCII, so that its content cannot control a terminal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hooktui.domain.errors import (
    MAX_ERRORS,
    FieldError,
    HooktuiError,
    Malformed,
    NotFound,
    Refused,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    pointer,
)
from hooktui.domain.machine import condition_of

JSON = "application/json"


NO_STORE: Final = {"Cache-Control": "no-store"}
"""The headers of a response that holds a secret: no cache keeps it (RFC 9111, 5.2.2.5)."""


def encode(value: object) -> bytes:
    r"""Return the JSON of a value made of our dataclasses, with ``\uXXXX`` for non-ASCII."""
    plain = msgspec.to_builtins(value)
    text = json.dumps(plain, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    # DEL is ASCII and needs no escape in JSON, but terminals interpret it.
    return text.replace("\x7f", "\\u007f").encode("ascii")


def respond(
    value: object, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON response."""
    return Response(encode(value), status, headers, media_type=JSON)


def no_content() -> Response:
    """Return the response of a deletion."""
    return Response(status_code=204)


MEDIA_TYPE = "application/problem+json"

_WORD_STARTS = re.compile(r"(?<!^)(?=[A-Z])")


class MethodNotAllowed(HooktuiError):
    """The path exists but not with this method; ``allowed`` lists its methods."""

    status = 405
    title = "Method not allowed"

    def __init__(self, method: str, path: str, allowed: Sequence[str]) -> None:
        self.allowed = ", ".join(allowed)
        super().__init__(f"{method[:20]} is not a method of {path}; it has {self.allowed}")


class TooSlow(HooktuiError):
    """The request did not arrive in time."""

    status = 408
    title = "Request timeout"


class TargetTooLong(HooktuiError):
    """The request line is over its limit."""

    status = 414
    title = "URI too long"


class HeadTooLarge(HooktuiError):
    """The head of the request is over its limit."""

    status = 431
    title = "Request header fields too large"


def problem(error: HooktuiError) -> Response:
    """Return the response for an error."""
    return Response(encode(content_of(error)), error.status, _headers(error), media_type=MEDIA_TYPE)


def content_of(error: HooktuiError) -> dict[str, object]:
    """Return the fields of an error's problem object."""
    content: dict[str, object] = {
        "type": "urn:hooktui:problem:" + _WORD_STARTS.sub("-", type(error).__name__).lower(),
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
    }
    if isinstance(error, Refused) and error.errors:
        content["errors"] = list(error.errors)
    return content


def _headers(error: HooktuiError) -> Mapping[str, str]:
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": 'Bearer realm="hooktui", Basic realm="hooktui"'}
    if isinstance(error, TooManyRequests | Unavailable):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, MethodNotAllowed):
        return {"Allow": error.allowed}
    if isinstance(error, TooSlow):
        return {"Connection": "close"}
    return {}


def install(app: FastAPI) -> None:
    """Make an application return every error as a problem object."""
    for kind in (HooktuiError, RequestValidationError, HTTPException, OSError, MemoryError):
        app.add_exception_handler(kind, _on_error)
    app.add_exception_handler(Exception, _on_unexpected)


async def _on_error(_request: Request, error: Exception) -> Response:
    match error:
        case HooktuiError():
            return problem(error)
        case RequestValidationError():
            return problem(translate(error.errors()))
        case HTTPException():
            kind = {400: Malformed, 404: NotFound, 413: TooLarge}.get(
                error.status_code, HooktuiError
            )
            return problem(kind(str(error.detail)))
    short = shortage_problem(error)
    if short is None:
        raise error  # any other system error is a bug
    return problem(short)


def shortage_problem(error: Exception) -> Unavailable | None:
    """Return the problem of an error that a shortage of this machine caused."""
    condition = condition_of(error)
    if condition is None:
        return None
    return Unavailable(f"this machine {condition.words}; {condition.advice}", retry_after_s=5)


async def _on_unexpected(_request: Request, _error: Exception) -> Response:
    return unexpected()


def unexpected() -> Response:
    """Return the response to a bug; it reveals no internals, which are in the log."""
    return problem(HooktuiError("internal server error; see the server log"))


def translate(errors: Sequence[Mapping[str, object]]) -> HooktuiError:
    """Convert the findings of pydantic into one of our errors."""
    problems: list[FieldError] = []
    for error in errors[: MAX_ERRORS + 1]:
        location = error.get("loc")
        where, *rest = location if isinstance(location, tuple) else ("body",)
        if where == "path":
            return NotFound(describe_error("not found", error))
        if not rest and where == "body":
            if error.get("type") == "missing":
                return Malformed("the request has no body; send a JSON object")
            return Refused.field("", "the body must be a JSON object")
        if where == "query":
            rest = rest[:1]  # the caller wrote no list, but a parameter for each of its values
        name = ".".join(str(part)[:100] for part in rest)
        problems.append(FieldError(pointer(rest), describe_error(name, error)))
    return Refused.fields(problems)


_EXPECTED: Final = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number with fewer digits",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "string_unicode": "valid Unicode",
    "path_type": "a path",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "string_too_long": "at most {max_length} characters long",
    "too_long": "at most {max_length} values",
}
"""What a value must be, by the type of pydantic's error; the fields are of its context."""
_WITHOUT_VALUE: Final = ("string_type", "string_unicode", "string_too_long", "too_long")
"""Types of errors that do not repeat the value, which may be a secret, or is long."""


def describe_error(name: str, error: Mapping[str, object]) -> str:
    """Return the line for an error of pydantic about the value with this name."""
    kind, context = str(error.get("type")), error.get("ctx")
    if kind == "extra_forbidden":
        return f"unknown field {name[:100]!r}; see /openapi.json for the fields of this call"
    if kind == "missing":
        return f"{name} is missing"
    if kind not in _EXPECTED:
        message = str(error.get("msg")).removeprefix("Value error, ")
        message = message[:1].lower() + message[1:]
        return f"{name}{' ' if message.startswith('must be ') else ': '}{message}"
    if kind == "too_long" and isinstance(error.get("input"), str):
        kind = "string_too_long"
    given = context if isinstance(context, dict) else {}
    expected = _EXPECTED[kind].format_map({key: _plain(value) for key, value in given.items()})
    found = "" if kind in _WITHOUT_VALUE else f", not {describe_value(error.get('input'))}"
    return f"{name} must be {expected}{found}"


def _plain(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def describe_value(value: object) -> str:
    """Return a wrong value of a request as its sender can recognise it."""
    if isinstance(value, str):
        return repr(value[:40])
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return json.dumps(value, default=str)[:40]
