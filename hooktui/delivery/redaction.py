"""Masks a hook's own secrets in the responses of its receiver before they are stored.

Many receivers repeat the request in their response: test services, and error pages. A header's
value or a password would then be readable for everyone who may read responses.

Secrets are found as plain text, in base64 at each alignment, in hexadecimal, and in the escapes of
JSON, URLs and HTML, also one format within another. If the response was cut, the beginning of a
secret at its end is masked, too.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import msgspec

from hooktui.delivery.limits import ExchangeLimits
from hooktui.delivery.spellings import SPELLINGS, Decoded
from hooktui.domain.deliveries import Exchange
from hooktui.domain.hook_edits import SHORTEST_MASKED
from hooktui.domain.json_text import Steps
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.signatures import PREFIX
from hooktui.domain.text import MASK

_MASK: Final = MASK.encode()
_PREFIX: Final = PREFIX.encode()
_NESTED: Final = 2
"""Nested formats that are decoded: JSON as a string in JSON, a URL in HTML."""
_NO_CHANCE: Final = 24
"""Bytes of a secret that cannot occur by chance."""
_CUT_HEADER: Final = ExchangeLimits().stored_header_bytes
_BASE64: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_QUICK: Final = 500_000
"""Bytes times forms that are searched at once, in up to 1 ms."""
_PERIODIC: Final = 100
"""The cost of a form that repeats its beginning: in a text that does, too, it may fit anywhere."""
_LONG, _SHORT = 30_000, 20_000
"""Bytes of a text in which Python finds such a form in linear time, not by trial, and of one in
which it finds other forms faster than in a long one."""
_HITS_A_STEP: Final = 1000
_FOUND: Final = b"x"
_RUN = re.compile(_FOUND + b"+")


@dataclass(frozen=True, slots=True)
class SecretForms:
    """The forms of a hook's secrets to search for.

    Attributes:
        forms: texts that are found as they are, then parts of base64 texts that depend on a secret
            alone, not on its neighbours.
        plain: the number of the former.
        nested: the number of nested formats to decode.
        cost: the number of forms, weighted.
    """

    forms: tuple[bytes, ...] = field(repr=False)
    plain: int
    nested: int
    cost: int = field(init=False)
    _bare: tuple[bytes, ...] = field(init=False, repr=False)
    _shortest: int = field(init=False)

    def __post_init__(self) -> None:
        known = frozenset(self.forms)  # a text with a prefixed form contains the bare one, too
        bare = [f for f in self.forms if not (f.startswith(_PREFIX) and f[len(_PREFIX) :] in known)]
        object.__setattr__(self, "_bare", tuple(bare))
        object.__setattr__(self, "_shortest", min(map(len, bare), default=0))
        periodic = any(form.find(form[:8], 1, 264) > 0 for form in self.forms)
        object.__setattr__(self, "cost", len(self.forms) * (_PERIODIC if periodic else 1))

    def may_occur(self, text: bytes) -> bool:
        """Return whether a text contains a form or an escape, or is long; a fast check."""
        if not self.nested and len(text) < self._shortest:
            return False  # as most responses are
        if len(text) * self.cost > _QUICK:
            return True
        for form in self._bare:
            if form in text:
                return True
        return self.nested > 0 and (b"\\" in text or b"%" in text or b"&" in text)


@dataclass(slots=True)
class _Text:
    """A part of a response, or the decoded form of another text.

    Attributes:
        text: the bytes.
        cut: whether it was cut; then an end that may begin a secret counts.
        nested: the number of nested formats to decode.
        outer: the text that it is the decoded form of.
        lost: the length of an escape that is cut off at the end of ``outer``.
        start: its position among all texts.
    """

    text: bytes
    cut: bool
    nested: int
    outer: tuple[_Text, Decoded] | None = None
    lost: int = 0
    start: int = 0

    def spans(self, marks: bytearray) -> list[tuple[int, int]]:
        """Return its marked spans in order."""
        start, end = self.start, self.start + len(self.text)
        first = marks.find(_FOUND, start, end)
        runs = _RUN.finditer(marks, first, end) if first >= 0 else ()
        return [(run.start() - start, run.end() - start) for run in runs]


def own_secrets(hook: LiveHook) -> SecretForms:
    """Return the forms of the secrets that a hook sends or signs with.

    The password alone and as a pair; of a value such as ``Bearer abc`` also the credentials alone.
    The signing secret is never sent, so a receiver that repeats it has it as text: no escapes are
    decoded if it is the only secret.
    """
    settings = hook.settings
    signing = [secret.value for secret in hook.secrets]
    signing += [value.removeprefix(PREFIX) for value in signing]
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
    plain = dict.fromkeys(chain(texts, numbers))
    encoded = dict.fromkeys(chain.from_iterable(map(_base64, sent)))
    return SecretForms((*plain, *encoded), len(plain), _NESTED if sent else 0)


def may_echo(exchange: Exchange, secrets: SecretForms) -> bool:
    """Return whether there may be a secret to mask; a fast check that usually suffices."""
    if exchange.truncated or exchange.error_detail is not None:
        return True
    together = "\n".join(chain.from_iterable(exchange.headers)).encode("latin-1")
    return len(together) >= _CUT_HEADER or secrets.may_occur(exchange.body + b"\n" + together)


def mask_steps(exchange: Exchange, secrets: SecretForms) -> Steps[Exchange]:
    """Return an exchange with ``***`` in place of each secret."""
    detail, nested = exchange.error_detail, secrets.nested
    parts = [_Text(exchange.body, exchange.truncated or detail is not None, nested)]
    parts.append(_Text((detail or "").encode(), False, nested))
    for name, value in exchange.headers:
        cut = len(name) + len(value) >= _CUT_HEADER
        parts.append(_Text(name.encode("latin-1"), cut and not value, nested))
        parts.append(_Text(value.encode("latin-1"), cut, nested))
    marks = yield from _find(parts, secrets)
    if _FOUND not in marks:
        return exchange
    replaced: list[bytes] = []
    for part in parts:
        yield
        replaced.append(_replaced(part.text, part.spans(marks)))
    body, shown, *fields = replaced
    texts = [text.decode("latin-1") for text in fields]
    headers = tuple(zip(texts[::2], texts[1::2], strict=True))
    if detail is not None:
        detail = shown.decode(errors="replace")
    return msgspec.structs.replace(exchange, body=body, headers=headers, error_detail=detail)


def all_masked(exchange: Exchange) -> Exchange:
    """Return an exchange with ``***`` in place of its response."""
    detail = None if exchange.error_detail is None else MASK
    return msgspec.structs.replace(
        exchange, body=_MASK, headers=(), truncated=True, error_detail=detail
    )


def _find(texts: Sequence[_Text], secrets: SecretForms) -> Steps[bytearray]:
    """Return marks of the bytes of secrets in some texts, and in their decoded forms.

    All of them are searched as one text, in linear time: secrets do not contain its separator.
    """
    texts, start = list(texts), 0
    for text in texts:  # the decoded forms are appended
        text.start, start = start, start + len(text.text) + 1
        if text.nested:
            yield from _decode(text, texts)
    joint, window = b"\0".join(text.text for text in texts), _SHORT
    marks = bytearray(len(joint))
    if secrets.cost > len(secrets.forms):
        joint += bytes(max(_LONG, 3 * max(map(len, secrets.forms))))
        window = len(joint)
    for number, form in enumerate(secrets.forms):
        yield from _mark(marks, joint, form, window, encoded=number >= secrets.plain)
    while texts:  # freeing all of them at once would be the longest step
        text = texts.pop()
        yield
        if text.cut:
            begun, end = _begun(text.text, secrets.forms), text.start + len(text.text)
            marks[end - begun : end] = _FOUND * begun
        if text.outer is not None and (spans := text.spans(marks)):
            outer, decoded = text.outer
            for number, (start, end) in enumerate(decoded.spans(spans)):
                if number % _HITS_A_STEP == 0:
                    yield
                # The rest of a cut escape belongs to the span before it.
                end += text.lost if end == len(outer.text) - text.lost else 0
                marks[outer.start + start : outer.start + end] = _FOUND * (end - start)
    return marks


def _decode(text: _Text, texts: list[_Text]) -> Steps[None]:
    """Append the decoded forms of a text."""
    for spelling in SPELLINGS:
        decoded = spelling.decoded(text.text)
        if decoded is None:
            continue
        yield
        lost = spelling.cut_off(decoded) if text.cut else 0
        if len(decoded.source) > 1 or lost:
            inside = decoded.text[: len(decoded.text) - lost]
            texts.append(_Text(inside, text.cut, text.nested - 1, (text, decoded), lost))


def _mark(marks: bytearray, text: bytes, form: bytes, window: int, *, encoded: bool) -> Steps[None]:
    """Mark where a form occurs."""
    yield
    hits = end = 0
    for first in range(0, len(text), window):
        last = first + window + len(form) - 1
        while (start := text.find(form, max(first, end), last)) >= 0:
            end = after = start + len(form)
            if encoded:  # the adjacent characters hold some bits of the secret, too
                start -= start > 0 and text[start - 1] in _BASE64
                after += end < len(text) and text[end] in _BASE64
            marks[start:after] = _FOUND * (after - start)
            hits += 1
            if hits % _HITS_A_STEP == 0:
                yield


def _begun(text: bytes, forms: tuple[bytes, ...]) -> int:
    """Return how much of a text's end begins a form.

    If the occurring part of a form is too long for chance, all that follows counts.
    """
    heads: dict[bytes, int] = {}
    for form in forms:
        heads[form[:_NO_CHANCE]] = max(len(form), heads.get(form[:_NO_CHANCE], 0))
    most = min(len(text), max(map(len, forms), default=0))
    for left in range(most, _NO_CHANCE, -1):
        position = len(text) - left
        if heads.get(text[position : position + _NO_CHANCE], 0) >= left:
            return left
    ends = tuple(text[-left:] for left in range(min(len(text), _NO_CHANCE), 0, -1))
    begun = [form for form in forms if form.startswith(ends)]
    return next((len(end) for end in ends if any(form.startswith(end) for form in begun)), 0)


def _replaced(text: bytes, spans: list[tuple[int, int]]) -> bytes:
    pieces: list[bytes] = []
    after = 0
    for start, end in spans:
        pieces += [text[after:start], _MASK]
        after = end
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
