"""Entries of the audit trail in the words of a hook's history."""

from __future__ import annotations

from typing import Any

import pytest

from hooktui.console.hooks.history import (
    action_words,
    changes_of,
    entry_sections,
    history_columns,
    summary,
    value_words,
)
from hooktui.domain.wire.access import AuditEntry
from tests.support.wire_objects import AT, AT_MS


def entry(**fields: Any) -> AuditEntry:
    known = {
        "id": 7, "at": AT, "account": 1, "user": "ann", "role": "admin", "origin": "unix pid=1",
        "action": "hook.change", "target": "hook 12", "before": None, "after": None,
        "result": "done", "hash": "00",
    }  # fmt: skip
    return AuditEntry(**(known | fields))


def test_a_change_says_what_was_and_what_is():
    changed = entry(
        before={"name": "first", "active": True, "timeout_s": 30.0},
        after={"name": "second", "active": False, "timeout_s": 1.5},
    )
    assert summary(changed) == "name: first → second, active: yes → no, deadline: 30s → 1.5s"
    fields, by = entry_sections(changed, AT_MS)
    assert fields.title == "Hook changed"
    assert fields.pairs[0] == ("name", "first → second")
    assert ("who", "ann (admin)") in by.pairs


# Red when a new hook's history lists all of its twenty fields, most of which are "none".
def test_a_new_hook_tells_what_it_is_and_not_what_it_is_not():
    made = entry(
        action="hook.create",
        after={
            "active": True,
            "headers": {},
            "filter": None,
            "events": ["job"],
            "url": "http://x/",
        },
    )
    assert summary(made) == "URL: http://x/, events: job, active: yes"


# Red while it was "overlap s: 1d".
def test_the_unit_of_a_duration_is_in_its_value_only():
    rotated = entry(action="secret.rotate", after={"overlap_s": 86_400})
    assert summary(rotated) == "overlap: 1d"


# Red while a created token had an "account", and a revoked one an "account id".
def test_an_account_has_one_name():
    for name in ("account", "account_id"):
        assert summary(entry(action="token.revoke", before={name: 1})).startswith("account: 1")


def test_an_act_that_changes_no_field_says_who_and_nothing_more():
    shown = entry(action="secret.reveal")
    assert action_words(shown) == "secret shown"
    assert changes_of(shown) == []
    assert [section.title for section in entry_sections(shown, AT_MS)] == ["By"]


@pytest.mark.parametrize(
    ("action", "result", "words"),
    [
        ("hook.ping", "done", "pinged"),
        ("hook.change", "refused", "changed: refused"),
        ("hook.juggle", "done", "hook.juggle"),
    ],
)
def test_an_action_is_reported_in_words_also_one_that_is_not_known_yet(action, result, words):
    assert action_words(entry(action=action, result=result)) == words


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("retry_schedule_s", [5, 300.0, 7200], "5s, 5m, 2h"),
        ("retry_schedule_s", [], "no retries"),
        ("events", ["job", "cluster.error"], "job, cluster.error"),
        ("headers", {"A": "b", "C": "***"}, "A: b, C: ***"),
        ("verify_tls", False, "NOT verified"),
        ("max_in_flight", 3, "3"),
        ("max_in_flight", None, "auto"),
        ("rate_per_s", 2.5, "2.5"),
        ("filter", None, "all events"),
        ("max_in_flight_cap", None, "the server's limit"),
        ("sensitive_headers", ["X-A", "X-B"], "X-A, X-B"),
        ("timeout_s", "later", "later"),
        ("events", [1], "1"),
        ("overlap_s", 3600, "1h"),
        ("unreadable", "{", "{"),
        ("later", {"x": [1, {"y": None}]}, "x: [1, {'y': None}]"),
    ],
)
def test_values_are_written_as_the_form_writes_them(name, value, words):
    assert value_words(name, value) == words


def test_the_columns_show_the_change_and_drop_the_role_first():
    columns = {column.name: column for column in history_columns(lambda: AT_MS)}
    assert columns["changes"].cell(entry(after={"name": "x"})) == "name: x"
    assert max(columns.values(), key=lambda column: column.priority).name == "role"
