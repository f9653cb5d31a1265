"""A stored write-only value is neither shown nor sent to another server by any edit."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.domain.catalogue import ETL
from hooktui.domain.errors import Refused
from hooktui.domain.hook_edits import apply
from hooktui.domain.hook_settings import Credentials, HookSettings, masked_headers, sensitive_names

STORED = "stored-value-"
HOME = "https://example.com/in"
SAME = ["https://EXAMPLE.com:443/in", "https://example.com/other?x=1", "HTTPS://example.com"]
ELSEWHERE = [
    "http://example.com/in", "https://example.com:444/in", "https://example.org/in",
    "https://example.com.evil.org/in", "http://example.com:443/in", "https://[2606:4700::1]/in",
    "https://b.example.com/in",
]  # fmt: skip
NAMES = ["X-Partner", "x-partner", "X-PARTNER", "X-Api-Key", "x-api-key", "X-Plain", "X-New"]


def stored(**more: object) -> HookSettings:
    headers = {"X-Partner": STORED + "1", "X-Api-Key": STORED + "2", "X-Plain": "plain"}
    marks = sensitive_names(headers, ["X-Partner"])
    return HookSettings(
        url=HOME, events=("job",), name="n", headers=headers, sensitive_headers=marks,
        basic_auth=Credentials("ada", STORED + "3"),
    )  # fmt: skip


bodies = st.fixed_dictionaries(
    {},
    optional={
        "url": st.sampled_from([HOME, *SAME, *ELSEWHERE]),
        "headers": st.dictionaries(
            st.sampled_from(NAMES), st.sampled_from(["***", "given-value", "", "* **"])
        ),
        "sensitive_headers": st.lists(st.sampled_from(NAMES), max_size=3),
        "basic_auth": st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {"user": st.sampled_from(["ada", "bob"])},
                optional={"password": st.sampled_from([None, "***", "given-password"])},
            ),
        ),
        "verify_tls": st.booleans(),
        "name": st.just("x"),
    },
)


@given(bodies)
def test_no_edit_shows_a_stored_value_or_takes_it_to_another_server(body: dict) -> None:
    # Red without either half of `check_write_only`, and without one `lower()` in it.
    before = stored()
    try:
        after = apply(before, body, ETL)[0]
    except Refused:
        return
    shown = masked_headers(after.headers, after.sensitive_headers)
    assert not any(STORED in value for value in shown.values())
    sent = [*after.headers.values(), after.basic_auth.password if after.basic_auth else ""]
    if any(STORED in value for value in sent):
        assert after.url in [HOME, *SAME]


@pytest.mark.parametrize("url", SAME)
def test_another_path_of_the_same_server_keeps_everything(url: str) -> None:
    after = apply(stored(), {"url": url}, ETL)[0]
    assert (after.headers, after.basic_auth) == (stored().headers, stored().basic_auth)


@pytest.mark.parametrize("url", ELSEWHERE)
def test_another_server_needs_every_value_again_and_the_refusal_names_them(url: str) -> None:
    with pytest.raises(Refused) as refused:
        apply(stored(), {"url": url}, ETL)
    pointers = [error.pointer for error in refused.value.errors]
    assert pointers == ["/headers/X-Partner", "/headers/X-Api-Key", "/basic_auth/password"]
    assert "X-Partner" in refused.value.detail
    again = {
        "url": url,
        "headers": {"x-partner": "new-value-1", "X-Api-Key": "new-value-2"},
        "basic_auth": {"user": "ada", "password": "new-value-3"},
    }
    for field in ("headers", "basic_auth"):
        less = {name: value for name, value in again.items() if name != field}
        with pytest.raises(Refused):
            apply(stored(), less, ETL)
    after = apply(stored(), again, ETL)[0]
    assert sorted(after.headers) == ["X-Api-Key", "x-partner"]
    assert after.sensitive_headers == ("x-partner", "X-Api-Key")
    bare = apply(stored(), {"url": url, "headers": {}, "basic_auth": None}, ETL)[0]
    assert (bare.headers, bare.basic_auth) == ({}, None)


def make(api, account: int, **fields: object) -> dict:
    wanted = {"url": "http://127.0.0.1:9/in", "events": ["job"]} | fields
    answer = api.post("/v1/hooks", params={"account": account}, json=wanted)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_taking_a_mark_away_needs_a_new_value_and_leaves_no_trace(api, account):
    # Red without the union of the marks in `hook_rows.shown`.
    hook = make(api, account, headers={"X-Partner": "hidden-0123"}, sensitive_headers=["x-partner"])
    there = f"/v1/hooks/{hook['id']}"
    for edit in (
        {"sensitive_headers": []},
        {"headers": {"x-PARTNER": "***"}, "sensitive_headers": []},
    ):
        answer = api.patch(there, json=edit)
        assert answer.status_code == 422
        assert [error["pointer"].lower() for error in answer.json()["errors"]] == [
            "/headers/x-partner"
        ]
        assert "hidden-0123" not in answer.text
    assert api.get(there).json()["headers"] == {"X-Partner": "***"}
    edit = {"headers": {"x-partner": "shown-value"}, "sensitive_headers": []}
    assert api.patch(there, json=edit).json()["headers"] == {"x-partner": "shown-value"}
    assert api.patch(there, json={"sensitive_headers": ["X-Partner"]}).status_code == 200
    trail = api.get("/v1/audit", params={"target": f"hook {hook['id']}"}).text
    assert "hidden-0123" not in trail
    assert "shown-value" not in trail


def test_the_request_to_another_port_has_the_values_that_were_given(api, account, receiver):
    hook = make(api, account, headers={"X-Api-Key": "for-the-old-one"})
    there = f"/v1/hooks/{hook['id']}"
    assert api.patch(there, json={"url": receiver.url}).status_code == 422
    edit = {"url": receiver.url, "headers": {"X-Api-Key": "for-the-new-one"}}
    assert api.patch(there, json=edit).status_code == 200
    assert api.post(f"{there}/ping").status_code == 200
    (received,) = receiver.wait_for(1)
    assert received.headers["X-Api-Key"] == "for-the-new-one"
    assert urlsplit(api.get(there).json()["url"]).port == urlsplit(receiver.url).port


@pytest.mark.parametrize(
    ("fields", "warned"),
    [
        ({"headers": {"X-Api-Key": "short-7"}}, ["header 'X-Api-Key'"]),
        ({"headers": {"X-Api-Key": "long-one"}}, []),
        ({"headers": {"X-Plain": "short"}}, []),
        ({"basic_auth": {"user": "u", "password": "short-7"}}, ["basic-auth password"]),
        ({"basic_auth": {"user": "u", "password": "long-one"}}, []),
    ],
)
def test_a_value_too_short_to_be_masked_is_warned_of(api, account, fields, warned):
    made = make(api, account, **fields)
    assert [word in text for word, text in zip(warned, made["warnings"], strict=True)] == [
        True for _ in warned
    ]
    other = make(api, account)
    changed = api.patch(f"/v1/hooks/{other['id']}", json=fields).json()
    assert len(changed.get("warnings", [])) == len(warned)
    named = api.patch(f"/v1/hooks/{made['id']}", json={"name": "x"})
    assert "warnings" not in named.json()  # what is not given again is not warned of again
    assert "short-7" not in json.dumps(made["warnings"])
