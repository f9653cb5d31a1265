"""Wire objects for tests: one call makes one, with the fields that a test is about."""

from dataclasses import replace
from typing import Any

from hooktui.console.keymap import Keymap
from hooktui.domain.schedule import DEFAULT_SCHEDULE_S
from hooktui.domain.wire.deliveries import (
    Attempt,
    Delivery,
    DeliveryDetail,
    Phases,
    Request,
    Response,
)
from hooktui.domain.wire.hooks import Hook, HookStats

AT = "2026-11-25T12:00:00.000Z"
AT_MS = 1_795_608_000_000
KEY = Keymap().key
"""The keys of the table."""


def hook(**fields: Any) -> Hook:
    made = Hook(
        id=12, account=1, type="web", name="billing", url="https://example.com/in",
        events=("job", "cluster.error"), active=True, disabled_reason=None, disabled_at=None,
        headers={}, sensitive_headers=(), basic_auth=None, signature_hash="sha256",
        verify_tls=True, timeout_s=30.0, retry_schedule_s=DEFAULT_SCHEDULE_S, rate_per_s=None,
        max_in_flight=10, ordered=False, filter=None, created_at=AT, updated_at=AT, version=1,
        stats=HookStats(),
    )  # fmt: skip
    return replace(made, **fields)


def delivery(**fields: Any) -> Delivery:
    made = Delivery(
        id="dlv_0000000000001", event="evt_0000000000001", event_type="job.failed", hook=12,
        account=1, trigger="event", status="pending", held=False, reason=None, attempts=0,
        next_attempt_at=AT, created_at=AT, finished_at=None, duration_ms=None,
    )  # fmt: skip
    return replace(made, **fields)


def attempt(**fields: Any) -> Attempt:
    made = Attempt(
        delivery="dlv_0000000000001", number=1, started_at=AT, outcome="failed", status_code=500,
        error="status", error_detail=None,
        phases_ms=Phases(dns=1.0, connect=2.0, tls=3.0, first_byte=80.0, total=100.0),
        reused_connection=False, address="127.0.0.1:9900",
        response=Response(headers=(("Content-Type", "text/plain"),), body="no", size=2),
        retry_after_s=None, server="one",
    )  # fmt: skip
    return replace(made, **fields)


def request(**fields: Any) -> Request:
    made = Request(
        method="POST",
        url="https://example.com/in?a=1&b='2'",
        headers=(("Content-Type", "application/json"), ("X-Hook-Signature", "ab" * 32)),
        body='{"id":1}',
    )
    return replace(made, **fields)


def detail(**fields: Any) -> DeliveryDetail:
    made = DeliveryDetail(
        id="dlv_0000000000001", event="evt_0000000000001", event_type="job.failed", hook=12,
        account=1, trigger="event", status="pending", held=False, reason=None,
        attempts=(attempt(),), next_attempt_at=AT, created_at=AT, finished_at=None,
        duration_ms=None, request=request(), string_signed='evt_0000000000001.1.{"id":1}',
    )  # fmt: skip
    return replace(made, **fields)
