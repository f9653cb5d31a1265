"""The closed list of causes."""

from __future__ import annotations

import pytest

from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.failure_causes import ALL_GROUPS, CAUSES, cause_of


@pytest.mark.parametrize(
    ("error", "code", "cause"),
    [
        (None, 200, None),
        ("dns", None, "dns"),
        ("redirect", 302, "redirect"),
        ("response_too_large", 200, "response_too_large"),
        ("status", 400, "http_400"),
        ("status", 401, "http_401"),
        ("status", 429, "http_429"),
        ("status", 499, "http_499"),
        ("status", 500, "http_5xx"),
        ("status", 503, "http_5xx"),
        ("status", 599, "http_5xx"),
        ("status", 199, "http_other"),
        ("status", 600, "http_other"),
        ("status", 999, "http_other"),
    ],
)
def test_a_failed_attempt_has_a_cause(error: str | None, code: int | None, cause: str) -> None:
    assert cause_of(error, code) == cause


def test_each_cause_of_an_attempt_is_in_the_list() -> None:
    for error in ErrorClass:
        for code in (None, *range(100, 1000)):
            cause = cause_of(error.value, code)
            assert cause is not None
            assert cause in CAUSES


@pytest.mark.parametrize(
    "name", ["", "http_", "http_5000", "http_500", "http_4x1", "http_٤٠٤", "ok"]
)
def test_other_names_are_no_cause(name: str) -> None:
    assert name not in CAUSES
    assert name not in ALL_GROUPS


def test_two_groups_have_no_deliveries_with_their_name() -> None:
    assert [name in CAUSES for name in ("held", "skipped")] == [False, False]
    assert [name in ALL_GROUPS for name in ("held", "skipped")] == [True, True]
