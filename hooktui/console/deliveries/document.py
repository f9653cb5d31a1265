"""Request and response of a delivery as sections of text, and in forms for copying.

The forms are a curl command, a signature check, and JSON. None contains a secret: sensitive headers
are masked as everywhere, and the check reads the secret from a file.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hooktui.console.deliveries.text import (
    error_words,
    phases_words,
    remaining_attempts,
    remaining_pairs,
    status_word,
)
from hooktui.console.formatting import moment, size, took
from hooktui.console.glyphs import UNICODE, Glyphs
from hooktui.console.registry import KeyOf
from hooktui.console.widgets.document_lines import Section
from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.signatures import HASH_OF_DIGITS, HashName, mac_name
from hooktui.domain.text import counted
from hooktui.domain.wire.deliveries import (
    Attempt,
    Delivery,
    DeliveryDetail,
    Phases,
    Request,
    Response,
)
from hooktui.domain.wire.hooks import Hook

# curl sets these itself, or they become wrong when the body is edited.
_LEFT_OUT: Final = frozenset({"content-length", "host", "connection", "accept-encoding"})


def as_curl(request: Request) -> str:
    """Return a shell command that sends the request again, with the same body byte for byte."""
    parts = [f"curl -sS -i -X {request.method} {shlex.quote(request.url)}"]
    parts += [
        f"  -H {shlex.quote(f'{name}: {value}')}"
        for name, value in request.headers
        if name.lower() not in _LEFT_OUT
    ]
    # --data-raw, because --data reads a file if the body begins with @.
    parts.append(f"  --data-raw {shlex.quote(request.body)}")
    return " \\\n".join(parts)


def as_check(request: Request) -> str | None:
    """Return a shell command that verifies the request's X-Hook-Signature; None without one."""
    signature = _header(request, "x-hook-signature")
    hash_name = hash_of(request)
    if hash_name is None:
        return None
    return (
        f"printf %s {shlex.quote(request.body)} | hooktui verify --secret @secret.txt"
        f" --hash {hash_name} --signature {signature}"
    )


def hash_of(request: Request) -> HashName | None:
    """Return the hash function of the request's X-Hook-Signature; None without one."""
    return HASH_OF_DIGITS.get(len(_header(request, "x-hook-signature")))


def _header(request: Request, searched: str) -> str:
    return next((value for name, value in request.headers if name.lower() == searched), "")


NO_BODY: Final = "The event's body is purged, so the request cannot be rebuilt."
NO_HOOK: Final = "The hook is deleted, so the request cannot be rebuilt."
FAMILY: Final = "Deliveries of this event to this hook"
"""Title of the section that lists all deliveries of the event to the hook."""

MAX_HEADERS_KEPT: Final = 50
_BAR: Final = 48


@dataclass(frozen=True, slots=True)
class RelatedData:
    """Data that the sections need besides the delivery itself.

    Attributes:
        now_ms: the current time.
        key: returns the displayed key of a command.
        glyphs: glyphs of the bars.
        hook: the hook of the delivery; None while it is not loaded.
        family: all deliveries of the event to the hook, oldest first; empty while not loaded.
    """

    now_ms: int
    key: KeyOf
    glyphs: Glyphs = UNICODE
    hook: Hook | None = None
    family: Sequence[Delivery] = ()


def sections_of(
    delivery: DeliveryDetail, attempt: Attempt | None, related: RelatedData
) -> list[Section]:
    """Return the response of an attempt (if any), next attempts, request, related deliveries."""
    request, signed = delivery.request, delivery.string_signed
    sections = [] if attempt is None else _response(attempt, related.glyphs)
    sections += _coming(delivery, related)
    if request is not None:
        sections += _request(delivery, request)
    else:
        words = NO_BODY if signed is None else NO_HOOK
        sections.append(Section("Request", text=words, kind="words"))
    if signed is not None:
        note = f"id.timestamp.body, {_bytes_of(signed)}"
        sections.append(_signed("webhook-signature", note, signed))
    hash_name = None if request is None else hash_of(request)
    if request is not None and hash_name is not None:
        note = f"the body alone, byte by byte; {mac_name(hash_name)} in hex"
        sections.append(_signed("X-Hook-Signature", note, request.body))
    return sections + _family(delivery, related)


def _signed(header: str, note: str, text: str) -> Section:
    return Section(f"What {header} signs", note, text=text, opened=False, kind="words")


def _coming(delivery: DeliveryDetail, related: RelatedData) -> list[Section]:
    if related.hook is None:
        return []
    coming = remaining_attempts(delivery, related.hook.retry_schedule_s, related.now_ms)
    if not coming:
        return []
    _, last_ms = coming[-1]
    last = moment(last_ms, related.now_ms)
    note = f"{counted(len(coming), 'attempt')} if each fails, the last at {last} (each ±10 %)"
    pairs = remaining_pairs(coming, related.now_ms, related.key)
    return [Section("Next attempts", note, pairs=pairs, opened=False)]


