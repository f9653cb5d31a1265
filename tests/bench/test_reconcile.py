"""Everything that can be wrong with what arrived is found."""

import pytest

from hooktui.bench.reconcile import (
    Offered,
    Reconciliation,
    body_hash,
    percentiles_ms,
    read_arrivals,
    reconcile,
)
from hooktui.domain.signatures import (
    hook_signature,
    make_secret,
    standard_key,
    standard_signature,
)

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


def compared(*requests, status=200, delivered=("dlv_1",), bodies=(BODY,)):
    raw = [(1_000_000, status, one) for one in requests]
    offered = [Offered(f"evt_{n}", body_hash(body), 0) for n, body in enumerate(bodies, 1)]
    return reconcile(offered, read_arrivals(raw, {7: SECRET}), set(delivered), {7})


def test_what_arrived_once_and_whole_and_is_done_counts():
    found = compared(request())
    assert found == Reconciliation(counted=1, lost=0, duplicates=0, altered=0, unsigned=0)
    assert found.good


def test_what_never_arrived_is_lost():
    assert compared(request(), bodies=(BODY, b"{}")).lost == 1


def test_what_the_store_does_not_call_delivered_does_not_count():
    found = compared(request(), delivered=())
    assert (found.counted, found.lost) == (0, 1)


def test_what_was_only_answered_with_an_error_is_lost():
    assert compared(request(), status=500).lost == 1


def test_a_second_arrival_is_a_duplicate():
    found = compared(request(), request())
    assert (found.counted, found.duplicates, found.good) == (1, 1, False)


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
    assert (found.altered, found.lost, found.good) == (1, 1, False)


def test_a_wrong_signature_is_reported():
    found = compared(request(signed_body=b"{}"))
    assert (found.unsigned, found.lost, found.good) == (1, 1, False)


def test_latency_runs_from_the_turn_of_an_event_to_its_receipt():
    raw = [(1_000_000 * (n + 3), 200, request(event=f"evt_{n}")) for n in range(100)]
    offered = [Offered(f"evt_{n}", body_hash(BODY), 2_000_000) for n in range(100)]
    assert percentiles_ms(offered, read_arrivals(raw, {7: SECRET})) == (51.0, 100.0, 100.0)
