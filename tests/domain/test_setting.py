"""Numbers of settings, options and queries, as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.domain.setting import as_decimal, as_whole, decimal_number, whole_number
from hooktui.domain.text import decimal_text

NOT_WRITTEN = (
    "1_0", "\uff11\uff10", "\u0663", "+10", " 10", "10 ", "10\n", "1e1", "0x10", "", "-", "--1",
    "ten",
)  # fmt: skip
"""Python reads most of them."""


@pytest.mark.parametrize("text", [*NOT_WRITTEN, "10.0", "9" * 5000])
def test_only_digits_are_a_whole_number(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        whole_number(text)


@pytest.mark.parametrize("text", [*NOT_WRITTEN, ".", "1.2.3", "inf", "nan", "9" * 400])
def test_only_digits_and_a_point_are_a_number(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        decimal_number(text)


@pytest.mark.parametrize("text", NOT_WRITTEN)
@pytest.mark.parametrize("check", [as_whole, as_decimal])
def test_pydantic_gets_no_text_that_only_python_reads(check, text: str) -> None:
    with pytest.raises(ValueError, match="must be a"):
        check(text)


@pytest.mark.parametrize("check", [as_whole, as_decimal])
def test_true_is_not_a_number(check) -> None:
    with pytest.raises(ValueError, match="not true or false"):
        check(True)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", float("nan"), float("-inf")])
def test_a_number_is_finite(value: object) -> None:
    with pytest.raises(ValueError, match="must be a finite number"):
        as_decimal(value)


def test_usual_numbers_are_read() -> None:
    assert [whole_number(text) for text in ("0", "010", "4711")] == [0, 10, 4711]
    texts = ("0", "-1", ".5", "10.", "2.5")
    assert [decimal_number(text) for text in texts] == [0, -1, 0.5, 10, 2.5]
    assert [as_decimal(text) for text in texts] == list(texts)


@given(st.floats(min_value=1e-5, max_value=1e5))
def test_a_number_is_read_as_it_was_written(number: float) -> None:
    assert decimal_number(decimal_text(number)) == pytest.approx(number, rel=1e-9)


def test_a_number_is_written_without_an_exponent() -> None:
    texts = [decimal_text(number) for number in (2, 2.0, 0.1, 1e-5, 12345.678, 1e5)]
    assert texts == ["2", "2", "0.1", "0.00001", "12345.678", "100000"]
