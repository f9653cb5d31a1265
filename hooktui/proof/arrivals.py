"""What the sink received, read after the clock has stopped: ids, hash, and whether it was signed.

While the clock runs the sink keeps each request as it came; nothing is parsed or verified then, so
that the proof does not slow down what it measures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from hooktui.domain.signatures import (
    standard_key,
    verify_hook_signature,
    verify_standard_signature,
)

RawArrival = tuple[int, int, bytes]
"""When it came (monotonic nanoseconds), the status it was answered with, and the whole request."""

HASH_BYTES = 8
"""Of a body's SHA-256: enough to see that a body is not the one that was sent."""


class Arrival(msgspec.Struct, frozen=True, array_like=True):
    """One request: which delivery, and whether both of its signatures are right."""

    event: str
    delivery: str
    hook: int
    body: bytes
    status: int
    arrived_ns: int
    signed: bool

    @property
    def taken(self) -> bool:
        """Whether the sink answered 2xx."""
        return 200 <= self.status < 300


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(list[Arrival]).decode


def body_hash(body: bytes) -> bytes:
    """Return what is kept of a body."""
    return hashlib.sha256(body).digest()[:HASH_BYTES]


def read_arrivals(raw: Iterable[RawArrival], secrets: Mapping[int, str]) -> list[Arrival]:
    """Read requests, and verify both signatures of every one.

    Args:
        raw: what came.
        secrets: of each hook, by its number.
    """
    keys = {hook: standard_key(secret) for hook, secret in secrets.items()}
    return [_read(arrived_ns, status, one, secrets, keys) for arrived_ns, status, one in raw]


def _read(
    arrived_ns: int,
    status: int,
    request: bytes,
    secrets: Mapping[int, str],
    keys: Mapping[int, bytes | None],
) -> Arrival:
    head, _, body = request.partition(b"\r\n\r\n")
    fields = dict(
        line.split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:] if ": " in line
    )
    hook, event = int(fields.get("X-Hook-Id", "0")), fields.get("webhook-id", "")
    secret, key = secrets.get(hook), keys.get(hook)
    signed = (
        secret is not None
        and key is not None
        and verify_hook_signature(secret, body, fields.get("X-Hook-Signature", ""))
        and verify_standard_signature(
            key,
            event,
            int(fields.get("webhook-timestamp", "0")),
            body,
            fields.get("webhook-signature", ""),
        )
    )
    delivery = fields.get("X-Hook-Delivery", "")
    return Arrival(event, delivery, hook, body_hash(body), status, arrived_ns, signed)
