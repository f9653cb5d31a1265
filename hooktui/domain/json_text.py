"""JSON text (RFC 8259): the check of accepted JSON, and the parser of filters.

What `check` accepts, `read` can read. All work is linear in the bytes and done in steps: generators
that yield after some milliseconds at most, so that their caller can let other tasks run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from itertools import accumulate
from math import isfinite
from typing import Final, NoReturn, TypeVar

import msgspec

from hooktui.domain.errors import Malformed

T = TypeVar("T")
Steps = Generator[None, None, T]
"""Work that pauses now and then; its return value is the result."""

MAX_DEPTH: Final = 200
"""Limit of nested arrays and objects: a later parser may be recursive."""

_DENSE: Final = 16_000
"""Values of a text that one call of the C parser reads in about 4 ms."""
_TOKENS_A_STEP: Final = 1000
_BYTES_A_STEP: Final = 32 * 1024
_LONGEST_INTEGER: Final = 300
"""Digits: the conversion of an integer is quadratic, so a longer one is compared as text; a float
has at most 309 before its point."""

# Skips over the text without creating objects; checks everything except the encoding.
_skip = msgspec.json.Decoder(msgspec.Raw).decode
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_PLACE = re.compile(r"(?:JSON is malformed: )?(.*?)(?: \(byte (\d+)\))?")
_CONSTANT = re.compile(rb"-?(NaN|Infinity)")
_STRING = re.compile(rb'"[^"]*+"')
_NOT_STRUCTURE: Final = bytes(set(range(256)) - set(b'[]{},"'))
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_DEPTHS: Final = bytes(1 if i in b"[{" else 255 if i in b"]}" else 0 for i in range(256))


def check(text: bytes, what: str = "the body") -> None:
    """Check that bytes are one JSON value in UTF-8; duplicate names are accepted.

    Raises:
        Malformed: they are not; names the position of the first error.
    """
    if not is_plain(text):
        finish(check_steps(text, what))


def is_plain(text: bytes) -> bool:
    """Return whether it is flat ASCII JSON, as nearly all bodies are; a fast check."""
    try:
        _skip(text)
    except (RecursionError, msgspec.DecodeError):
        return False
    return text.isascii() and (_is_flat(text) or text.count(b"[") + text.count(b"{") <= MAX_DEPTH)


def _is_flat(text: bytes) -> bool:
    """Return whether it has no brackets after the first byte: faster than counting them."""
    return text.find(b"{", 1) < 0 and text.find(b"[", 1) < 0


def finish(steps: Steps[T]) -> T:
    """Run all steps without a pause, and return the result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def check_steps(text: bytes, what: str) -> Steps[None]:
    """Check in steps; see `check`."""
    try:
        _skip(text)
    except RecursionError:
        raise _too_deep(what) from None
    except msgspec.DecodeError as error:
        yield
        _check_without_surrogates(text, what, error)
    if not text.isascii():
        _decoded(text, what)
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH:
        yield
        yield from _check_depth(text, what)


def without_surrogates(text: bytes) -> bytes:
    r"""Return JSON with each ``\ud83d`` replaced by as many bytes, so that msgspec reads it."""
    return _SURROGATE.sub(rb"\\u0020", text)


def _check_without_surrogates(text: bytes, what: str, error: msgspec.DecodeError) -> None:
    r"""Check again with each ``\ud83d`` replaced: msgspec rejects what JSON allows."""
    whole = without_surrogates(text)
    if whole != text:
        try:
            _skip(whole)
        except msgspec.DecodeError as other:
            error = other
        else:
            return
    raise _explained(text, what, str(error))


def _explained(text: bytes, what: str, message: str) -> Malformed:
    if not text.strip():
        return Malformed(f"{what} is empty; send JSON, such as {{}}")
    if text.startswith(b"\xef\xbb\xbf"):
        return Malformed(f"{what} begins with a byte order mark; send JSON without one")
    _decoded(text, what)
    match = _PLACE.fullmatch(message)
    why, position = (
        (match[1], int(match[2])) if match and match[2] else ("it ends early", len(text))
    )
    number = text.count(b"\n", 0, position) + 1
    line = f"line {number} " if b"\n" in text else ""  # one line of many has a number already
    column = len(text[text.rfind(b"\n", 0, position) + 1 : position].decode("utf-8", "replace")) + 1
    constant = _CONSTANT.match(text, max(position - 1, 0)) or _CONSTANT.match(text, position)
    if constant:
        why = f"{constant[0].decode()} is not a JSON number"
    return Malformed(f"{what} is not JSON: {why}, {line}column {column}")


