"""Errors as problem objects: one form, whatever went wrong."""

from __future__ import annotations

import json
import math
import re
from itertools import product
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

import hooktui.api.app  # noqa: F401 - imports all routes
from hooktui.api.parameters import RequestBody
from hooktui.api.responses import (
    MethodNotAllowed,
    TooSlow,
    encode,
    pointer,
    problem,
    translate,
    unexpected,
)
from hooktui.domain import errors
from hooktui.domain.errors import FieldError, Malformed, NotFound, Refused


def _of(error):
    answer = problem(error)
    return answer, json.loads(answer.body)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.Malformed("x"), 400, "malformed"),
        (errors.Unauthenticated("x"), 401, "unauthenticated"),
        (errors.NotAllowed("x"), 403, "not-allowed"),
        (errors.NotFound("x"), 404, "not-found"),
        (errors.Conflict("x"), 409, "conflict"),
        (errors.TooLarge("x"), 413, "too-large"),
        (errors.Unsupported("x"), 415, "unsupported"),
        (errors.Refused("x"), 422, "refused"),
        (errors.TooManyRequests("x", 7), 429, "too-many-requests"),
        (errors.Unavailable("x", 3), 503, "unavailable"),
        (errors.DiskFull("x"), 507, "disk-full"),
        (TooSlow("x"), 408, "too-slow"),
    ],
)
def test_an_error_is_reported_with_its_status_and_type(error, status, kind):
    answer, content = _of(error)
    assert answer.status_code == content["status"] == status
    assert answer.media_type == "application/problem+json"
    assert content["type"] == f"urn:hooktui:problem:{kind}"
    assert content["detail"] == "x"
    assert content["title"]


def test_bad_fields_are_named_by_pointers():
    _, content = _of(Refused.fields([FieldError("/url", "a"), FieldError("/events/0", "b")]))
    assert content["detail"] == "a; b"
    assert content["errors"] == [
        {"pointer": "/url", "detail": "a"},
        {"pointer": "/events/0", "detail": "b"},
    ]


def test_headers_say_how_to_go_on():
    assert problem(errors.Unauthenticated("x")).headers["WWW-Authenticate"].startswith("Bearer")
    assert problem(errors.TooManyRequests("x", 7)).headers["Retry-After"] == "7"
    assert problem(errors.Unavailable("x", 3)).headers["Retry-After"] == "3"
    assert problem(MethodNotAllowed("PUT", "/x", ["GET"])).headers["Allow"] == "GET"
    assert problem(TooSlow("x")).headers["Connection"] == "close"


def test_an_error_of_our_own_shows_nothing_of_the_inside():
    answer = unexpected()
    assert answer.status_code == 500
    assert b"Traceback" not in answer.body


def test_an_answer_is_ascii_and_moves_no_terminal():
    text = encode({"a": 'é\x1b]52;c;x\x07\x9b\x7f\u202e"\ud800'})
    assert text.isascii()
    assert not any(byte < 0x20 or byte == 0x7F for byte in text)
    assert json.loads(text) == {"a": 'é\x1b]52;c;x\x07\x9b\x7f\u202e"\ud800'}


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([{"type": "extra_forbidden", "loc": ("body", "urll"), "msg": "x"}],
         [("/urll", "unknown field 'urll'")]),
        ([{"type": "missing", "loc": ("body", "url"), "msg": "x"}], [("/url", "url is missing")]),
        ([{"type": "int_type", "loc": ("query", "limit"), "msg": "x", "input": "ten"}],
         [("/limit", "limit must be a whole number, not 'ten'")]),
        ([{"type": "greater_than_equal", "loc": ("body", "for_s"), "msg": "x", "input": 5,
           "ctx": {"ge": 60.0}}],
         [("/for_s", "for_s must be at least 60, not 5")]),
        ([{"type": "string_type", "loc": ("body", "headers", "a/b~"), "msg": "x", "input": 5}],
         [("/headers/a~1b~0", "headers.a/b~ must be text")]),
        ([{"type": "value_error", "loc": ("query", "hook", 0), "msg": "Value error, '0' is bad"}],
         [("/hook", "hook: '0' is bad")]),
        ([{"type": "value_error", "loc": ("query", "since"), "msg": "Value error, not so"}],
         [("/since", "since: not so")]),
    ],
)  # fmt: skip
def test_findings_of_pydantic_become_our_words(findings, expected):
    error = translate(findings)
    assert isinstance(error, Refused)
    for found, (place, words) in zip(error.errors, expected, strict=True):
        assert found.pointer == place
        assert found.detail.startswith(words)


WRONG = (
    None,
    True,
    -1,
    10**19,
    1.5,
    math.inf,
    "x",
    "x" * 3000,
    "\ud800",
    [],
    ["x"],
    [0],
    {},
    {"x": 1},
)


def _contains(body: Any, parts: list[str]) -> bool:
    for part in parts:
        if isinstance(body, list) and part.isdigit() and int(part) < len(body):
            body = body[int(part)]
        elif isinstance(body, dict) and part in body:
            body = body[part]
        else:
            return False
    return True


