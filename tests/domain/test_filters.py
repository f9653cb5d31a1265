"""The filter language: what each form means, what is refused and where, and properties."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hooktui.domain.errors import Malformed, Refused
from hooktui.domain.event_outcomes import EventFacts, misfitting_steps
from hooktui.domain.filters.data import Stored, first_steps, leaves_steps
from hooktui.domain.filters.parser import (
    FilterError,
    absolute_filter,
    parse,
    parse_event_filter,
    parse_hook_filter,
)
from hooktui.domain.filters.patterns import Pattern
from hooktui.domain.filters.terms import (
    CodeRange,
    DurationComparison,
    Filter,
    FilterKey,
    Subject,
    TimeBound,
)
from hooktui.domain.json_text import Steps, check, finish, read_steps
from tests.support.odd_bodies import ODD, broken, written
from tests.support.odd_bodies import PIECES as PIECES_OF_JSON
from tests.support.steps import longest_step_s

NOW = 1_795_575_845_000
BODY = {
    "id": 157,
    "status": "failed",
    "cluster_id": 52,
    "progress": 1.0,
    "errors": "No space: the disk full of logs",
    "completed_at": None,
    "fallback": True,
    "tags": ["night", "etl"],
    "outputs": [{"name": "a", "rows": 0}, {"name": "b", "rows": 7}],
    "creator": {"type": "Schedule", "Größe": "ß"},
    "empty": "",
    "nothing": [],
}
SUBJECT = Subject(
    at_ms=NOW - 60_000,
    status="failed",
    held=False,
    outcome="failed",
    hook=12,
    event_type="job.failed",
    code=503,
    took_ms=2500.0,
    error="tls_certificate",
    cause="tls_certificate",
    trigger="event",
    replay="rpl_01JDG3R8Z4000",
    ids=("evt_01JDG3R8Z4000", "dlv_01JDG3R8Z5000"),
    words=lambda: "job.failed Nightly Load 503 Service Unavailable a,b",
    data=lambda: BODY,
)


def matches_body(parsed: Filter, body: object, event_type: str | None = None) -> bool:
    return parsed.matches(Subject(at_ms=0, event_type=event_type, data=lambda: body), now_ms=0)


MATCHES = [
    "", "   ",
    # words
    "nightly", "NIGHTLY", "ight", '"nightly load"', '"load 503"', "night*503", "night**load", "*",
    "nightly service", "-daily", '-"load nightly"', "a,b", "-x", '"job.failed"',
    # status, outcome, held
    "status:failed", "status:FAILED", "status:delivered,failed", "-status:delivered,pending",
    "-status:held", "STATUS:failed", 'status:"failed"',
    "hook:12", "hook:1,12", "-hook:1,2", "hook:012",
    "event:job.failed", "event:job.*", "event:job", "event:*.failed", "event:JOB.Failed",
    "event:cluster,job.failed", "-event:cluster.*", "-event:fail", "event:*",
    "code:503", "code:5xx", "code:50x", "code:>=500", "code:>502", "code:<504", "code:<=503",
    "code:404,5XX", "-code:4xx",
    "took:>2s", "took:>=2.5s", "took:<=2500ms", "took:<1m", "took:>2", "-took:<2s",
    "took:<1s,>2s",
    "since:10m", "since:1m", "since:60s", "since:1w", "-since:59s", "since:1s,10m",
    "until:1m", "until:60s", "-until:61s", "until:2026-11-25T03:03:05Z", "until:1w,59s",
    "since:2026-11-25T03:03:05Z", "since:2026-11-25T04:03:05+01:00", "since:2026-11-25t03:03:05z",
    "error:tls_certificate", "error:tls", "error:dns,tls", "error:*cert*", "-error:timeout",
    "trigger:event", "-trigger:ping,resend",
    "status:undelivered", "-status:waiting", "-status:retrying,held",
    "cause:tls_certificate", "cause:TLS*", "cause:*", "cause:dns,tls_*", "-cause:http_4*,tls",
    "replay:rpl_01JDG3R8Z4000", "replay:rpl_01jdg3r8z4000", "-replay:rpl_01JDG3R8Z4001",
    "evt_01JDG3R8Z4000", "evt_oijdg3r8z4000", "-dlv_01JDG3R8Z4000", "dlv_01JDG3R8Z5000",
    "id:evt_01JDG3R8Z4000", "id:dlv_01JDG3R8Z4000,dlv_01JDG3R8Z5000", 'id:"evt_01JDG3R8Z4000"',
    # data
    "data.cluster_id:52", "data.cluster_id:51,52", "data.cluster_id:5*", "-data.cluster_id:5",
    "data.progress:1.0", "data.progress:1", "data.progress:1e0", "data.completed_at:null",
    "data.fallback:true", "data.errors:*disk*", "data.errors:*DISK*",
    'data.errors:"*disk full*"', 'data.errors:*"disk full"*', 'data.errors:"No space: the*"',
    "data.tags:night", "data.tags:etl", "data.tags.0:night", "data.tags.1:etl",
    "-data.tags.0:etl", "data.outputs.name:b", "data.outputs.1.name:b", "-data.outputs.0.name:b",
    "data.outputs.rows:7", "data.creator.type:schedule", "data.creator:*", "data.creator.Größe:ß",
    'data.empty:""', "data.empty:*", "-data.errors:disk",
    "-data.missing:*", "-data.nothing:*", "-data.id.deeper:*", "-data.tags.9:*",
    "-data.CLUSTER_ID:52",
    # joined
    "status:failed hook:12 event:job.* code:5xx took:>2s since:10m error:tls nightly",
    "status:failed\thook:12\n-hook:13",
]  # fmt: skip


@pytest.mark.parametrize("text", MATCHES)
def test_a_filter_fits_and_its_negation_does_not(text: str) -> None:
    parsed = parse(text)
    assert parsed.matches(SUBJECT, NOW)
    for term in parsed.terms:
        opposite = replace(term, negated=not term.negated)
        assert not replace(parsed, terms=(opposite,)).matches(SUBJECT, NOW)


@pytest.mark.parametrize(
    "text",
    ["status:failed hook:13", "nightly daily", "-nightly status:failed", "took:>2s took:<1s"],
)
def test_terms_are_joined_by_and(text: str) -> None:
    assert not parse(text).matches(SUBJECT, NOW)


def test_what_a_subject_does_not_have_fits_no_term() -> None:
    bare = Subject(at_ms=NOW)
    for text in ("status:failed", "hook:1", "event:*", "code:1xx,>=100", "took:>=0s", "error:*",
                 "trigger:event", "word", "data.a:*", "cause:*", "status:undelivered",
                 "status:waiting", "status:retrying", "replay:rpl_01JDG3R8Z4000",
                 "evt_01JDG3R8Z4000"):  # fmt: skip
        assert not parse(text).matches(bare, NOW), text
        assert parse(f"-{text}").matches(bare, NOW), text


def test_held_deliveries_are_pending_ones_too() -> None:
    held = Subject(at_ms=NOW, status="pending", held=True)
    assert parse("status:held").matches(held, NOW)
    assert parse("status:pending").matches(held, NOW)
    assert not parse("status:held").matches(replace(held, held=False), NOW)


@pytest.mark.parametrize(
    ("status", "held", "cause", "states"),
    [
        ("pending", False, None, "waiting"),
        ("sending", False, None, "waiting"),
        ("pending", True, None, "held"),
        ("pending", False, "dns", "waiting retrying undelivered"),
        ("sending", False, "dns", "waiting retrying undelivered"),
        ("pending", True, "dns", "held retrying undelivered"),
        ("failed", False, "dns", "undelivered"),
        ("failed", False, None, ""),
        ("delivered", False, None, ""),
        ("cancelled", False, None, ""),
    ],
)
def test_states_are_sets_of_statuses(
    status: str, held: bool, cause: str | None, states: str
) -> None:
    subject = Subject(at_ms=NOW, status=status, held=held, cause=cause)
    for state in ("waiting", "held", "retrying", "undelivered"):
        expected = state in states.split()
        assert parse(f"status:{state}").matches(subject, NOW) is expected, state


def test_an_attempts_outcome_is_found_by_status() -> None:
    attempt = Subject(at_ms=NOW, outcome="interrupted")
    assert parse("status:interrupted").matches(attempt, NOW)


def test_words_and_data_are_fetched_only_when_a_term_needs_them() -> None:
    def never() -> str:
        raise AssertionError("not needed")

    subject = replace(SUBJECT, words=never, data=never)
    assert parse("status:failed code:5xx").matches(subject, NOW)
    assert not parse("status:failed").needs_data
    assert parse("-data.a:1").needs_data


VALUES = [
    ("code:5xx", CodeRange(500, 599)),
    ("code:50x", CodeRange(500, 509)),
    ("code:404", CodeRange(404, 404)),
    ("code:>404", CodeRange(405, 999)),
    ("code:>=404", CodeRange(404, 999)),
    ("code:<404", CodeRange(100, 403)),
    ("code:<=404", CodeRange(100, 404)),
    ("took:>2s", DurationComparison(">", 2000)),
    ("took:<=1.5m", DurationComparison("<=", 90_000)),
    ("took:>=250ms", DurationComparison(">=", 250)),
    ("since:10m", TimeBound(600_000, is_age=True)),
    ("since:2026-11-25T03:04:05Z", TimeBound(NOW)),
    ("until:10m", TimeBound(600_000, is_age=True)),
    ("hook:12", 12),
    ("status:Failed", "failed"),
    ("evt_o1jdg3r8z4000", "evt_01JDG3R8Z4000"),
    ("id:dlv_01JDG3R8Z5000", "dlv_01JDG3R8Z5000"),
    ('"evt_01JDG3R8Z4000"', Pattern(("evt_01jdg3r8z4000",))),
    ("evt_01JDG3R8Z400", Pattern(("evt_01jdg3r8z400",))),
    ("evt_01JDG3R8Z400*", Pattern(("evt_01jdg3r8z400", ""))),
    ("rpl_01JDG3R8Z4000", Pattern(("rpl_01jdg3r8z4000",))),
    ("trigger:ping", "ping"),
    ("error:dns", "dns"),
    ("word", Pattern(("word",))),
    ("*Disk*", Pattern(("", "disk", ""))),
    ('"a \\"b\\" \\* \\\\ \\n"', Pattern(('a "b" * \\ \\n',))),
    ("a\\*b", Pattern(("a\\", "b"))),
    ('data.a:b" c"d', Pattern(("b cd",))),
    ('data.a:"b,c"', Pattern(("b,c",))),
    ("data.a:b:c", Pattern(("b:c",))),
    ("data.a:***", Pattern(("", ""))),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_values_are_parsed_once(text: str, value: object) -> None:
    assert parse(text).terms[0].values == (value,)


def test_a_bare_error_class_covers_its_special_cases() -> None:
    assert parse("error:tls").terms[0].values == ("tls", "tls_certificate")
    assert parse("error:connect").terms[0].values == (
        "connect_refused", "connect_timeout", "connect",
    )  # fmt: skip
    assert parse("error:*timeout*").terms[0].values == ("connect_timeout", "timeout")


def test_a_term_says_where_it_stands_and_what_it_is() -> None:
    first, second = parse('  "disk full" -data.a.b:1,2').terms
    assert (first.key, first.column, first.negated, first.path) == (FilterKey.WORD, 3, False, ())
    assert (second.key, second.column, second.negated) == (FilterKey.DATA, 15, True)
    assert second.path == ("a", "b")
    assert len(second.values) == 2


def test_a_huge_span_still_fits_a_64_bit_column() -> None:
    for text in ("since:999999999999w", "took:>999999999999w"):
        value = parse(text).terms[0].values[0]
        assert isinstance(value, TimeBound | DurationComparison)
        assert value.ms < 1 << 63


REFUSED = [
    # text, column, what the message must speak of
    ("stauts:failed", 1, "did you mean status"),
    ("a b stauts:failed", 5, "did you mean status"),
    ("-stauts:failed", 2, "did you mean status"),
    ("http://example.com", 1, "quotes"),
    ("12:30", 1, "unknown key '12'"),
    ("account:1", 1, "unknown key"),
    ("word:x", 1, "unknown key"),
    ("data:x", 1, "data.cluster_id:52"),
    ("data.:x", 1, "empty field"),
    ("data..a:x", 1, "empty field"),
    ("data.a.:x", 1, "empty field"),
    ("status:", 8, "one of pending"),
    ("status: failed", 8, "one of pending"),
    ("status:failed,", 15, "one of pending"),
    ("status:,failed", 8, "one of pending"),
    ('status:""', 8, "one of pending"),
    ("status:faild", 8, "did you mean failed"),
    ("status:failed,zzz", 15, "one of pending"),
    ("status:fail*", 8, "did you mean failed"),
    ("hook:x", 6, "a hook's number"),
    ("hook:-1", 6, "a hook's number"),
    ("hook:1,x", 8, "a hook's number"),
    ("hook:\u0661", 6, "a hook's number"),
    ("hook:9999999999999999999", 6, "a hook's number"),
    ("event:job/failed", 7, "an event type"),
    ("code:99", 6, "a status code"),
    ("code:5000", 6, "a status code"),
    ("code:xxx", 6, "a status code"),
    ("code:5x5", 6, "a status code"),
    ("code:>5xx", 6, "a status code"),
    ("code:>", 6, "a status code"),
    ("code:0xx", 6, "a status code"),
    ("took:2s", 6, "a comparison"),
    ("took:>", 6, "a comparison"),
    ("took:>fast", 6, "a comparison"),
    ("took:=2s", 6, "a comparison"),
    ("took:>-2s", 6, "a comparison"),
    ("since:soon", 7, "a duration or a time"),
    ("since:2026-11-25T03:04:05", 7, "a duration or a time"),
    ("since:2026-11-25", 7, "a duration or a time"),
    ("since:2026-13-25T03:04:05Z", 7, "a duration or a time"),
    ("since:-10m", 7, "a duration or a time"),
    ("since:10", 7, "a duration or a time"),
    ("error:tlss", 7, "did you mean tls"),
    ("error:zzz*", 7, "one of address_refused"),
    ("cause:zzz", 7, "one of address_refused"),
    ("cause:held", 7, "http_400 to http_499, http_5xx"),
    ("cause:status", 7, "one of address_refused"),
    ("cause:http_503", 7, "http_5xx"),
    ("replay:5", 8, "a replay's id"),
    ("replay:dlv_01JDG3R8Z4000", 8, "a replay's id"),
    ("trigger:pong", 9, "did you mean ping"),
    ("data.a:", 8, "a value is missing"),
    ("data.a:x,,y", 10, "a value is missing"),
    ("-", 1, "directly before"),
    ("a - b", 3, "directly before"),
    ('""', 1, "empty quotes"),
    ('-""', 2, "empty quotes"),
    ('"disk', 1, "not closed"),
    ('disk "full', 6, "not closed"),
    ('data.a:"x\\"', 8, "not closed"),
    ("a\x00b", 2, "U+0000"),
    ("ab\x1b", 3, "U+001B"),
    ("\ud800", 1, "U+D800"),
    ("x" * 2001, 2001, "at most 2000"),
]


@pytest.mark.parametrize(("text", "column", "what"), REFUSED)
def test_an_error_names_the_column_and_what_is_expected(text: str, column: int, what: str) -> None:
    with pytest.raises(FilterError) as refusal:
        parse(text)
    assert refusal.value.column == column
    assert f"column {column}: " in refusal.value.detail
    assert what in refusal.value.detail
    assert isinstance(refusal.value, Refused)
    assert refusal.value.status == 422


@pytest.mark.parametrize(
    ("text", "column"),
    [("disk", 1), ("event:job.* status:failed", 13), ("-hook:1", 1), ('data.a:1 "b c"', 10)],
)
def test_a_hooks_filter_takes_data_and_event_terms_only(text: str, column: int) -> None:
    with pytest.raises(FilterError, match=re.escape("event: and data.")) as refusal:
        parse_hook_filter(text)
    assert refusal.value.column == column


@pytest.mark.parametrize(
    ("text", "event_type", "wanted"),
    [
        ("", "job.failed", True),
        ("event:job.failed", "job.failed", True),
        ("event:job.failed", "job.started", False),
        ("event:job.failed data.cluster_id:52", "job.failed", True),
        ("event:job.failed data.cluster_id:53", "job.failed", False),
        ("-event:cluster.* data.errors:*disk*", "job.failed", True),
    ],
)
def test_a_hooks_filter_decides_about_events(text: str, event_type: str, wanted: bool) -> None:
    assert matches_body(parse_hook_filter(text), BODY, event_type) is wanted


def test_large_numbers_keep_all_their_digits() -> None:
    body = {"id": 9007199254740993}
    assert matches_body(parse("data.id:9007199254740993"), body)
    assert not matches_body(parse("data.id:9007199254740992"), body)
    assert not matches_body(parse("data.id:9007199254740993"), {"id": 9007199254740992})


def test_booleans_are_not_numbers() -> None:
    assert not matches_body(parse("data.a:1"), {"a": True})
    assert not matches_body(parse("data.a:0"), {"a": False})
    assert matches_body(parse("data.a:false"), {"a": False})


@pytest.mark.parametrize("body", [None, 5, "x", [], {}, [[[]]], True])
def test_a_body_of_any_shape_is_walked(body: object) -> None:
    assert not matches_body(parse("data.a:*"), body)
    assert matches_body(parse("-data.a:*"), body)


def test_deep_nesting_does_not_end_in_a_recursion_error() -> None:
    deep: object = {"a": 1}
    for _ in range(50_000):
        deep = [deep]
    assert matches_body(parse("data.a:1"), deep)


def test_a_pattern_of_many_stars_is_quick_on_a_long_text() -> None:
    # A regular expression made of it would backtrack for years; the test's time limit guards this.
    parsed = parse("data.a:" + "*a" * 200 + "*b")
    assert not parsed.matches(Subject(at_ms=0, data=lambda: {"a": "a" * 100_000}), now_ms=0)


def test_leaves_come_in_the_order_of_the_body() -> None:
    assert finish(first_steps(BODY, ("outputs", "name"), 9)) == ["a", "b"]
    assert finish(first_steps([[1, [2]], 3], (), 9)) == [1, 2, 3]
    assert finish(first_steps([[1, [2]], 3], (), 2)) == [1, 2]


@given(
    st.deferred(lambda: JSON),
    st.lists(st.sampled_from("abc"), max_size=3).map(tuple),
)
@example({"a": {"b": "Straße"}}, ("a", "b"))
@example({"a": 10**30}, ("a",))
@example({"a": True}, ("a",))
@example({"a": "x" * 100_000}, ("a",))
def test_a_value_behind_objects_is_the_leaf_that_a_walk_finds(
    body: object, path: tuple[str, ...]
) -> None:
    # In a list, nothing is taken without a walk.
    assert finish(leaves_steps(body, path)) == finish(leaves_steps([body], path))


def test_the_text_of_a_filter_is_kept() -> None:
    text = '  status:failed   "disk full" '
    assert str(parse(text)) == text
    assert parse(text).source == text


ALPHABET = st.sampled_from('abdt.:-,"*\\ x5<>=09\t\x00\ud800ü')
PIECES = st.sampled_from(
    ["status:", "failed", "hook:", "12", "event:", "job.*", "code:", "5xx", "took:", ">2s",
     "since:", "10m", "error:", "tls", "data.", "a", ":", ",", "-", '"', "*", " ", "trigger:",
     "ping", "\\", "held", "1e999999", "9" * 30, "2026-11-25T03:04:05Z",
     "0001-01-01T00:00:00+23:59",
     "9999-12-31T23:59:59-23:59", "24:00:00"],
)  # fmt: skip
ANY_FILTER = st.one_of(
    st.text(max_size=40),
    st.text(ALPHABET, max_size=40),
    st.lists(PIECES, max_size=10).map("".join),
    st.text(st.characters(exclude_categories=()), max_size=20).map(lambda t: f"since:{t}"),
    st.text(st.characters(exclude_categories=()), max_size=20).map(lambda t: f"took:>{t}"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(ANY_FILTER, JSON)
def test_any_text_is_a_filter_that_works_or_a_filter_error(text: str, body: object) -> None:
    for parser in (parse, parse_hook_filter):
        refusal: FilterError | None = None
        try:
            parsed = parser(text)
        except FilterError as error:
            refusal = error
        if refusal:
            assert 1 <= refusal.column <= len(text) + 1
            assert "\n" not in str(refusal)
            continue
        assert parser(str(parsed)) == parsed
        parsed.matches(replace(SUBJECT, data=lambda: body), NOW)
        matches_body(parsed, body, "job.failed")


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_stars_stand_for_anything(before: str, middle: str, after: str) -> None:
    before, middle, after = before.casefold(), middle.casefold(), after.casefold()
    assert Pattern((before, after)).fits(before + middle + after)
    assert Pattern(("", before, after, "")).fits(middle + before + middle + after + middle)
    assert Pattern((middle,)).found_in_folded(before + middle + after)


def test_the_ends_of_a_pattern_do_not_overlap() -> None:
    assert not Pattern(("ab", "ba")).fits("aba")
    assert Pattern(("ab", "ba")).fits("abba")


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=5), st.text("ab", max_size=12))
def test_patterns_fit_as_the_regular_expression_does(parts: list[str], text: str) -> None:
    expression = re.compile(".*".join(map(re.escape, parts)), re.S)
    pattern = Pattern(tuple(parts))
    assert pattern.fits(text) == bool(expression.fullmatch(text))
    assert pattern.found_in_folded(text.casefold()) == bool(expression.search(text))


@given(JSON)
def test_a_negated_data_term_is_the_opposite(body: object) -> None:
    check: Callable[[str], bool] = lambda text: matches_body(parse(text), body)  # noqa: E731
    for term in ("data.a:1", "data.a.b:*", "data.a.0:null", "data.a:true,false"):
        assert check(term) != check(f"-{term}")


ACCEPTED = written() | broken() | st.sampled_from(ODD + PIECES_OF_JSON)
SEEN = st.sampled_from(
    ["data.a:1", "data.a.b:*", "data.a.0:null", "data.a:*d83d*", "data.b:1e999", "data.a:9*,b"]
)


# Red when a filter sees nothing in a body that was accepted, or fails open where it sees nothing:
# with half a character, or 1e999, in it, the parser of filters refused what the API had taken, and
# each negated term fitted.
@given(ACCEPTED, SEEN)
@example(b'{"a":1,"name":"\\ud83d"}', "data.a:1")
@example(b'{"a":1,"n":1e999}', "data.a:1")
@example(b'{"a":' + b"9" * 5000 + b"}", "data.a:9*,b")
@example(b'{"b":1E999}', "data.b:1e999")
def test_a_term_or_its_negation_fits_what_can_be_read_and_neither_what_cannot(
    body: bytes, term: str
) -> None:
    fits = [matches_body(parse(text), Stored(body)) for text in (term, f"-{term}")]
    assert not all(fits)
    with suppress(Malformed):
        check(body)
        assert any(fits)


@pytest.mark.parametrize("text", [None, b"{", b"", b"NaN", b"\xff", b"[1] 2"])
def test_a_body_that_is_purged_or_no_json_fits_no_term_about_it(text: bytes | None) -> None:
    assert not matches_body(parse("data.a:1"), Stored(text))
    assert not matches_body(parse("-data.a:1"), Stored(text))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"internal":true,"name":"\\ud83d"}', "data.internal:true"),
        (b'{"internal":true,"n":1e999}', "data.n:1e999"),
        (b'{"internal":false,"internal":true}', "data.internal:true"),
        (b'{"n":-1E+999}', "data.n:-1e+999"),
        (b'{"n":10000000000000000000000}', "data.n:1e22"),
        (b'{"n":1.50}', "data.n:1.5"),
    ],
)
def test_what_is_accepted_is_read(body: bytes, text: str) -> None:
    assert matches_body(parse(text), Stored(body))


# Red when values are put into a set as numbers: the hash of each of these is 1.
def test_numbers_that_collide_are_as_quick_as_others() -> None:
    def took_s(step: int) -> float:
        body = Stored(json.dumps({"a": [1 + step * n for n in range(8000)]}).encode())
        begun = time.thread_time()
        assert matches_body(parse(f"data.a:{1 + step * 7999}"), body)
        return time.thread_time() - begun

    collided = min(took_s(2**61 - 1) for _ in range(3))
    assert collided < 10 * min(took_s(2**61 + 21) for _ in range(3))


SHORT_S = 0.003
DENSE = {
    "numbers": b"[" + b"1," * 131_000 + b"1]",
    "lists": b"[" + b"[]," * 87_000 + b"1]",
    "objects": b"[" + b"{}," * 87_000 + b"1]",
    "other fields": b'[{"b":1}' + b',{"b":1}' * 32_000 + b"]",
    "values": b'{"a":[1' + b",1" * 131_000 + b"]}",
    "strings": b'{"a":[""' + b',""' * 87_000 + b"]}",
}
DEEP = {
    "60 lists": b"[" + (b"[" * 60 + b"]" * 60 + b",") * 2100 + b"1]",
    "10 lists": b"[" + (b"[" * 10 + b"1" + b"]" * 10 + b",") * 11_000 + b"1]",
    "10 objects": b"[" + (b'{"":' * 10 + b"1" + b"}" * 10 + b",") * 4800 + b"1]",
}


# Red when a list is put on a stack in one step (4 ms), or walked through in one where nothing in it
# leads on: 13 ms of the event loop for 256 KiB of numbers.
def test_dense_bodies_are_matched_in_short_steps() -> None:
    _check_steps("dense")


# Red when a body is freed in one step: lists within each other take 4 to 7 ms.
def test_deep_bodies_are_given_up_in_short_steps() -> None:
    _check_steps("deep")


def _check_steps(bodies: str) -> None:
    """Measure the steps in a process of their own.

    To free 87,000 lists takes five times as long in a heap that thousands of tests have left.
    """
    code = f"from tests.domain import test_filters as t; print(t.longest_steps_s({bodies!r}))"
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    longest_s = ast.literal_eval(ran.stdout)
    assert longest_s.keys() == BODIES[bodies].keys()
    assert {name: took_s for name, took_s in longest_s.items() if took_s >= SHORT_S} == {}


def _dense_steps(body: bytes) -> Steps[None]:
    term = parse("data.a:*x*").terms[0]
    data = yield from read_steps(body)
    yield from term.match_steps(Subject(at_ms=0, data=lambda: Stored(body)), 0)
    yield from misfitting_steps("data.a:x", EventFacts("x", 0, data))


def _deep_steps(body: bytes) -> Steps[None]:
    wanted = parse("data.a:*x*")
    subject = Subject(at_ms=0, data=lambda: Stored(body))
    yield from wanted.terms[0].match_steps(subject, 0)
    yield from subject.forget_steps()
    assert not (yield from wanted.match_once_steps(subject, 0)), "read again"


BODIES = {"dense": DENSE, "deep": DEEP}
STEPS = {"dense": _dense_steps, "deep": _deep_steps}


def longest_steps_s(bodies: str) -> dict[str, float]:
    """Return the longest step over each of these bodies, in seconds."""
    return {
        name: longest_step_s(lambda body=body: STEPS[bodies](body), SHORT_S)
        for name, body in BODIES[bodies].items()
    }


def test_a_filter_of_events_takes_what_events_have():
    everything = "disk evt_01JDG3R8Z4000 event:job.* since:1h until:1m -data.a:1"
    assert parse_event_filter(everything).needs_data


@pytest.mark.parametrize(
    "term", ["status:failed", "hook:1", "code:5xx", "took:>1s", "error:tls", "trigger:ping"]
)
def test_a_filter_of_events_refuses_what_only_deliveries_have(term):
    """Red when such a term finds nothing in silence."""
    with pytest.raises(FilterError) as refused:
        parse_event_filter(f"disk -{term}")
    assert refused.value.column == 6
    assert f"events have no {term.partition(':')[0]}:" in refused.value.detail


@pytest.mark.parametrize(
    "text",
    [
        "since:10m code:5xx",
        '-since:1h "a b" -data.x:"q \\" r"',
        "until:1h,2h",
        "code:5xx  took:>2s",
    ],
)
def test_an_absolute_filter_means_the_same(text: str):
    absolute = parse(absolute_filter(parse(text), NOW))
    before = parse(text)
    assert [term.key for term in absolute.terms] == [term.key for term in before.terms]
    assert [term.negated for term in absolute.terms] == [term.negated for term in before.terms]
    others = [t.values for t in before.terms if t.key not in ("since", "until")]
    assert [t.values for t in absolute.terms if t.key not in ("since", "until")] == others
