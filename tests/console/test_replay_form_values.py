"""What the fields of a replay's form mean, and what is refused with a word about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hooktui.console.replays.form_values import ReplayValues, read_values, values_of
from hooktui.domain.clock import from_rfc3339
from hooktui.domain.errors import Refused
from hooktui.domain.wire.replays import ReplaySelection

NOW_MS = from_rfc3339("2026-11-27T12:00:00Z")
PLAIN = values_of(ReplaySelection(hooks="all"))


def reads(**changed: object) -> ReplaySelection:
    return read_values(replace(PLAIN, **changed), NOW_MS)[0]


def test_an_untouched_form_means_everything_that_failed() -> None:
    assert read_values(PLAIN, NOW_MS) == (ReplaySelection(hooks="all", mode="failed"), None)


def test_a_selection_comes_back_as_it_was_given() -> None:
    given = ReplaySelection(
        hooks=(3, 5),
        mode="failed",
        since="2026-11-27T03:00:00.000Z",
        until="2026-11-27T04:00:00.000Z",
        filter="code:5xx",
        cause="dns",
        include_ordered=True,
    )
    assert read_values(values_of(given), NOW_MS) == (given, None)


@pytest.mark.parametrize(
    ("text", "hooks"),
    [("all", "all"), ("", "all"), (" 3 ", (3,)), ("3, 5,#7", (3, 5, 7)), ("3 3", (3,))],
)
def test_hooks_are_numbers_or_all(text: str, hooks: object) -> None:
    assert reads(hooks=text).hooks == hooks


def test_a_duration_is_that_long_ago() -> None:
    selection = reads(since="2h", until="10m")
    assert selection.since == "2026-11-27T10:00:00.000Z"
    assert selection.until == "2026-11-27T11:50:00.000Z"


@pytest.mark.parametrize(("text", "rate"), [("", None), ("50", 50), ("0.5/s", 0.5), (" 7 ", 7)])
def test_a_rate_is_a_number(text: str, rate: float | None) -> None:
    assert read_values(replace(PLAIN, rate=text), NOW_MS)[1] == rate


@pytest.mark.parametrize(
    "changed",
    [
        {"hooks": "three"},
        {"hooks": "٣"},
        {"hooks": "3;5"},
        {"hooks": "all, 3"},
        {"since": "yesterday"},
        {"since": "2026-11-27"},
        {"until": "9" * 30 + "d"},
        {"rate": "0"},
        {"rate": "1001"},
        {"rate": "nan"},
        {"rate": "fast"},
        {"mode": "sent"},
        {"mode": "never-sent", "since": "2h", "cause": "dns"},
    ],
)
def test_what_cannot_be_read_is_refused_with_the_name_of_its_field(changed: dict) -> None:
    with pytest.raises(Refused) as refused:
        read_values(ReplayValues(**{**_fields(PLAIN), **changed}), NOW_MS)
    assert refused.value.detail.split(":")[0] in ("Hooks", "Since", "Until", "Rate", "Cause")


def _fields(values: ReplayValues) -> dict[str, object]:
    return {name: getattr(values, name) for name in ReplayValues.__slots__}