# Red when a field has a union of types, or an error that has no words of ours.
@pytest.mark.parametrize("kind", RequestBody.__subclasses__(), ids=lambda kind: kind.__name__)
def test_no_error_of_a_body_names_a_type_of_pydantic(kind):
    found = 0
    for name, value in product(kind.model_fields, WRONG):
        try:
            TypeAdapter(kind).validate_python({name: value}, from_attributes=True)
        except ValidationError as refused:
            findings = [error for error in refused.errors() if error["type"] != "missing"]
            located = [{**error, "loc": ("body", *error["loc"])} for error in findings]
            for error in translate(located).errors:
                found += 1
                place = error.pointer.split("/")[1:]
                assert _contains({name: value}, place)
                pattern = (
                    rf"{re.escape('.'.join(place))} must be [a-z'].*|unknown field 'selection.x.*"
                )
                assert re.fullmatch(pattern, error.detail), error.detail
                assert "valid " not in error.detail.replace("valid Unicode", "")
                assert len(error.detail) < 200
    assert found > 5


QUERIES = {
    "/v1/undelivered?hook=0": ("/hook", "hook: '0' is not an id; ids are whole numbers from 1"),
    "/v1/undelivered?hook=" + "9" * 19:
        ("/hook", f"hook: '{'9' * 19}' is not an id; ids have at most 18 digits and no leading 0"),
    "/v1/undelivered?hook=7&hok=8": ("/hok", "unknown parameter 'hok'; known: "
        "account, cause, cursor, from_end, hook, limit, order, sort, state"),
    "/v1/undelivered?state=shut":
        ("/state", "state must be 'open', 'acknowledged' or 'snoozed', not 'shut'"),
    "/v1/hooks?limit=501": ("/limit", "limit must be at most 500, not '501'"),
    "/v1/hooks?limit=ten": ("/limit", "limit must be a whole number, not 'ten'"),
    "/v1/hooks?from_end=si": ("/from_end", "from_end must be true or false, not 'si'"),
    "/v1/hooks?limit=1_0": ("/limit", "limit must be a whole number, not '1_0'"),
    "/v1/hooks?limit=+10": ("/limit", "limit must be a whole number, not ' 10'"),
    "/v1/hooks?limit=10.0": ("/limit", "limit must be a whole number, not '10.0'"),
    "/v1/feed?wait=1e1": ("/wait", "wait must be a number, not '1e1'"),
    "/v1/feed?limit=1_0": ("/limit", "limit must be a whole number, not '1_0'"),
    "/v1/audit/verify?after=1_0": ("/after", "after must be a whole number, not '1_0'"),
    "/v1/feed?wait=long": ("/wait", "wait must be a number, not 'long'"),
    "/v1/feed?wait=nan": ("/wait", "wait must be a finite number, not 'nan'"),
    "/v1/audit?user=" + "u" * 2001: ("/user", "user must be at most 2000 characters long"),
    "/v1/undelivered?" + "hook=1&" * 101: ("/hook", "hook must be at most 100 values"),
}  # fmt: skip


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path[:40])
def test_an_error_of_a_parameter_is_in_our_words(api, path):
    (error,) = api.get(path).json()["errors"]
    assert (error["pointer"], error["detail"]) == QUERIES[path]


HOOKS = 'selection.hooks must be hook numbers or "all", not '
BODIES = [
    ({"hooks": ["6"]}, "/selection/hooks", HOOKS + "'6'"),
    ({"hooks": "some"}, "/selection/hooks", HOOKS + "'some'"),
    ({"hooks": [1, 0]}, "/selection/hooks", HOOKS + "0"),
    ({"hooks": ["all"]}, "/selection/hooks", HOOKS + "'all'"),
    ({"hooks": None}, "/selection/hooks", HOOKS + "null"),
    ({"hooks": {}}, "/selection/hooks", HOOKS + "an object"),
    (None, "/selection", "selection must be an object, not null"),
]


# Red when pydantic names the members of the union, as in ``hooks.list[constrained-int].0``.
@pytest.mark.parametrize(("selection", "place", "detail"), BODIES)
def test_a_selection_is_refused_with_one_error(api, selection, place, detail):
    for path in ("/v1/replays", "/v1/replays/plan"):
        answer = api.post(path, json={"selection": selection})
        assert answer.status_code == 422
        assert answer.json()["errors"] == [{"pointer": place, "detail": detail}]


def test_a_bad_id_in_the_path_is_not_found():
    finding = {"type": "value_error", "loc": ("path", "hook"), "msg": "Value error, 'x' is no id"}
    error = translate([finding])
    assert isinstance(error, NotFound)
    assert "'x' is no id" in error.detail
    assert "Value error" not in error.detail


def test_a_missing_body_is_malformed_and_a_list_is_refused():
    assert isinstance(translate([{"type": "missing", "loc": ("body",), "msg": "x"}]), Malformed)
    other = translate([{"type": "model_attributes_type", "loc": ("body",), "msg": "x"}])
    assert isinstance(other, Refused)
    assert "JSON object" in other.detail


def test_pointers_escape_as_rfc_6901_says():
    assert pointer(["a", 0, "b/c~d"]) == "/a/0/b~1c~0d"
