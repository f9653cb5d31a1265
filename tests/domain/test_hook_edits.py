"""The JSON fields of a request: their types, and all that is wrong with them at once."""

from __future__ import annotations

import pytest

from hooktui.domain.catalogue import ETL
from hooktui.domain.errors import Refused
from hooktui.domain.hook_edits import (
    CREATE_REQUIRED,
    CREATE_TYPES,
    EDIT_TYPES,
    NEW_HOOK,
    apply,
    check_fields,
)

NEW = {"url": "https://example.com/in", "events": ["job"]}


def wrong(**fields: object) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as refused:
        check_fields({**NEW, **fields}, CREATE_TYPES, CREATE_REQUIRED)
    return [(error.pointer, error.detail) for error in refused.value.errors]


@pytest.mark.parametrize(
    ("field", "value", "pointer", "detail"),
    [
        ("url", 7, "/url", "url must be text"),
        ("url", None, "/url", "url must be text"),
        ("active", 1, "/active", "active must be true or false"),
        ("timeout_s", "10s", "/timeout_s", "timeout_s must be a number"),
        ("timeout_s", True, "/timeout_s", "timeout_s must be a number"),
        ("timeout_s", 1e999, "/timeout_s", "timeout_s must be a finite number"),
        ("rate_per_s", 10**400, "/rate_per_s", "rate_per_s must be a finite number"),
        ("max_in_flight", 1.0, "/max_in_flight", "max_in_flight must be a whole number"),
        ("events", "job", "/events", "events must be a list"),
        ("events", ["job", 1], "/events/1", "events.1 must be text"),
        ("headers", [], "/headers", "headers must be an object"),
        ("headers", {"a/b": 1}, "/headers/a~1b", "headers.a/b must be text"),
        ("basic_auth", "a:b", "/basic_auth", "basic_auth must be an object"),
        ("basic_auth", {}, "/basic_auth/user", "basic_auth.user is missing"),
        ("version", 1, "/version",
         "unknown field 'version'; see /openapi.json for the fields of this call"),
        ("basic_auth", {"user": "a", "realm": ""}, "/basic_auth/realm",
         "unknown field 'basic_auth.realm'; see /openapi.json for the fields of this call"),
    ],
)  # fmt: skip
def test_a_field_of_another_type_is_named(
    field: str, value: object, pointer: str, detail: str
) -> None:
    assert wrong(**{field: value}) == [(pointer, detail)]


def test_each_field_of_another_type_is_named_at_once() -> None:
    with pytest.raises(Refused) as refused:
        check_fields({"events": [1, None], "{}": 1}, CREATE_TYPES, CREATE_REQUIRED)
    pointers = [error.pointer for error in refused.value.errors]
    assert pointers == ["/url", "/events/0", "/events/1", "/{}"]


def test_null_stands_for_what_is_not_there() -> None:
    empty = dict.fromkeys(("name", "basic_auth", "rate_per_s", "filter"))
    check_fields({**NEW, **empty, "secret": None}, CREATE_TYPES, CREATE_REQUIRED)
    check_fields({**empty, "version": None}, EDIT_TYPES)
    settings = apply(NEW_HOOK, {**NEW, **empty}, ETL)[0]
    assert (settings.name, settings.basic_auth, settings.filter) == ("example.com", None, None)


def test_each_bad_value_is_named_at_once_also_those_that_are_not_stored() -> None:
    # Red when a masked header or a missing password hides what else is wrong.
    given = {
        **NEW, "headers": {"X": "***"}, "basic_auth": {"user": "u"}, "timeout_s": 31,
        "max_in_flight": 10**400,
    }  # fmt: skip
    with pytest.raises(Refused) as refused:
        apply(NEW_HOOK, given, ETL)
    assert [error.pointer for error in refused.value.errors] == [
        "/headers/X", "/basic_auth/password", "/timeout_s", "/max_in_flight",
    ]  # fmt: skip


def test_a_fixed_limit_removes_the_cap_of_an_adaptive_one() -> None:
    capped, _ = apply(NEW_HOOK, {**NEW, "max_in_flight_cap": 50}, ETL)
    assert (capped.max_in_flight, capped.max_in_flight_cap) == (None, 50)
    fixed, _ = apply(capped, {"max_in_flight": 20}, ETL)
    assert (fixed.max_in_flight, fixed.max_in_flight_cap) == (20, None)
    with pytest.raises(Refused, match="only for auto"):
        apply(fixed, {"max_in_flight_cap": 50}, ETL)


# Red when an error names a form, without what is wrong with it: "no control characters in user …".
@pytest.mark.parametrize(
    ("user", "password", "detail"),
    [
        ("", "p", "the user of basic auth must have 1 to 256 characters, and no colon"),
        ("a:b", "p", "the user of basic auth must have 1 to 256 characters, and no colon"),
        ("a" * 257, "p", "the user of basic auth must have 1 to 256 characters, and no colon"),
        ("a", "p" * 1025, "a password has at most 1024 characters"),
        ("a\n", "p", "user and password of basic auth must not have control characters"),
        ("a", "p\x7f", "user and password of basic auth must not have control characters"),
    ],
)
def test_errors_of_basic_auth_are_sentences(user: str, password: str, detail: str) -> None:
    with pytest.raises(Refused) as refused:
        apply(NEW_HOOK, {**NEW, "basic_auth": {"user": user, "password": password}}, ETL)
    assert [error.detail for error in refused.value.errors] == [detail]
