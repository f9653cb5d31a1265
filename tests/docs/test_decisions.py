"""Decisions have one form, and their numbers follow their dates."""

from __future__ import annotations

import re

from docs.tools.generate import DOCS

DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
_FORM = re.compile(
    r"# (\d{4})\. [^\n]+\n\nDate: (\d{4}-\d\d-\d\d)\n"
    r"\n## Context\n.+\n## Decision\n.+\n## Consequences\n.+",
    re.DOTALL,
)


def test_each_decision_has_context_decision_and_consequences():
    wrong = [path.name for path in DECISIONS if not _FORM.fullmatch(path.read_text())]
    assert wrong == []


def test_numbers_are_consecutive_and_follow_the_dates():
    found = [_FORM.fullmatch(path.read_text()) for path in DECISIONS]
    numbers = [int(one[1]) for one in found if one]
    dates = [one[2] for one in found if one]
    assert numbers == list(range(1, len(DECISIONS) + 1))
    assert [int(path.name[:4]) for path in DECISIONS] == numbers
    assert dates == sorted(dates)
