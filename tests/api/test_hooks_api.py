"""Hooks by the API: the object of the contract, edits with versions, secrets, pings."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from tests.support.running_server import running_server

DEFAULTS = {
    "type": "web",
    "name": "127.0.0.1",
    "active": True,
    "disabled_reason": None,
    "disabled_at": None,
    "headers": {},
    "sensitive_headers": [],
    "basic_auth": None,
    "signature_hash": "sha256",
    "verify_tls": True,
    "timeout_s": 30,
    "retry_schedule_s": [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400],
    "rate_per_s": None,
    "max_in_flight": None,
    "max_in_flight_cap": None,
    "ordered": False,
    "filter": None,
    "version": 1,
}
URL = "http://127.0.0.1:9/in"


@pytest.fixture
def make(api, account):
    def create(status=201, **fields):
        wanted = {"url": URL, "events": ["job"]} | fields
        answer = api.post("/v1/hooks", params={"account": account}, json=wanted)
        assert answer.status_code == status, answer.text
        return answer.json()

    return create


def test_a_hook_has_the_defaults_of_the_contract(make, account):
    hook = make()
    assert {name: hook[name] for name in DEFAULTS} == DEFAULTS
    assert (hook["account"], hook["url"], hook["events"]) == (account, URL, ["job"])
    assert isinstance(hook["id"], int)
    assert hook["stats"]["waiting"] == hook["stats"]["held"] == 0
    assert hook["stats"]["breaker"] == "closed"
    assert hook["warnings"] == []


def test_only_the_creation_shows_the_secret(api, make):
    hook = make()
    assert hook["secret"].startswith("whsec_")
    shown = api.get(f"/v1/hooks/{hook['id']}").json()
    assert "secret" not in shown
    assert hook == shown | {"secret": hook["secret"], "warnings": []}


def test_all_settings_can_be_given_and_write_only_ones_are_masked(api, make):
    given = {
        "name": "Ünï \u202e name",
        "active": False,
        "headers": {"X-A": "1", "X-B": "two", "X-Api-Key": "k"},
        "sensitive_headers": ["X-B"],
        "basic_auth": {"user": "u", "password": "top"},
        "signature_hash": "sha1",
        "verify_tls": False,
        "timeout_s": 2.5,
        "retry_schedule_s": [1, 2.5],
        "rate_per_s": 7,
        "max_in_flight": 3,
        "ordered": True,
        "filter": "data.a:1",
        "secret": "It's a Secret to Everybody",
    }
    hook = make(**given)
    assert hook["headers"] == {"X-A": "1", "X-B": "***", "X-Api-Key": "***"}
    assert hook["sensitive_headers"] == ["X-B", "X-Api-Key"]
    assert hook["basic_auth"] == {"user": "u"}
    masked = ("headers", "sensitive_headers", "basic_auth")
    assert {name: hook[name] for name in given if name not in masked} == {
        name: value for name, value in given.items() if name not in masked
    }
    answer = api.get(f"/v1/hooks/{hook['id']}")
    assert "top" not in answer.text
    assert "two" not in answer.text


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"url": "ftp://x"}, "/url"),
        ({"url": "http://u:p@example.com"}, "/url"),
        ({"url": "http://2130706433/"}, "/url"),
        ({"url": 7}, "/url"),
        ({"events": []}, "/events"),
        ({"events": ["job.faild"]}, "/events/0"),
        ({"events": ["job", "ping"]}, "/events/1"),
        ({"events": "job"}, "/events"),
        ({"type": "slack"}, "/type"),
        ({"name": "a\nb"}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"active": "yes"}, "/active"),
        ({"headers": {"Host": "x"}}, "/headers/Host"),
        ({"headers": {"a/b": "x"}}, "/headers/a~1b"),
        ({"headers": {"X": "\n"}}, "/headers/X"),
        ({"headers": {"X": 1}}, "/headers/X"),
        ({"headers": {"X": "***"}}, "/headers/X"),
        ({"headers": {"X-A": "1"}, "sensitive_headers": ["x-a", "X-B"]}, "/sensitive_headers/1"),
        ({"sensitive_headers": ["X-B"]}, "/sensitive_headers/0"),
        ({"basic_auth": {"user": "u"}}, "/basic_auth/password"),
        ({"basic_auth": {"user": "a:b", "password": "x"}}, "/basic_auth/user"),
        ({"basic_auth": {"user": "u", "password": "p", "realm": "x"}}, "/basic_auth/realm"),
        ({"signature_hash": "md5"}, "/signature_hash"),
        ({"verify_tls": 1}, "/verify_tls"),
        ({"timeout_s": 31}, "/timeout_s"),
        ({"timeout_s": 0}, "/timeout_s"),
        ({"timeout_s": "10s"}, "/timeout_s"),
        ({"retry_schedule_s": [0]}, "/retry_schedule_s"),
        ({"retry_schedule_s": [1] * 51}, "/retry_schedule_s"),
        ({"rate_per_s": 0}, "/rate_per_s"),
        ({"max_in_flight": 0}, "/max_in_flight"),
        ({"max_in_flight": 1.5}, "/max_in_flight"),
        ({"max_in_flight": "auto"}, "/max_in_flight"),
        ({"max_in_flight_cap": 1001}, "/max_in_flight_cap"),
        ({"max_in_flight": 5, "max_in_flight_cap": 9}, "/max_in_flight_cap"),
        ({"filter": "status:failed"}, "/filter"),
        ({"secret": "short"}, "/secret"),
        ({"secret": "whsec_AAAA"}, "/secret"),
        ({"urll": URL}, "/urll"),
        ({"version": 1}, "/version"),
        ({"id": 5}, "/id"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_made(api, account, make, fields, pointer):
    problem = make(422, **fields)
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert api.get("/v1/hooks", params={"account": account}).json()["total"] == 0


def test_all_bad_fields_are_named_at_once(make):
    problem = make(422, url="x", timeout_s=99, signature_hash="md5")
    assert {error["pointer"] for error in problem["errors"]} == {
        "/url", "/timeout_s", "/signature_hash",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "fields", "pointer"),
    [
        ("/v1/hooks", rb'{"url":"http://127.0.0.1/","events":["job"],"name":"a\ud800"}', "/name"),
        ("/v1/hooks", rb'{"basic_auth":{"user":"\uDFff","password":"p"}}', "/basic_auth"),
        ("/v1/hooks", rb'{"x\ud800":1}', "/x\ud800"),
        ("/v1/hooks", rb'"\ud800"', "/"),
        ("/v1/accounts", rb'{"name":"\ud83d"}', "/name"),
        ("/v1/tokens", rb'{"role":"viewer","name":"\ud83d"}', "/name"),
    ],
)
def test_half_a_character_is_refused_wherever_it_stands(api, path, fields, pointer):
    answer = api.post(path, content=fields, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_whole_character_in_two_escapes_is_a_name(api, account):
    body = rb'{"url":"http://127.0.0.1/","events":["job"],"name":"\ud83d\ude00 \\ud83d"}'
    headers = {"Content-Type": "application/json"}
    answer = api.post("/v1/hooks", params={"account": account}, content=body, headers=headers)
    assert answer.status_code == 201
    assert answer.json()["name"] == "\N{GRINNING FACE} \\ud83d"


@pytest.mark.parametrize("missing", ["url", "events"])
def test_url_and_events_must_be_given(api, account, missing):
    fields = {"url": URL, "events": ["job"]}
    del fields[missing]
    answer = api.post("/v1/hooks", params={"account": account}, json=fields)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": f"/{missing}", "detail": f"{missing} is missing"}
    ]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b"\xff", {}, 400),
        (b"[]", {}, 422),
        (b'"x"', {}, 422),
        (b"null", {}, 422),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b'{"url":"' + b"x" * 300_000 + b'"}', {}, 413),
        (b'{"url":NaN,"events":[]}', {}, 400),
    ],
)
def test_a_body_that_is_no_object_is_refused(api, body, headers, status):
    answer = api.post("/v1/hooks", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_url_to_a_forbidden_address_is_refused_with_the_way_out(make):
    problem = make(422, url="http://10.1.2.3/in")
    assert problem["errors"][0]["pointer"] == "/url"
    assert "10.1.2.3 is a private address" in problem["detail"]
    assert "add 10.0.0.0/8 to the server's HOOKTUI_ALLOW_NETWORKS" in problem["detail"]


def test_a_name_that_leads_to_a_forbidden_address_is_refused(make, server):
    assert "::1" in make(422, url="http://[::1]:80/in")["detail"]


def test_a_name_that_does_not_resolve_is_saved_with_a_warning(make):
    hook = make(url="https://nowhere.invalid/in")
    assert "nowhere.invalid" in hook["warnings"][0]


def test_an_edit_changes_what_it_names_and_counts_the_version(api, make):
    hook = make()
    changed = api.patch(f"/v1/hooks/{hook['id']}", json={"name": "n", "timeout_s": 3, "version": 1})
    assert changed.status_code == 200
    after = changed.json()
    assert (after["name"], after["timeout_s"], after["version"]) == ("n", 3, 2)
    same = set(hook) - {"name", "timeout_s", "version", "updated_at", "secret", "warnings"}
    assert {name: after[name] for name in same} == {name: hook[name] for name in same}


def test_a_stale_edit_says_who_was_faster(api, make):
    hook = make()
    api.patch(f"/v1/hooks/{hook['id']}", json={"name": "first"})
    late = api.patch(f"/v1/hooks/{hook['id']}", json={"name": "second", "version": 1})
    assert late.status_code == 409
    user = api.get("/v1/status").json()["user"]
    now = api.get(f"/v1/hooks/{hook['id']}").json()
    assert late.json()["detail"] == (
        f"hook {hook['id']} is at version 2, you read 1: {user} changed it at {now['updated_at']};"
        " read it again and repeat your change"
    )
    assert now["name"] == "first"


# Red when the condition is ignored: the edit overwrites what the header was to protect.
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match", "If-Unmodified-Since"])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_condition_in_a_header_is_not_ignored(api, make, method, header):
    hook = make()
    body = {"json": {"name": "second"}} if method == "PATCH" else {}
    refused = api.request(method, f"/v1/hooks/{hook['id']}", headers={header: '"1"'}, **body)
    assert refused.status_code == 400
    assert "field version" in refused.json()["detail"]
    assert api.get(f"/v1/hooks/{hook['id']}").json()["version"] == 1


def test_masked_values_that_come_back_stay_what_they_were(api, make, receiver):
    hook = make(
        url=receiver.url,
        headers={"X-Api-Key": "k", "X-A": "1"},
        basic_auth={"user": "u", "password": "top"},
    )
    shown = api.get(f"/v1/hooks/{hook['id']}").json()
    edit = {"headers": shown["headers"] | {"X-A": "2"}, "basic_auth": {"user": "other"}}
    assert api.patch(f"/v1/hooks/{hook['id']}", json=edit).status_code == 200
    api.post(f"/v1/hooks/{hook['id']}/ping")
    (received,) = receiver.wait_for(1)
    assert received.headers["X-Api-Key"] == "k"
    assert received.headers["X-A"] == "2"
    assert received.headers["Authorization"] == "Basic b3RoZXI6dG9w"


@pytest.mark.parametrize(
    "edit",
    [{"url": "http://10.0.0.1/"}, {"url": ""}, {"events": []}, {"timeout_s": 99}, {"nope": 1},
     {"secret": "It's a Secret to Everybody"}, {"version": "1"}, {"active": None}],
)  # fmt: skip
def test_a_bad_edit_changes_nothing(api, make, edit):
    hook = make()
    assert api.patch(f"/v1/hooks/{hook['id']}", json=edit).status_code == 422
    assert api.get(f"/v1/hooks/{hook['id']}").json()["version"] == 1


def test_switching_off_and_on_is_reported_with_its_reason(api, make):
    hook = make()
    off = api.patch(f"/v1/hooks/{hook['id']}", json={"active": False}).json()
    assert off["active"] is False
    assert off["disabled_reason"] == "disabled by hand"
    assert off["disabled_at"]
    on = api.patch(f"/v1/hooks/{hook['id']}", json={"active": True}).json()
    assert (on["active"], on["disabled_reason"], on["disabled_at"]) == (True, None, None)


def test_a_deleted_hook_is_gone(api, make):
    hook = make()
    answer = api.delete(f"/v1/hooks/{hook['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    for method in ("GET", "DELETE"):
        assert api.request(method, f"/v1/hooks/{hook['id']}").status_code == 404


@pytest.mark.parametrize("hook", ["0", "-1", "x", "1.0", "01", "1_0", "+1", "9" * 30, "%D9%A3"])
def test_an_id_that_is_none_is_not_found(api, hook):
    answer = api.get(f"/v1/hooks/{hook}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_hook_is_found_in_its_account_only(api, make):
    hook = make()
    assert api.get(f"/v1/hooks/{hook['id']}").status_code == 200
    assert api.get(f"/v1/hooks/{hook['id']}", params={"account": 1}).status_code == 404


# Secrets


def _calls_with_secrets(api) -> dict[tuple[str, str], str]:
    """Return each call whose response object has a secret or a token, and its success code."""
    document = api.get("/openapi.json").json()
    found = {}
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            for code, response in call["responses"].items():
                schema = response.get("content", {}).get("application/json", {}).get("schema", {})
                name = schema.get("$ref", "").rpartition("/")[2]
                fields = document["components"]["schemas"].get(name, {}).get("properties", {})
                if code.startswith("2") and {"secret", "secrets", "token"} & {*fields}:
                    found[method.upper(), path] = code
    return found


# Red when a call that shows a secret, such as the creation of a hook, lets a cache keep it.
def test_no_cache_keeps_a_secret(api, make):
    calls = _calls_with_secrets(api)
    assert len(calls) == 5
    bodies = {
        "/v1/hooks": {"url": "http://127.0.0.1:9/", "events": ["job"]},
        "/v1/tokens": {"name": "t", "role": "viewer"},
    }
    hook = make()["id"]
    for (method, path), code in calls.items():
        body = {"json": bodies.get(path, {})} if method == "POST" else {}
        answer = api.request(method, path.replace("{hook}", str(hook)), **body)
        assert answer.status_code == int(code), (method, path, answer.text)
        assert answer.headers.get("Cache-Control") == "no-store", (method, path)


def test_a_secret_is_shown_on_demand(api, make):
    hook = make()
    answer = api.get(f"/v1/hooks/{hook['id']}/secret")
    assert answer.json()["secret"] == hook["secret"]
    (only,) = answer.json()["secrets"]
    assert only["secret"] == hook["secret"]
    assert only["expires_at"] is None


def test_a_rotation_keeps_the_old_secret_until_it_is_finished(api, make):
    hook = make()
    rotated = api.post(f"/v1/hooks/{hook['id']}/secret/rotate").json()
    assert rotated["secret"] != hook["secret"]
    assert [one["secret"] for one in rotated["secrets"]] == [rotated["secret"], hook["secret"]]
    assert rotated["secrets"][1]["expires_at"]
    finished = api.post(f"/v1/hooks/{hook['id']}/secret/finish").json()
    assert [one["secret"] for one in finished["secrets"]] == [rotated["secret"]]


def test_a_leaked_secret_is_replaced_at_once(api, make):
    hook = make()
    wanted = {"secret": "It's a Secret to Everybody", "overlap_s": 0}
    rotated = api.post(f"/v1/hooks/{hook['id']}/secret/rotate", json=wanted).json()
    assert [one["secret"] for one in rotated["secrets"]] == ["It's a Secret to Everybody"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"overlap_s": -1}, "/overlap_s"),
        ({"overlap_s": 604801}, "/overlap_s"),
        ({"overlap_s": "1h"}, "/overlap_s"),
        ({"secret": "short"}, "/secret"),
        ({"overlap": 0}, "/overlap"),
    ],
)
def test_a_bad_rotation_is_refused(api, make, body, pointer):
    hook = make()
    answer = api.post(f"/v1/hooks/{hook['id']}/secret/rotate", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


# Pings


@pytest.mark.parametrize("status", [200, 503])
def test_a_ping_sends_the_hooks_object_and_shows_the_answer(api, make, receiver, status):
    receiver.status = status
    hook = make(url=receiver.url, active=False, headers={"X-Api-Key": "hidden"})
    answer = api.post(f"/v1/hooks/{hook['id']}/ping")
    assert answer.status_code == 200
    delivery = answer.json()["delivery"]
    assert (delivery["trigger"], delivery["event_type"]) == ("ping", "ping")
    assert delivery["status"] == ("delivered" if status == 200 else "failed")
    assert delivery["attempt"]["status_code"] == status
    assert delivery["attempts"] == [delivery["attempt"]]
    (received,) = receiver.wait_for(1)
    assert b'"id":%d' % hook["id"] in received.body
    assert received.headers["X-Hook-Event"] == "ping"
    for hidden in (b"hidden", hook["secret"].encode()):
        assert hidden not in received.body
    signature = hmac.new(hook["secret"].encode(), received.body, hashlib.sha256).hexdigest()
    assert received.headers["X-Hook-Signature"] == signature


def test_a_ping_to_nobody_shows_why(api, make):
    hook = make(url="http://127.0.0.1:1/")
    delivery = api.post(f"/v1/hooks/{hook['id']}/ping").json()["delivery"]
    assert delivery["status"] == "failed"
    assert delivery["attempt"]["error"] == "connect_refused"


def test_a_hook_that_is_not_there_cannot_be_pinged(api):
    assert api.post("/v1/hooks/424242/ping").status_code == 404


# Lists


def test_lists_are_paged_both_ways(api, account, make):
    made = [make(name=f"h{n}")["id"] for n in range(5)]
    params = {"account": account, "limit": 2, "sort": "name", "order": "asc"}
    first = api.get("/v1/hooks", params=params).json()
    second = api.get("/v1/hooks", params=params | {"cursor": first["next"]}).json()
    third = api.get("/v1/hooks", params=params | {"cursor": second["next"]}).json()
    pages = [[hook["id"] for hook in page["data"]] for page in (first, second, third)]
    assert pages == [made[:2], made[2:4], made[4:]]
    assert first["prev"] is None
    assert third["next"] is None
    back = api.get("/v1/hooks", params=params | {"cursor": third["prev"]}).json()
    assert [hook["id"] for hook in back["data"]] == made[2:4]
    last = api.get("/v1/hooks", params=params | {"from_end": "true"}).json()
    assert [hook["id"] for hook in last["data"]] in (made[3:], made[4:])
    assert (first["total"], first["total_is_estimate"]) == (5, False)


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"limit": "0"}, "/limit"),
        ({"limit": "501"}, "/limit"),
        ({"limit": "x"}, "/limit"),
        ({"order": "up"}, "/order"),
        ({"sort": "colour"}, "/sort"),
        ({"cursor": "rubbish"}, "/cursor"),
        ({"account": "x"}, "/account"),
        ({"from_end": "perhaps"}, "/from_end"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/hooks", "/v1/events", "/v1/deliveries", "/v1/tokens"])
def test_a_bad_window_is_refused(api, path, params, pointer):
    answer = api.get(path, params=params)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("path", ["/v1/hooks", "/v1/events", "/v1/deliveries", "/v1/feed"])
def test_an_account_that_is_not_there_is_not_found(api, path):
    answer = api.get(path, params={"account": 424242})
    assert answer.status_code == 404
    assert "424242" in answer.json()["detail"]


def test_answers_are_ascii(api, make):
    hook = make(name="é\u202e😀")
    answer = api.get(f"/v1/hooks/{hook['id']}")
    assert answer.content.isascii()
    assert answer.json()["name"] == "é\u202e😀"


def test_hooks_are_searched_by_status_and_a_wrong_term_is_refused_at_its_column(api, account):
    fields = {"url": "http://127.0.0.1:9/in", "events": ["job"], "name": "billing"}
    assert api.post("/v1/hooks", params={"account": account}, json=fields).status_code == 201

    def found(q):
        return api.get("/v1/hooks", params={"account": account, "q": q})

    assert found("billing status:active http://127").json()["total"] == 1
    assert found("status:failing").json()["total"] == 0
    answer = found("billing took:>2s")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/q"
    assert "column 9: hooks have no took:" in answer.json()["errors"][0]["detail"]


# Red when limits are settings that nobody looks at.
def test_a_filter_that_is_too_dear_and_a_hook_too_many_are_refused_when_they_are_saved(tmp_path):
    given = {"max_hooks": 1, "max_filter_patterns": 1, "allow_networks": "127.0.0.0/8"}
    with running_server(tmp_path, **given) as server, server.client() as api:
        fields = {"url": "http://127.0.0.1:9/", "events": ["job"]}
        dear = api.post("/v1/hooks", json=fields | {"filter": "data.a:*b*,*c"})
        assert dear.status_code == 422
        assert "HOOKTUI_MAX_FILTER_PATTERNS" in dear.json()["detail"]
        made = api.post("/v1/hooks", json=fields | {"filter": "data.a:*b*,c"})
        assert made.status_code == 201, made.text
        changed = api.patch(f"/v1/hooks/{made.json()['id']}", json={"filter": "data.a:*,*b"})
        assert changed.status_code == 422
        assert changed.json()["errors"][0]["pointer"] == "/filter"
        more = api.post("/v1/hooks", json=fields)
        assert more.status_code == 422
        assert "account 1 has 1 hooks" in more.json()["detail"]
        assert "HOOKTUI_MAX_HOOKS" in more.json()["detail"]
