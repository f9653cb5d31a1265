"""Where a client looks for its server."""

from pathlib import Path

import pytest

from hooktui.client import ServerAddress, find_server

HOME = {"HOME": "/h0"}


@pytest.mark.parametrize(
    ("connect", "environ", "expected"),
    [
        (None, {"HOOKTUI_HOME": "/h"}, ServerAddress(socket=Path("/h/hooktui.sock"))),
        (
            None,
            {"HOOKTUI_HOME": "/h", "HOOKTUI_SOCKET": "/s/x.sock"},
            ServerAddress(socket=Path("/s/x.sock")),
        ),
        ("/t/y.sock", {"HOOKTUI_SOCKET": "/s"}, ServerAddress(socket=Path("/t/y.sock"))),
        ("unix:/t/y.sock", {}, ServerAddress(socket=Path("/t/y.sock"))),
        ("https://hooks.test", {}, ServerAddress(scheme="https", host="hooks.test", port=443)),
        (
            "https://hooks.test:8443/",
            {"HOOKTUI_TOKEN": "t"},
            ServerAddress(scheme="https", host="hooks.test", port=8443, token="t"),
        ),
        ("./x:80", {}, ServerAddress(socket=Path("x:80"))),
        ("http://127.0.0.1:80", {}, ServerAddress(host="127.0.0.1", port=80)),
        ("http://[::1]:8080", {}, ServerAddress(host="::1", port=8080)),
        ("http://localhost:8080", {}, ServerAddress(host="localhost", port=8080)),
    ],
)
def test_a_server_is_found(connect, environ, expected):
    assert find_server(HOME | environ, connect) == expected


@pytest.mark.parametrize(
    "connect",
    [
        "ftp://x.test", "https://", "https://user:pass@x.test", "https://x.test/api",
        "https://x.test:0", "https://x.test:99999", "https://x.test:a", "http://hooks.test",
        "http://127.evil.test/", "https://x.test/?a=1", "x.test:8443", "127.0.0.1:80", "[::1]:80",
        "https://a..b", f"https://{'x' * 64}",
        "http://[::1", "https://[x]:1", "https://a\u2100b",
    ],
)  # fmt: skip
def test_what_is_not_where_a_server_can_be_is_refused(connect):
    with pytest.raises(ValueError, match=r"https|path|HOOKTUI_TOKEN"):
        find_server(HOME, connect)


def test_a_token_is_not_in_the_representation():
    assert "hkt" not in repr(find_server({"HOOKTUI_TOKEN": "hkt_1_x"}, "https://x.test"))


@pytest.mark.parametrize("token", ["a\nb", "\u65e5", "x\x00"])
def test_a_token_that_no_header_can_hold_is_refused(token):
    with pytest.raises(ValueError, match="HOOKTUI_TOKEN"):
        find_server(HOME | {"HOOKTUI_TOKEN": token}, "https://x.test")
