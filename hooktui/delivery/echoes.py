"""What a receiver sends back of a hook's own secrets is masked before its answer is kept.

Many answer with what they were sent: services for trying out, and error pages. Else a header's
value or a password would lie in clear in the database, and be shown to everybody who may read.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Final

import msgspec

from hooktui.delivery.answered import Answered
from hooktui.domain.hooks import LiveHook
from hooktui.domain.objects import MASK

SHORTEST: Final = 8
"""A shorter secret is found in words that have nothing to do with it."""


def own_secrets(hook: LiveHook) -> tuple[str, ...]:
    """Return what a hook sends or signs with and nobody may read, in each form it may come back.

    The password alone and encoded; of a value such as ``Bearer abc`` the credentials by themselves,
    too; and each as JSON writes it. The longest come first: others may be parts of them.
    """
    settings = hook.settings
    values = [secret.value for secret in hook.secrets]
    for name in settings.sensitive_headers:
        values += [settings.headers[name], settings.headers[name].rpartition(" ")[2]]
    if settings.basic_auth is not None:
        user, password = settings.basic_auth.user, settings.basic_auth.password
        values += [b64encode(f"{user}:{password}".encode()).decode(), password]
    forms = {(value, json.dumps(value)[1:-1]) for value in values if len(value) >= SHORTEST}
    return tuple(sorted({form for both in forms for form in both}, key=len, reverse=True))


def masked(answered: Answered, secrets: Sequence[str]) -> Answered:
    """Return an answer with ``***`` in place of each secret of `own_secrets`."""
    body, headers, detail = answered.body, answered.headers, answered.error_detail
    values = "\n".join([value for _, value in headers])
    for text in secrets:
        raw = text.encode()
        latin = raw.decode("latin-1")
        if raw in body:
            body = body.replace(raw, MASK.encode())
        if latin in values:
            headers = tuple([(name, value.replace(latin, MASK)) for name, value in headers])
        if detail is not None and text in detail:
            detail = detail.replace(text, MASK)
    if body is answered.body and headers is answered.headers and detail is answered.error_detail:
        return answered
    return msgspec.structs.replace(answered, body=body, headers=headers, error_detail=detail)
