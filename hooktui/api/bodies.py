"""Reads a request's body: checks its media type, its size as it arrives, and its JSON."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Generator, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from hooktui.api.responses import TooSlow
from hooktui.domain import json_text
from hooktui.domain.errors import (
    MAX_ERRORS,
    FieldError,
    Malformed,
    Refused,
    TooLarge,
    Unavailable,
    Unsupported,
    pointer,
)
from hooktui.domain.text import visible
from hooktui.domain.wire.events import MAX_BODY_BYTES
from hooktui.slices import in_slices

if TYPE_CHECKING:
    from hooktui.api.access import Caller

BODY_DEADLINE_S = 10.0
MAX_REQUEST_BYTES: Final = 256 * 1024
"""Limit of a JSON object; the largest one is a hook with 20 headers of 4 kB."""

MAX_HELD_BYTES: Final = 256 * 1024 * 1024
"""Limit of all bodies in memory: being read, checked and stored."""

MAX_LINE_BYTES: Final = MAX_BODY_BYTES + 4 * 1024
"""Limit of a line of JSON lines: an event's body, with its type and key in any escaping."""

MAX_BLANK_LINES: Final = 10_000
"""Limit of JSON lines: skipping them takes some milliseconds."""

MAX_VALUES: Final = 2_000
"""Limit of a JSON object, because its checks report each wrong value."""

SMALL_BYTES: Final = 32 * 1024
"""A body that is checked in one step, about 0.5 ms at worst."""

_JSON = (re.compile(r"application/([\w.!#$&^+-]+\+)?json", re.I), "application/json")
_NDJSON = (
    re.compile(r"application/(x-ndjson|ndjson|jsonl|jsonlines|json|x-jsonlines)", re.I),
    "application/x-ndjson",
)
_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s\";]+)", re.I)
_UTF8 = ("utf-8", "utf8", "us-ascii")
_DIGITS_ALIKE = bytes.maketrans(b"0123456789", b"0" * 10)
_MANY_DIGITS = b"0" * 4301
"""Python refuses longer integers. A regular expression would begin again at each digit: a second
for 250 KB of numbers that are one digit shorter."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def check_json_type(scope: Scope, *, lines: bool = False) -> None:
    """Check that a body is not declared as anything except JSON, or JSON lines.

    A body without a declaration is accepted.

    Raises:
        Unsupported: the media type, charset or encoding is not supported.
    """
    accepted, expected = _NDJSON if lines else _JSON
    for name, value in scope["headers"]:
        if name == b"content-type":
            text = value.decode("latin-1")
            if text == expected or not text:
                continue
            media_type, _, parameters = text.partition(";")
            charset = _CHARSET.search(parameters)
            if not accepted.fullmatch(media_type.strip()) or (
                charset and charset[1].lower() not in _UTF8
            ):
                raise Unsupported(
                    f"the body is declared as {text[:100]!r}; send JSON in UTF-8 with Content-Type:"
                    f" {expected}"
                )
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise Unsupported("compressed bodies are not supported; omit Content-Encoding")


NO_ROOM: Final = "too many request bodies are in memory; slow down and try again"


class BodyBudget:
    """All request bodies and unread responses in memory.

    Many small ones may be too much as well. One caller's bodies take at most as much as is free
    beside them: half of the budget for one caller alone, a third for each of two.

    ``size`` is the number of bytes in memory now.
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        self.max_bytes = MAX_HELD_BYTES if max_bytes is None else max_bytes
        self.size = 0
        self._of_caller: dict[str, int] = {}

    @property
    def is_full(self) -> bool:
        """Whether no more bodies may be read."""
        return self.size >= self.max_bytes

    def take(self, scope: Scope, size: int) -> None:
        """Count a part of a request's body.

        Raises:
            Unavailable: there is no room for it now.
        """
        caller = share_of(scope)
        of_caller = self._of_caller.get(caller, 0) + size
        left = of_caller if caller else 0
        if self.size + size + left > self.max_bytes:
            raise Unavailable(NO_ROOM)
        self.size += size
        self._of_caller[caller] = of_caller
        scope["held"] = scope.get("held", 0) + size

    def release(self, scope: Scope) -> None:
        """Release the bytes of a request that has ended."""
        held = scope.pop("held", 0)
        if held:
            self.size -= held
            caller = share_of(scope)
            left = self._of_caller.pop(caller) - held
            if left:
                self._of_caller[caller] = left


def share_of(scope: Scope) -> str:
    """Return the owner of the share that a request uses; "" for a call that is open to all."""
    caller: Caller | None = scope.get("caller")
    return "" if caller is None else caller.share


