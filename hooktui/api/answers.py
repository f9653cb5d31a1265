"""How an answer is written: JSON in ASCII, so that no terminal obeys what is in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec
from starlette.responses import Response, StreamingResponse

JSON = "application/json"
_PART_ITEMS: Final = 100
"""Deliveries that are encoded at once, in about 1 ms."""


def encode(value: object) -> bytes:
    r"""Return the JSON of a value made of our dataclasses; other than ASCII becomes ``\uXXXX``."""
    plain = msgspec.to_builtins(value)
    text = json.dumps(plain, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    # DEL is ASCII and needs no escape in JSON, yet terminals act on it.
    return text.replace("\x7f", "\\u007f").encode("ascii")


def answer(
    value: object, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON answer."""
    return Response(encode(value), status, headers, media_type=JSON)


def answer_in_parts(value: object, sequence: str) -> Response:
    """Return a JSON answer that is encoded while the client reads it, where it may be long.

    Args:
        value: one of our dataclasses.
        sequence: the field of it that has no bound.
    """
    items: Sequence[object] = getattr(value, sequence)
    if len(items) <= _PART_ITEMS:
        return answer(value)
    # The quotes of a string's content are escaped, so this cannot be found in one.
    before, _, after = encode(replace(value, **{sequence: ()})).partition(  # type: ignore[type-var]
        b'"%b":[]' % sequence.encode("ascii")
    )

    async def parts() -> AsyncIterator[bytes]:
        yield before + b'"%b":[' % sequence.encode("ascii")
        for start in range(0, len(items), _PART_ITEMS):
            part = encode(items[start : start + _PART_ITEMS])[1:-1]
            yield b"," + part if start else part
            await asyncio.sleep(0)  # others have their turn, also while the client reads quickly
        yield b"]" + after

    return StreamingResponse(parts(), media_type=JSON)


def no_content() -> Response:
    """Return the answer of a deletion."""
    return Response(status_code=204)
