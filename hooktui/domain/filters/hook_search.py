"""The search for hooks by words and state, as in ``billing -test status:failing``.

A part of the filter language: words match name, URL or events, terms are joined by *and*, commas in
a value by *or*, ``-`` negates. A URL is one word, including its colon.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hooktui.domain.filters.parser import MAX_LENGTH, FilterError
from hooktui.domain.filters.terms import FilterKey, FilterTerms

HINT: Final = "words in name, URL or events, and status:failing,disabled,waiting"
"""The help text of search inputs."""

_TERM = re.compile(r"\S+")
_OTHER_KEYS: Final = frozenset(
    key.value for key in FilterKey if key not in (FilterKey.WORD, FilterKey.STATUS)
)


class HookState(StrEnum):
    """The values of ``status:``. ``waiting`` is an active hook with waiting deliveries.

    An alert says that a hook is ``failing``; before it opens, a hook whose last attempt failed, or
    whose breaker is open, is ``retrying``.
    """

    ACTIVE = "active"
    DISABLED = "disabled"
    FAILING = "failing"
    RETRYING = "retrying"
    WAITING = "waiting"
    HELD = "held"


HOOK_TERMS: Final = FilterTerms({"status:": tuple(HookState)})


@dataclass(frozen=True, slots=True)
class HookTerm:
    """A word, or states of which one must hold; if negated, none of them."""

    word: str = ""
    states: tuple[HookState, ...] = ()
    negated: bool = False


def parse_hook_search(text: str) -> tuple[HookTerm, ...]:
    """Return the terms of a search for hooks; an empty search matches all hooks.

    Raises:
        FilterError: it is too long, or hooks do not have a key; names the column.
    """
    if len(text) > MAX_LENGTH:
        raise FilterError(
            MAX_LENGTH + 1, f"a search has at most {MAX_LENGTH} characters, this one {len(text)}"
        )
    return tuple(_term(match[0], match.start() + 1) for match in _TERM.finditer(text))


def _term(text: str, column: int) -> HookTerm:
    negated = text.startswith("-") and len(text) > 1
    text = text[negated:]
    key, colon, value = text.lower().partition(":")
    if not colon or (key != FilterKey.STATUS and key.partition(".")[0] not in _OTHER_KEYS):
        return HookTerm(word=text, negated=negated)
    if key != FilterKey.STATUS:
        raise FilterError(
            column, f"hooks have no {key}:, deliveries have; hooks are found by words and status:"
        )
    known = ", ".join(HookState)
    names = value.split(",")
    for name in names:
        if name not in tuple(HookState):
            what = f"{name[:50]!r} is not a status of a hook" if name else "a value is missing"
            raise FilterError(column + negated + len(key) + 1, f"{what}; known: {known}")
    return HookTerm(states=tuple(HookState(name) for name in names), negated=negated)
