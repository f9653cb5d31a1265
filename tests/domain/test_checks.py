"""What doctor says about measured values, and that each complaint says what to do."""

from __future__ import annotations

import pytest

from hooktui.domain import checks
from hooktui.domain.checks import Check, checkup_of
from hooktui.domain.machine import Condition, Shortage

MB = 1 << 20
SHORTAGE = Shortage(Condition.FILES, at_ms=0, counts={Condition.FILES: 3})
NOW = 1_800_000_000_000

TABLE = [
    (checks.judge_fsync(0.2, 2), "ok"),
    (checks.judge_fsync(8, 20), "warn"),
    (checks.judge_fsync(0.2, 400), "warn"),
    (checks.judge_disk(10_000 * MB, 20_000 * MB, 64 * MB), "ok"),
    (checks.judge_disk(200 * MB, 20_000 * MB, 64 * MB), "warn"),
    (checks.judge_disk(63 * MB, 20_000 * MB, 64 * MB), "fail"),
    (checks.judge_file_system("ext4", network=False), "ok"),
    (checks.judge_file_system("", network=False), "ok"),
    (checks.judge_file_system("tmpfs", network=False), "warn"),
    (checks.judge_file_system("nfs4", network=True), "fail"),
    (checks.judge_wal(40 * MB, working=True), "ok"),
    (checks.judge_wal(400 * MB, working=True), "warn"),
    (checks.judge_wal(400 * MB, working=False), "ok"),
    (checks.judge_jump(900, 60), "ok"),
    (checks.judge_jump(-3_600_000, 60), "warn"),
    (checks.judge_newest(None, NOW), "ok"),
    (checks.judge_newest(NOW + 500, NOW), "ok"),
    (checks.judge_newest(NOW + 60_000, NOW), "warn"),
    (checks.judge_skew(-300, 1), "ok"),
    (checks.judge_skew(900, 1), "warn"),
    (checks.judge_skew(900, 1_000), "ok"),  # half a round trip may be all of it
    (checks.judge_skew(-9_000, 1), "fail"),
    (checks.judge_round_trip(0.3, 2), "ok"),
    (checks.judge_round_trip(40, 60), "warn"),
    (checks.judge_commit(1, 5), "ok"),
    (checks.judge_commit(1, 500), "warn"),
    (checks.judge_durability("on", "on", "on"), "ok"),
    (checks.judge_durability("remote_apply", "on", "on"), "ok"),
    (checks.judge_durability("off", "on", "on"), "fail"),
    (checks.judge_durability("on", "off", "on"), "fail"),
    (checks.judge_durability("on", "on", "off"), "fail"),
    (checks.judge_postgres("18.1", 180_001, "h/d", 9, standby=False), "ok"),
    (checks.judge_postgres("12.9", 120_009, "h/d", 9, standby=False), "warn"),
    (checks.judge_postgres("18.1", 180_001, "h/d", 9, standby=True), "fail"),
    (checks.judge_connections(20, 100), "ok"),
    (checks.judge_connections(90, 100), "warn"),
    (checks.judge_leases(8, 0, working=True), "ok"),
    (checks.judge_leases(8, 2, working=True), "warn"),
    (checks.judge_leases(8, 8, working=False), "ok"),
    (checks.judge_waiting(5, 3, None, working=True), "ok"),
    (checks.judge_waiting(5, 0, 20, working=True), "ok"),
    (checks.judge_waiting(5, 0, 4000, working=True), "warn"),
    (checks.judge_waiting(5, 0, None, working=False), "warn"),
    (checks.judge_waiting(0, 0, None, working=False), "ok"),
    (checks.judge_open_files(20_000, 100), "ok"),
    (checks.judge_open_files(1024, None), "warn"),
    (checks.judge_open_files(256, None), "warn"),
    (checks.judge_open_files(20_000, 19_900), "fail"),
    (checks.judge_outbound(3, 97, None, short=False), "ok"),
    (checks.judge_outbound(97, 97, None, short=True), "warn"),
    (checks.judge_outbound(3, 97, 98, short=False), "warn"),
    (checks.judge_shortage(None, 0), "ok"),
    (checks.judge_shortage(SHORTAGE, 86_400_000), "warn"),
    (checks.judge_shortage(SHORTAGE, 86_400_001), "ok"),
    (checks.judge_sqlite("3.46.1"), "ok"),
    (checks.judge_sqlite("3.51.3"), "ok"),
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
    assert "has the WAL-reset bug" in checks.judge_sqlite("3.50.6").value
    assert "free of the WAL-reset bug" in checks.judge_sqlite("3.50.7").value


def test_a_checkup_is_as_bad_as_its_worst_line() -> None:
    good, odd, bad = (Check("x", state, "y") for state in ("ok", "warn", "fail"))
    assert checkup_of([]).state == "ok"
    assert checkup_of([good, odd]).state == "warn"
    assert checkup_of([odd, bad, good]).state == "fail"
