"""The forms in which a delivery is copied: as a curl command, as a check of its signature, as JSON.

None of them holds a secret: sensitive headers are masked as everywhere, and the check reads the
secret from a file.
"""

from __future__ import annotations

import shlex
from typing import Final

import msgspec

from hooktui.domain.signatures import HashName
from hooktui.domain.wire.deliveries import DeliveryDetail, Request

_HASHES_BY_LENGTH: Final[dict[int, HashName]] = {40: "sha1", 64: "sha256", 128: "sha512"}
"""The hash of a hex signature, by its digits."""

# curl sets these by itself, or they are wrong once somebody edits the body.
_LEFT_OUT: Final = frozenset({"content-length", "host", "connection", "accept-encoding"})


def as_curl(request: Request) -> str:
    """Return a shell command that sends the same request again, byte by byte."""
    parts = [f"curl -sS -i -X {request.method} {shlex.quote(request.url)}"]
    parts += [
        f"  -H {shlex.quote(f'{name}: {value}')}"
        for name, value in request.headers
        if name.lower() not in _LEFT_OUT
    ]
    # --data-raw, for --data would read a file where the body begins with @.
    parts.append(f"  --data-raw {shlex.quote(request.body)}")
    return " \\\n".join(parts)


def as_check(request: Request) -> str | None:
    """Return a shell command that checks the request's X-Hook-Signature, or None without one."""
    signature = _header(request, "x-hook-signature")
    hash_name = hash_of(request)
    if hash_name is None:
        return None
    return (
        f"printf %s {shlex.quote(request.body)} | hooktui verify --secret @secret.txt"
        f" --hash {hash_name} --signature {signature}"
    )


def hash_of(request: Request) -> HashName | None:
    """Return the hash of the request's X-Hook-Signature, None without one."""
    return _HASHES_BY_LENGTH.get(len(_header(request, "x-hook-signature")))


def _header(request: Request, wanted: str) -> str:
    return next((value for name, value in request.headers if name.lower() == wanted), "")


def as_json(delivery: DeliveryDetail) -> str:
    """Return the API object of a delivery, laid out for reading."""
    return msgspec.json.format(msgspec.json.encode(delivery), indent=2).decode()
