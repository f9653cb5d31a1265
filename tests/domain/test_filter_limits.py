"""How dear a hook's filter may be."""

from __future__ import annotations

import pytest

from hooktui.domain.errors import Refused
from hooktui.domain.filters.limits import FilterLimits, check_filter
from hooktui.domain.filters.parser import parse_hook_filter

LIMITS = FilterLimits()


@pytest.mark.parametrize(
    ("text", "says", "setting"),
    [
        ("data.a:" + ",".join(f"*{n}*" for n in range(101)), "101 values with a *", "PATTERNS"),
        (" ".join(f"data.a:{n}" for n in range(51)), "51 terms", "TERMS"),
    ],
)
def test_a_filter_that_is_too_dear_is_refused_with_the_setting(text, says, setting) -> None:
    with pytest.raises(Refused) as refused:
        check_filter(parse_hook_filter(text), LIMITS)
    assert says in refused.value.detail
    assert f"HOOKTUI_MAX_FILTER_{setting}" in refused.value.detail
    assert refused.value.errors[0].pointer == "/filter"


def test_a_longer_filter_than_is_set_is_refused() -> None:
    with pytest.raises(Refused, match="HOOKTUI_MAX_FILTER_LENGTH"):
        check_filter(parse_hook_filter("data.a:" + "x" * 20), FilterLimits(length=20))


@pytest.mark.parametrize(
    "text",
    [
        "data.a:" + ",".join(str(n) for n in range(400)),
        "data.a:" + ",".join(f"*{n}*" for n in range(100)),
        " ".join(f"-data.a:{n}" for n in range(50)),
        "event:job.*,cluster.*",
    ],
)
def test_what_is_cheap_is_taken(text: str) -> None:
    check_filter(parse_hook_filter(text), LIMITS)
