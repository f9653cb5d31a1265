"""How deliveries and attempts are put into words."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from hooktui.console.deliveries.actions import _resent_words
from hooktui.console.deliveries.columns import phases_bar, steps_of
from hooktui.console.deliveries.document import RelatedData, sections_of
from hooktui.console.deliveries.text import (
    attempt_times,
    error_words,
    neighbours_words,
    next_step,
    remaining_pairs,
    response_words,
    status_word,
)
from hooktui.console.formatting import moment
from hooktui.console.glyphs import ASCII, UNICODE
from hooktui.console.hooks.summary import head_lines, state_words
from hooktui.console.widgets.document_lines import document_lines
from hooktui.domain.catalogue import ETL
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.wire.deliveries import Attempt, DeliveryDetail, Phases, Response
from hooktui.domain.wire.hooks import HookPace, HookStats, LimitedBy, with_pace
from tests.support.wire_objects import AT, AT_MS, KEY, attempt, delivery, detail, hook, request


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("fields", "words", "following"),
    [
        ({}, "waiting", "next attempt due now"),
        ({"attempts": 1, "cause": None}, "waiting", "next attempt due now"),  # it was cut off
        (
            {"attempts": 2, "cause": "dns", "next_attempt_at": to_rfc3339(AT_MS + 300_000)},
            "retrying",
            "next attempt at 12:05:00, in 5m",
        ),
        ({"held": True}, "held", "until hook 12 is enabled"),
        ({"status": "sending"}, "sending", "in progress"),
        (
            {"status": "delivered", "finished_at": to_rfc3339(AT_MS + 2000), "duration_ms": 15},
            "delivered",
            "delivered at 12:00:02, after 2s",
        ),
        (
            {"status": "failed", "finished_at": AT, "reason": "gave up after 3 attempts"},
            "failed",
            "gave up at 12:00:00, after 3 attempts; r sends it again",
        ),
        (  # red at 84 characters with its glyph and "failed": the key was cut on 80 columns
            {
                "status": "failed",
                "finished_at": to_rfc3339(AT_MS + 8000),
                "reason": "gave up after 3 attempts",
            },
            "failed",
            "gave up at 12:00:08, after 8s and 3 attempts; r sends it again",
        ),
        (
            {"status": "failed", "finished_at": AT, "reason": "receiver answered 410 Gone"},
            "failed",
            "gave up at 12:00:00: receiver answered 410 Gone; r sends it again",
        ),
        ({"status": "cancelled", "finished_at": AT}, "cancelled", "r sends it again"),
    ],
)
def test_every_state_says_what_happens_next(
    fields: dict[str, object], words: str, following: str
) -> None:
    one = delivery(**fields)
    assert status_word(one) == words
    assert following in next_step(one, AT_MS, KEY)


# Red when a viewer is told to press a key that is refused.
def test_a_role_that_may_not_resend_is_told_of_no_key() -> None:
    for status in ("failed", "cancelled"):
        one = delivery(status=status, finished_at=AT)
        assert next_step(one, AT_MS, lambda _: "").endswith("12:00:00")
    pairs = remaining_pairs([(2, AT_MS)], AT_MS, lambda _: "")
    assert pairs[-1] == ("after that", "failed")
    off = hook(active=False, stats=HookStats(held=7))
    words, _ = state_words(off, AT_MS, lambda _: "")
    assert words.endswith("7 held · nothing sent yet")


def test_times_of_other_days_name_their_day() -> None:
    assert moment(AT_MS + 1000, AT_MS) == "12:00:01"
    assert moment(AT_MS + 86_400_000, AT_MS) == "Thu 12:00"
    assert moment(AT_MS + 9 * 86_400_000, AT_MS) == "04 Dec 12:00"
    assert moment(AT_MS + 99 * 86_400_000, AT_MS) == "2027-03-04 12:00"


def test_the_clock_time_of_every_attempt_of_a_schedule_is_reported() -> None:
    assert attempt_times((5, 300), AT_MS) == ["12:00:00", "12:00:05", "12:05:05"]
    assert attempt_times((), AT_MS) == ["12:00:00"]


def test_every_error_class_has_words() -> None:
    for error in ErrorClass:
        assert error_words(error) != error.value
    assert error_words("new_class") == "new_class"


def test_an_attempt_says_its_status_or_why_there_is_none() -> None:
    assert response_words(attempt()) == "500"
    assert response_words(attempt(status_code=None, error="dns")) == "host name not resolved"
    assert response_words(attempt(status_code=302, error="redirect")).startswith("302 redirects")


def test_the_time_line_ends_with_the_next_attempt_while_there_is_one() -> None:
    assert [s.number for s in steps_of(detail())] == [1, 2]
    assert steps_of(detail())[-1].attempt is None
    assert len(steps_of(detail(status="failed"))) == 1
    assert steps_of(detail(status="sending"))[-1].attempt is None


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_a_bar_is_as_long_as_the_attempts_share_of_the_longest(glyphs: object) -> None:
    phases = Phases(dns=10.0, connect=10.0, tls=None, first_byte=60.0, total=100.0)
    for longest, cells in ((100.0, 16), (200.0, 8), (100_000.0, 1)):
        bar = phases_bar(phases, longest, 16, glyphs)  # type: ignore[arg-type]
        assert sum(len(text) for text, _ in bar) == cells
    assert phases_bar(Phases(), 100.0, 16, UNICODE) == ()


def shown_of(one: DeliveryDetail, tried: Attempt | None) -> str:
    sections = sections_of(one, tried, RelatedData(AT_MS, KEY))
    return "\n".join(line.text for line in document_lines(sections))


def test_an_attempt_without_an_answer_says_why() -> None:
    failed = attempt(
        status_code=None, error="connect_refused", error_detail="127.0.0.1:9", response=None
    )
    shown = shown_of(detail(), failed)
    assert "No response: connection refused (127.0.0.1:9)" in shown


# Red while it was "No response: no response in time (no response within 15 s)".
def test_an_attempt_without_a_response_in_time_says_so_once() -> None:
    failed = attempt(
        status_code=None, error="timeout", error_detail="no response within 15 s", response=None
    )
    shown = shown_of(detail(), failed)
    assert "Timeout: no response within 15 s" in shown
    assert shown.lower().count("no response") == 1


def test_a_cut_answer_says_so_and_a_purged_body_too() -> None:
    cut = attempt(response=Response(body="x" * 10, truncated=True, size=70_000))
    one = detail(request=None, string_signed=None)
    shown = shown_of(one, cut)
    assert "70kB received, the first 10B stored" in shown
    assert "body is purged, so the request cannot be rebuilt" in shown
    # The body is there, and without the hook nobody knows where it went.
    shown = shown_of(detail(request=None), cut)
    assert "The hook is deleted" in shown
    many = attempt(response=Response(headers=(("A", "b"),) * 50, body=""))
    assert "the first 50; the others are not stored" in shown_of(one, many)


def test_each_phase_has_a_bar_on_one_scale_and_the_body_is_the_rest() -> None:
    # Red when a phase begins elsewhere than where the one before it ends.
    phases = Phases(dns=10.0, connect=10.0, tls=None, first_byte=60.0, total=100.0)
    (time_section,) = (
        one
        for one in sections_of(detail(), attempt(phases_ms=phases), RelatedData(AT_MS, KEY, ASCII))
        if one.title == "Time by phase"
    )
    assert time_section.text is not None
    assert time_section.text.split("\n") == [
        f"dns          10ms  {':' * 5}",
        f"connect      10ms  {' ' * 5}{':' * 5}",
        f"first byte   60ms  {' ' * 10}{'=' * 29}",
        f"body         20ms  {' ' * 38}{'-' * 10}",
    ]


def test_the_deliveries_of_an_event_to_a_hook_form_a_chain() -> None:
    # Red when a resend does not say what it is a resend of.
    first = delivery(id="dlv_1", status="failed")
    second = delivery(id="dlv_2", trigger="resend", status="delivered")
    assert neighbours_words("dlv_2", [first, second]) == " (after dlv_1, failed)"
    assert neighbours_words("dlv_1", [first, second]) == " (sent again as dlv_2, delivered)"
    assert neighbours_words("dlv_1", [first]) == ""
    related = RelatedData(AT_MS, KEY, family=[first, second])
    shown = [line.text for line in document_lines(sections_of(detail(id="dlv_2"), None, related))]
    assert shown[-3] == "▾ Deliveries of this event to this hook  2 deliveries; Enter opens one"
    assert shown[-2].endswith("by event, failed: dlv_1")
    assert shown[-1].endswith("by resend, delivered, this one: dlv_2")


# Red when a delivery that is held counts as sent: nothing arrives, and the admin waits for it.
@pytest.mark.parametrize(
    ("held", "words"),
    [
        ([False, False], "2 deliveries sent again"),
        ([False, True], "1 delivery sent again, 1 held by disabled hooks"),
        ([True, True], "0 deliveries sent again, 2 held by disabled hooks"),
        ([False], "sent again as dlv_10"),
        ([True], "dlv_10: waits until hook 12 is enabled"),
    ],
)
def test_a_resend_that_is_held_is_not_said_to_be_sent(held: list[bool], words: str) -> None:
    selected = [delivery(id=f"dlv_{number}", status="failed") for number in range(len(held))]
    sent = [delivery(id=f"dlv_{10 + number}", held=one) for number, one in enumerate(held)]
    shell = SimpleNamespace(clock=lambda: AT_MS, key=KEY)
    assert _resent_words(selected, sent, shell) == words


def test_what_each_signature_signs_is_shown_as_it_is() -> None:
    # Red when the body of X-Hook-Signature is laid out: then it is not what was signed.
    one = detail(request=request(body='{"a":1}'), string_signed='evt_1.5.{"a":1}')
    shown = shown_of(one, None).split("\n")
    assert 'evt_1.5.{"a":1}' in shown
    place = next(i for i, line in enumerate(shown) if "What X-Hook-Signature signs" in line)
    assert "HMAC-SHA-256" in shown[place]
    assert shown[place + 1] == '{"a":1}'


def test_a_disabled_hook_says_why_and_what_is_held() -> None:
    one = hook(
        active=False,
        disabled_reason="receiver answered 410 Gone",
        disabled_at=AT,
        stats=HookStats(held=7),
    )
    words, tone = state_words(one, AT_MS + 3_600_000, KEY)
    assert words.startswith("disabled: receiver answered 410 Gone, 1h ago")
    assert "sends the 7 held" in words
    assert tone == "bad"


# Red while an open breaker hid the word of the heading, and one with a probe due was "half_open".
@pytest.mark.parametrize(
    ("stats", "words", "tone"),
    [
        (HookStats(), "active", "plain"),
        (HookStats(last_status=503, last_at=AT), "active, retrying", "warn"),
        (HookStats(failing=True), "active, failing", "bad"),
        (HookStats(breaker="open"), "active, retrying, breaker open", "bad"),
        (HookStats(failing=True, breaker="half_open"), "active, failing, breaker open", "bad"),
    ],
)
def test_the_state_of_a_hook_has_the_word_of_its_heading(stats, words, tone) -> None:
    shown, its_tone = state_words(hook(stats=stats), AT_MS, KEY)
    assert (shown.split(" · ")[0], its_tone) == (words, tone)


def test_the_head_of_a_hook_shows_its_pace() -> None:
    one = hook(max_in_flight=None)
    assert len(head_lines(one, ETL, AT_MS, KEY)) == 3
    limited_by = LimitedBy(kind="overload", response="503", in_flight=24, at=AT)
    pace = HookPace(in_flight=17, in_flight_limit=20, limited_by=limited_by)
    *_, line = head_lines(with_pace(one, pace), ETL, AT_MS + 240_000, KEY)
    words = "17 of 20 (auto; receiver responded 503 at 24, 4m ago)"
    assert line == ((" in flight ", "quiet"), (words, "plain"))
