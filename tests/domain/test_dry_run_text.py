"""What a dry run says in words."""

from __future__ import annotations

import pytest

from hooktui.domain.wire.hooks import DryRun, dry_run_words

RUN = {"looked": 1000, "since": None, "sent": 214, "sent_now": None, "more": 0, "fewer": 0,
       "unknown": 0}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "214 of the last 1,000 events"),
        ({"sent_now": 217, "fewer": 3},
         "214 of the last 1,000 events, 3 fewer than now"),
        ({"sent_now": 216, "fewer": 3, "more": 1},
         "214 of the last 1,000 events, 1 more and 3 fewer than now"),
        ({"sent_now": 214}, "214 of the last 1,000 events, the same as now"),
        ({"looked": 1, "sent": 1}, "1 of 1 event"),
        ({"looked": 0, "sent": 0}, "nothing: there are no events yet"),
        ({"unknown": 1}, "214 of the last 1,000 events;"
         " 1 unknown, its body is purged"),
    ],
)  # fmt: skip
def test_a_dry_run_in_words(fields: dict[str, int], words: str) -> None:
    assert dry_run_words(DryRun(**{**RUN, **fields})) == words  # type: ignore[arg-type]
