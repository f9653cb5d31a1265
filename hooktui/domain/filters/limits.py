"""Limits the cost of a hook's filter, which is compared with each event of its account."""

from __future__ import annotations

from dataclasses import dataclass

from hooktui.domain.errors import Refused
from hooktui.domain.filters.patterns import Pattern
from hooktui.domain.filters.terms import Filter, FilterKey


@dataclass(frozen=True, slots=True)
class FilterLimits:
    """The limits of a filter; one that exceeds them is refused when its hook is saved.

    Attributes:
        terms: the number of terms.
        patterns: values of ``data.`` terms with a ``*``, each of which is searched in the body;
            values without one cost one look-up together.
        length: characters.
    """

    terms: int = 50
    patterns: int = 100
    length: int = 2000


def check_filter(parsed: Filter, limits: FilterLimits) -> None:
    """Check that a filter is not too expensive for each event of an account.

    Raises:
        Refused: it is; names its size, the limit and the setting.
    """
    patterns = sum(
        isinstance(value, Pattern) and len(value.parts) > 1
        for term in parsed.terms
        if term.key is FilterKey.DATA
        for value in term.values
    )
    for count, allowed, what, setting in (
        (len(parsed.source), limits.length, "characters", "HOOKTUI_MAX_FILTER_LENGTH"),
        (len(parsed.terms), limits.terms, "terms", "HOOKTUI_MAX_FILTER_TERMS"),
        (patterns, limits.patterns, "values with a *", "HOOKTUI_MAX_FILTER_PATTERNS"),
    ):
        if count > allowed:
            raise Refused.field(
                "/filter",
                f"the filter has {count:,} {what}; each event is compared with a hook's filter,"
                f" so it has at most {allowed:,}. Simplify it, or have an admin raise {setting}",
            )
