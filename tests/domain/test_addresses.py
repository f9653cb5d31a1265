"""The address policy: tables of forms that are taken or refused, and properties over all."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hooktui.domain.addresses import (
    MAX_URL_LENGTH,
    Target,
    how_to_allow,
    judge,
    parse_networks,
    parse_url,
)
from hooktui.domain.errors import Refused

TAKEN = [
    # text, host, port, path, Host header
    ("http://example.com", "example.com", 80, "/", "example.com"),
    ("https://example.com", "example.com", 443, "/", "example.com"),
    ("HTTPS://EXAMPLE.com/Hook", "example.com", 443, "/Hook", "example.com"),
    ("http://example.com:80/", "example.com", 80, "/", "example.com"),
    ("https://example.com:443/", "example.com", 443, "/", "example.com"),
    ("http://example.com:443/", "example.com", 443, "/", "example.com:443"),
    ("https://example.com:8443/a", "example.com", 8443, "/a", "example.com:8443"),
    ("http://example.com:65535/a", "example.com", 65535, "/a", "example.com:65535"),
    ("http://localhost:9900/in", "localhost", 9900, "/in", "localhost:9900"),
    ("http://sink", "sink", 80, "/", "sink"),
    ("http://web_hook.internal/", "web_hook.internal", 80, "/", "web_hook.internal"),
    ("http://a-b.example/", "a-b.example", 80, "/", "a-b.example"),
    ("http://3com.example/", "3com.example", 80, "/", "3com.example"),
    ("http://1.2.3.4.example/", "1.2.3.4.example", 80, "/", "1.2.3.4.example"),
    ("http://0x7f.example/", "0x7f.example", 80, "/", "0x7f.example"),
    ("http://127.0.0.1/", "127.0.0.1", 80, "/", "127.0.0.1"),
    ("http://127.0.0.1:9900/in", "127.0.0.1", 9900, "/in", "127.0.0.1:9900"),
    ("http://255.255.255.255/", "255.255.255.255", 80, "/", "255.255.255.255"),
    ("http://0.0.0.0/", "0.0.0.0", 80, "/", "0.0.0.0"),
    ("http://[::1]/", "::1", 80, "/", "[::1]"),
    ("http://[::1]:9900/in", "::1", 9900, "/in", "[::1]:9900"),
    ("https://[2001:DB8:0:0::1]/", "2001:db8::1", 443, "/", "[2001:db8::1]"),
    ("http://example.com?a=1", "example.com", 80, "/?a=1", "example.com"),
    ("http://example.com#top", "example.com", 80, "/", "example.com"),
    ("http://example.com/a?b=c#d?e", "example.com", 80, "/a?b=c", "example.com"),
    ("http://example.com/a%20b?c=%2f", "example.com", 80, "/a%20b?c=%2f", "example.com"),
    ("http://example.com/ä?ö=ü", "example.com", 80, "/%C3%A4?%C3%B6=%C3%BC", "example.com"),
    ("http://example.com/💩", "example.com", 80, "/%F0%9F%92%A9", "example.com"),
    ('http://example.com/"<{|}>^`', "example.com", 80, "/%22%3C%7B%7C%7D%3E%5E%60", "example.com"),
    ("http://example.com/a@b:c;d,e", "example.com", 80, "/a@b:c;d,e", "example.com"),
    (
        "http://example.com/?q=[1]&x='()*+!$~",
        "example.com",
        80,
        "/?q=[1]&x='()*+!$~",
        "example.com",
    ),
    ("http://example.com//a/../b", "example.com", 80, "//a/../b", "example.com"),
    ("http://example.com?http://other/", "example.com", 80, "/?http://other/", "example.com"),
    ("http://example.com/user@other", "example.com", 80, "/user@other", "example.com"),
    ("http://bücher.example/", "xn--bcher-kva.example", 80, "/", "xn--bcher-kva.example"),
    ("http://BÜCHER.example:81/", "xn--bcher-kva.example", 81, "/", "xn--bcher-kva.example:81"),
    ("http://bu\u0308cher.example/", "xn--bcher-kva.example", 80, "/", "xn--bcher-kva.example"),
    ("http://straße.example/", "xn--strae-oqa.example", 80, "/", "xn--strae-oqa.example"),
    ("http://例え.テスト/", "xn--r8jz45g.xn--zckzah", 80, "/", "xn--r8jz45g.xn--zckzah"),
    ("http://xn--ls8h.example/", "xn--ls8h.example", 80, "/", "xn--ls8h.example"),
    (f"http://{'a' * 63}.example/", f"{'a' * 63}.example", 80, "/", f"{'a' * 63}.example"),
]

REFUSED = [
    # text, what the reason must speak of
    ("", "begins with http"),
    ("example.com", "begins with http"),
    ("//example.com/", "begins with http"),
    ("/hook", "begins with http"),
    ("http:example.com", "begins with http"),
    ("http:/example.com", "begins with http"),
    ("://example.com", "begins with http"),
    ("1http://example.com", "begins with http"),
    ("ftp://example.com/", "ftp URLs"),
    ("file:///etc/passwd", "file URLs"),
    ("gopher://example.com/", "gopher URLs"),
    ("unix:///run/x.sock", "unix URLs"),
    ("http+unix://%2Frun%2Fx.sock/", "http+unix URLs"),
    ("ws://example.com/", "ws URLs"),
    ("javascript://example.com/%0aalert(1)", "javascript URLs"),
    ("http://", "no host"),
    ("http:///hook", "no host"),
    ("http://?a", "no host"),
    ("http://#a", "no host"),
    ("http://:80/", "no host"),
    ("http://[]/", "no host"),
    ("http://user@example.com/", "no user"),
    ("http://user:secret@example.com/", "no user"),
    ("http://@example.com/", "no user"),
    ("http://example.com@127.0.0.1/", "no user"),
    ("http://127.0.0.1:80@example.com/", "no user"),
    ("http://example.com\\@127.0.0.1/", "backslash"),
    ("http:\\\\example.com", "backslash"),
    ("http://example.com/a\\b", "backslash"),
    (" http://example.com", "space"),
    ("http://example.com ", "space"),
    ("http://exa mple.com/", "space"),
    ("http://example.com/a b", "space"),
    ("http://example.com/a\u00a0b", "space"),
    ("http://example.com/a\u3000b", "space"),
    ("http://example.com/a\u2028b", "space"),
    ("http://example.com/\r\nHost: evil", "space"),
    ("http://exam\tple.com/", "space"),
    ("http://example.com/\n", "space"),
    ("http://example.com/\x00", "control"),
    ("http://example.com/\x1b[31m", "control"),
    ("http://example.com/\x7f", "control"),
    ("http://example.com/\x9b31m", "control"),
    ("http://exa\u00admple.com/", "control"),
    ("http://exa\u200bmple.com/", "control"),
    ("http://exa\u200dmple.com/", "control"),
    ("http://\ufeffexample.com/", "control"),
    ("http://example.com/\u202egnp.exe", "control"),
    ("http://example.com/\u2066a", "control"),
    ("http://example.com/\U000e0041", "control"),
    ("http://example.com/\ud800", "control"),
    ("http://2130706433/", "odd way"),
    ("http://0x7f.1/", "odd way"),
    ("http://0x7F000001/", "odd way"),
    ("http://127.1/", "odd way"),
    ("http://127.0.1/", "odd way"),
    ("http://127/", "odd way"),
    ("http://0/", "odd way"),
    ("http://0x/", "odd way"),
    ("http://0177.0.0.1/", "odd way"),
    ("http://017700000001/", "odd way"),
    ("http://127.0.0.01/", "odd way"),
    ("http://127.0.0.0x1/", "odd way"),
    ("http://0x7f.0x0.0x0.0x1/", "odd way"),
    ("http://127.0.0.1./", "odd way"),
    ("http://127.0.0.256/", "odd way"),
    ("http://1.2.3.4.5/", "odd way"),
    ("http://example.1/", "odd way"),
    ("http://99999999999/", "odd way"),
    ("http://\uff11\uff12\uff17.0.0.1/", "look-alike"),
    ("http://127。0。0。1/", "look-alike"),
    ("http://127\uff0e0\uff0e0\uff0e1/", "look-alike"),
    ("http://127\uff610\uff610\uff611/", "look-alike"),
    ("http://①②⑦.0.0.1/", "look-alike"),
    ("http://\uff45xample.com/", "look-alike"),
    ("http://e\ufb01xample.com/", "look-alike"),
    ("http://\u212aexample.com/", "look-alike"),
    ("http://a℀b.example/", "look-alike"),
    ("http://example.com\uff0fevil/", "look-alike"),
    ("http://💩.example/", "IDNA"),
    ("http://a\u0661b.example/", "IDNA"),
    ("http://\u0300a.example/", "IDNA"),
    ("http://127%2e0%2e0%2e1/", "% encoding"),
    ("http://%31%32%37.0.0.1/", "% encoding"),
    ("http://example.com%00.evil/", "% encoding"),
    ("http://example.com./", "empty part"),
    ("http://.example.com/", "empty part"),
    ("http://example..com/", "empty part"),
    ("http://./", "empty part"),
    ("http://-a.example/", "the part '-a'"),
    ("http://a-.example/", "the part 'a-'"),
    ("http://a*b.example/", "the part 'a*b'"),
    ("http://a,b.example/", "the part 'a,b'"),
    ("http://a$b.example/", "the part 'a$b'"),
    (f"http://{'a' * 64}.example/", "63 letters"),
    (f"http://{'a.' * 127}example/", "at most 253"),
    ("http://::1/", "needs [ and ]"),
    ("http://example.com:80:80/", "needs [ and ]"),
    ("http://[::1/", "IPv6 host is written"),
    ("http://[::1]80/", "IPv6 host is written"),
    ("http://[::1].example.com/", "IPv6 host is written"),
    ("http://[127.0.0.1]/", "not an IPv6 address"),
    ("http://[example.com]/", "not an IPv6 address"),
    ("http://[::1::]/", "not an IPv6 address"),
    ("http://[v1.a]/", "not an IPv6 address"),
    ("http://[::ffff:127.0.0.01]/", "not an IPv6 address"),
    ("http://[fe80::1%25eth0]/", "zone"),
    ("http://[fe80::1%eth0]/", "zone"),
    ("http://::1]/", "needs [ and ]"),
    ("http://example.com:0/", "not a port"),
    ("http://example.com:/", "not a port"),
    ("http://example.com:65536/", "not a port"),
    ("http://example.com:080/", "not a port"),
    ("http://example.com:+80/", "not a port"),
    ("http://example.com:-1/", "not a port"),
    ("http://example.com:80a/", "not a port"),
    ("http://example.com:\uff18\uff10/", "not a port"),
    ("http://example.com:0x50/", "not a port"),
    ("http://[::1]:0/", "not a port"),
    ("http://example.com/%", "%25"),
    ("http://example.com/%2", "%25"),
    ("http://example.com/%zz", "%25"),
    ("http://example.com/?a=%u0041", "%25"),
    (f"http://example.com/{'a' * MAX_URL_LENGTH}", "at most 2048"),
    (f"http://example.com/{'ä' * 700}", "at most 2048"),
]

FORBIDDEN = [
    # first and last address of each range of security.md, section 1, and what it is called
    ("0.0.0.0", "0.255.255.255", "this host"),
    ("10.0.0.0", "10.255.255.255", "private"),
    ("100.64.0.0", "100.127.255.255", "carrier"),
    ("127.0.0.0", "127.255.255.255", "loopback"),
    ("169.254.0.0", "169.254.255.255", "link-local"),
    ("172.16.0.0", "172.31.255.255", "private"),
    ("192.0.0.0", "192.0.0.255", "protocol"),
    ("192.0.2.0", "192.0.2.255", "documentation"),
    ("192.88.99.0", "192.88.99.255", "6to4"),
    ("192.168.0.0", "192.168.255.255", "private"),
    ("198.18.0.0", "198.19.255.255", "benchmarking"),
    ("198.51.100.0", "198.51.100.255", "documentation"),
    ("203.0.113.0", "203.0.113.255", "documentation"),
    ("224.0.0.0", "239.255.255.255", "multicast"),
    ("240.0.0.0", "255.255.255.255", "reserved"),
    ("168.63.129.16", "168.63.129.16", "cloud"),
    ("::", "::", "this host"),
    ("::1", "::1", "loopback"),
    ("::2", "::fffe:ffff:ffff", "outside 2000::/3"),
    ("::1:0:0:0", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "outside 2000::/3"),
    ("64:ff9b:0:0:0:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "outside 2000::/3"),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "protocol"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "6to4"),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"),
    ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "outside 2000::/3"),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "private"),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local"),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local"),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"),
]

PUBLIC = [
    "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
    "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0",
    "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255",
    "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255", "168.63.129.15",
    "168.63.129.17", "8.8.8.8", "2000::", "2001:200::", "2001:db7:ffff::", "2001:db9::",
    "2001:ffff::", "2003::", "2606:4700::1111", "3ffe::1", "3fff:1000::",
]  # fmt: skip


@pytest.mark.parametrize(("text", "host", "port", "path", "header"), TAKEN)
def test_a_url_is_taken_apart(text: str, host: str, port: int, path: str, header: str) -> None:
    target = parse_url(text)
    assert (target.host, target.port, target.path, target.host_header) == (host, port, path, header)
    assert target.origin == (text.partition(":")[0].lower(), host, port)


@pytest.mark.parametrize(("text", "reason"), REFUSED)
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


@pytest.mark.parametrize(("first", "last", "kind"), FORBIDDEN)
def test_forbidden_ranges_are_refused_to_their_edges(first: str, last: str, kind: str) -> None:
    for address in (first, last):
        assert kind in (judge(address) or "")


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_beside_the_forbidden_ranges_are_public(address: str) -> None:
    assert judge(address) is None


@pytest.mark.parametrize("prefix", ["::ffff:", "64:ff9b::"])
@pytest.mark.parametrize("inside", ["127.0.0.1", "169.254.169.254", "8.8.8.8", "10.1.2.3"])
def test_an_embedded_ipv4_address_decides_the_verdict(prefix: str, inside: str) -> None:
    assert (judge(prefix + inside) is None) == (judge(inside) is None)
    if judge(inside):
        assert inside in (judge(prefix + inside) or "")


def test_allowed_networks_open_what_is_forbidden_and_nothing_beside_it() -> None:
    allowed = parse_networks("127.0.0.0/30, fd00::/8,169.254.169.254")
    for address in ("127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "fd12::1", "8.8.8.8"):
        assert judge(address, allowed) is None
    for address in ("127.0.0.90", "::1", "fc00::1", "10.0.0.1", "169.254.169.253"):
        assert judge(address, allowed) is not None


def test_the_reason_names_the_address() -> None:
    assert judge("127.0.0.1") == "127.0.0.1 is a loopback address"


@pytest.mark.parametrize("address", ["fe80::1%eth0", "2606:4700::1%1", IPv6Address("fe80::1%2")])
def test_a_zone_is_refused_even_in_an_allowed_network(address: str | IPv6Address) -> None:
    assert "zone" in (judge(address, parse_networks("::/0")) or "")
    assert "cannot be opened" in how_to_allow(address)


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f.0.0.1", "\uff11.1.1.1", "/run/x"])
def test_what_is_no_address_is_never_connected_to(text: str) -> None:
    assert "is not an IP address" in (judge(text) or "")


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
    assert judge(address, parse_networks(network)) is None


def test_networks_are_separated_by_commas() -> None:
    assert parse_networks(" 10.0.0.0/8,, ::1 ,") == (
        IPv4Network("10.0.0.0/8"),
        IPv6Network("::1/128"),
    )
    assert parse_networks("") == ()


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "localhost", "10.0.0.0/8 ::1/128"])
def test_a_bad_network_is_named(text: str) -> None:
    with pytest.raises(Refused, match="is not a network"):
        parse_networks(text)


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
    assert isinstance(again, Target)
    assert again == target


@given(st.ip_addresses(v=4))
def test_mapped_and_nat64_forms_never_open_an_ipv4_address(address: IPv4Address) -> None:
    verdict = judge(address) is None
    assert (judge(f"::ffff:{address}") is None) == verdict
    assert (judge(f"64:ff9b::{address}") is None) == verdict


@given(st.ip_addresses(v=6).filter(lambda a: a not in IPv6Network("2000::/3")))
def test_outside_2000_3_only_embedded_ipv4_is_public(address: IPv6Address) -> None:
    if judge(address) is None:
        assert any(address in IPv6Network(network) for network in ("::ffff:0:0/96", "64:ff9b::/96"))
