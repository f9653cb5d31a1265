"""Differences between two attempts of a delivery: result, response headers, response body."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

from hooktui.console.deliveries.text import error_words, phases_words
from hooktui.console.formatting import took
from hooktui.console.widgets.document_lines import Section, json_lines
from hooktui.domain.clock import from_rfc3339
from hooktui.domain.wire.deliveries import Attempt

_CONTEXT: Final = 3


def to_compare(
    attempts: Sequence[Attempt], current: Attempt | None, marked: Sequence[object]
) -> tuple[Attempt, Attempt]:
    """Return the older and the newer of two attempts to compare.

    If several attempts are marked, these are the first and the last of them; if one is marked, it
    and the current attempt; otherwise the current attempt and the one before it.

    Args:
        attempts: all attempts in order; at least two.
        current: the attempt under the cursor.
        marked: the numbers of the marked attempts.
    """
    chosen = [attempt for attempt in attempts if attempt.number in marked]
    here = attempts.index(current) if current in attempts else len(attempts) - 1
    if len(chosen) == 1 and chosen[0] is not attempts[here]:
        chosen = sorted([chosen[0], attempts[here]], key=lambda attempt: attempt.number)
    if len(chosen) < 2:
        newer = max(here, 1)
        chosen = [attempts[newer - 1], attempts[newer]]
    return chosen[0], chosen[-1]


def difference_of(older: Attempt, newer: Attempt) -> list[Section]:
    """Return the sections of a unified diff from the older to the newer attempt.

    At most 16 KiB of a body are stored: two bodies of 8,000 lines that share few take 0.15 s.
    """
    return [
        Section(
            f"Attempt {newer.number} against attempt {older.number}",
            "- was, + is",
            text=_unified(_facts(older), _facts(newer), context=20),
            kind="difference",
        ),
        _part("Response headers", _headers(older), _headers(newer)),
        _part("Response body", _body(older), _body(newer)),
        Section(
            "Request",
            text="The same body. webhook-timestamp, which the signatures cover, is"
            f" {_second(older)} and {_second(newer)}.",
            kind="words",
        ),
    ]


def _part(title: str, older: Sequence[str], newer: Sequence[str]) -> Section:
    if not older and not newer:
        return Section(title, "none in both", opened=False)
    if older == newer:
        return Section(title, "identical", text="\n".join(older), kind="words", opened=False)
    return Section(title, text=_unified(older, newer, _CONTEXT), kind="difference")


def _unified(older: Sequence[str], newer: Sequence[str], context: int) -> str:
    if older == newer:
        return "\n".join(f" {line}" for line in newer)
    lines = list(difflib.unified_diff(older, newer, n=context, lineterm=""))[2:]
    # If all lines are shown, the @@ line with their position is not needed.
    return "\n".join(lines[1:] if context >= max(len(older), len(newer)) else lines)


def _facts(attempt: Attempt) -> list[str]:
    facts = [
        f"status: {'none' if attempt.status_code is None else attempt.status_code}",
        f"error: {error_words(attempt.error, attempt.error_detail) or 'none'}",
        f"took: {took(attempt.phases_ms.total) or 'nothing'}",
        f"phases: {phases_words(attempt.phases_ms) or 'none'}",
        f"connection: {'reused' if attempt.reused_connection else 'new'}",
        f"address: {attempt.address or 'none'}",
    ]
    if attempt.retry_after_s is not None:
        facts.append(f"Retry-After: {attempt.retry_after_s}s")
    return [line.replace("\n", " ") for line in facts]


def _headers(attempt: Attempt) -> list[str]:
    if attempt.response is None:
        return []
    return [f"{name}: {value}" for name, value in attempt.response.headers]


def _body(attempt: Attempt) -> list[str]:
    """Return the lines of a response body; JSON is formatted, so that only its content differs."""
    if attempt.response is None or not attempt.response.body:
        return []
    pretty = json_lines(attempt.response.body)
    if pretty is None:
        return attempt.response.body.splitlines()
    return [line.text for line in pretty]


def _second(attempt: Attempt) -> int:
    return from_rfc3339(attempt.started_at) // 1000
