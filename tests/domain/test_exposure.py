"""What is said about networks, keys, plain text and tokens that an installation leaves open."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.doctor.rules import assess_database_tls, assess_networks, assess_tls_key, assess_tokens

METADATA = [
    "169.254.169.254", "169.254.170.2", "fe80::1", "fd00:ec2::254", "fd20:ce::254",
    "100.100.100.200", "168.63.129.16", "192.0.0.192",
]  # fmt: skip


# Red when a network is compared by its own name instead of what lies in it.
@given(address=st.sampled_from(METADATA), data=st.data())
def test_every_network_around_a_metadata_address_is_warned_about(
    address: str, data: st.DataObject
) -> None:
    longest = ip_address(address).max_prefixlen
    prefix = data.draw(st.integers(0, longest))
    found = assess_networks([ip_network(f"{address}/{prefix}", strict=False)])
    assert found.state == "warn"
    assert "HOOKTUI_ALLOW_NETWORKS" in found.advice


@pytest.mark.parametrize(
    "networks",
    [[], ["127.0.0.0/8"], ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"], ["fd12:3456::/32"]],
)
def test_private_networks_are_fine(networks: list[str]) -> None:
    assert assess_networks([ip_network(one) for one in networks]).state == "ok"


def test_each_network_is_named_with_what_it_opens() -> None:
    found = assess_networks([ip_network("10.0.0.0/8"), ip_network("0.0.0.0/0")])
    assert "0.0.0.0/0 opens 169.254.169.254, where clouds hand out credentials" in found.value
    assert "10.0.0.0/8" not in found.value


@pytest.mark.parametrize(
    ("mode", "owner", "us", "state"),
    [
        (0o600, 1000, 1000, "ok"), (0o400, 1000, 1000, "ok"), (0o640, 1000, 1000, "fail"),
        (0o644, 1000, 1000, "fail"), (0o604, 1000, 1000, "fail"), (0o620, 1000, 1000, "fail"),
        (0o600, 0, 1000, "ok"), (0o640, 0, 1000, "ok"), (0o644, 0, 1000, "fail"),
        (0o660, 0, 1000, "fail"), (0o650, 0, 1000, "fail"), (0o640, 0, 0, "fail"),
        (0o100600, 0, 0, "ok"), (0o100644, 0, 0, "fail"),
    ],
)  # fmt: skip
def test_a_tls_key_is_for_the_server_alone(mode: int, owner: int, us: int, state: str) -> None:
    found = assess_tls_key("/etc/key.pem", mode, owner, us)
    assert found.state == state
    assert ("chmod 6" in found.advice) is (state == "fail")


@pytest.mark.parametrize(
    ("hosts", "sslmode", "state"),
    [
        ([], None, "ok"), ([], "disable", "ok"), (["db"], None, "warn"),
        (["db"], "disable", "warn"),
        (["db"], "allow", "warn"), (["db"], "prefer", "warn"), (["db"], "require", "ok"),
        (["db"], "verify-ca", "ok"), (["db"], "verify-full", "ok"), (["db"], "odd", "warn"),
    ],
)  # fmt: skip
def test_what_goes_to_another_machine_is_encrypted(hosts, sslmode, state) -> None:
    found = assess_database_tls(hosts, sslmode)
    assert found.state == state
    assert ("sslmode=verify-full" in found.advice) is (state == "warn")


def test_tokens_that_never_expire_are_listed() -> None:
    assert assess_tokens([]).state == "ok"
    found = assess_tokens([(4, "ci")])
    assert (found.state, found.value) == ("warn", "1 token never expires: 4 (ci)")
    many = assess_tokens([(n, "t") for n in range(1, 8)])
    assert many.value == "7 tokens never expire: 1 (t), 2 (t), 3 (t), 4 (t), 5 (t), and 2 more"
    assert "--expires" in many.advice
