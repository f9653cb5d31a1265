"""Masks a hook's own secrets in the responses of its receiver before they are stored.

Many receivers repeat the request in their response: test services, and error pages. A header's
value or a password would then be readable for everyone who may read responses.

Secrets are found as plain text, in base64 at each alignment, in hexadecimal, and in the escapes of
JSON, URLs and HTML, also one format within another. If the response was cut, the beginning of a
secret at its end is masked, too.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import msgspec

from hooktui.delivery.limits import ExchangeLimits
from hooktui.delivery.spellings import SPELLINGS
from hooktui.domain.deliveries import Exchange
from hooktui.domain.hook_edits import SHORTEST_MASKED
from hooktui.domain.json_text import Steps
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.text import MASK

_MASK: Final = MASK.encode()
_NESTED: Final = 2
"""Nested formats that are decoded: JSON as a string in JSON, a URL in HTML."""
_NO_CHANCE: Final = 24
"""Bytes of a secret that cannot occur by chance."""
_CUT_HEADER: Final = ExchangeLimits().stored_header_bytes
_BASE64: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")

Spans = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class SecretForms:
    """The forms of a hook's secrets to search for.

    Attributes:
        plain: texts that are found as they are.
        encoded: parts of base64 texts that depend on a secret alone, not on its neighbours.
        shortest: those of both that contain no other one: without them there is no secret.
        nested: the number of nested formats to decode.
    """

    plain: tuple[bytes, ...] = field(repr=False)
    encoded: tuple[bytes, ...] = field(repr=False)
    shortest: tuple[bytes, ...] = field(repr=False)
    nested: int

    def may_occur(self, text: bytes) -> bool:
        """Return whether a text contains a form or an escape; a fast check."""
        for form in self.shortest:
            if form in text:
                return True
        return self.nested > 0 and (b"\\" in text or b"%" in text or b"&" in text)


def own_secrets(hook: LiveHook) -> SecretForms:
    """Return the forms of the secrets that a hook sends or signs with.

    The password alone and as a pair; of a value such as ``Bearer abc`` also the credentials alone.
    The signing secret is never sent, so a receiver that repeats it has it as text: no escapes are
    decoded if it is the only secret.
    """
    settings = hook.settings
    signing = [secret.value for secret in hook.secrets]
    signing += [value.removeprefix("whsec_") for value in signing]
    signing += [json.dumps(value)[1:-1] for value in signing]
    signing += [value.replace("/", "\\/") for value in signing]
    values = [settings.headers[name] for name in settings.sensitive_headers]
    sent = [value.rpartition(" ")[2] for value in values]
    sent += [value for value, last in zip(values, sent, strict=True) if not _is_long_enough(last)]
    if settings.basic_auth is not None:
        user, password = settings.basic_auth.user, settings.basic_auth.password
        sent += [b64encode(f"{user}:{password}".encode()).decode(), password]
    sent = list(filter(_is_long_enough, sent))
    texts = chain.from_iterable(map(_texts, filter(_is_long_enough, [*signing, *values, *sent])))
    numbers = chain.from_iterable(map(_hexadecimal, sent))
    plain = tuple(dict.fromkeys([*texts, *numbers]))
    encoded = tuple(dict.fromkeys(chain.from_iterable(map(_base64, sent))))
    shortest: list[bytes] = []
    for form in sorted({*plain, *encoded}, key=len):
        if not any(short_form in form for short_form in shortest):
            shortest.append(form)
    return SecretForms(plain, encoded, tuple(shortest), _NESTED if sent else 0)


def may_echo(exchange: Exchange, secrets: SecretForms) -> bool:
    """Return whether there may be a secret to mask; a fast check that usually suffices."""
    if exchange.truncated or exchange.error_detail is not None:
        return True
    together = _together(exchange)
    return len(together) >= _CUT_HEADER or secrets.may_occur(exchange.body + b"\n" + together)


def _together(exchange: Exchange) -> bytes:
    return "\n".join(chain.from_iterable(exchange.headers)).encode("latin-1")


def mask_steps(exchange: Exchange, secrets: SecretForms) -> Steps[Exchange]:
    """Return an exchange with ``***`` in place of each secret."""
    if not may_echo(exchange, secrets):
        return exchange
    body, headers, detail = exchange.body, exchange.headers, exchange.error_detail
    together, cut = _together(exchange), exchange.truncated or detail is not None
    body = yield from _mask(body, secrets, cut=cut)
    if len(together) >= _CUT_HEADER or secrets.may_occur(together):
        shown: list[tuple[str, str]] = []
        for name, value in headers:
            shown.append((yield from _mask_header(name, value, secrets)))
        headers = tuple(shown)
    if detail is not None:
        detail = (yield from _mask(detail.encode(), secrets, cut=False)).decode(errors="replace")
    return msgspec.structs.replace(exchange, body=body, headers=headers, error_detail=detail)


def _mask_header(name: str, value: str, secrets: SecretForms) -> Steps[tuple[str, str]]:
    cut = len(name) + len(value) >= _CUT_HEADER
    shown = yield from _mask(value.encode("latin-1"), secrets, cut=cut)
    named = yield from _mask(name.encode("latin-1"), secrets, cut=cut and not value)
    return named.decode("latin-1"), shown.decode("latin-1")


def _mask(text: bytes, secrets: SecretForms, *, cut: bool) -> Steps[bytes]:
    if not cut and not secrets.may_occur(text):
        return text
    spans = yield from _find(text, secrets, secrets.nested, cut=cut)
    return _replaced(text, spans) if spans else text


def _find(text: bytes, secrets: SecretForms, nested: int, *, cut: bool) -> Steps[Spans]:
    """Return the spans of secrets in any order; pause before each format that is decoded.

    Args:
        text: the text to search.
        secrets: the forms to search for.
        nested: the number of nested formats to decode.
        cut: whether the text was cut; then an end that may begin a secret counts.
    """
    spans: Spans = []
    for form in secrets.plain:
        spans += _places(text, form)
    for form in secrets.encoded:
        # The adjacent characters hold some bits of the secret, too.
        spans += [
            (
                start - (start > 0 and text[start - 1] in _BASE64),
                end + (end < len(text) and text[end] in _BASE64),
            )
            for start, end in _places(text, form)
        ]
    if cut and (begun := max(_overlap(text, own) for own in (*secrets.plain, *secrets.encoded))):
        spans.append((len(text) - begun, len(text)))
    for spelling in SPELLINGS if nested else ():
        decoded = spelling.decoded(text)
        lost = 0 if decoded is None or not cut else spelling.cut_off(decoded)
        if decoded is None or (len(decoded.source) == 1 and not lost):
            continue
        yield
        inside = decoded.text[: len(decoded.text) - lost]
        there = yield from _find(inside, secrets, nested - 1, cut=cut)
        for start, end in decoded.spans(there):
            # The rest of a cut escape belongs to the span before it.
            spans.append((start, len(text) if lost and end == len(text) - lost else end))
    return spans


def _places(text: bytes, form: bytes) -> Iterable[tuple[int, int]]:
    start = text.find(form)
    while start >= 0:
        yield start, start + len(form)
        start = text.find(form, start + len(form))


def _overlap(text: bytes, form: bytes) -> int:
    """Return how much of a text's end begins a form.

    If the occurring part of a form is too long for chance, all that follows counts: one search.
    """
    if len(form) > _NO_CHANCE:
        start = text.find(form[:_NO_CHANCE], max(0, len(text) - len(form)))
        if start >= 0:
            return len(text) - start
    return next((n for n in range(min(len(form), _NO_CHANCE), 0, -1) if text.endswith(form[:n])), 0)


def _replaced(text: bytes, spans: Spans) -> bytes:
    pieces: list[bytes] = []
    after = 0
    for start, end in sorted(spans):
        if start > after or not pieces:
            pieces += [text[after:start], _MASK]
        after = max(after, end)
    return b"".join([*pieces, text[after:]])


def _is_long_enough(value: str) -> bool:
    return len(value) >= SHORTEST_MASKED


def _texts(value: str) -> list[bytes]:
    """Return a value as text: UTF-8, Latin-1, and with ``+`` for each space as in HTML forms."""
    texts = [value.encode()]
    if not value.isascii() and value.encode("latin-1", "ignore").decode("latin-1") == value:
        texts.append(value.encode("latin-1"))
    return [form for text in texts for form in (text, text.replace(b" ", b"+"))]


def _hexadecimal(value: str) -> list[bytes]:
    digits = value.encode().hex()
    return [digits.encode(), digits.upper().encode()]


def _base64(value: str) -> list[bytes]:
    """Return the base64 characters that depend on a value alone, for 0 to 2 bytes before it."""
    forms, content = [], value.encode()
    for before, skipped in ((0, 0), (1, 2), (2, 3)):
        whole = (before + len(content)) * 8 // 6  # characters that no later byte changes
        forms.append(b64encode(bytes(before) + content)[skipped:whole])
    return [spelling for form in forms for spelling in (form, form.translate(_URL_SAFE))]
