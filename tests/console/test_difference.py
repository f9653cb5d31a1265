"""What differs between two attempts."""

from __future__ import annotations

import pytest

from hooktui.console.deliveries.difference import difference_of, to_compare
from hooktui.domain.wire.deliveries import Attempt, Response
from tests.support.wire_objects import attempt


def answered(number: int, status: int, body: str, *headers: tuple[str, str]) -> Attempt:
    response = Response(headers=headers, body=body, size=len(body))
    return attempt(number=number, status_code=status, response=response)


def test_status_headers_and_body_are_compared_and_json_by_its_values() -> None:
    # Red when the body is compared as it was sent: then one line stands for all of it.
    older = answered(1, 500, '{"a":1,"b":2}', ("X-A", "1"), ("X-B", "2"))
    newer = answered(2, 503, '{"a":1,"b":3}', ("X-A", "1"), ("X-B", "3"))
    facts, headers, body, request = difference_of(older, newer)
    assert facts.title == "Attempt 2 against attempt 1"
    assert facts.text is not None
    lines = facts.text.split("\n")
    assert lines[:3] == ["-status: 500", "+status: 503", " error: not a 2xx status"]
    assert headers.text == " X-A: 1\n-X-B: 2\n+X-B: 3"
    assert body.text is not None
    assert '-  "b": 2' in body.text
    assert '+  "b": 3' in body.text
    assert ' "a"' in body.text
    assert request.text is not None
    assert "The same body" in request.text


def test_what_is_the_same_says_so_and_an_answer_may_be_missing() -> None:
    older = answered(1, 500, "no", ("X-A", "1"))
    _, headers, body, _ = difference_of(older, answered(2, 500, "no", ("X-A", "1")))
    assert (headers.note, body.note, body.opened) == ("identical", "identical", False)
    failed = attempt(number=2, status_code=None, error="dns", response=None)
    facts, headers, body, _ = difference_of(older, failed)
    assert facts.text is not None
    assert "+status: none" in facts.text
    assert (headers.text, body.text) == ("-X-A: 1", "-no")
    _, headers, _, _ = difference_of(failed, failed)
    assert headers.note == "none in both"


@pytest.mark.parametrize(
    ("here", "marked", "expected"),
    [
        (4, [], (3, 4)),
        (2, [], (1, 2)),
        (1, [], (1, 2)),
        (4, [1], (1, 4)),
        (1, [4], (1, 4)),
        (2, [2], (1, 2)),
        (2, [4, 1], (1, 4)),
        (2, [9], (1, 2)),
        (None, [], (3, 4)),
    ],
)
def test_two_are_chosen_by_marks_and_cursor(
    here: int | None, marked: list[int], expected: tuple[int, int]
) -> None:
    attempts = [attempt(number=number) for number in (1, 2, 3, 4)]
    current = None if here is None else attempts[here - 1]
    chosen = to_compare(attempts, current, marked)
    assert tuple(one.number for one in chosen) == expected
