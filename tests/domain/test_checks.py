"""What doctor says about measured values, and that each complaint says what to do."""

from __future__ import annotations

import pytest

from hooktui.doctor import rules
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
    (rules.assess_postgres("18.1", 180_001, "h/d", 9, standby=False), "ok"),
    (rules.assess_postgres("12.9", 120_009, "h/d", 9, standby=False), "warn"),
    (rules.assess_postgres("18.1", 180_001, "h/d", 9, standby=True), "fail"),
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
    (rules.assess_sqlite("3.46.1"), "ok"),
    (rules.assess_sqlite("3.51.3"), "ok"),
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
    assert "has the WAL-reset bug" in rules.assess_sqlite("3.50.6").value
    assert "without the WAL-reset bug" in rules.assess_sqlite("3.50.7").value


def test_a_report_is_as_bad_as_its_worst_check() -> None:
    good, odd, bad = (Check("x", state, "y") for state in ("ok", "warn", "fail"))
    assert report_of([]).state == "ok"
    assert report_of([good, odd]).state == "warn"
    assert report_of([odd, bad, good]).state == "fail"
