"""A group of undelivered events says that the limit of its hook was cut because of it."""

from __future__ import annotations

import pytest

from hooktui.domain.wire.hooks import HookPace, LimitedBy, LimitKind
from hooktui.domain.wire.undelivered import UndeliveredGroup, with_limit


def group_of(cause: str, waits_for: str | None = None) -> UndeliveredGroup:
    return UndeliveredGroup(
        hook=1, name="n", cause=cause, count=1, gave_up=1, retrying=0, oldest_at="", newest_at="",
        waits_for=waits_for,
    )  # fmt: skip


def pace_of(kind: LimitKind, response: str | None) -> HookPace:
    limit = LimitedBy(kind=kind, response=response, in_flight=24)
    return HookPace(in_flight=0, in_flight_limit=20, limited_by=limit)


@pytest.mark.parametrize(
    ("cause", "kind", "response", "words"),
    [
        ("http_5xx", LimitKind.OVERLOAD, "503", "limit cut at 24"),
        ("timeout", LimitKind.OVERLOAD, "timeout", "limit cut at 24"),
        ("connect_refused", LimitKind.OVERLOAD, "timeout", None),
        ("http_404", LimitKind.OVERLOAD, "503", None),
        ("held", LimitKind.OVERLOAD, "503", None),
        ("http_429", LimitKind.RATE, "429", None),
        ("http_5xx", LimitKind.TOLERATED, "503", None),
    ],
)
def test_the_cut_is_shown_at_its_own_cause(cause, kind, response, words):
    group = with_limit(group_of(cause), pace_of(kind, response))
    assert group.waits_or_limit == words
    assert (group.limited_by is None) is (words is None)


def test_what_the_group_waits_for_comes_first():
    group = with_limit(group_of("http_5xx", "breaker"), pace_of(LimitKind.OVERLOAD, "503"))
    assert group.waits_or_limit == "breaker"
    assert with_limit(group_of("http_5xx"), None).limited_by is None
