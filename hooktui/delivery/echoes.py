"""What a receiver sends back of a hook's own secrets is masked before its answer is kept.

Many answer with what they were sent: services for trying out, and error pages. Else a header's
value or a password would lie in clear in the database, and be shown to everybody who may read.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from typing import Final

import msgspec

from hooktui.delivery.answered import Answered
from hooktui.domain.hooks import HookSettings
from hooktui.domain.objects import MASK

SHORTEST: Final = 8
"""A shorter secret is found in words that have nothing to do with it."""


def sensitive_values(settings: HookSettings) -> tuple[str, ...]:
    """Return what a hook sends and nobody may read: header values, and password alone and encoded.

    Of a value such as ``Bearer abc`` the credentials count by themselves, too.
    """
    values = []
    for name in settings.sensitive_headers:
        values += [settings.headers[name], settings.headers[name].rpartition(" ")[2]]
    if settings.basic_auth is not None:
        user, password = settings.basic_auth.user, settings.basic_auth.password
        values += [b64encode(f"{user}:{password}".encode()).decode(), password]
    return tuple(values)


def masked(answered: Answered, values: Iterable[str]) -> Answered:
    """Return an answer with ``***`` in place of each of some values, also where JSON escapes it."""
    written = {
        form
        for value in values
        if len(value) >= SHORTEST
        for form in (value, json.dumps(value)[1:-1])
    }
    body, headers = answered.body, answered.headers
    detail = answered.error_detail
    for text in sorted(written, key=len, reverse=True):  # a part of another one comes after it
        body = body.replace(text.encode(), MASK.encode())
        latin = text.encode().decode("latin-1")
        headers = tuple([(name, value.replace(latin, MASK)) for name, value in headers])
        detail = detail and detail.replace(text, MASK)
    if body == answered.body and headers == answered.headers and detail == answered.error_detail:
        return answered
    return msgspec.structs.replace(answered, body=body, headers=headers, error_detail=detail)
