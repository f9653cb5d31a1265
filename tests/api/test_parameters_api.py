"""Parameters of a call: what a route does not know is refused, for it would change nothing."""

from __future__ import annotations

import re

import pytest


# Red when unknown parameters are ignored: the first of these listed every delivery.
@pytest.mark.parametrize(
    ("path", "pointer", "known"),
    [
        ("/v1/deliveries?statu=failed", "/statu", "status"),
        ("/v1/hooks?limit=1&page=2", "/page", "cursor"),
        ("/v1/feed?since=1h", "/since", "after"),
        ("/v1/status?verbose=1", "/verbose", "account"),
        ("/v1/events?a/b=", "/a~1b", "limit"),
        ("/v1/event-types?x", "/x", "known: "),
    ],
)
def test_an_unknown_parameter_is_refused_and_the_known_ones_named(api, path, pointer, known):
    answer = api.get(path)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert known in error["detail"]


def test_an_unknown_parameter_stops_an_event_and_a_change(api):
    headers = {"Content-Type": "application/json"}
    sent = api.post("/v1/events/job.failed?acount=7", content=b"{}", headers=headers)
    assert (sent.status_code, sent.json()["errors"][0]["pointer"]) == (422, "/acount")
    made = api.post("/v1/accounts?name=x", json={"name": "y"})
    assert (made.status_code, made.json()["errors"][0]["pointer"]) == (422, "/name")


# Red when the last one of a repeated name counts: the first header is lost without a word.
@pytest.mark.parametrize(
    ("method", "path", "body", "pointers"),
    [
        ("POST", "/v1/accounts", b'{"name":"a","n\\u0061me":"b"}', ["/name"]),
        ("POST", "/v1/hooks", b'{"url":"x","headers":{"A/b":"1","c":"2","A/b":"1"},"url":"y"}',
         ["/url", "/headers/A~1b"]),
        ("PATCH", "/v1/hooks/1", b'{"active":false,"x":[{"y":1,"y":1}],"active":true}',
         ["/active", "/x/0/y"]),
        ("POST", "/v1/engine/resume", b'{"a":1,"a":1}', ["/a"]),
    ],
)  # fmt: skip
def test_a_name_that_a_body_repeats_is_refused(api, method, path, body, pointers):
    answer = api.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert "send it once" in answer.json()["detail"]


# Red when a deletion does not look at its body: `version` is a condition of a change.
@pytest.mark.parametrize(
    ("body", "status"), [(b'{"version":1}', 422), (b'{"a":', 400), (b"{}", 404)]
)
def test_a_deletion_takes_no_fields(api, body, status):
    for path in ("/v1/hooks/999", "/v1/tokens/999"):
        answer = api.request("DELETE", path, content=body)
        assert answer.status_code == status, answer.text


# Red when `null` counts as no body where a body is optional: it rotates the secret.
def test_null_is_never_a_body(api):
    id_of = {"delivery": "dlv_0000000000001", "replay": "rpl_0000000000001",
             "alert": "alr_0000000000001"}  # fmt: skip
    wrong, calls = [], api.get("/openapi.json").json()["paths"].items()
    for path, method in [(path, m) for path, ms in calls for m in ms.keys() & {"post", "patch"}]:
        if not path.startswith("/v1/events"):
            url = re.sub(r"\{(\w+)\}", lambda found: id_of.get(found[1], "1"), path)
            answer = api.request(method, url, content=b" null")
            if (answer.status_code, answer.json()["title"]) != (422, "Refused input"):
                wrong.append((path, answer.status_code))
    assert wrong == []


def test_who_watches_a_server_may_add_what_keeps_a_cache_away(api):
    assert api.get("/healthz?t=1").status_code == 200


