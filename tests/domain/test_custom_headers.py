"""A hook's own headers: which are taken, and whose values are kept like secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.domain.hook_settings import check_headers, masked_headers, sensitive_names

# Red when a name is taken that frames the request, names another host, or looks like ours.
FORBIDDEN = [
    "Host", "host", "HOST", "Connection", "Content-Length", "Transfer-Encoding", "TE", "Upgrade",
    "Trailer", "Expect", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "proxy-x",
    "webhook-id", "Webhook-Signature", "webhook-timestamp", "X-Hook-Signature", "x-hook-event",
    "X-Hook-Anything",
]  # fmt: skip
NO_NAME = [
    "",
    " ",
    "a b",
    "a:",
    ":a",
    "a\r\nHost",
    "a\n",
    "a\0",
    "a/b",
    "a(b)",
    "ä",
    "a\u200b",
    "a" * 257,
]
NO_VALUE = [
    "a\r\nHost: evil", "a\nb", "a\rb", "\r\n\r\n", "a\0", "a\tb", "\x1b[2J", "\x7f", "ä", "\u202e",
    " a", "a ", " ",
]  # fmt: skip


def _reasons_of(headers: dict[str, str], stored: dict[str, str]) -> str:
    return "; ".join(error.detail for error in check_headers(headers, stored=stored))


def _reasons(headers: dict[str, str], *, basic_auth: bool = False) -> str:
    return "; ".join(error.detail for error in check_headers(headers, basic_auth=basic_auth))


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_name_that_is_not_the_hooks_to_set_is_refused(name: str) -> None:
    assert "is set by hooktui or by the connection itself" in _reasons({name: "x"})


FOLDED = [
    "X_Hook_Signature", "x_hook-event", "X.Hook.Id", "webhook_id", "Webhook_Signature",
    "webhook.timestamp", "Content_Length", "content.length", "Transfer_Encoding", "Keep_Alive",
    "Proxy_Authorization", "proxy_x", "X!Hook!Signature", "X~Hook~Id",
]  # fmt: skip


# Red when a name is compared as it is spelled: CGI gives the receiver one variable for both, so a
# hook's own header would stand for our signature, or for the length of the body.
@pytest.mark.parametrize("name", FOLDED)
def test_a_name_that_cgi_reads_as_one_of_ours_is_refused(name: str) -> None:
    assert "which is set by hooktui or by the connection itself" in _reasons({name: "x"})


# Red for any character that a header name may hold, in any place of any name of ours.
@given(
    name=st.sampled_from(FORBIDDEN),
    separators=st.lists(st.sampled_from("!#$%&'*+.^_`|~-"), min_size=4, max_size=4),
    upper=st.booleans(),
)
def test_no_spelling_of_a_name_of_ours_is_taken(
    name: str, separators: list[str], upper: bool
) -> None:
    separator = iter(separators)
    spelled = "".join(next(separator) if c == "-" else c for c in name)
    assert "is set by hooktui" in _reasons({spelled.upper() if upper else spelled: "x"})


# CGI makes HTTP_PROXY of it, which programs of the receiver take for their own proxy.
def test_a_header_that_sets_the_proxy_of_cgi_programs_is_refused() -> None:
    assert "is set by hooktui" in _reasons({"Proxy": "http://evil.test"})


@pytest.mark.parametrize("name", ["Content_Type", "user_agent", "Accept.Encoding"])
def test_a_header_that_stands_beside_the_one_it_means_to_replace_is_refused(name: str) -> None:
    assert "write it so" in _reasons({name: "x"})
    assert check_headers({name.replace("_", "-").replace(".", "-"): "x"}) == []


def test_two_names_that_cgi_reads_alike_are_refused() -> None:
    assert "may be read as 'x-a', which is there too" in _reasons({"X-A": "1", "X_A": "2"})


# Red when a hook that was saved before a rule came cannot be disabled any more.
def test_what_is_stored_already_keeps_nobody_from_another_edit() -> None:
    old = {"X_Hook_Signature": "x", "X-A": "1", "X_A": "2", "Content_Type": "y"}
    assert check_headers(old, stored=old) == []
    assert "is set by hooktui" in _reasons_of({**old, "webhook_id": "1"}, old)


@pytest.mark.parametrize("name", NO_NAME)
def test_what_is_no_token_is_no_name(name: str) -> None:
    assert "is not a header name" in _reasons({name: "x"})


@pytest.mark.parametrize("value", NO_VALUE)
def test_a_value_is_visible_ascii_and_begins_no_other_line(value: str) -> None:
    assert "other than visible ASCII" in _reasons({"X-A": value})


@pytest.mark.parametrize("name", ["X-A", "hosted", "Tea", "Webhooks", "X-Hooks", "Proxied", "a.b!"])
@pytest.mark.parametrize("value", ["", "x", "a b", "~" * 4096])
def test_other_names_and_values_are_taken(name: str, value: str) -> None:
    assert check_headers({name: value}) == []


def test_there_are_at_most_twenty_of_four_kilobytes() -> None:
    assert check_headers({f"X-{n}": "v" for n in range(20)}) == []
    assert "at most 20 headers" in _reasons({f"X-{n}": "v" for n in range(21)})
    assert "over 4096 bytes" in _reasons({"X-A": "v" * 4097})


def test_a_name_stands_once_and_authorization_beside_no_basic_auth() -> None:
    assert "is there twice" in _reasons({"X-A": "1", "x-a": "2"})
    assert "already set by basic_auth" in _reasons({"authorization": "x"}, basic_auth=True)
    assert check_headers({"Authorization": "x"}) == []


# Red when a value that is a secret wherever it is used must be named to be kept like one.
@pytest.mark.parametrize(
    "name",
    ["Authorization", "Cookie", "X-Auth-Token", "Client-Secret", "X-Password", "X-Api-Key",
     "apikey", "X_Api_Key", "X-Credential", "X-TOKEN-2"],
)  # fmt: skip
def test_the_usual_secrets_are_masked_unasked(name: str) -> None:
    headers = {"X-Plain": "shown", name: "hidden", "X-Named": "hidden too"}
    sensitive = sensitive_names(headers, ["x-named"])
    assert masked_headers(headers, sensitive) == {"X-Plain": "shown", name: "***", "X-Named": "***"}
