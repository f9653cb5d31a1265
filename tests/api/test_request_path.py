"""Paths that a proxy in front could read otherwise than the API does: refused, never routed."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hooktui.api.middleware import check_path
from hooktui.domain.errors import Malformed
from tests.api import raw

UNRESERVED = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
CONTROLS = bytes([*range(32), 127])

ODD = [
    "/v1%2fhooks", "/v1%2Fhooks", "/%76%31/hooks", "/v1/h%6foks", "/v1%5chooks", "/v1\\hooks",
    "/v1/./hooks", "/v1/../v1/hooks", "/v1/hooks/.", "/v1/hooks/..", "/v1/%2e%2e/v1/hooks",
    "/v1/hooks/%31", "/v1/hooks%00", "/v1/hooks%0a", "/v1/hooks%7f", "/v1/hooks%", "/v1/hooks%2",
    "/v1/hooks%zz", "/v1/events/a%2fb", "/healthz%2f", "/openapi%2ejson",
]  # fmt: skip


# Red when `%2f` is a slash for us: a proxy that refuses /v1/tokens lets /v1%2ftokens pass.
@pytest.mark.parametrize("path", ODD)
def test_a_path_that_can_be_read_in_two_ways_is_refused(server, path):
    with raw.unix(server) as client:  # httpx would tidy it up
        raw.say(client, f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        [answer] = raw.answers_in(raw.hear(client))
    assert answer.status == 400, path
    assert str(answer.problem()["detail"]).startswith("the path is not accepted: ")


@pytest.mark.parametrize(
    "path", ["/v1//hooks", "//v1/hooks", "/v1/hooks/", "/v1/hooks;x", "/V1/hooks"]
)
def test_a_path_that_is_nearly_one_of_ours_leads_nowhere(api, path):
    request = api.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=path.encode())
    assert api.send(request).status_code == 404


def test_an_escape_that_a_name_needs_is_taken(api):
    answer = api.post("/v1/events/job%20fail%C3%A9d", content=b"{}")
    assert answer.status_code == 422
    assert "job fail" in answer.json()["detail"]
    assert api.get("/v1/hooks?q=a%2fb%2e%2e").status_code == 200, "the query may hold more"


# Red without its own text: "this is not an HTTP request", to a caller of whom curl made one.
@pytest.mark.parametrize("target", ["/v1/hooks?q=wälk", "/v1/events/jöb", "/v1/hooks?q=a\tb"])
def test_a_url_that_needs_escapes_is_refused_with_the_reason(server, target):
    with raw.unix(server) as client:  # httpx would escape it
        raw.say(client, f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        [answer] = raw.answers_in(raw.hear(client))
    assert answer.status == 400
    assert "escape" in str(answer.problem()["detail"])


# Red when the bytes are replaced: the name is searched with U+FFFD in it, and nothing is found.
def test_a_query_that_is_not_utf_8_is_refused(api):
    answer = api.get("/v1/hooks?q=M%FCller")
    assert answer.status_code == 400
    assert "UTF-8" in answer.json()["detail"]
    assert api.get("/v1/hooks?q=M%C3%BCller%").status_code == 200


# Red when one of them is left out.
@given(
    before=st.sampled_from([b"/v1/", b"/v1", b"/"]), upper=st.booleans(), code=st.integers(0, 255)
)
def test_an_escape_is_taken_if_the_character_needs_it_and_separates_nothing(
    before: bytes, upper: bool, code: int
) -> None:
    path = before + (b"%%%02X" if upper else b"%%%02x") % code
    if code in UNRESERVED + CONTROLS + b"/\\":
        with pytest.raises(Malformed):
            check_path(path)
    else:
        check_path(path)


# Whatever is taken is decoded to as many segments as it was sent with.
@example(b".")
@given(st.binary(max_size=40))
def test_decoding_never_changes_the_segments_of_a_path_that_is_taken(path: bytes) -> None:
    try:
        check_path(path)
    except Malformed:
        return
    decoded = unquote_to_bytes(path)
    assert decoded.count(b"/") == path.count(b"/")
    assert not {b".", b".."} & set(decoded.split(b"/"))