# Red when a bound is taken out: the store would take as much, and search for what cannot be there.
@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/hooks?limit=501", "/limit"),
        ("/v1/deliveries?limit=0", "/limit"),
        ("/v1/audit?user=" + "u" * 2001, "/user"),
        ("/v1/events?type=" + "t" * 2001, "/type"),
    ],
    ids=["too many", "none", "a long user", "a long type"],
)
def test_a_parameter_is_bounded(api, path, pointer):
    answer = api.get(path)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


# Red when the document leaves out a sort, or names one that the list does not have.
def test_the_document_names_the_sorts_of_each_list(api):
    event = api.post("/v1/events/job.failed", json={}).json()["id"]
    found = 0
    for path, operations in api.get("/openapi.json").json()["paths"].items():
        for parameter in operations.get("get", {}).get("parameters", ()):
            if parameter["name"] == "sort":
                found += 1
                url = path.replace("{event}", event)
                (error,) = api.get(url, params={"sort": "none"}).json()["errors"]
                known = ", ".join(parameter["schema"]["enum"])
                assert error["detail"] == f"unknown sort 'none'; known: {known}"
                default = {"sort": parameter["schema"]["default"]}
                first, same = (api.get(url, params=one).json()["data"] for one in ({}, default))
                assert [one.get("id") for one in first] == [one.get("id") for one in same]
    assert found == 10


def _of_kind(api, *types: str) -> list[tuple[str, str]]:
    """Return each path with a parameter of it that takes a value of these JSON types."""
    found = []
    for path, calls in api.get("/openapi.json").json()["paths"].items():
        for one in calls.get("get", {}).get("parameters", ()):
            kinds = one["schema"].get("anyOf", [one["schema"]])
            if one["in"] == "query" and any(kind.get("type") in types for kind in kinds):
                found.append((path, one["name"]))
    return found


# Red when it reaches the database: PostgreSQL refuses it, and the call gets a 503.
def test_a_text_with_a_nul_is_refused(api):
    texts = _of_kind(api, "string")
    assert {("/v1/events", "type"), ("/v1/audit", "user"), ("/v1/alerts", "key")} <= {*texts}
    headers = {"Content-Type": "application/json"}
    event = api.post("/v1/events/job.failed", content=b"{}", headers=headers).json()["id"]
    wrong = []
    for path, name in texts:
        filled = re.sub(r"\{\w+\}", "1", path.replace("{event}", event))
        answer = api.get(filled, params={name: "a\0b"})
        pointers = [error["pointer"] for error in answer.json().get("errors", ())]
        if answer.status_code != 422 or f"/{name}" not in pointers:
            wrong.append((path, name, answer.status_code, pointers))
    assert wrong == []


# Red when a parameter leaves the number to Python: it reads 1_0 as 10.
def test_a_number_is_written_in_digits(api):
    numbers = _of_kind(api, "integer", "number")
    assert {("/v1/hooks", "limit"), ("/v1/feed", "wait"), ("/v1/hooks", "account")} <= {*numbers}
    id_of = {"event": "evt_0000000000001", "delivery": "dlv_0000000000001",
             "replay": "rpl_0000000000001", "alert": "alr_0000000000001"}  # fmt: skip
    wrong = []
    for path, name in numbers:
        filled = re.sub(r"\{(\w+)\}", lambda found: id_of.get(found[1], "1"), path)
        answer = api.get(filled, params={name: "1_0"})
        if answer.status_code != 422:
            wrong.append((path, name, answer.status_code))
    assert wrong == []


