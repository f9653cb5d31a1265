"""What is typed into the form, read and sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.console.hooks import form_values
from hooktui.console.hooks.form_values import FormValues, changes, creation, read, values_of
from hooktui.domain.catalogue import ETL
from hooktui.domain.hook_fields import BasicAuth
from hooktui.domain.schedule import format_schedule, parse_schedule
from hooktui.domain.text import MASK
from tests.support.wire_objects import hook


def typed(**fields: object) -> FormValues:
    usual = form_values.new_values()
    return FormValues({**usual, "url": "https://example.com/in", "events": ("job",), **fields})


def edited(before: FormValues, **fields: object) -> FormValues:
    return FormValues({**before, **fields})


def blamed(**fields: object) -> dict[str | None, str]:
    _, errors = read(typed(**fields), ETL)
    return {form_values.form_field(error.pointer): error.detail for error in errors}


def test_a_form_with_a_url_and_an_event_makes_a_hook_with_the_defaults_of_the_contract() -> None:
    settings, errors = read(typed(), ETL)
    assert errors == []
    sent = creation(settings)
    assert sent["name"] == "example.com"
    assert sent["events"] == ["job"]
    assert sent["retry_schedule_s"] == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert (sent["timeout_s"], sent["max_in_flight"], sent["rate_per_s"]) == (30, None, None)
    assert sent["basic_auth"] is None


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("url", "ftp://example.com", "http"),
        ("url", "", "http"),
        ("events", (), "at least one"),
        ("timeout_s", "soon", "duration"),
        ("timeout_s", "2m", "30"),
        ("retry_schedule_s", "5s, never", "duration"),
        ("retry_schedule_s", "8d", "at most 7d"),
        ("rate_per_s", "fast", "number"),
        ("rate_per_s", "-1", "must be from 0.00001"),
        ("max_in_flight", "0", "1 to 1,000"),
        ("max_in_flight", "1.5", "whole number"),
        ("max_in_flight", "auto:0", "1 to 1,000"),
        ("filter", "status:failed", "column"),
        ("headers", "no colon here", "line 1"),
        ("headers", "Host: x", "set by hooktui"),
        ("headers", "X-A: 1\nX-A: 2", "twice"),
        ("user", "a:b", "no colon"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(field: str, value: object, says: str) -> None:
    found = blamed(**{field: value})
    assert list(found) == [field]
    assert says in found[field]


def test_all_wrong_fields_are_reported_at_once() -> None:
    found = blamed(
        url="x", events=(), timeout_s="x", max_in_flight="x", rate_per_s="x", retry_schedule_s="x"
    )
    assert set(found) == {
        "url", "events", "timeout_s", "max_in_flight", "rate_per_s", "retry_schedule_s",
    }  # fmt: skip


def test_a_header_line_with_a_mistake_is_not_repeated_in_the_message() -> None:
    found = blamed(headers="Authorization Bearer abcdef")
    assert "abcdef" not in found["headers"]


def test_an_empty_schedule_means_no_retries_and_an_empty_rate_no_limit() -> None:
    settings, errors = read(typed(retry_schedule_s="", rate_per_s=""), ETL)
    assert errors == []
    assert settings.retry_schedule_s == ()
    assert settings.rate_per_s is None


def test_headers_are_read_line_by_line_with_the_secret_ones_marked() -> None:
    lines = "X-Team: etl\n\n secret X-Code: a: b \nAuthorization: Bearer x"
    settings, errors = read(typed(headers=lines), ETL)
    assert errors == []
    assert settings.headers == {"X-Team": "etl", "X-Code": "a: b", "Authorization": "Bearer x"}
    assert settings.sensitive_headers == ("X-Code", "Authorization")


@given(st.lists(st.integers(1, 604_800), max_size=50))
def test_every_schedule_comes_back_from_its_text(schedule_s: list[int]) -> None:
    assert parse_schedule(format_schedule(schedule_s)) == tuple(schedule_s)


def test_an_edit_sends_only_what_was_changed() -> None:
    before = values_of(hook())
    assert changes(before, before, ETL) == ({}, [])
    assert changes(before, edited(before, name="Bill", rate_per_s="5"), ETL)[0] == {
        "name": "Bill",
        "rate_per_s": 5.0,
    }


def test_one_field_holds_the_limit_of_attempts_at_once_and_its_cap() -> None:
    before = values_of(hook(max_in_flight=None, max_in_flight_cap=50))
    assert before["max_in_flight"] == "auto:50"
    for text, limit, cap in (("auto", None, None), ("auto:9", None, 9), ("20", 20, None)):
        assert changes(before, edited(before, max_in_flight=text), ETL) == (
            {"max_in_flight": limit, "max_in_flight_cap": cap},
            [],
        )


def test_an_edit_keeps_secret_values_that_were_not_typed_again() -> None:
    one = hook(
        headers={"X-Code": MASK, "X-Team": "etl"},
        sensitive_headers=("X-Code",),
        basic_auth=BasicAuth(user="ann"),
    )
    before = values_of(one)
    assert before["headers"] == f"secret X-Code: {MASK}\nX-Team: etl"
    sent, errors = changes(before, edited(before, user="bob"), ETL)
    assert errors == []
    assert sent == {"basic_auth": {"user": "bob", "password": MASK}}
    sent, errors = changes(before, edited(before, headers=before["headers"] + "\nX-B: 1"), ETL)
    assert errors == []
    assert sent["headers"] == {"X-Code": MASK, "X-Team": "etl", "X-B": "1"}
    assert sent["sensitive_headers"] == ["X-Code"]


def test_another_server_asks_for_what_is_write_only_again() -> None:
    before = values_of(
        hook(
            url="https://example.com/in",
            headers={"X-Code": MASK, "X-Team": "etl"},
            sensitive_headers=("X-Code",),
            basic_auth=BasicAuth(user="ann"),
        )
    )

    def asked(**changed: str) -> dict[str, str]:
        found = form_values.asked_again(before, edited(before, **changed), ETL)
        return {error.pointer: error.detail for error in found}

    assert asked() == asked(url="https://example.com:443/other") == {}
    assert asked(url="https://") == {}  # not typed to its end; the URL's own error is shown
    there = "https://example.org/in"
    assert asked(url=there) == {
        "/headers": "type X-Code again: a stored value is not sent to another server",
        "/basic_auth/password": "type the password again: a stored value is not sent to another"
        " server",
    }
    assert list(asked(url=there, headers="secret x-code: new", password="n")) == []
    assert list(asked(url=there, headers="", user="")) == []
    assert list(asked(url=there, headers="secret x-code: new", password=MASK)) == [
        "/basic_auth/password"
    ]
    assert asked(headers=f"x-code: {MASK}") == {
        "/headers": "type x-code again: a stored value stays secret"
    }
    assert asked(headers="X-Code: readable") == {}


def test_basic_auth_is_taken_away_by_emptying_the_user() -> None:
    before = values_of(hook(basic_auth=BasicAuth(user="ann")))
    assert changes(before, edited(before, user=""), ETL)[0] == {"basic_auth": None}


def test_a_hook_with_an_event_that_is_gone_can_still_be_renamed() -> None:
    before = values_of(hook(events=("job", "package.deployed")))
    sent, errors = changes(before, edited(before, name="x"), ETL)
    assert (sent, errors) == ({"name": "x"}, [])
    _, errors = changes(before, edited(before, events=("package.deployed",)), ETL)
    assert [error.pointer for error in errors] == ["/events/0"]


def test_what_another_admin_saved_lies_beneath_what_was_typed_here() -> None:
    before = values_of(hook())
    mine = edited(before, name="mine", rate_per_s="5")
    theirs = edited(before, name="theirs", timeout_s="10s")
    assert form_values.rebased(before, mine, theirs) == edited(
        before, name="mine", rate_per_s="5", timeout_s="10s"
    )
    assert form_values.both_changed(before, mine, theirs) == ["name"]
    assert form_values.both_changed(before, mine, edited(before, name="mine")) == []


def test_passwords_and_headers_stay_out_of_the_repr() -> None:
    values = typed(password="geheim", headers="secret X-Code: 4711")
    assert "geheim" not in repr(values)
    assert "4711" not in repr(values)


def test_the_folded_settings_are_summed_up() -> None:
    assert form_values.folded_in_words(typed()).startswith(
        "as usual: headers, basic auth, signature"
    )
    words = form_values.folded_in_words(
        typed(timeout_s="5s", retry_schedule_s="", headers="A: 1\nB: 2", verify_tls=False)
    )
    assert words == "2 headers, TLS: NOT verified, deadline: 5s, retries: no retries"
