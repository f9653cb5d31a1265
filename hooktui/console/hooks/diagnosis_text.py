"""Texts of a diagnosis: verdict, steps, time per phase, and further details."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hooktui.console.formatting import size, took
from hooktui.console.frame.frame_text import CHECK_TONES, advice_here
from hooktui.console.glyphs import Glyphs
from hooktui.console.registry import KeyOf
from hooktui.console.widgets.document_lines import Section
from hooktui.console.widgets.styled import StyledLine, StyleName, wrapped
from hooktui.domain.text import visible
from hooktui.domain.wire.deliveries import Phases
from hooktui.domain.wire.diagnosis import Certificate, Check, Diagnosis

_PHASES: Final[tuple[tuple[str, str, StyleName], ...]] = (
    ("dns", "name", "quiet"),
    ("connect", "connect", "quiet"),
    ("tls", "TLS", "quiet"),
    ("first_byte", "first byte", "accent"),
)
_NOW: Final[dict[str, str]] = {
    "name": "resolving",
    "connect": "connecting to each address",
    "TLS": "handshake, checking the certificate",
    "ping": "waiting for the response",
}
_NAME: Final = 14
_BEFORE: Final = 9 + _NAME
"""Cells before the result of a step."""
_LABEL: Final = 12
"""Width in cells of the names of phases."""
_TIME: Final = 7
_SHORTEST_BAR: Final = 10


def sign_of(state: str, glyphs: Glyphs) -> str:
    """Return the glyph of a step or of the whole diagnosis; the state may be a newer server's."""
    return {"ok": glyphs.delivered, "fail": glyphs.failed}.get(state, glyphs.failing)


def step_lines(
    checks: Sequence[Check], glyphs: Glyphs, width: int, running: str | None = None
) -> tuple[StyledLine, ...]:
    """Return a line for each step: glyph and state, name, result; the running step comes last.

    A result that is not ok is shown in full, on as many lines of ``width`` cells as necessary.
    """
    lines: list[StyledLine] = []
    for check in checks:
        tone = CHECK_TONES.get(check.state, "warn")
        text, *more = [check.value]
        if check.state != "ok":
            text, *more = wrapped(visible(check.value), max(width - _BEFORE, _NAME)) or [""]
        lines += [
            (
                (f" {sign_of(check.state, glyphs)} {check.state:<4}  ", tone),
                (f"{check.name:<{_NAME}}", "quiet"),
                (text, "plain" if check.state == "ok" else tone),
            ),
            *(((" " * _BEFORE, "plain"), (rest, tone)) for rest in more),
        ]
    if running is not None:
        sign = f" {glyphs.sending} {glyphs.ellipsis:<4}  "
        lines.append(
            ((sign, "accent"), (f"{running:<{_NAME}}", "quiet"), (_NOW.get(running, ""), "quiet"))
        )
    return tuple(lines)


def phase_lines(phases: Phases, width: int, glyphs: Glyphs) -> tuple[StyledLine, ...]:
    """Return a line for each phase, with a bar at its place in the total time; then the sum."""
    total = phases.total or 0.0
    if total <= 0:
        return ()
    room = max(_SHORTEST_BAR, width - _LABEL - _TIME - 4)

    def line(name: str, took_ms: float, before: float, tone: StyleName) -> StyledLine:
        start = min(room - 1, int(room * before / total))
        cells = max(1, min(room - start, round(room * took_ms / total)))
        return (
            (f" {name:<{_LABEL}}", "quiet"),
            (f"{took(took_ms):>{_TIME}}  ", "plain"),
            (" " * start, "plain"),
            (glyphs.bar_waiting * cells, tone),
        )

    lines: list[StyledLine] = []
    before = 0.0
    for field, name, tone in _PHASES:
        took_ms: float | None = getattr(phases, field)
        if took_ms is None:
            continue
        lines.append(line(name, took_ms, before, tone))
        before += took_ms
    rest = total - before
    if phases.first_byte is not None and rest > 0:
        lines.append(line("reading", rest, before, "quiet"))
    lines.append(((f" {'total':<{_LABEL}}{took(total):>{_TIME}}", "strong"),))
    return tuple(lines)


def sections_of(diagnosis: Diagnosis, key: KeyOf, *, times: bool) -> list[Section]:
    """Return the details: further advice, times, addresses, certificates and the response.

    ``times``: include the phases, for screens without room for their bars.
    """
    advice = tuple(
        (check.name, advice_here(check.advice, key))
        for check in diagnosis.checks
        if check.advice and check.advice != diagnosis.fix
    )
    sections = [Section("Further advice", pairs=advice)] if advice else []
    if times and diagnosis.phases_ms.total:
        known = (*((field, name) for field, name, _ in _PHASES), ("total", "total"))
        pairs = tuple((name, took(getattr(diagnosis.phases_ms, field))) for field, name in known)
        sections.append(Section("Time", pairs=tuple(pair for pair in pairs if pair[1])))
    if len(diagnosis.addresses) > 1:
        pairs = tuple(
            (address.address, address.detail or took(address.connect_ms) or "not tried")
            for address in diagnosis.addresses
        )
        sections.append(Section("Addresses", str(len(pairs)), pairs=pairs))
    if diagnosis.tls is not None:
        chain = diagnosis.tls.chain
        sections += [_certificate(number, link) for number, link in enumerate(chain, 1)]
    response = None if diagnosis.ping is None else diagnosis.ping.response
    if diagnosis.ping is not None and response is not None:
        note = f"HTTP {diagnosis.ping.status_code}, {size(response.size)} received"
        sections.append(Section("Response to the ping", note, text=response.body or "(empty)"))
        number = str(len(response.headers))
        sections.append(Section("Response headers", number, pairs=response.headers, opened=False))
    return sections


def _certificate(number: int, certificate: Certificate) -> Section:
    note = "expired" if certificate.days_left < 0 else f"{certificate.days_left:,} days left"
    title = "Certificate" if number == 1 else f"Certificate {number} of the chain"
    return Section(
        title,
        note,
        pairs=(
            ("subject", certificate.subject),
            ("issuer", certificate.issuer),
            ("names", ", ".join(certificate.names) or "none"),
            ("valid", f"{certificate.not_before[:10]} to {certificate.not_after[:10]}"),
        ),
    )


def as_words(diagnosis: Diagnosis) -> str:
    """Return verdict and fix, for pasting into a ticket."""
    return "\n".join(
        _shown([f"hook {diagnosis.hook}, {diagnosis.url}: {diagnosis.verdict}", diagnosis.fix])
    )


def as_text(diagnosis: Diagnosis) -> str:
    """Return verdict, fix and steps as text, with control characters made visible."""
    lines = [as_words(diagnosis), ""]
    for check in diagnosis.checks:
        lines += _shown([f"{check.state:<4}  {check.name:<{_NAME}}{check.value}"])
        lines += _shown([" " * (_NAME + 6) + check.advice] if check.advice else [])
    return "\n".join([*lines, "", f"diagnosed at {diagnosis.started_at}"])


def _shown(lines: Sequence[str]) -> list[str]:
    return [visible(line) for line in lines if line]
