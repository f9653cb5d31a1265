"""Requests of hooks of type ``web``: request line and headers around the event's own bytes.

The body is never changed. Two signatures cover it: ``X-Hook-Signature`` (hex HMAC of the body) and
the three ``webhook-*`` headers of Standard Webhooks 1.0. During a rotation the newest secret signs
first, and ``X-Hook-Signature`` uses the oldest live one, which every receiver still knows.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

from hooktui import __version__
from hooktui.domain import ids
from hooktui.domain.hook_settings import masked_headers
from hooktui.domain.live_hook import LiveHook, LiveSecret
from hooktui.domain.signatures import hook_signature, standard_signature
from hooktui.domain.signatures import string_signed as signed_bytes
from hooktui.domain.text import MASK

Headers = list[tuple[str, str]]


def fixed_headers(hook: LiveHook, *, show: bool = False) -> Headers:
    """Return the headers that all requests of a hook share.

    Args:
        hook: the hook; its own headers replace ``Content-Type`` and ``User-Agent``.
        show: for people: sensitive values and the password appear as ``***``.
    """
    settings = hook.settings
    own = {name.lower() for name in settings.headers}
    headers: Headers = [("Host", hook.target.host_header)]
    headers += [
        (name, value)
        for name, value in (
            ("Content-Type", "application/json"),
            ("User-Agent", f"hooktui/{__version__}"),
            ("Accept", "*/*"),
            ("Accept-Encoding", "identity"),
        )
        if name.lower() not in own
    ]
    headers += (
        masked_headers(settings.headers, settings.sensitive_headers) if show else settings.headers
    ).items()
    if settings.basic_auth is not None:
        pair = f"{settings.basic_auth.user}:{settings.basic_auth.password}".encode()
        headers.append(("Authorization", f"Basic {MASK if show else b64encode(pair).decode()}"))
    headers.append(("X-Hook-Id", str(hook.id)))
    return headers


def attempt_lines(
    hook: LiveHook,
    *,
    event_type: str,
    delivery: ids.DeliveryId,
    event: ids.EventId,
    timestamp_s: int,
    body: bytes,
    secrets: Sequence[LiveSecret],
) -> str:
    """Return the headers of one attempt as lines: names, ids and signatures.

    Args:
        hook: the hook; defines the hash of the signature.
        event_type: such as ``job.failed``.
        delivery: its id, the same for each attempt.
        event: the event's id, which is the message id of Standard Webhooks.
        timestamp_s: Unix seconds of this attempt.
        body: the bytes that are sent.
        secrets: those that sign, newest first.
    """
    message_id = ids.encode("evt", event)
    signatures = ""
    if secrets:
        signature = hook_signature(secrets[-1].value, body, hook.settings.signature_hash)
        signatures = f"X-Hook-Signature: {signature}\r\n"
        keys = [secret.standard_key for secret in secrets if secret.standard_key is not None]
        if keys:
            signed = [standard_signature(key, message_id, timestamp_s, body) for key in keys]
            signatures += f"webhook-signature: {' '.join(signed)}\r\n"
    return (
        f"X-Hook-Event: {event_type}\r\nX-Hook-Delivery: {ids.encode('dlv', delivery)}\r\n"
        f"webhook-id: {message_id}\r\nwebhook-timestamp: {timestamp_s}\r\n"
        f"{signatures}Content-Length: {len(body)}\r\n"
    )


def shown_headers(hook: LiveHook, lines: str) -> Headers:
    """Return all headers of a request in their order, masked for people."""
    split = (line.partition(": ") for line in lines.splitlines())
    return fixed_headers(hook, show=True) + [(name, value) for name, _, value in split]


def string_signed(event: ids.EventId, timestamp_s: int, body: bytes) -> str:
    """Return the string that ``webhook-signature`` covers (``X-Hook-Signature``: the body)."""
    return signed_bytes(ids.encode("evt", event), timestamp_s, body).decode("utf-8", "replace")


def head_prefix(hook: LiveHook) -> bytes:
    """Return the request line and the fixed headers as bytes, to cache for an unchanged hook."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in fixed_headers(hook)])
    return f"POST {hook.target.path} HTTP/1.1\r\n{lines}".encode()


def request_head(prefix: bytes, lines: str) -> bytes:
    """Return a complete request head: a hook's prefix, an attempt's lines, the blank line."""
    return b"%b%b\r\n" % (prefix, lines.encode("ascii"))
