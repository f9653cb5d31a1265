"""Signatures: the hex HMAC of the body, and Standard Webhooks 1.0 (``v1,`` + base64).

Both schemes use the same secret in different ways: the hex HMAC is keyed with the secret as shown
(its ASCII bytes), the standard one with the bytes after ``whsec_``. A secret of any other form
works with the first scheme only. Signing is on the hot path, so what depends on a key alone is
computed once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from functools import lru_cache
from typing import Final, Literal, get_args

HashName = Literal["sha256", "sha1", "sha512"]
HASHES: Final[tuple[HashName, ...]] = get_args(HashName)
"""Hashes for ``X-Hook-Signature``; the first is the default."""

HASH_OF_DIGITS: Final[dict[int, HashName]] = {40: "sha1", 64: "sha256", 128: "sha512"}
"""The hash of a hex signature, by its digits: the header does not name it."""

PREFIX: Final = "whsec_"
KEY_BYTES: Final = 32
# Standard Webhooks, "Signature scheme": secrets have 24 to 64 bytes of key material.
MIN_KEY_BYTES, MAX_KEY_BYTES = 24, 64
MIN_SECRET_LENGTH, MAX_SECRET_LENGTH = 16, 128

TOLERANCE_S: Final = 300.0
"""Maximum age of a request, as in the Standard Webhooks libraries."""

SignatureCheck = Literal["ok", "mismatch", "stale"]
"""Stale: the signature is valid, but its timestamp is too far from now."""

_PREPARED_KEYS: Final = 4096
"""Keys whose first part of an HMAC is kept: 0.7 kB each; a hook has two."""
_INNER, _OUTER = (bytes(pad ^ byte for byte in range(256)) for pad in (0x36, 0x5C))

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")


def mac_name(hash_name: str) -> str:
    """Return the name of the HMAC with a hash, as standards write it: ``HMAC-SHA-256``."""
    return f"HMAC-SHA-{hash_name.removeprefix('sha')}"


def make_secret() -> str:
    """Return a new secret: ``whsec_`` and the base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")


def check_secret(text: str) -> str | None:
    """Return what is wrong with an admin's secret, or None. Never repeats the secret."""
    if text.startswith(PREFIX):
        key = standard_key(text)
        if key is None:
            return f"the part after {PREFIX} is not base64; write it with padding, or drop {PREFIX}"
        if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
            return (
                f"a {PREFIX} secret has {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes in base64, this"
                f" one {len(key)}"
            )
        return None
    if not MIN_SECRET_LENGTH <= len(text) <= MAX_SECRET_LENGTH:
        return (
            f"a secret has {MIN_SECRET_LENGTH} to {MAX_SECRET_LENGTH} characters, this one has"
            f" {len(text)}"
        )
    if not _PRINTABLE.fullmatch(text):
        return "a secret must have printable ASCII characters only; choose another one"
    if text != text.strip():
        return "a secret must not begin or end with a space; remove it"
    return None


def standard_key(secret: str) -> bytes | None:
    """Return the key bytes of a ``whsec_`` secret, or None for another form."""
    if not secret.startswith(PREFIX):
        return None
    try:
        return base64.b64decode(secret[len(PREFIX) :], validate=True)
    except ValueError:  # also binascii.Error
        return None


def hook_signature(secret: str, body: bytes, hash_name: str = HASHES[0]) -> str:
    """Return the value of ``X-Hook-Signature``: lower-case hex of the body's HMAC.

    Raises:
        ValueError: the hash is not one of `HASHES`.
    """
    if hash_name not in HASHES:
        raise ValueError(f"{hash_name!r} is not a hash for signatures; use {', '.join(HASHES)}")
    return _hmac(secret.encode("ascii"), body, hash_name).hexdigest()


def _hmac(key: bytes, message: bytes, hash_name: str) -> hashlib._Hash:
    """Return an HMAC (RFC 2104): its outer hash after all input."""
    inner, outer = _prepared(key, hash_name)
    inner, outer = inner.copy(), outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    return outer


@lru_cache(_PREPARED_KEYS)
def _prepared(key: bytes, hash_name: str) -> tuple[hashlib._Hash, hashlib._Hash]:
    """Return the inner and the outer hash of an HMAC after its key, to be copied."""
    empty = hashlib.new(hash_name)
    if len(key) > empty.block_size:
        key = hashlib.new(hash_name, key).digest()
    block = key.ljust(empty.block_size, b"\0")
    return (
        hashlib.new(hash_name, block.translate(_INNER)),
        hashlib.new(hash_name, block.translate(_OUTER)),
    )


def string_signed(message_id: str, timestamp: int, body: bytes) -> bytes:
    """Return the exact bytes that `standard_signature` signs: ``id.timestamp.body``."""
    return b"%s.%d.%s" % (message_id.encode("ascii"), timestamp, body)


def standard_signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return one entry of ``webhook-signature``.

    ``key`` comes from `standard_key`; ``message_id`` and ``timestamp`` (Unix seconds) are the
    values of ``webhook-id`` and ``webhook-timestamp``.
    """
    digest = _hmac(key, string_signed(message_id, timestamp, body), "sha256").digest()
    return "v1," + binascii.b2a_base64(digest, newline=False).decode("ascii")


def verify_hook_signature(
    secret: str, body: bytes, signature: str, hash_name: str = HASHES[0]
) -> bool:
    """Return whether a received ``X-Hook-Signature`` is valid, in constant time.

    Case is ignored, and the digits may follow ``sha256=`` (the name of the hash), as in GitHub's
    signatures.

    Raises:
        ValueError: the hash is not one of `HASHES`.
    """
    expected = hook_signature(secret, body, hash_name)
    given = signature.strip().lower().removeprefix(f"{hash_name}=")
    return hmac.compare_digest(expected.encode("ascii"), given.encode("utf-8", "replace"))


def verify_standard_signature(
    key: bytes, message_id: str, timestamp: int, body: bytes, signatures: str
) -> bool:
    """Return whether one entry of a received ``webhook-signature`` is valid, in constant time."""
    expected = standard_signature(key, message_id, timestamp, body).encode("ascii")
    matches = [
        hmac.compare_digest(expected, given.encode("utf-8", "replace"))
        for given in signatures.split()
    ]
    return any(matches)


def parse_timestamp(text: str) -> int | None:
    """Return the Unix seconds of a received ``webhook-timestamp``, or None if it is invalid."""
    return int(text) if _TIMESTAMP.fullmatch(text) else None


def check_standard_signature(
    key: bytes,
    message_id: str,
    timestamp: str,
    body: bytes,
    signatures: str,
    *,
    now_s: float,
    tolerance_s: float,
) -> SignatureCheck:
    """Return whether a received ``webhook-signature`` is valid, and its request recent.

    ``key`` is from `standard_key`, ``now_s`` the time of the receipt. The timestamp may differ from
    that by ``tolerance_s`` in either direction.
    """
    sent_s = parse_timestamp(timestamp)
    if sent_s is None or str(sent_s) != timestamp or not message_id.isascii():
        return "mismatch"
    if not verify_standard_signature(key, message_id, sent_s, body, signatures):
        return "mismatch"
    return "ok" if abs(now_s - sent_s) <= tolerance_s else "stale"