# Red when a bound is a silent one, as `wait` had: 31 counted as 30.
def test_each_number_has_bounds_and_is_refused_beyond_them(api):
    id_of = {"event": "evt_0000000000001", "delivery": "dlv_0000000000001",
             "replay": "rpl_0000000000001", "alert": "alr_0000000000001"}  # fmt: skip
    wrong, seen = [], set()
    for path, calls in api.get("/openapi.json").json()["paths"].items():
        url = re.sub(r"\{(\w+)\}", lambda found: id_of.get(found[1], "999"), path)
        for method in calls.keys() & {"get", "delete"}:
            for parameter in calls[method].get("parameters", ()):
                name = parameter["name"]
                kinds = parameter["schema"].get("anyOf", [parameter["schema"]])
                kind = next((k for k in kinds if k.get("type") in ("integer", "number")), None)
                if kind is None or parameter["in"] != "query":
                    continue
                seen.add(name)
                least, most = kind["minimum"], kind["maximum"]
                good = [least] if name == "wait" else [least, most]  # a poll that lasts
                bad = [least - 1, most + 1, 10**30, -(10**30), "", " ", "-", "1_0", "+1", "0x1"]
                bad += ["\u0663", "\u00b2", "\uff11", "1e400", "nan", "-inf", "true", "1,5", "1 "]
                bad += ["1.5", "01"] if name == "account" or name == "hook" else []
                bad += ["1.5"] if kind["type"] == "integer" else []
                for value in [*good, *bad]:
                    answer = api.request(method, url, params={name: value})
                    pointers = [fault["pointer"] for fault in answer.json().get("errors", ())]
                    refused = answer.status_code == 422 and f"/{name}" in pointers
                    if refused is (value in good):
                        wrong.append((method, path, name, value, answer.status_code, pointers))
    assert wrong == []
    assert seen == {"account", "after", "hook", "hours", "limit", "wait"}


def _calls_of_accounts(api) -> list[tuple[str, str]]:
    """Return the calls that name no object by id but may name an account."""
    return [
        (method.upper(), path)
        for path, calls in api.get("/openapi.json").json()["paths"].items()
        for method, call in calls.items()
        if "account" in {one["name"] for one in call.get("parameters", ())}
        and ("{" not in path or path == "/v1/events/{event}")
        and (method, path) != ("get", "/v1/events/{event}")
    ]


BODIES = {
    "/v1/events": {"type": "job.failed", "data": {}},
    "/v1/hooks": {"url": "http://127.0.0.1:9/", "events": ["job"]},
    "/v1/hooks/dry-run": {"events": ["job"]},
    "/v1/deliveries/cancel": {"q": "status:pending", "until": "0s"},
    "/v1/tokens": {"name": "t", "role": "viewer"},
    "/v1/purge": {"older_than": "9d"},
    "/v1/replays": {"selection": {"hooks": [1]}},
    "/v1/replays/plan": {"selection": {"hooks": [1]}},
}


# Red when the token call says 422, as for an account in its body: the command exits 6, not 3.
def test_an_unknown_account_in_the_url_is_not_found(api):
    calls = _calls_of_accounts(api)
    assert len(calls) > 15
    wrong = []
    for method, path in calls:
        body = {"json": BODIES.get(path, {})} if method == "POST" else {}
        url = path.replace("{event}", "job.failed")
        answer = api.request(method, url, params={"account": 424242}, **body)
        if answer.status_code != 404 or "424242" not in answer.json()["detail"]:
            wrong.append((method, path, answer.text))
    assert wrong == []


# Red when a refusal repeats a name or a value to its end: 256 KiB came back twice.
def test_a_refusal_cuts_long_names_and_values(api):
    document = api.get("/openapi.json").json()
    long, wrong = "y" * 5000, []
    for path, calls in document["paths"].items():
        url = re.sub(r"\{\w+\}", "1", path)
        for method in calls.keys() & {"post", "patch"} - {path.startswith("/v1/events") and "post"}:
            content = calls[method].get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            name = next(
                (one["$ref"] for one in (schema, *schema.get("anyOf", ())) if "$ref" in one), ""
            )
            fields = document["components"]["schemas"].get(name.rpartition("/")[2], {})
            for field in ("", *fields.get("properties", ())):
                for value in (long, [long], {long: long}):
                    body = {field: value} if field else {long: value}
                    answer = api.request(method, url, json=body)
                    if answer.status_code not in (404, 422) or len(answer.content) > 1500:
                        wrong.append((path, field, answer.status_code, len(answer.content)))
    assert wrong == []
