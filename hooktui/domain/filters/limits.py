"""How dear a hook's filter may be: each event of its account is compared with it."""

from __future__ import annotations

from dataclasses import dataclass

from hooktui.domain.errors import Refused
from hooktui.domain.filters.patterns import Pattern
from hooktui.domain.filters.terms import Filter, Key


@dataclass(frozen=True, slots=True)
class FilterLimits:
    """What a filter may have; one that has more is refused when its hook is saved.

    Attributes:
        terms: all of them.
        patterns: values of ``data.`` terms with a ``*``, each of which is looked for in the body;
            however many values without one there are, they cost one look.
        length: characters.
    """

    terms: int = 50
    patterns: int = 100
    length: int = 2000


def check_filter(parsed: Filter, limits: FilterLimits) -> None:
    """Refuse a filter that is too dear for each event of an account.

    Raises:
        Refused: says what it has, how much is taken, and which setting says so.
    """
    patterns = sum(
        isinstance(value, Pattern) and len(value.parts) > 1
        for term in parsed.terms
        if term.key is Key.DATA
        for value in term.values
    )
    for count, most, what, setting in (
        (len(parsed.source), limits.length, "characters", "HOOKTUI_MAX_FILTER_LENGTH"),
        (len(parsed.terms), limits.terms, "terms", "HOOKTUI_MAX_FILTER_TERMS"),
        (patterns, limits.patterns, "values with a *", "HOOKTUI_MAX_FILTER_PATTERNS"),
    ):
        if count > most:
            raise Refused.field(
                "/filter",
                f"the filter has {count:,} {what}; each event is compared with a hook's filter,"
                f" so it has at most {most:,}. Simplify it, or have an admin raise {setting}",
            )