def _decoded(text: bytes, what: str) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"{what} is not UTF-8: bad byte at offset {error.start}") from None


def _too_deep(what: str) -> Malformed:
    return Malformed(f"{what} is nested deeper than {MAX_DEPTH} levels; send a flatter one")


def _check_depth(text: bytes, what: str) -> Steps[None]:
    depth = 0
    for part in _outside_strings(text):
        yield
        brackets = memoryview(part.translate(_DEPTHS, _NOT_BRACKETS)).cast("b")
        depths = list(accumulate(brackets, initial=depth))
        if max(depths) > MAX_DEPTH:
            raise _too_deep(what)
        depth = depths[-1]


def _outside_strings(text: bytes) -> Iterator[bytes]:
    r"""Yield the brackets and commas of valid JSON outside of its strings, in parts.

    Without ``\\`` and ``\"`` each quote begins or ends a string. Two adjacent quotes are then an
    empty string, or the border of two strings with nothing between: both can be removed.
    """
    bare = text.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NOT_STRUCTURE)
    bare = bare.replace(b'""', b"")
    end = 0
    while end < len(bare):
        start, end = end, end + _BYTES_A_STEP
        if bare.count(b'"', start, end) % 2:  # the part would end inside a string
            end = bare.index(b'"', end) + 1
        yield _STRING.sub(b"", bare[start:end])


def most_values(text: bytes) -> int:
    """Return an upper bound of the number of values in valid JSON; a fast check."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def count_values(text: bytes, limit: int) -> int:
    """Return a lower bound of the number of values in valid JSON; exact above ``limit``."""
    at_most = most_values(text)
    if at_most <= limit:
        return at_most
    return sum(len(part.translate(None, b"]}")) for part in _outside_strings(text))


def read_steps(text: bytes, dense: int = _DENSE) -> Steps[object]:
    """Parse a JSON text for filters.

    The last of duplicate names counts. A number out of the range of floats or usual integers
    (``1e999``) becomes its text; lone surrogates are kept.

    Args:
        text: text that `check` accepts.
        dense: number of values from which they are read one by one.

    Raises:
        Malformed: it is not JSON.
    """
    if most_values(text) > dense:
        yield
        return (yield from _read_slowly(text))
    try:
        return _decoder.decode(_decoded(text, "the body"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the body is not JSON: {error}") from None


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= _LONGEST_INTEGER else text


def _float(text: str) -> float | str:
    value = float(text)
    return value if isfinite(value) else text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_decoder = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_refuse_constant)
_TOKEN = re.compile(
    r"""[ \t\n\r]*+(
        "(?:[^"\\]++|\\.)*+"
      | -?[0-9]++(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+
      | [\[{\]}]
      | true|false|null
    )[ \t\n\r]*+([:,]?)""",
    re.X | re.S,
)
_NAMES: Final = {"true": True, "false": False, "null": None}
_FLOAT = re.compile(r"[.eE]")


def _read_slowly(text: bytes) -> Steps[object]:
    """Read token by token, with pauses: a text of very many values."""
    yield from check_steps(text, "the body")  # the tokens are combined without another check
    top: list[object] = []
    stack: list[list[object] | dict[str, object]] = [top]
    names: list[str] = []
    for number, match in enumerate(_TOKEN.finditer(text.decode("utf-8"))):
        if number % _TOKENS_A_STEP == 0:
            yield
        token, after = match.groups()
        if after == ":":
            names.append(_decoder.decode(token))
            continue
        if token in ("]", "}"):
            stack.pop()
            continue
        value = _value(token)
        inside = stack[-1]
        if isinstance(inside, dict):
            inside[names.pop()] = value
        else:
            inside.append(value)
        if isinstance(value, list | dict):
            stack.append(value)
    return top[0]


def _value(token: str) -> object:
    match token[0]:
        case '"':
            return _decoder.decode(token)
        case "[":
            return []
        case "{":
            return {}
        case "t" | "f" | "n":
            return _NAMES[token]
        case _:
            return _float(token) if _FLOAT.search(token) else _integer(token)