def _request(delivery: DeliveryDetail, request: Request) -> list[Section]:
    latest = delivery.attempts[-1].number if delivery.attempts else None
    which = "as it will be sent" if latest is None else f"as in attempt {latest}"
    where = f"{request.method} {request.url}, {_bytes_of(request.body)}"
    return [
        Section("Request headers", which, pairs=request.headers, opened=False),
        Section("Request body", where, text=request.body),
    ]


def _bytes_of(text: str) -> str:
    return size(len(text.encode("utf-8", "surrogatepass")))


def _family(delivery: DeliveryDetail, related: RelatedData) -> list[Section]:
    if len(related.family) < 2:
        return []
    pairs = []
    for relative in related.family:
        created = moment(relative.created_at, related.now_ms)
        this = ", this one" if relative.id == delivery.id else ""
        pairs.append(
            (f"{created} by {relative.trigger}, {status_word(relative)}{this}", relative.id)
        )
    note = f"{counted(len(pairs), 'delivery')}; {related.key('open')} opens one"
    return [Section(FAMILY, note, pairs=tuple(pairs))]


def _response(attempt: Attempt, glyphs: Glyphs) -> list[Section]:
    """Return the response to an attempt, or why there is none, and the time by phase."""
    notes = []
    if attempt.status_code is not None:
        notes.append(f"HTTP {attempt.status_code}")
    if attempt.phases_ms.total is not None:
        notes.append(f"after {took(attempt.phases_ms.total)}")
    if attempt.retry_after_s is not None:
        notes.append(f"Retry-After {attempt.retry_after_s}s")
    title, note = f"Response to attempt {attempt.number}", " ".join(notes)
    if attempt.response is None:
        sections = [Section(title, note, text=_no_response_words(attempt), kind="words")]
    else:
        sections = _received(title, note, attempt, attempt.response)
    return [*sections, *_time(attempt.phases_ms, glyphs)]


def _no_response_words(attempt: Attempt) -> str:
    if attempt.error == ErrorClass.TIMEOUT and attempt.error_detail:
        return f"Timeout: {attempt.error_detail}"  # a sentence, such as "no response within …"
    why = error_words(attempt.error, attempt.error_detail)
    return f"No response: {why}" if why else "The response was not stored."


def _received(title: str, note: str, attempt: Attempt, response: Response) -> list[Section]:
    """Return why the attempt failed, unless the status says so; the body and the headers."""
    sections = []
    why = error_words(attempt.error, attempt.error_detail)
    if attempt.status_code is None or (why and attempt.error != "status"):
        sections.append(Section("Why it failed", text=why, kind="words"))
    stored = f"{size(response.size)} received"
    if response.truncated:
        stored += f", the first {_bytes_of(response.body)} stored"
    whole = f"{note}, {stored}" if note else stored
    if response.body:
        sections.append(Section(title, whole, text=response.body))
    else:
        sections.append(Section(title, whole, text="(empty)", kind="words"))
    if response.headers:
        count = str(len(response.headers))
        if len(response.headers) >= MAX_HEADERS_KEPT:
            count = f"the first {count}; the others are not stored"
        sections.append(Section("Response headers", count, pairs=response.headers, opened=False))
    return sections


def _time(phases: Phases, glyphs: Glyphs) -> list[Section]:
    """Return the phases of an attempt as consecutive bars on one time scale."""
    total = phases.total
    if not total:
        return []
    lines = []
    before = 0.0
    for name, took_ms, sign in _phases(phases, total, glyphs):
        start = min(_BAR - 1, round(_BAR * before / total))
        cells = min(_BAR - start, max(1, round(_BAR * took_ms / total)))
        lines.append(f"{name:<10} {took(took_ms):>6}  {' ' * start}{sign * cells}")
        before += took_ms
    note = phases_words(phases) or took(total)
    return [Section("Time by phase", note, text="\n".join(lines), kind="words",
                    opened=bool(lines))]  # fmt: skip


def _phases(phases: Phases, total: float, glyphs: Glyphs) -> list[tuple[str, float, str]]:
    """Return name, milliseconds and glyph of each phase that took place, the body last."""
    signs = {"first byte": glyphs.bar_waiting}
    happened = [
        (name, took_ms, signs.get(name, glyphs.bar_set_up)) for name, took_ms in phases.happened()
    ]
    rest = total - sum(value for _, value, _ in happened)
    if phases.first_byte is not None and rest > 0:
        happened.append(("body", rest, glyphs.bar_reading))
    return happened
