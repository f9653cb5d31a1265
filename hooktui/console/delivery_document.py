"""A delivery's request and an attempt's answer as sections to read."""

from __future__ import annotations

from hooktui.console.delivery_words import error_words, phases_words
from hooktui.console.times import size, took
from hooktui.console.widgets.json_lines import Section
from hooktui.domain.objects import Attempt, DeliveryDetail

NO_REQUEST = "The body is purged or the hook deleted, so the request cannot be rebuilt."


def sections_of(delivery: DeliveryDetail, attempt: Attempt | None) -> list[Section]:
    """Return the answer to an attempt (when there is one), then the request and what was signed."""
    sections = [] if attempt is None else _answer(attempt)
    request = delivery.request
    if request is None:
        return [*sections, Section("Request", text=NO_REQUEST)]
    latest = delivery.attempts[-1].number if delivery.attempts else None
    which = "as it will be sent" if latest is None else f"as in attempt {latest}"
    body_size = size(len(request.body.encode("utf-8", "surrogatepass")))
    sections += [
        Section("Request headers", which, pairs=request.headers, opened=False),
        Section("Request body", f"{request.method} {request.url}, {body_size}", text=request.body),
    ]
    if delivery.string_signed is not None:
        sections.append(
            Section(
                "String signed",
                "what webhook-signature signs: id.timestamp.body",
                text=delivery.string_signed,
                opened=False,
            )
        )
    return sections


def _answer(attempt: Attempt) -> list[Section]:
    title = f"Answer to attempt {attempt.number}"
    notes = []
    if attempt.status_code is not None:
        notes.append(f"HTTP {attempt.status_code}")
    if attempt.phases_ms.total is not None:
        notes.append(f"after {took(attempt.phases_ms.total)}")
    phases = phases_words(attempt.phases_ms)
    if phases:
        notes.append(f"({phases})")
    if attempt.retry_after_s is not None:
        notes.append(f"Retry-After {attempt.retry_after_s}s")
    note = " ".join(notes)
    why = error_words(attempt.error, attempt.error_detail)
    response = attempt.response
    if response is None:
        return [Section(title, note, text=f"No answer: {why}" if why else "No answer was kept.")]
    kept = f"{size(response.size)} read"
    if response.truncated:
        kept += ", cut here"
    body = response.body or "(empty)"
    sections = [Section(title, f"{note}, {kept}" if note else kept, text=body)]
    if attempt.status_code is None or (why and attempt.error != "status"):
        sections.insert(0, Section("Why it failed", text=why))
    if response.headers:
        sections.append(
            Section(
                "Answer headers", str(len(response.headers)), pairs=response.headers, opened=False
            )
        )
    return sections
