"""Accepts events: the hot path, without a framework between the bytes and the engine.

The stored body is exactly the sent bytes; for NDJSON, the slice of the line that ``data`` is.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive, Scope, Send

from hooktui.api.bodies import check_body, check_json_type, lines_of, read_body, share_of
from hooktui.api.limits import RateLimiter
from hooktui.api.parameters import (
    account_number,
    read_idempotency_key,
    refuse_repeated,
    refuse_unknown,
)
from hooktui.api.service import Service, check_account
from hooktui.domain import ids, json_text
from hooktui.domain.catalogue import MAX_HINTS, accepted_types, unknown
from hooktui.domain.errors import MAX_ERRORS, FieldError, Malformed, Refused, TooLarge, pointer
from hooktui.domain.ids import AccountId
from hooktui.domain.json_text import Steps
from hooktui.domain.text import visible
from hooktui.domain.wire.events import MAX_BODY_BYTES, Catalogue
from hooktui.slices import in_slices
from hooktui.store.contract import Acceptance, NewEvent
from hooktui.store.planning.accept import key_fault

if TYPE_CHECKING:
    from hooktui.api.access import Caller

ONE: Final = "/v1/events/{event}"
MANY: Final = "/v1/events"

MAX_LINES, MAX_LINES_BYTES = 1000, 8 * 1024 * 1024
_LINES_PER_STEP, _SMALL_LINE = 20, 4 * 1024
"""Number and size of the lines that are parsed in one step."""
_MOST_PLACES = 6
"""Where the text of a line's data may be: in one of its three names or three values."""


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """One line of NDJSON; ``data`` stays the exact slice."""

    type: str
    data: msgspec.Raw
    key: str | None = None


class _Key(msgspec.Struct):
    """The key of a line as it is written."""

    key: msgspec.Raw = msgspec.Raw()


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_key = msgspec.json.Decoder(_Key).decode


class Ingest:
    """The application behind ``POST /v1/events/{type}`` and ``POST /v1/events``."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._types = accepted_types(service.catalogue)
        self._accounts: set[AccountId] = set()  # that exist
        self._bodies = service.unsent.bodies
        self._rate = RateLimiter(service.limits.events_per_s, "events", "HOOKTUI_EVENTS_PER_S")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request that passed the middleware.

        Raises:
            HooktuiError: nothing was stored.
        """
        if scope["path"] == MANY:
            content = await self._accept_many(scope, receive)
        else:
            content = await self._accept_one(scope, receive)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode("ascii")),
        ]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _accept_one(self, scope: Scope, receive: Receive) -> bytes:
        """Accept one event: the body is stored and sent unchanged."""
        check_json_type(scope)
        body = await read_body(scope, receive, MAX_BODY_BYTES, self._bodies)
        await check_body(body, scope)
        event_type: str = scope["path"].rpartition("/")[2]
        if event_type not in self._types:
            wrong = unknown(self._service.catalogue, visible(event_type, limit=100))
            raise Refused.field("/type", wrong)
        account = await self._account(scope)
        key = read_idempotency_key(scope)
        self._admit(scope, 1)
        try:
            (accepted,) = await self._service.engine.accept(
                [NewEvent(account, event_type, body, key)]
            )
        except Refused as error:  # its pointers name lines, which a single event lacks
            fields = [FieldError(e.pointer.removeprefix("/0"), e.detail) for e in error.errors]
            raise Refused(error.detail, fields) from None
        return _encode(accepted)

    async def _accept_many(self, scope: Scope, receive: Receive) -> bytes:
        """Accept many events, one a line: all or none of them, in one transaction."""
        check_json_type(scope, lines=True)
        if read_idempotency_key(scope) is not None:
            wrong = 'Idempotency-Key is for a single event; give each line its own "key"'
            raise Refused.field("/key", wrong)
        body = await read_body(scope, receive, MAX_LINES_BYTES, self._bodies)
        account = await self._account(scope)
        steps = _parse_events(body, account, self._service.catalogue, self._types)
        events, lines = await in_slices(steps, ("caller", share_of(scope)))
        self._admit(scope, len(events))
        try:
            results = await self._service.engine.accept(events)
        except Refused as error:  # its pointers count events, not lines
            raise Refused.fields(_at_line(wrong, lines) for wrong in error.errors) from None
        inside = b",".join([_encode(result) for result in results])
        return b'{"accepted":%d,"data":[%b]}' % (len(results), inside)

    def _admit(self, scope: Scope, count: int) -> None:
        """Check that there is room, and that the caller's rate allows so many events."""
        self._service.store.check_room()
        self._rate.take(scope["caller"], count)

    async def _account(self, scope: Scope) -> AccountId:
        """Return the account of the events; the store is read once for each account."""
        caller: Caller = scope["caller"]
        account = caller.account(_requested_account(scope["query_string"]))
        if account not in self._accounts:
            await check_account(self._service, account)
            self._accounts.add(account)
        return account


@lru_cache(maxsize=64)  # a producer sends the same query each time: 3 % of the CPU for an event
def _requested_account(query: bytes) -> int | None:
    """Return the account that a query names.

    Raises:
        Refused: it has another parameter, or the account is not a number.
    """
    given = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    refuse_unknown((name for name, _ in given), ("account",))
    refuse_repeated(given, ("account",))
    return account_number(dict(given).get("account"))


