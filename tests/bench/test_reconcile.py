"""Everything that can be wrong with what arrived is found."""

import pytest

from hooktui.bench.reconcile import (
    Offered,
    Reconciliation,
    Refusals,
    body_hash,
    capacity_share,
    percentiles_ms,
    read_requests,
    reconcile,
    refusals,
)
from hooktui.domain.signatures import hook_signature, make_secret, standard_key, standard_signature

SECRET = make_secret()
BODY = b'{"job_id":1}'


def request(event="evt_1", delivery="dlv_1", hook=7, body=BODY, signed_body=None):
    signed_body = body if signed_body is None else signed_body
    key = standard_key(SECRET)
    head = (
        f"POST /ok HTTP/1.1\r\nX-Hook-Id: {hook}\r\nX-Hook-Delivery: {delivery}\r\n"
        f"webhook-id: {event}\r\nwebhook-timestamp: 1700000000\r\n"
        f"X-Hook-Signature: {hook_signature(SECRET, signed_body)}\r\n"
        f"webhook-signature: {standard_signature(key, event, 1700000000, signed_body)}\r\n\r\n"
    )
    return head.encode() + body


def compared(*requests, status=200, delivered=("dlv_1",), bodies=(BODY,), poisoned=()):
    raw = [(1_000_000, status, one) for one in requests]
    offered = [Offered(f"evt_{n}", body_hash(body), 0) for n, body in enumerate(bodies, 1)]
    arrivals = read_requests(raw, {7: SECRET})
    return reconcile(offered, arrivals, set(delivered), {7}, poisoned)


def test_what_arrived_once_and_whole_and_is_done_counts():
    found = compared(request())
    assert found == Reconciliation(counted=1, failed=0, lost=0, duplicates=0, altered=0, unsigned=0)


def test_what_never_arrived_is_lost():
    assert compared(request(), bodies=(BODY, b"{}")).lost == 1


def test_what_the_store_does_not_call_delivered_does_not_count():
    found = compared(request(), delivered=())
    assert (found.counted, found.lost) == (0, 1)


def test_what_was_only_answered_with_an_error_is_lost():
    assert compared(request(), status=500).lost == 1


def test_an_event_that_the_receiver_always_refuses_is_not_lost_if_it_arrived():
    found = compared(request(), status=503, delivered=(), poisoned={"evt_1"})
    assert (found.counted, found.failed, found.lost) == (0, 1, 0)
    assert compared(poisoned={"evt_1"}).lost == 1


def test_a_second_arrival_is_a_duplicate():
    found = compared(request(), request())
    assert (found.counted, found.duplicates) == (1, 1)


@pytest.mark.parametrize(
    "corrupted",
    [
        request(body=b'{"job_id":2}'),
        request(event="evt_9"),
        request(hook=8),
    ],
    ids=["another body", "an event that nobody sent", "a hook that is not one of the run"],
)
def test_a_corrupted_arrival_is_reported(corrupted):
    found = compared(corrupted)
    assert (found.altered, found.lost) == (1, 1)


def test_a_wrong_signature_is_reported():
    found = compared(request(signed_body=b"{}"))
    assert (found.unsigned, found.lost) == (1, 1)


def test_latency_runs_from_the_turn_of_an_event_to_its_receipt():
    raw = [(1_000_000 * (n + 3), 200, request(event=f"evt_{n}")) for n in range(100)]
    offered = [Offered(f"evt_{n}", body_hash(BODY), 2_000_000) for n in range(100)]
    assert percentiles_ms(offered, read_requests(raw, {7: SECRET})) == (51.0, 100.0, 100.0)


def arrivals(*responses):
    """Return arrivals from pairs of seconds and status."""
    raw = [(round(at_s * 1e9), status, request()) for at_s, status in responses]
    return read_requests(raw, {7: SECRET})


def test_refused_attempts_are_counted_in_the_ramp_and_after_it():
    received = arrivals((10.1, 503), (14.9, 503), (15, 200), (15.1, 503), (16, 200), (17, 200))
    assert refusals(received, 10_000_000_000) == Refusals(in_ramp=2, later=1, later_share=0.25)
    assert refusals([], 0) == Refusals(0, 0, 0.0)


def test_the_retries_at_the_end_do_not_count_as_unused_capacity():
    steady = [(10 + n / 100, 200) for n in range(1, 101)]
    received = arrivals(*steady[:95], (10.5, 503), *[(60, 200)] * 5)
    assert capacity_share(received, 10_000_000_000, 200) == pytest.approx(0.5)
    assert capacity_share([], 0, 200) == 0
