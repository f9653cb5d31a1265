"""The address policy: tables of forms that are taken or refused, and properties over all."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hooktui.domain.addresses import (
    ParsedUrl,
    how_to_allow,
    parse_networks,
    parse_url,
    refusal_reason,
)
from hooktui.domain.errors import Refused
from tests.support.address_table import (
    FORBIDDEN,
    MALFORMED,
    PUBLIC,
    SPECIAL_V4,
    SPECIAL_V6,
    TAKEN,
    Special,
)

SPECIAL = SPECIAL_V4 + SPECIAL_V6


@pytest.mark.parametrize(("text", "host", "port", "path", "header"), TAKEN)
def test_a_url_is_taken_apart(text: str, host: str, port: int, path: str, header: str) -> None:
    target = parse_url(text)
    assert (target.host, target.port, target.path, target.host_header) == (host, port, path, header)
    assert target.origin == (text.partition(":")[0].lower(), host, port)


@pytest.mark.parametrize(("text", "reason"), MALFORMED)
def test_an_odd_url_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(Refused) as refusal:
        parse_url(text)
    assert reason in refusal.value.detail
    assert [error.pointer for error in refusal.value.errors] == ["/url"]
    assert "\n" not in refusal.value.detail


def test_a_password_in_a_url_is_not_repeated_in_the_refusal() -> None:
    with pytest.raises(Refused) as refusal:
        parse_url("http://admin:hunter2@example.com/")
    assert "hunter2" not in str(refusal.value)


def test_international_hosts_are_shown_in_unicode_beside_punycode() -> None:
    assert parse_url("http://xn--bcher-kva.example/").unicode_host == "bücher.example"
    assert parse_url("http://BÜCHER.example/").unicode_host == "bücher.example"


def test_a_punycode_host_that_does_not_lead_back_is_shown_as_it_is() -> None:
    for host in ("xn--ls8h.example", "xn--a.example", "xn--0.example", "xn--abc-.example"):
        try:
            target = parse_url(f"http://{host}/")
        except Refused:
            continue
        assert target.unicode_host == host


def test_literals_are_addresses_and_names_are_not() -> None:
    assert parse_url("http://127.0.0.1/").literal == IPv4Address("127.0.0.1")
    assert parse_url("http://[::FFFF:127.0.0.1]/").literal == IPv6Address("::ffff:7f00:1")
    assert parse_url("http://localhost/").literal is None


@pytest.mark.parametrize(("url", "reason", "opened_by"), FORBIDDEN)
def test_a_literal_is_refused_and_opened_by_what_the_advice_says(
    url: str, reason: str, opened_by: str | None
) -> None:
    literal = parse_url(url).literal
    assert literal is not None
    assert reason in (refusal_reason(literal) or "")
    advice = how_to_allow(literal)
    if opened_by is None:
        assert advice.startswith("It cannot be allowed")
    else:
        assert f"HOOKTUI_ALLOW_NETWORKS={ip_network(opened_by)} " in advice
        assert refusal_reason(literal, parse_networks(opened_by)) is None


@pytest.mark.parametrize("special", SPECIAL, ids=lambda special: special.first)
def test_a_special_range_is_refused_to_its_edges_and_nothing_beside_it(special: Special) -> None:
    for address in (special.first, special.last):
        assert special.kind in (refusal_reason(address) or "")
    for address in filter(None, (special.below, special.above)):
        assert refusal_reason(address) is None


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_taken(address: str) -> None:
    assert refusal_reason(address) is None


@pytest.mark.parametrize("prefix", ["::ffff:", "64:ff9b::"])
@pytest.mark.parametrize("inside", ["127.0.0.1", "169.254.169.254", "8.8.8.8", "10.1.2.3"])
def test_an_embedded_ipv4_address_decides_the_verdict(prefix: str, inside: str) -> None:
    assert (refusal_reason(prefix + inside) is None) == (refusal_reason(inside) is None)
    if refusal_reason(inside):
        assert inside in (refusal_reason(prefix + inside) or "")


def test_allowed_networks_open_what_is_forbidden_and_nothing_beside_it() -> None:
    allowed = parse_networks("127.0.0.0/30, fd00::/8,169.254.169.254")
    for address in ("127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "fd12::1", "8.8.8.8"):
        assert refusal_reason(address, allowed) is None
    for address in ("127.0.0.90", "::1", "fc00::1", "10.0.0.1", "169.254.169.253"):
        assert refusal_reason(address, allowed) is not None


# Red when an IPv6 network opens the IPv4 addresses that stand inside IPv6 ones.
@pytest.mark.parametrize("networks", ["::/0", "::/8", "::/80", "64::/16"])
@pytest.mark.parametrize("prefix", ["::ffff:", "64:ff9b::"])
def test_an_ipv6_network_opens_no_ipv4_address(networks: str, prefix: str) -> None:
    for inside in ("127.0.0.1", "10.1.2.3", "169.254.169.254"):
        assert refusal_reason(prefix + inside, parse_networks(networks)) is not None
        assert refusal_reason(prefix + inside, parse_networks(f"{networks}, {inside}")) is None


# Red when all of IPv4 or IPv6, opened for a laboratory, holds what is no receiver.
@pytest.mark.parametrize("address", ["0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "ff02::1"])
def test_what_is_no_receiver_cannot_be_opened(address: str) -> None:
    everything = parse_networks("0.0.0.0/0, ::/0")
    assert refusal_reason(address, everything) is not None
    assert "cannot be allowed" in how_to_allow(address, everything)
    assert refusal_reason("10.0.0.1", everything) is refusal_reason("fd00::1", everything) is None


def test_the_reason_names_the_address() -> None:
    assert refusal_reason("127.0.0.1") == "127.0.0.1 is a loopback address"


@pytest.mark.parametrize("address", ["fe80::1%eth0", "2606:4700::1%1", IPv6Address("fe80::1%2")])
def test_a_zone_is_refused_even_in_an_allowed_network(address: str | IPv6Address) -> None:
    assert "zone" in (refusal_reason(address, parse_networks("::/0")) or "")
    assert "cannot be allowed" in how_to_allow(address)


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f.0.0.1", "\uff11.1.1.1", "/run/x"])
def test_what_is_no_address_is_never_connected_to(text: str) -> None:
    assert "is not an IP address" in (refusal_reason(text) or "")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.0.0.2", "127.0.0.0/8"),
        ("::ffff:127.0.0.2", "127.0.0.0/8"),
        ("192.168.3.4", "192.168.0.0/16"),
        ("169.254.169.254", "169.254.169.254/32"),
        ("::1", "::1/128"),
    ],
)
def test_the_advice_opens_the_address_when_it_is_followed(address: str, network: str) -> None:
    advice = how_to_allow(address)
    assert f"HOOKTUI_ALLOW_NETWORKS={network} " in advice
    assert refusal_reason(address, parse_networks(network)) is None


def test_the_advice_keeps_open_what_is_open_and_does_not_tell_it() -> None:
    advice = how_to_allow("169.254.169.254", parse_networks("10.20.0.0/16"))
    assert "add 169.254.169.254/32 to the server's HOOKTUI_ALLOW_NETWORKS" in advice
    assert "10.20" not in advice


def test_networks_are_separated_by_commas() -> None:
    assert parse_networks(" 10.0.0.0/8,, ::1 ,") == (
        IPv4Network("10.0.0.0/8"),
        IPv6Network("::1/128"),
    )
    assert parse_networks("") == ()


@pytest.mark.parametrize(
    "text",
    ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "localhost", "10.0.0.0/8 ::1/128", "10/8", "0/0",
     "127.0.0.0/8;10.0.0.0/8", "*", "all", "010.0.0.0/8", "0x7f.0.0.0/8", "\uff12.0.0.0/8", "[::1]",
     "http://10.0.0.1/", "2130706433", "true"],
)  # fmt: skip
def test_a_bad_network_is_named(text: str) -> None:
    with pytest.raises(Refused, match="is not a network"):
        parse_networks(text)


# Red when a network that the judge never looks at is taken without a word.
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("::ffff:10.0.0.0/104", "write them as 10.0.0.0/8"),
        ("::ffff:169.254.169.254", "write them as 169.254.169.254/32"),
        ("::ffff:0:0/96", "write them as 0.0.0.0/0"),
        ("64:ff9b::a00:0/104", "write them as 10.0.0.0/8"),
        ("fe80::1%eth0", "has a zone"),
    ],
)
def test_a_network_that_would_open_nothing_is_refused(text: str, says: str) -> None:
    with pytest.raises(Refused) as refusal:
        parse_networks(f"127.0.0.0/8, {text}")
    assert says in refusal.value.detail


@given(
    st.text(alphabet=st.sampled_from("htps:/[]@.%#?0127xaf-ü\uff11。\\ \u202e\ud800"), max_size=40)
)
@example("http://[::1")
def test_any_text_is_a_target_or_a_refusal(text: str) -> None:
    for candidate in (text, f"http://{text}"):
        try:
            target = parse_url(candidate)
        except Refused:
            continue
        assert target.url.isascii()
        assert target.url.isprintable()
        assert " " not in target.url


@given(st.text(max_size=60), st.text(max_size=60))
def test_parsing_what_was_parsed_changes_nothing(host: str, path: str) -> None:
    try:
        target = parse_url(f"https://{host}.example/{path}")
    except Refused:
        return
    again = parse_url(target.url)
    assert isinstance(again, ParsedUrl)
    assert again == target


@given(st.text(max_size=30))
def test_what_is_shown_leads_to_what_is_connected_to(host: str) -> None:
    try:
        target = parse_url(f"http://{host}")
    except Refused:
        return
    shown = f"[{target.unicode_host}]" if ":" in target.host else target.unicode_host
    assert parse_url(f"http://{shown}:{target.port}/").origin == target.origin


_HOSTS = st.text(
    alphabet=st.sampled_from("0123456789abcdefx.-_[]:%ä\u0430\uff11"), min_size=1, max_size=20
)


@given(_HOSTS)
def test_other_parsers_see_the_same_host_in_the_url_that_is_sent(host: str) -> None:
    try:
        target = parse_url(f"http://{host}/a?b")
    except Refused:
        return
    split, client = urlsplit(target.url), httpx.URL(target.url)
    assert (split.hostname, split.port or 80) == (target.host, target.port)
    assert (client.raw_host.decode(), client.port or 80) == (target.host, target.port)


@given(_HOSTS)
def test_no_name_is_an_address_to_the_system(host: str) -> None:
    """What `inet_aton` would read as a number, `getaddrinfo` never asks a name server about."""
    try:
        target = parse_url(f"http://{host}/")
    except Refused:
        return
    if target.literal is None:
        with pytest.raises(OSError, match="illegal IP address"):
            socket.inet_aton(target.host)
        assert target.host.encode("idna").decode() == target.host


# A second judge, of whole numbers only and written from the rules, not from the code.


def _number(text: str) -> int:
    return int(IPv6Address(text)) if ":" in text else int(IPv4Address(text))


_V4_RANGES = [
    (0x00000000, 8), (0x0A000000, 8), (0x64400000, 10), (0x7F000000, 8), (0xA9FE0000, 16),
    (0xAC100000, 12), (0xC0000000, 24), (0xC0000200, 24), (0xC0586300, 24), (0xC0A80000, 16),
    (0xC6120000, 15), (0xC6336400, 24), (0xCB007100, 24), (0xE0000000, 4), (0xF0000000, 4),
    (0xA83F8110, 32),
]  # fmt: skip


def _public_v4(number: int) -> bool:
    return all((number ^ base) >> (32 - bits) for base, bits in _V4_RANGES)


def _public_v6(number: int) -> bool:
    high96 = number >> 32
    if high96 in (0xFFFF, 0x64FF9B << 64):
        return _public_v4(number & 0xFFFFFFFF)
    if number >> 125 != 1:
        return False
    high32, high16 = number >> 96, number >> 112
    return not (
        high32 >> 9 == 0x20010000 >> 9
        or high32 == 0x20010DB8
        or high16 == 0x2002
        or high32 >> 12 == 0x3FFF0000 >> 12
    )


_EDGES = [
    number + step
    for special in SPECIAL
    for number in (_number(special.first), _number(special.last))
    for step in (-1, 0, 1)
]
_V4_NUMBERS = st.integers(0, 2**32 - 1) | st.sampled_from([n for n in _EDGES if 0 <= n < 2**32])
_V6_NUMBERS = (
    st.integers(0, 2**128 - 1)
    | st.integers(1 << 125, (2 << 125) - 1)
    | st.sampled_from([n for n in _EDGES if 0 <= n < 2**128])
)


@given(_V4_NUMBERS)
def test_the_judge_agrees_with_a_second_one_about_ipv4(number: int) -> None:
    address = IPv4Address(number)
    assert (refusal_reason(address) is None) == _public_v4(number)
    for form in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert (refusal_reason(form) is None) == _public_v4(number)


@given(_V6_NUMBERS)
def test_the_judge_agrees_with_a_second_one_about_ipv6(number: int) -> None:
    assert (refusal_reason(IPv6Address(number)) is None) == _public_v6(number)


@st.composite
def _special_v4(draw: st.DrawFn) -> IPv4Address:
    special = draw(st.sampled_from(SPECIAL_V4))
    return IPv4Address(draw(st.integers(_number(special.first), _number(special.last))))


@given(_special_v4(), st.integers(0, 0xFFFF))
def test_no_ipv6_form_opens_a_special_ipv4_address(inside: IPv4Address, more: int) -> None:
    number = int(inside)
    high, low = number >> 16, number & 0xFFFF
    forms = [
        f"::ffff:{inside}",  # mapped (RFC 4291)
        f"::{inside}",  # compatible, long deprecated
        f"::ffff:0:{inside}",  # translated (RFC 2765)
        f"64:ff9b::{inside}",  # NAT64 (RFC 6052)
        f"64:ff9b:1:{more:x}::{inside}",  # NAT64 for local use (RFC 8215)
        f"2002:{high:x}:{low:x}:{more:x}::1",  # 6to4 (RFC 3056)
        f"2001:0:{high:x}:{low:x}:{more:x}::",  # Teredo server (RFC 4380)
        f"2001:0:0:0:0:{more:x}:{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}",  # Teredo client
        f"fe80::5efe:{inside}",  # ISATAP (RFC 5214)
        f"fe80::200:5efe:{inside}",
    ]
    for form in forms:
        assert refusal_reason(form) is not None, form
        assert refusal_reason(parse_url(f"http://[{form}]/").literal or "") is not None, form
