"""What an installation leaves open on purpose or by accident: networks, keys, plain text, tokens.

As in `domain.checks` the judges are pure. ``serve`` logs at its start what is not ok.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from hooktui.domain.checks import Check

_SENSITIVE: Final = (
    (ip_network("169.254.0.0/16"), "169.254.169.254, where clouds hand out credentials"),
    (ip_network("fe80::/10"), "link-local addresses"),
    (ip_network("fd00:ec2::254/128"), "fd00:ec2::254, where AWS hands out credentials"),
    (ip_network("fd20:ce::254/128"), "fd20:ce::254, where Google hands out credentials"),
    (ip_network("100.100.100.200/32"), "100.100.100.200, where Alibaba hands out credentials"),
    (ip_network("168.63.129.16/32"), "168.63.129.16, Azure's service for its machines"),
    (ip_network("192.0.0.192/32"), "192.0.0.192, where Oracle hands out credentials"),
)
_NAMED: Final = 5
_ENCRYPTED: Final = ("require", "verify-ca", "verify-full")


def judge_networks(allowed: Sequence[IPv4Network | IPv6Network]) -> Check:
    """Judge ``HOOKTUI_ALLOW_NETWORKS``: whether hooks reach what hands out credentials."""
    found = [
        f"{network} opens {what}"
        for network in allowed
        for sensitive, what in _SENSITIVE
        if _overlap(network, sensitive)
    ]
    if not found:
        listed = ", ".join(map(str, allowed)) or "public addresses only"
        return Check("networks", "ok", listed)
    return Check(
        "networks",
        "warn",
        "; ".join(found),
        "a hook can send requests there: allow only the networks of receivers in"
        " HOOKTUI_ALLOW_NETWORKS",
    )


def _overlap(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


def judge_tls_key(file: str, mode: int, owner: int, us: int) -> Check:
    """Judge who may read the key of the TCP listener.

    The rule is PostgreSQL's: a key of root may be readable by its group, which the server is in;
    every other key by its owner alone.

    Args:
        file: where it is.
        mode: of ``stat``.
        owner: the uid that owns it.
        us: the uid of the server.
    """
    allowed, right = (0o640, "640") if owner == 0 and us != 0 else (0o600, "600")
    bits = stat.S_IMODE(mode)
    if bits & 0o077 & ~allowed:
        return Check(
            "TLS key",
            "fail",
            f"{file} has mode {bits:o}: others may read it or change it",
            f"chmod {right} {file}, and replace the key if others use this machine",
        )
    return Check("TLS key", "ok", f"{file} has mode {bits:o}")


def judge_database_tls(hosts: Sequence[str], sslmode: str | None) -> Check:
    """Judge whether what goes to PostgreSQL can be read on the way.

    Args:
        hosts: those that are not this machine.
        sslmode: as the address or ``PGSSLMODE`` says; None: neither does.
    """
    if not hosts:
        return Check("database TLS", "ok", "not needed: the connection stays on this machine")
    where = ", ".join(hosts[:_NAMED])
    if sslmode in _ENCRYPTED:
        return Check("database TLS", "ok", f"sslmode={sslmode} to {where}")
    chosen = "no sslmode" if sslmode is None else f"sslmode={sslmode}"
    return Check(
        "database TLS",
        "warn",
        f"{chosen} to {where}: the connection may be plain text",
        "add ?sslmode=verify-full to the address of the database",
    )


def judge_tokens(endless: Sequence[tuple[int, str]]) -> Check:
    """Judge the tokens: list those that never expire, by id and name."""
    if not endless:
        return Check("tokens", "ok", "every token expires")
    named = ", ".join(f"{number} ({name})" for number, name in endless[:_NAMED])
    more = f", and {len(endless) - _NAMED:,} more" if len(endless) > _NAMED else ""
    verb = "token never expires" if len(endless) == 1 else "tokens never expire"
    return Check(
        "tokens",
        "warn",
        f"{len(endless):,} {verb}: {named}{more}",
        "replace them: hooktui tokens create NAME --role ROLE --expires 90d, then revoke the old",
    )
