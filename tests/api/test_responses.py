"""Errors as problem objects: one form, whatever went wrong."""

from __future__ import annotations

import json

import pytest

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
        ([{"type": "int_type", "loc": ("query", "limit"), "msg": "Input should be a number"}],
         [("/limit", "limit: input should be a number")]),
        ([{"type": "string_type", "loc": ("body", "headers", "a/b~"), "msg": "No"}],
         [("/headers/a~1b~0", "headers.a/b~: no")]),
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
