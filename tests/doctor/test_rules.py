"""What doctor says about measured values, and that each complaint says what to do."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.doctor import rules
from hooktui.doctor.rules import assess_database_tls, assess_networks, assess_tls_key, assess_tokens
from hooktui.domain.machine import Condition, Shortage
from hooktui.domain.wire.diagnosis import Check, report_of

MB = 1 << 20
SHORTAGE = Shortage(Condition.FILES, at_ms=0, counts={Condition.FILES: 3})
NOW = 1_800_000_000_000

TABLE = [
    (rules.assess_fsync(0.2, 2), "ok"),
    (rules.assess_fsync(8, 20), "warn"),
    (rules.assess_fsync(0.2, 400), "warn"),
    (rules.assess_disk(10_000 * MB, 20_000 * MB, 64 * MB), "ok"),
    (rules.assess_disk(200 * MB, 20_000 * MB, 64 * MB), "warn"),
    (rules.assess_disk(63 * MB, 20_000 * MB, 64 * MB), "fail"),
    (rules.assess_file_system("ext4", network=False), "ok"),
    (rules.assess_file_system("", network=False), "ok"),
    (rules.assess_file_system("tmpfs", network=False), "warn"),
    (rules.assess_file_system("nfs4", network=True), "fail"),
    (rules.assess_wal(40 * MB, working=True), "ok"),
    (rules.assess_wal(400 * MB, working=True), "warn"),
    (rules.assess_wal(400 * MB, working=False), "ok"),
    (rules.assess_jump(900, 60), "ok"),
    (rules.assess_jump(-3_600_000, 60), "warn"),
    (rules.assess_newest(None, NOW), "ok"),
    (rules.assess_newest(NOW + 500, NOW), "ok"),
    (rules.assess_newest(NOW + 60_000, NOW), "warn"),
    (rules.assess_skew(-300, 1), "ok"),
    (rules.assess_skew(900, 1), "warn"),
    (rules.assess_skew(900, 1_000), "ok"),  # half a round trip may be all of it
    (rules.assess_skew(-9_000, 1), "fail"),
    (rules.assess_round_trip(0.3, 2), "ok"),
    (rules.assess_round_trip(40, 60), "warn"),
    (rules.assess_commit(1, 5), "ok"),
    (rules.assess_commit(1, 500), "warn"),
    (rules.assess_durability("on", "on", "on"), "ok"),
    (rules.assess_durability("remote_apply", "on", "on"), "ok"),
    (rules.assess_durability("off", "on", "on"), "fail"),
    (rules.assess_durability("on", "off", "on"), "fail"),
    (rules.assess_durability("on", "on", "off"), "fail"),
    (rules.assess_postgres("18.1", 180_001, "h/d", 9, standby=False, read_only=False), "ok"),
    (rules.assess_postgres("12.9", 120_009, "h/d", 9, standby=False, read_only=False), "warn"),
    (rules.assess_postgres("18.1", 180_001, "h/d", 9, standby=True, read_only=True), "fail"),
    (rules.assess_postgres("18.1", 180_001, "h/d", 9, standby=False, read_only=True), "fail"),
    (rules.assess_connections(20, 100), "ok"),
    (rules.assess_connections(90, 100), "warn"),
    (rules.assess_leases(8, 0, working=True), "ok"),
    (rules.assess_leases(8, 2, working=True), "warn"),
    (rules.assess_leases(8, 8, working=False), "ok"),
    (rules.assess_waiting(5, 3, None, working=True), "ok"),
    (rules.assess_waiting(5, 0, 20, working=True), "ok"),
    (rules.assess_waiting(5, 0, 4000, working=True), "warn"),
    (rules.assess_waiting(5, 0, None, working=False), "warn"),
    (rules.assess_waiting(0, 0, None, working=False), "ok"),
    (rules.assess_open_files(20_000, 100), "ok"),
    (rules.assess_open_files(1024, None), "warn"),
    (rules.assess_open_files(256, None), "warn"),
    (rules.assess_open_files(20_000, 19_900), "fail"),
    (rules.assess_outbound(3, 97, None, short=False), "ok"),
    (rules.assess_outbound(97, 97, None, short=True), "warn"),
    (rules.assess_outbound(3, 97, 98, short=False), "warn"),
    (rules.assess_shortage(None, 0), "ok"),
    (rules.assess_shortage(SHORTAGE, 86_400_000), "warn"),
    (rules.assess_shortage(SHORTAGE, 86_400_001), "ok"),
    (rules.assess_sqlite((3, 33, 0)), "fail"),
    (rules.assess_sqlite((3, 34, 1)), "ok"),
    (rules.assess_sqlite((3, 46, 1)), "ok"),
    (rules.assess_sqlite((3, 51, 3)), "ok"),
]


@pytest.mark.parametrize(
    ("check", "state"), TABLE, ids=[f"{check.name}: {check.value}" for check, _ in TABLE]
)
def test_a_value_is_judged_and_a_complaint_says_what_to_do(check: Check, state: str) -> None:
    assert check.state == state
    assert check.value
    if state != "ok":
        assert check.advice


def test_the_wal_reset_bug_is_named_exactly_where_it_is() -> None:
    assert "has the WAL-reset bug" in rules.assess_sqlite((3, 50, 6)).value
    assert "without the WAL-reset bug" in rules.assess_sqlite((3, 50, 7)).value


# Red when the advice is a constant, which a machine may have already.
def test_the_advised_limit_of_open_files_is_above_the_one_that_is_too_low() -> None:
    assert "LimitNOFILE=65536 " in rules.assess_open_files(1024, None).advice
    assert "LimitNOFILE=131072 " in rules.assess_open_files(65_536, 65_000).advice
    many = rules.assess_outbound(3, 40_000, 100_000, short=False)
    assert "LimitNOFILE=131072 " in many.advice


def test_a_report_is_as_bad_as_its_worst_check() -> None:
    good, odd, bad = (Check("x", state, "y") for state in ("ok", "warn", "fail"))
    assert report_of([]).state == "ok"
    assert report_of([good, odd]).state == "warn"
    assert report_of([odd, bad, good]).state == "fail"


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
    found = assess_tls_key("/etc/my key.pem", mode, owner, us)
    assert found.state == state
    assert ("chmod 6" in found.advice) is (state == "fail")
    assert ("'/etc/my key.pem'" in found.advice) is (state == "fail")


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