def _at_line(error: FieldError, lines: Sequence[int]) -> FieldError:
    index, _, field = error.pointer[1:].partition("/")
    number = lines[int(index)]
    return FieldError(f"/{number}/{field}", f"line {number + 1}: {error.detail}")


def _parse_events(
    body: bytes, account: AccountId, catalogue: Catalogue, types: frozenset[str]
) -> Steps[tuple[list[NewEvent], list[int]]]:
    """Return the events of a body, and the line number of each, from 0, blank lines included."""
    events: list[NewEvent] = []
    lines: list[int] = []
    errors: list[FieldError] = []
    for number, line in lines_of(body):
        if not line:
            yield
            continue
        if len(line) > _SMALL_LINE or len(events) % _LINES_PER_STEP == 0:
            yield
        if len(events) == MAX_LINES:
            raise TooLarge(f"more than {MAX_LINES} lines; send them in several requests")
        # First the whole line as JSON: the decoder skips ``data`` and accepts any bytes in it.
        if not json_text.is_plain(line):
            yield
            yield from json_text.check_steps(line, f"line {number + 1}")
        line_event = _parse_line(number, line)
        data = bytes(line_event.data)
        if len(data) > MAX_BODY_BYTES:
            raise TooLarge(f"line {number + 1}: data is over {MAX_BODY_BYTES // 1024} KiB")
        if line_event.type not in types:
            hint = len(errors) < MAX_HINTS
            wrong = unknown(catalogue, visible(line_event.type, limit=100), hint=hint)
            errors.append(FieldError(f"/{number}/type", f"line {number + 1}: {wrong}"))
        elif _repeats_name(line, data, line_event.key):
            wrong = "a field is there twice; send type, data and key once"
            errors.append(FieldError(f"/{number}", f"line {number + 1}: {wrong}"))
        if line_event.key is not None:
            fault = key_fault(line_event.key)
            if fault:
                detail = f"line {number + 1}: key {fault}"
                errors.append(FieldError(f"/{number}/key", detail))
        events.append(NewEvent(account, line_event.type, data, line_event.key))
        lines.append(number)
        if len(errors) >= MAX_ERRORS:
            break
    if errors:
        raise Refused.fields(errors)
    if not events:
        raise Malformed('the body is empty; send lines of {"type": …, "data": …}')
    return events, lines


def _parse_line(number: int, line: bytes) -> _Line:
    what = f"line {number + 1}"
    try:
        return _read_line(line)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        named = re.fullmatch(r"Object (contains unknown|missing required) field `(.*)`", message)
        if named is None:  # of another type
            name, wrong = path.rstrip("`").removeprefix("."), "must be text"
        elif named[1] == "contains unknown":
            name, wrong = named[2], "is not known; a line has type, data and key"
        else:
            name, wrong = named[2], "is missing"
        wrong = f"{visible(name, limit=100)} {wrong}" if name else "must be an object"
        where = pointer([number, name] if name else [number])
        raise Refused.field(where, f"{what}: {wrong}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # Valid JSON that this parser rejects, such as "\ud800" in a type.
        raise Malformed(f"{what}: {error}") from None


def _read_line(line: bytes) -> _Line:
    r"""Return a line; its ``data`` may have half a character, which the parser rejects.

    Programs write ``\ud83d`` when they cut a text within an emoji.

    Raises:
        msgspec.DecodeError: it is not a line.
    """
    try:
        return _decode_line(line)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        at, end = _place_of_data(json_text.without_surrogates(line))
        parsed = _decode_line(line[:at] + b"0" + line[end:])  # type and key as they are
        parsed.data = msgspec.Raw(line[at:end])
        return parsed


def _place_of_data(line: bytes) -> tuple[int, int]:
    """Return where the ``data`` of a line begins and ends; other parts may have the same text.

    ``line`` is one without surrogates.

    Raises:
        msgspec.DecodeError: it is not a line, or its data had no surrogates.
    """
    data = bytes(_decode_line(line).data)
    if rb"\u0020" not in data:
        raise msgspec.DecodeError("a text other than data has half a character")
    at = -1
    for _ in range(_MOST_PLACES):
        at = line.index(data, at + 1)
        end = at + len(data)
        with contextlib.suppress(msgspec.DecodeError):
            if bytes(_decode_line(line[:at] + b"0" + line[end:]).data) == b"0":
                return at, end
    raise msgspec.DecodeError("a field repeats; send type, data and key once")


def _repeats_name(line: bytes, data: bytes, key: str | None) -> bool:
    """Return whether a line of a known type has a name twice; the parser reads the last one.

    Its two names and its type have two quotes each; a third name, and a text as its value, too.
    """
    quotes = line.count(b'"') - data.count(b'"') - 6
    if quotes == (0 if key is None else 4):
        return False  # nearly always; else the key is null, has escaped quotes, or a name repeats
    as_written = bytes(_decode_key(json_text.without_surrogates(line)).key)
    return quotes != (2 + as_written.count(b'"') if as_written else 0)


def _encode(accepted: Acceptance) -> bytes:
    # The type is one of the catalogue, whose letters need no escape.
    return (
        f'{{"id":"{ids.encode("evt", accepted.id)}","type":"{accepted.type}",'
        f'"account":{accepted.account},"deliveries":{accepted.deliveries},'
        f'"skipped":{accepted.skipped},"duplicate":{"true" if accepted.duplicate else "false"}}}'
    ).encode("ascii")
