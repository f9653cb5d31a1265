"""The checker tells each way to break a promise from the allowed second arrival."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hooktui.domain.wire.deliveries import Delivery
from hooktui.selftest.checker import Verdict, check
from hooktui.selftest.crash_test import CrashTestReport
from hooktui.selftest.ledger import ReceivedRequest
from hooktui.selftest.producer import Sent

SENT = Sent("evt_1", "k1", "aa")
TAKEN = ReceivedRequest("/steady", "evt_1", "dlv_1", "aa", 200)
REFUSED = ReceivedRequest("/steady", "evt_1", "dlv_1", "aa", 500)
STORED = Delivery(
    id="dlv_1", event="evt_1", event_type="job.failed", hook=7, account=1, trigger="event",
    status="delivered", held=False, reason=None, attempts=1, next_attempt_at=None,
    created_at="", finished_at=None, duration_ms=None,
)  # fmt: skip


def verdict(
    entries: list[ReceivedRequest], sent: list[Sent] | None = None, stored=STORED
) -> Verdict:
    return check([SENT] if sent is None else sent, entries, [stored], {"/steady": 7})


def test_what_was_accepted_and_taken_is_good():
    found = verdict([REFUSED, TAKEN], stored=replace(STORED, attempts=2))
    assert found.good
    assert (found.accepted, found.delivered, found.duplicates) == (1, 1, 0)


def test_a_second_arrival_with_the_same_id_and_bytes_is_counted_and_allowed():
    found = verdict([TAKEN, TAKEN, TAKEN], stored=replace(STORED, attempts=3))
    assert found.good
    assert found.duplicates == 2


# Red when a number of duplicates is allowed for each kill, whatever they are.
def test_an_arrival_that_is_no_attempt_is_repeated():
    found = verdict([TAKEN, REFUSED, TAKEN], stored=replace(STORED, attempts=2))
    assert not found.good
    assert found.repeated == ("dlv_1",)


# Red when only the deliveries of the store are compared.
def test_an_arrival_of_a_delivery_that_the_store_does_not_have_is_repeated():
    found = check([SENT], [TAKEN], [], {"/steady": 7})
    assert not found.good
    assert found.repeated == ("dlv_1",)


def test_an_event_that_the_receiver_never_took_is_lost_and_its_delivery_a_phantom():
    found = verdict([REFUSED])
    assert not found.good
    assert found.lost == ("evt_1 to hook 7",)
    assert found.phantoms == ("dlv_1",)


def test_an_event_that_nobody_offered_is_unexpected():
    found = verdict([TAKEN], sent=[])
    assert not found.good
    assert found.unexpected == ("evt_1 was never accepted",)


def test_other_bytes_than_were_sent_are_unexpected():
    found = verdict([replace_entry(TAKEN, body="bb")])
    assert found.unexpected == ("dlv_1 has other bytes than k1",)


def test_a_second_arrival_with_other_bytes_or_another_id_is_altered():
    assert verdict([TAKEN, replace_entry(TAKEN, body="bb")]).altered == ("dlv_1",)
    assert verdict([TAKEN, replace_entry(TAKEN, event="evt_2")]).altered == ("dlv_1",)


def test_one_event_as_two_deliveries_to_one_hook_is_altered():
    found = verdict([TAKEN, replace_entry(TAKEN, delivery="dlv_2")])
    assert found.altered == ("evt_1 to hook 7 as dlv_1, dlv_2",)


def test_a_delivery_that_gave_up_is_unsettled():
    stored = replace(STORED, status="failed", reason="gave up after 1 attempt")
    found = verdict([TAKEN], stored=stored)
    assert found.unsettled == ("dlv_1 failed (gave up after 1 attempt)",)
    assert not found.good


def replace_entry(entry: ReceivedRequest, **changes: str) -> ReceivedRequest:
    fields = {name: getattr(entry, name) for name in entry.__struct_fields__}
    return ReceivedRequest(**fields | changes)


@pytest.mark.parametrize(
    ("kills", "duplicates", "good"), [(0, 0, True), (0, 1, False), (2, 300, True)]
)
def test_nothing_comes_twice_without_a_kill(kills, duplicates, good):
    verdict = Verdict(1, 2, duplicates, (), (), (), (), ())
    assert CrashTestReport(verdict, kills, 0, (), 1.0).good is good
