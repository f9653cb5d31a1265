"""Roles: the whole table of who may do what, and that nobody raises a role."""

from __future__ import annotations

import pytest

from hooktui.domain.errors import NotAllowed
from hooktui.domain.roles import Need, Role, allows, is_lower, lower, require, why_not

PAIRS = [(role, need) for role in Role for need in Need]


@pytest.mark.parametrize(
    ("role", "may"),
    [("viewer", "read"), ("operator", "read operate"), ("producer", "produce"),
     ("admin", "read operate administer produce")],
)  # fmt: skip
def test_a_role_may_do_exactly_this(role: str, may: str) -> None:
    assert {need for need in Need if allows(Role(role), need)} == set(may.split())


@pytest.mark.parametrize(
    ("role", "lower_ones"),
    [("viewer", "viewer"), ("operator", "viewer operator"), ("producer", "producer"),
     ("admin", "viewer operator producer admin")],
)  # fmt: skip
def test_a_request_may_lower_its_role_and_never_raise_it(role: str, lower_ones: str) -> None:
    for wanted in Role:
        if wanted in lower_ones.split():
            assert lower(Role(role), wanted) is wanted
        else:
            with pytest.raises(NotAllowed, match="never raise"):
                lower(Role(role), wanted)


@pytest.mark.parametrize(("role", "need"), PAIRS)
def test_what_is_not_allowed_is_refused_with_who_may(role: Role, need: Need) -> None:
    if allows(role, need):
        require(role, need)
        return
    with pytest.raises(NotAllowed) as refusal:
        require(role, need)
    line = why_not(role, need)
    assert str(refusal.value) == line
    needed, _, own = line.partition("; yours is ")
    assert own == role
    named = {other for other in Role if other in needed.replace(",", "").split()}
    assert named == {other for other in Role if allows(other, need)}


# Red when a line names what one of the calls with that need does: others do something else.
@pytest.mark.parametrize(
    ("role", "need", "line"),
    [
        (Role.VIEWER, Need.ADMINISTER, "this needs the role admin; yours is viewer"),
        (Role.VIEWER, Need.OPERATE, "this needs the role operator or admin; yours is viewer"),
        (
            Role.PRODUCER,
            Need.READ,
            "this needs the role viewer, operator or admin; yours is producer",
        ),
    ],
)
def test_the_line_fits_every_call_with_that_need(role: Role, need: Need, line: str) -> None:
    assert why_not(role, need) == line


def test_lower_is_an_order() -> None:
    for a in Role:
        assert is_lower(a, a)
        for b in Role:
            assert a is b or not (is_lower(a, b) and is_lower(b, a))
            for c in Role:
                assert is_lower(a, c) or not (is_lower(a, b) and is_lower(b, c))
