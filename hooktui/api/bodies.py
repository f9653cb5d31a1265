"""Reading a request's body: its media type, its size while it arrives, and whether it is JSON."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable
from typing import Final, NoReturn

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from hooktui.api.problems import TooSlow, pointer
from hooktui.domain.errors import FieldError, Malformed, Refused, TooLarge, Unavailable, Unsupported

BODY_DEADLINE_S = 10.0
MAX_REQUEST_BYTES: Final = 256 * 1024
"""Of the calls that take a JSON object; the largest one is a hook with 20 headers of 4 kB."""

MOST_HELD_BYTES: Final = 256 * 1024 * 1024
"""Of all bodies that are being read, looked at and stored at this moment."""

MAX_DEPTH = 200
"""Of nested arrays and objects: whoever parses the body later may do so recursively."""

_JSON_TYPE = re.compile(r"application/([\w.!#$&^+-]+\+)?json", re.I)
_NDJSON_TYPE = re.compile(r"application/(x-ndjson|ndjson|jsonl|jsonlines|json|x-jsonlines)", re.I)
_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s\";]+)", re.I)
_UTF8 = ("utf-8", "utf8", "us-ascii")
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
_NESTING = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.S)


def check_json_type(scope: Scope) -> None:
    """Refuse a body that says it is something else than JSON; saying nothing is fine.

    Raises:
        Unsupported: the media type, charset or encoding is not taken.
    """
    _check_type(scope, _JSON_TYPE, "application/json")


def check_ndjson_type(scope: Scope) -> None:
    """Refuse a body that says it is something else than JSON lines.

    Raises:
        Unsupported: the media type, charset or encoding is not taken.
    """
    _check_type(scope, _NDJSON_TYPE, "application/x-ndjson")


def _check_type(scope: Scope, accepted: re.Pattern[str], wanted: str) -> None:
    for name, value in scope["headers"]:
        if name == b"content-type":
            text = value.decode("latin-1")
            if text == wanted or not text:
                continue
            media_type, _, parameters = text.partition(";")
            charset = _CHARSET.search(parameters)
            if not accepted.fullmatch(media_type.strip()) or (
                charset and charset[1].lower() not in _UTF8
            ):
                raise Unsupported(
                    f"the body is declared as {text[:100]!r}; send JSON in UTF-8 with Content-Type:"
                    f" {wanted}"
                )
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise Unsupported("compressed bodies are not taken; leave Content-Encoding out")


class Holding:
    """The bodies that are in memory, all together: many small ones may be too much as well.

    Args:
        most: bytes.
    """

    def __init__(self, most: int = MOST_HELD_BYTES) -> None:
        self._most = most
        self.size = 0

    def take(self, scope: Scope, size: int) -> None:
        """Count a part of a request's body.

        Raises:
            Unavailable: there is no room for it now.
        """
        if self.size + size > self._most:
            raise Unavailable("more comes in than the server can hold; slow down and try again")
        self.size += size
        scope["held"] = scope.get("held", 0) + size

    def give_back(self, scope: Scope) -> None:
        """Forget what a request held; it is over."""
        self.size -= scope.pop("held", 0)


async def read_body(scope: Scope, receive: Receive, most: int, holding: Holding) -> bytes:
    """Return the whole body, or refuse it as soon as it is too long.

    Raises:
        TooLarge: it has, or says it has, more than ``most`` bytes; the rest is not read.
        TooSlow: it did not arrive within 10 s.
        Unavailable: too many bodies are in memory.
        ClientDisconnect: it never will.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > most:
            raise _too_large(most)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_DEADLINE_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                part = message.get("body", b"")
                size += len(part)
                if size > most:
                    raise _too_large(most)
                holding.take(scope, len(part))
                if not message.get("more_body"):
                    return b"".join([*parts, part]) if parts else part
                parts.append(part)
    except TimeoutError:
        raise TooSlow(f"the body did not arrive within {BODY_DEADLINE_S:g} s") from None


async def checked_json(scope: Scope, receive: Receive, holding: Holding) -> Receive:
    """Read a small JSON body and return a ``receive`` that gives it again; none is fine.

    Raises:
        HooktuiError: it is no JSON, too large, or too slow.
    """
    body = await read_body(scope, receive, MAX_REQUEST_BYTES, holding)
    if body:
        check_json_type(scope)
        check_json(body)
        _check_characters(body)
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _check_characters(body: bytes) -> None:
    """Refuse fields with a lone surrogate: JSON (RFC 8259, 8.2), but no database stores it.

    The body of an event is not concerned: its bytes are kept as they are.
    """
    if not _HALF_CHARACTER.search(body):
        return
    content = json.loads(body, parse_int=str, parse_float=str)
    fields = content.items() if isinstance(content, dict) else [("", content)]
    errors = [
        FieldError(
            pointer([name]), f"{name[:100]!r} holds half a character (a lone surrogate); remove it"
        )
        for name, value in fields
        if not _encodes(name + json.dumps(value, ensure_ascii=False))
    ]
    if errors:
        raise Refused.fields(errors)


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _too_large(most: int) -> TooLarge:
    unit = f"{most // 1024} KiB" if most < 1 << 20 else f"{most >> 20} MiB"
    return TooLarge(f"the body is over {unit}, which is the most that is taken here")


def check_json(body: bytes, what: str = "the body") -> None:
    """Refuse bytes that are not one JSON value in UTF-8 (RFC 8259); duplicate names are fine.

    Raises:
        Malformed: with the place of the first error.
    """
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check_depth(body, what)
    try:
        msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # msgspec is fast and refuses a little more than the RFC: 1e999, "\ud800", huge integers.
        _check_slowly(body, what)


def _check_depth(body: bytes, what: str) -> None:
    depth = 0
    for found in _NESTING.finditer(body):
        letter = found[0]
        if letter in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise Malformed(
                    f"{what} is nested deeper than {MAX_DEPTH} levels; send a flatter one"
                )
        elif letter in b"]}":
            depth -= 1


def _check_slowly(body: bytes, what: str) -> None:
    if not body.strip():
        raise Malformed(f"{what} is empty; send JSON, such as {{}}")
    if body.startswith(b"\xef\xbb\xbf"):
        raise Malformed(f"{what} begins with a byte order mark; send JSON without one")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"{what} is not UTF-8: bad byte at offset {error.start}") from None
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise Malformed(
            f"{what} is not JSON: {error.msg.lower()}, line {error.lineno} column {error.colno}"
        ) from None
    except _Constant as error:
        raise Malformed(f"{what} is not JSON: {error} is not a JSON number") from None


class _Constant(Exception):
    """NaN or Infinity, which Python's parser takes and JSON does not have."""


def _refuse_constant(name: str) -> NoReturn:
    raise _Constant(name)


def lines_of(body: bytes) -> Iterable[tuple[int, bytes]]:
    """Yield the lines that are not blank, each with its number from 0."""
    for number, line in enumerate(body.split(b"\n")):
        if line and not line.isspace():
            yield number, line
