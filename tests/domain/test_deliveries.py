"""What follows an attempt: the whole decision table of the contract, and its invariants."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.domain.deliveries import (
    DeliveryStatus,
    DisabledReason,
    ErrorClass,
    Exchange,
    Outcome,
    RetryDecision,
    RetryState,
    Trigger,
    after_exchange,
    after_interruption,
    error_of_status,
)

SCHEDULE = (5.0, 300.0)
TRIGGERS = st.sampled_from(Trigger)


def responded(code: int) -> Exchange:
    return Exchange(status_code=code, error=error_of_status(code))


def decide(
    exchange: Exchange,
    tries: int = 0,
    trigger: Trigger = Trigger.EVENT,
    retry_after_s: int | None = None,
) -> RetryDecision:
    state = RetryState(trigger, tries, 0)
    return after_exchange(state, exchange, SCHEDULE, 0.5, retry_after_s)


@pytest.mark.parametrize(
    ("code", "error"),
    [(200, None), (204, None), (299, None), (199, "status"), (300, "redirect"), (301, "redirect"),
     (399, "redirect"), (400, "status"), (410, "status"), (429, "status"), (500, "status"),
     (999, "status")],
)  # fmt: skip
def test_the_error_class_of_an_answer(code: int, error: str | None) -> None:
    assert error_of_status(code) == error


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_any_2xx_is_delivered(code: int) -> None:
    assert decide(responded(code), tries=1) == RetryDecision(
        Outcome.DELIVERED, DeliveryStatus.DELIVERED, 2, 0
    )


@pytest.mark.parametrize("code", [301, 302, 400, 404, 429, 500, 503])
def test_another_answer_is_tried_again_by_schedule(code: int) -> None:
    decision = decide(responded(code))
    assert (decision.outcome, decision.status, decision.tries) == ("failed", "pending", 1)
    assert decision.wait_s == pytest.approx(5)
    assert decision.disable is None


@pytest.mark.parametrize("error", [e for e in ErrorClass if e not in ("status", "redirect")])
def test_a_network_error_is_tried_again_by_schedule(error: ErrorClass) -> None:
    decision = decide(Exchange(error=error), tries=1)
    assert (decision.status, decision.tries) == ("pending", 2)
    assert decision.wait_s == pytest.approx(300)


def test_an_answer_that_broke_off_is_no_delivery_although_it_began_with_200() -> None:
    assert (
        decide(Exchange(status_code=200, error=ErrorClass.RESPONSE_TOO_LARGE)).status
        is DeliveryStatus.PENDING
    )


def test_a_used_up_schedule_ends_in_failed_with_the_reason() -> None:
    decision = decide(responded(500), tries=2)
    assert decision.status is DeliveryStatus.FAILED
    assert decision.reason == "gave up after 3 attempts"
    assert decision.wait_s is None


def test_without_retries_one_attempt_is_all() -> None:
    decision = after_exchange(RetryState(Trigger.EVENT, 0, 0), responded(500), (), 0.5, None)
    assert decision.reason == "gave up after 1 attempt"


@pytest.mark.parametrize("trigger", Trigger)
def test_410_fails_the_delivery_and_disables_the_hook_pings_too(trigger: Trigger) -> None:
    decision = decide(responded(410), trigger=trigger)
    assert (decision.outcome, decision.status) == ("failed", "failed")
    assert decision.disable is DisabledReason.GONE
    assert decision.reason == "receiver answered 410 Gone"


@pytest.mark.parametrize(
    ("code", "honoured"),
    [(429, True), (502, True), (503, True), (504, True), (500, False), (301, False), (404, False)],
)
def test_retry_after_counts_for_four_answers_only(code: int, honoured: bool) -> None:
    wait_s = decide(responded(code), retry_after_s=60).wait_s
    assert wait_s == pytest.approx(60 if honoured else 5)


def test_a_ping_is_never_retried() -> None:
    for exchange in (responded(500), responded(503), Exchange(error=ErrorClass.DNS)):
        decision = decide(exchange, trigger=Trigger.PING, retry_after_s=60)
        assert (decision.status, decision.wait_s) == ("failed", None)
        assert decision.reason == "a ping is never retried"
    interrupted = after_interruption(RetryState(Trigger.PING, 0, 0))
    assert (interrupted.outcome, interrupted.status) == ("interrupted", "failed")


def test_a_crash_loop_never_uses_up_a_schedule() -> None:
    state = RetryState(Trigger.EVENT, 1, 0)
    for count in range(1, 101):
        decision = after_interruption(state)
        assert (decision.outcome, decision.status) == ("interrupted", "pending")
        assert (decision.tries, decision.interruptions) == (1, count)
        flagged = count % 10 == 0
        assert decision.wait_s == (300 if flagged else 0)
        assert decision.reason == (f"interrupted {count} times in a row" if flagged else None)
        state = RetryState(Trigger.EVENT, decision.tries, decision.interruptions)


def test_an_answer_ends_a_row_of_interruptions() -> None:
    for code in (200, 500, 410):
        state = RetryState(Trigger.EVENT, 1, 9)
        assert after_exchange(state, responded(code), SCHEDULE, 0.5, None).interruptions == 0


def test_final_states_are_three() -> None:
    assert [status for status in DeliveryStatus if status.final] == [
        "delivered",
        "failed",
        "cancelled",
    ]


@given(
    TRIGGERS,
    st.integers(0, 60),
    st.integers(0, 30),
    st.one_of(
        st.builds(responded, st.integers(100, 999)),
        st.builds(Exchange, error=st.sampled_from(ErrorClass)),
    ),
    st.none() | st.integers(0, 10**6),
    st.lists(st.floats(0.001, 604800), max_size=50),
    st.floats(0, 1),
)
def test_every_decision_is_consistent(
    trigger: Trigger,
    tries: int,
    interruptions: int,
    exchange: Exchange,
    retry_after_s: int | None,
    schedule: list[float],
    chance: float,
) -> None:
    state = RetryState(trigger, tries, interruptions)
    decision = after_exchange(state, exchange, schedule, chance, retry_after_s)
    assert (decision.wait_s is not None) == (decision.status is DeliveryStatus.PENDING)
    assert (decision.outcome is Outcome.DELIVERED) == (decision.status is DeliveryStatus.DELIVERED)
    assert decision.tries == tries + 1
    assert (decision.reason is not None) == (decision.status is DeliveryStatus.FAILED)
    assert decision.status is not DeliveryStatus.PENDING or decision.tries <= len(schedule)
    assert (decision.disable is not None) == (exchange.status_code == 410)
