"""What the demo's summary counts, fed with lines as the feed has them."""

from hooktui.demo.summary import Summary
from hooktui.domain.wire.feed import FeedLine


def event(deliveries: int, skipped: int = 0) -> FeedLine:
    fields = {
        "id": "evt_0000000000001",
        "type": "job.failed",
        "account": 1,
        "created_at": "2026-11-24T02:00:00.000Z",
        "size": 2,
        "deliveries": deliveries,
        "skipped": skipped,
    }
    return FeedLine("event", fields["created_at"], fields)


def attempt(delivery: str, number: int, status: str) -> FeedLine:
    fields = {
        "delivery": delivery,
        "number": number,
        "started_at": "2026-11-24T02:00:00.000Z",
        "outcome": "delivered" if status == "delivered" else "failed",
        "status_code": 200 if status == "delivered" else 500,
        "error": None,
        "error_detail": None,
        "phases_ms": {},
        "reused_connection": False,
        "address": None,
        "response": None,
        "retry_after_s": None,
        "server": None,
        "hook": 1,
        "account": 1,
        "event": "evt_0000000000001",
        "event_type": "job.failed",
        "trigger": "event",
        "status": status,
    }
    return FeedLine("attempt", "2026-11-24T02:00:00.000Z", fields)


def counted(*lines: FeedLine) -> Summary:
    summary = Summary()
    for line in lines:
        summary.add(line)
    return summary


def figures(summary: Summary, *names: str) -> tuple[int, ...]:
    counts = summary.counts()
    return tuple(counts[name] for name in names)


def test_what_was_accepted_waits_until_it_is_over():
    summary = counted(event(3, skipped=2))
    assert figures(summary, "events", "deliveries", "waiting", "skipped") == (1, 3, 3, 2)
    summary.add(attempt("dlv_1", 1, "delivered"))
    summary.add(attempt("dlv_2", 1, "pending"))
    assert figures(summary, "delivered", "waiting") == (1, 2)


def test_a_delivery_counts_as_retried_once_however_often_it_is_tried():
    lines = [attempt("dlv_1", number, "pending") for number in (1, 2, 3)]
    summary = counted(event(2), *lines, attempt("dlv_1", 4, "failed"))
    assert figures(summary, "retried", "failed", "attempts", "waiting") == (1, 1, 4, 1)


def test_lines_of_other_kinds_count_for_nothing():
    summary = counted(FeedLine("hook", "", {"id": 1}), FeedLine("engine", "", {}))
    assert set(summary.counts().values()) == {0}
