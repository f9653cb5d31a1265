"""How an answer is written: JSON in ASCII, so that no terminal obeys what is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec
from starlette.responses import Response

JSON = "application/json"


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


def no_content() -> Response:
    """Return the answer of a deletion."""
    return Response(status_code=204)