async def read_body(scope: Scope, receive: Receive, max_bytes: int, bodies: BodyBudget) -> bytes:
    """Return the whole body, or refuse it as soon as it is too long.

    Raises:
        TooLarge: it has, or declares, more than ``max_bytes`` bytes; the rest is not read.
        TooSlow: it did not arrive within 10 s.
        Unavailable: too many bodies are in memory.
        ClientDisconnect: the client closed the connection.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > max_bytes:
            raise _too_large(max_bytes)
    parts: list[bytes] = []
    size = 0

    def take(message: Message) -> bool:
        """Add a part; return whether it was the last."""
        nonlocal size
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > max_bytes:
            raise _too_large(max_bytes)
        bodies.take(scope, len(part))
        parts.append(part)
        return not message.get("more_body")

    first = _Started(receive())
    # Nearly all bodies arrive with their heads: a deadline would cost more than reading them.
    if not first.done or not take(first.result):
        try:
            async with asyncio.timeout(BODY_DEADLINE_S):
                whole = False if first.done else take(await first)
                while not whole:
                    whole = take(await receive())
        except TimeoutError:
            raise TooSlow(f"the body did not arrive within {BODY_DEADLINE_S:g} s") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def checked_json(scope: Scope, receive: Receive, bodies: BodyBudget) -> Receive:
    """Read a small JSON body and return a ``receive`` that repeats it; an empty one is accepted.

    Raises:
        HooktuiError: it is not JSON, too large, or too slow.
    """
    body = await read_body(scope, receive, MAX_REQUEST_BYTES, bodies)
    if body:
        check_json_type(scope)
        await check_body(body, scope)
        check_values(body)
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def check_values(body: bytes) -> None:
    """Check the values of a JSON body, in one step of about 2 ms at worst.

    Raises:
        HooktuiError: they are too many, or one cannot be stored.
    """
    if json_text.count_values(body, MAX_VALUES) > MAX_VALUES:
        raise TooLarge(f"the body holds more than {MAX_VALUES:,} values; send fewer")
    _check_characters(body)
    _check_numbers(body)
    _check_names(body)


class _Pairs(list[tuple[str, object]]):
    """A JSON object with all of its names, also repeated ones."""


def _check_names(body: bytes) -> None:
    """Refuse repeated names: one of their values would be lost."""
    content = json.loads(body, parse_int=str, parse_float=str, object_pairs_hook=_Pairs)
    errors = list(islice(_repeated_names(content, []), MAX_ERRORS + 1))
    if errors:
        raise Refused.fields(errors)


def _repeated_names(value: object, path: list[object]) -> Iterator[FieldError]:
    items: Iterable[tuple[object, object]] = ()
    if isinstance(value, _Pairs):
        counts = Counter(name for name, _ in value)
        for name, count in counts.items():
            if count > 1:
                detail = f"the field {visible(name, limit=100)} is there twice; send it once"
                yield FieldError(pointer([*path, name]), detail)
        items = value
    elif isinstance(value, list):
        items = enumerate(value)
    for part, inner in items:
        if isinstance(inner, list):
            yield from _repeated_names(inner, [*path, part])


def _check_numbers(body: bytes) -> None:
    if _MANY_DIGITS in body.translate(_DIGITS_ALIKE):  # perhaps in a text
        try:
            json.loads(body)
        except ValueError:
            raise Malformed("the body has a number of over 4,300 digits") from None


def _check_characters(body: bytes) -> None:
    """Refuse lone surrogates, which JSON (RFC 8259, 8.2) allows but no database stores.

    The body of an event is not affected: its bytes are stored unchanged.
    """
    if not _SURROGATE.search(body):
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


def _too_large(max_bytes: int) -> TooLarge:
    unit = f"{max_bytes // 1024} KiB" if max_bytes < 1 << 20 else f"{max_bytes >> 20} MiB"
    return TooLarge(f"the body is over {unit}, the limit of this call")


async def check_body(body: bytes, scope: Scope) -> None:
    """Check that bytes are one JSON value in UTF-8, a large one in slices, in the caller's turn.

    Raises:
        Malformed: they are not; names the position of the first error.
    """
    if len(body) <= SMALL_BYTES:
        json_text.check(body)
    else:
        await in_slices(json_text.check_steps(body, "the body"), ("caller", share_of(scope)))


def lines_of(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines, each with its number from 0; a blank one as an empty one.

    Raises:
        TooLarge: a line is longer than the limit, or too many are blank.
    """
    start = number = blank = 0
    while start < len(body):
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        if end - start > MAX_LINE_BYTES:
            raise TooLarge(
                f"line {number + 1} has {end - start:,} bytes; a line has at most"
                f" {MAX_LINE_BYTES:,}, and its data {MAX_BODY_BYTES:,}"
            )
        line = body[start:end]
        if line and not line.isspace():
            yield number, line
        else:
            yield number, b""
            blank += 1
            if blank > MAX_BLANK_LINES:
                raise TooLarge(f"more than {MAX_BLANK_LINES:,} lines are blank; omit them")
        start = end + 1
        number += 1


class _Started:
    """A call for a message that has run up to its first wait, in a task that awaits it later.

    Attributes:
        done: whether it had nothing to wait for; then ``result`` is set, and it is not awaited.
    """

    result: Message

    def __init__(self, work: Awaitable[Message]) -> None:
        self._steps = work.__await__()
        self.done = False
        try:
            self._waits_for = next(self._steps)
        except StopIteration as end:
            self.done, self.result = True, end.value

    def __await__(self) -> Generator[Any, None, Message]:
        steps, waits_for = self._steps, self._waits_for
        try:
            while True:
                try:
                    yield waits_for
                except BaseException as error:  # such as a cancellation
                    waits_for = steps.throw(error)
                else:
                    waits_for = next(steps)
        except StopIteration as end:
            result: Message = end.value
            return result
