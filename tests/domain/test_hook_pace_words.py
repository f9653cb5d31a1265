"""The pace of a hook in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hooktui.domain.wire.hooks import HookPace, LimitedBy, pace_in_words, with_pace
from tests.support.wire_objects import hook

AUTO = hook(max_in_flight=None)


@pytest.mark.parametrize(
    ("limited_by", "words"),
    [
        (None, "17 of 20 (auto)"),
        (LimitedBy(kind="overload", response="503", in_flight=24, at="T"),
         "17 of 20 (auto; receiver responded 503 at 24, 40 s ago)"),
        (LimitedBy(kind="overload", response="connect_refused", in_flight=24, at="T"),
         "17 of 20 (auto; connect refused at 24, 40 s ago)"),
        (LimitedBy(kind="rate", response="429", per_s=4.87),
         "17 of 20 (auto; 4.9 a second, as its 429 responses ask for)"),
        (LimitedBy(kind="rate", response="429", per_s=1234.5),
         "17 of 20 (auto; 1,234 a second, as its 429 responses ask for)"),
        (LimitedBy(kind="rate", response="429"),
         "17 of 20 (auto; waiting, as its 429 responses ask for)"),
        (LimitedBy(kind="tolerated", share=0.0104),
         "17 of 20 (auto; 1 % of the responses show an overload at any pace)"),
        (LimitedBy(kind="tolerated", response="503", share=0.0104),
         "17 of 20 (auto; 1 % of the responses are 503 at any pace)"),
        (LimitedBy(kind="tolerated", response="429", share=0.0304),
         "17 of 20 (auto; 3 % of the responses are 429 at any pace)"),
        (LimitedBy(kind="tolerated", response="connect_refused", share=0.152),
         "17 of 20 (auto; 15 % of the attempts: connect refused, at any pace)"),
        (LimitedBy(kind="tides"), "17 of 20 (auto; tides)"),
    ],
)  # fmt: skip
def test_the_reason_follows_the_limit(limited_by: LimitedBy | None, words: str) -> None:
    pace = HookPace(in_flight=17, in_flight_limit=20, limited_by=limited_by)
    assert pace_in_words(with_pace(AUTO, pace), lambda at: "40 s ago" if at else "") == words


def test_a_fixed_limit_has_no_reason_and_an_unknown_pace_no_words() -> None:
    pace = HookPace(in_flight=3, in_flight_limit=10)
    assert pace_in_words(with_pace(hook(max_in_flight=10), pace), str) == "3 of 10"
    assert pace_in_words(with_pace(replace(AUTO, ordered=True), pace), str) == "3 of 10"
    assert pace_in_words(with_pace(AUTO, None), str) == ""
