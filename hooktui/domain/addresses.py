"""Which URLs are accepted, and which addresses hooks may connect to.

A URL is parsed once, here, and the engine uses only the resulting `ParsedUrl`: filters are bypassed
when two parsers disagree on a host. Addresses are checked against our own table, not
``ipaddress.is_global``, which on Python 3.11 passes multicast, 6to4, NAT64 and site-local.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import quote

from hooktui.domain.errors import Refused
from hooktui.domain.text import cut

Networks = tuple[IPv4Network | IPv6Network, ...]

MAX_URL_LENGTH = 2048
"""Characters, as typed and as sent; servers commonly accept 8,000 in a request line."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_DOTTED_QUAD = re.compile(rf"{_OCTET}(\.{_OCTET}){{3}}")
# inet_aton accepts 127.1, 0x7f.1, 017700000001: a host ending in a number is never a name (WHATWG).
_ENDS_IN_A_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH_SAFE = "/?:@!$&'()*+,;=-._~%[]"
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"})
_FOREIGN_DOTS = "\u3002\uff0e\uff61"


@dataclass(frozen=True, slots=True)
class ParsedUrl:
    """A parsed URL.

    Attributes:
        scheme: ``http`` or ``https``.
        host: lower-case ASCII (punycode for international names); an IPv6 literal has no brackets.
        port: 1 to 65535.
        path: path and query as in the request line; ASCII, begins with ``/``.
        host_header: value of ``Host``; with the port only if it is not the scheme's default.
        unicode_host: the host for people; show it beside ``host``, it may look like another one.
        literal: the address, if the host is one.
    """

    scheme: str
    host: str
    port: int
    path: str
    host_header: str
    unicode_host: str
    literal: IPv4Address | IPv6Address | None

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port, within which connections can be shared."""
        return self.scheme, self.host, self.port

    @property
    def url(self) -> str:
        """The whole URL in ASCII, without a fragment."""
        return f"{self.scheme}://{self.host_header}{self.path}"


def _refused(reason: str) -> Refused:
    return Refused.field("/url", reason)


def parse_url(text: str) -> ParsedUrl:
    """Parse a URL strictly.

    Raises:
        Refused: hooktui does not connect to this URL; names the fix.
    """
    if len(text) > MAX_URL_LENGTH:
        raise _refused(f"the URL has {len(text)} characters; at most {MAX_URL_LENGTH} are allowed")
    _check_characters(text)
    match = _URL.match(text)
    if not match:
        raise _refused("a URL begins with http:// or https://, such as https://example.com/hook")
    scheme, authority, path = match[1].lower(), match[2], match[3]
    if scheme not in _DEFAULT_PORTS:
        raise _refused(f"{scheme[:30]} URLs are not supported; use http or https")
    if "@" in authority:
        raise _refused("a URL must not contain a user or password; use the hook's basic auth")
    host_text, port = _split_authority(authority, _DEFAULT_PORTS[scheme])
    literal: IPv4Address | IPv6Address | None
    if host_text.startswith("["):
        literal = _ipv6_literal(host_text[1:-1])
        host = unicode_host = str(literal)
    else:
        host, unicode_host = _name(host_text)
        literal = IPv4Address(host) if _DOTTED_QUAD.fullmatch(host) else None
    bracketed = f"[{host}]" if ":" in host else host
    target = ParsedUrl(
        scheme=scheme,
        host=host,
        port=port,
        path=_path(path),
        host_header=bracketed if port == _DEFAULT_PORTS[scheme] else f"{bracketed}:{port}",
        unicode_host=unicode_host,
        literal=literal,
    )
    if len(target.url) > MAX_URL_LENGTH:
        raise _refused(
            f"the URL has {len(target.url)} characters once its non-ASCII ones are percent-encoded;"
            f" at most {MAX_URL_LENGTH} are allowed"
        )
    return target


def url_in_words(url: str) -> str:
    """Return a URL for people; an international host is followed by its ASCII form."""
    try:
        target = parse_url(url)
    except Refused:
        return url
    return url if target.host == target.unicode_host else f"{url}  (host name: {target.host})"


def _check_characters(text: str) -> None:
    for position, letter in enumerate(text, 1):
        if letter == "\\":
            raise _refused(
                f"a URL must not contain a backslash (character {position}); write / or %5C"
            )
        if unicodedata.category(letter) in _UNSAFE_CATEGORIES:
            kind = "space" if letter.isspace() else "control or invisible character"
            raise _refused(
                f"a URL must not contain a {kind} (U+{ord(letter):04X}, character {position}); "
                "remove it or percent-encode it"
            )


def _split_authority(authority: str, default_port: int) -> tuple[str, int]:
    if authority.startswith("["):
        inside, bracket, rest = authority[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _refused("an IPv6 host is written as [2001:db8::1] or [2001:db8::1]:8080")
        host, colon, port_text = f"[{inside}]", rest[:1], rest[1:]
    else:
        host, colon, port_text = authority.partition(":")
        if ":" in port_text:
            raise _refused("only one : may follow the host; an IPv6 address needs [ and ]")
    if not host or host == "[]":
        raise _refused("the URL has no host; write it as https://example.com/hook")
    if not colon:
        return host, default_port
    if not _PORT.fullmatch(port_text) or int(port_text) > 65535:
        raise _refused(f"{port_text!r} is not a port; use 1 to 65535, or omit it and the :")
    return host, int(port_text)


def _ipv6_literal(text: str) -> IPv6Address:
    if "%" in text:
        raise _refused("an IPv6 address with a zone (%) reaches only the local network")
    try:
        return IPv6Address(text)
    except ValueError:
        raise _refused(f"{text!r} in brackets is not an IPv6 address") from None


def _name(text: str) -> tuple[str, str]:
    """Return a host other than an IPv6 literal as ASCII and as Unicode."""
    if "%" in text:
        raise _refused("a host must not be percent-encoded; write its characters")
    if any(dot in text for dot in _FOREIGN_DOTS):
        raise _refused("separate the parts of the host with . instead of a look-alike")
    host = text.lower() if text.isascii() else _to_punycode(text)
    if _ENDS_IN_A_NUMBER.fullmatch(host):
        if not _DOTTED_QUAD.fullmatch(host):
            raise _refused(
                f"{text!r} is an unusual form of an address; use four decimal numbers as in"
                " 203.0.113.7"
            )
        return host, host
    if len(host) > 253:
        raise _refused(f"the host has {len(host)} characters; a name has at most 253")
    for label in host.split("."):
        if not _LABEL.fullmatch(label):
            what = f"the part {label[:70]!r}" if label else "an empty part (one dot too many)"
            raise _refused(
                f"the host has {what}; parts have 1 to 63 letters, digits and hyphens inside"
            )
    return host, _to_unicode(host) if "xn--" in host else host


def _to_punycode(host: str) -> str:
    # Compatibility forms (full-width digits and letters, the Kelvin sign, fi as one letter) change
    # when encoded: the displayed host would not be the one that is looked up.
    composed = unicodedata.normalize("NFC", host)
    if composed.isascii() or composed != unicodedata.normalize("NFKC", host):
        raise _refused(
            f"the host {host!r} contains look-alike forms of other characters; write the plain ones"
        )
    import idna  # lazy: its tables take milliseconds, and few hosts need them

    # Letter by letter, as browsers do: str.lower maps a final sigma differently.
    lowered = "".join(map(str.lower, composed))
    try:
        return idna.encode(lowered, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise _refused(f"the host {host!r} is not a domain name (IDNA 2008): {error}") from None


def _to_unicode(host: str) -> str:
    """Return the Unicode form if it is safe to show and encodes to the same name."""
    import idna

    try:
        shown = idna.decode(host)
        same = idna.encode(shown).decode("ascii") == host
    except (idna.IDNAError, UnicodeError):  # for example emoji domains, which are shown in ASCII
        return host
    safe = all(unicodedata.category(letter) not in _UNSAFE_CATEGORIES for letter in shown)
    return shown if same and safe else host


def _path(text: str) -> str:
    bad = _BAD_PERCENT.search(text)
    if bad:
        raise _refused(
            f"{text[bad.start() : bad.start() + 3]!r} is not percent-encoding; write % as %25"
        )
    encoded = quote(text, safe=_PATH_SAFE)
    return encoded if encoded.startswith("/") else f"/{encoded}"


# The ranges of IANA's special-purpose registries (and Azure's 168.63.129.16, a metadata service)
# that no public receiver can have, with their descriptions.
_FORBIDDEN_V4 = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "an address of this host"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a carrier's internal address"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address (clouds hand out credentials there)"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a protocol assignment"),
        ("192.0.2.0/24", "a documentation address"),
        ("192.88.99.0/24", "a 6to4 relay address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a benchmarking address"),
        ("198.51.100.0/24", "a documentation address"),
        ("203.0.113.0/24", "a documentation address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("168.63.129.16/32", "a cloud provider's internal address"),
    )
)
_PUBLIC_V6 = IPv6Network("2000::/3")
_FORBIDDEN_V6 = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "an address of this host"),
        ("::1/128", "a loopback address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("fc00::/7", "a private address"),
        ("ff00::/8", "a multicast address"),
        ("2001::/23", "a protocol assignment"),
        ("2001:db8::/32", "a documentation address"),
        ("2002::/16", "a 6to4 address"),
        ("3fff::/20", "a documentation address"),
    )
)
_V4_INSIDE = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))


def parse_networks(text: str) -> Networks:
    """Return the networks of ``127.0.0.0/8, fd00::/8``; a bare address is a network of one.

    Raises:
        Refused: an entry is not a network, or would have no effect.
    """
    return tuple(_network(part.strip()) for part in text.split(",") if part.strip())


def _network(entry: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(entry, strict=False)
    except ValueError as error:
        raise Refused(
            f"{entry[:100]!r} is not a network ({cut(str(error), 200)}); write networks as"
            " 127.0.0.0/8, fd00::/8"
        ) from None
    address = entry.partition("/")[0]
    if network.network_address != ip_address(address):
        raise Refused(
            f"{entry[:100]!r} is not a network but an address in one; write {network} or {address}"
        )
    if "%" in entry:
        raise Refused(f"{entry!r} has a zone; hooks never reach addresses with one")
    if isinstance(network, IPv6Network) and any(network.subnet_of(prefix) for prefix in _V4_INSIDE):
        inside = IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - 96))
        raise Refused(f"{entry!r} contains IPv4 addresses; write them as {inside}")
    return network


def refusal_reason(address: str | IPv4Address | IPv6Address, allowed: Networks = ()) -> str | None:
    """Return None if hooks may connect to an address, else the reason in words.

    Args:
        address: an address from a name look-up, or a literal from a URL.
        allowed: networks that the operator allows although they are not public.
    """
    try:
        parsed = ip_address(address) if isinstance(address, str) else address
    except ValueError:
        return f"{str(address)[:100]!r} is not an IP address"
    if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
        return f"{parsed} has a zone, it reaches only the local network"
    # Only the IPv4 address inside decides: ::/0 must not allow forbidden IPv4 addresses.
    inside = _v4_inside(parsed)
    kind = _kind(inside)
    if kind is None or (_can_be_opened(inside) and any(inside in network for network in allowed)):
        return None
    return f"{parsed} is {kind}" if parsed == inside else f"{parsed} leads to {inside}, {kind}"


def how_to_allow(address: str | IPv4Address | IPv6Address, allowed: Networks = ()) -> str:
    """Return a sentence that says how the operator can allow a forbidden address.

    The ``allowed`` networks must stay allowed, but the text does not reveal them.
    """
    try:
        inside = _v4_inside(ip_address(address) if isinstance(address, str) else address)
    except ValueError:
        return "Use a host name that resolves to an IP address."
    if isinstance(inside, IPv6Address) and inside.scope_id is not None:
        return "It cannot be allowed; use an address without a zone."
    if not _can_be_opened(inside):
        return "It cannot be allowed; use the address of one receiver."
    network = ip_network(inside)
    if isinstance(inside, IPv4Address):
        network = next(
            (n for n, kind in _FORBIDDEN_V4 if inside in n and kind in _OPENED_AS_A_RANGE), network
        )
    if allowed:
        return (
            f"If hooks may reach it, add {network} to the server's HOOKTUI_ALLOW_NETWORKS (networks"
            " separated by commas) and restart it."
        )
    return (
        f"If hooks may reach it, start the server with HOOKTUI_ALLOW_NETWORKS={network} (networks"
        " separated by commas)."
    )


def _can_be_opened(address: IPv4Address | IPv6Address) -> bool:
    """Return whether it can be the address of one receiver."""
    return not (address.is_unspecified or address.is_multicast)


# Kinds that an operator usually allows as a whole range; for others only the address is proposed.
_OPENED_AS_A_RANGE = frozenset({"a loopback address", "a private address"})


def _v4_inside(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address inside a mapped or NAT64 address, else the address."""
    if isinstance(address, IPv6Address) and any(address in network for network in _V4_INSIDE):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _kind(address: IPv4Address | IPv6Address) -> str | None:
    """Return the kind of a forbidden address, None for a public one."""
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _FORBIDDEN_V4 if address in network), None)
    kind = next((kind for network, kind in _FORBIDDEN_V6 if address in network), None)
    if kind is None and address not in _PUBLIC_V6:
        return "outside 2000::/3, where public addresses are"
    return kind
