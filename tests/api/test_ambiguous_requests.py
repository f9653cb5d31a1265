"""Requests that can be read in two ways, or hold what nobody reads, are refused."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

SELECTION = {"selection": {"hooks": "all", "since": "1h"}}


def operations(api) -> Iterator[tuple[str, str, dict[str, object]]]:
    for template, methods in api.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            of_event = (method, template.count("/")) == ("post", 3) and "/events/" in template
            path = re.sub(r"\{[^}]*\}", "job.failed" if of_event else "1", template)
            yield method.upper(), path, operation


# Red when the last value of two counts: a list of one hook shows those of another.
def test_a_parameter_with_one_value_is_not_sent_twice(api):
    tried = 0
    for method, path, operation in operations(api):
        if not path.startswith("/v1/"):
            continue
        for parameter in operation.get("parameters", ()):
            kinds = str(parameter["schema"])
            if parameter["in"] != "query" or "array" in kinds:
                continue
            twice = [(parameter["name"], "1")] * 2
            answer = api.request(method, path, params=twice, json={} if method == "POST" else None)
            assert answer.status_code == 422, (method, path, parameter["name"], answer.text)
            assert "is there twice" in answer.text, (method, path, parameter["name"])
            tried += 1
    assert tried > 50


def test_a_list_parameter_is_sent_several_times(api):
    assert api.get("/v1/undelivered", params=[("hook", 1), ("hook", 2)]).status_code == 200


# Red when a body that nobody reads is accepted: "for_s" acknowledged an alert for good.
def test_a_request_that_takes_no_fields_refuses_them(api):
    tried = 0
    for method, path, operation in operations(api):
        if method != "POST" or "requestBody" in operation:
            continue
        for body in ({"for_s": 60}, [1], "x"):
            answer = api.post(path, json=body)
            assert answer.status_code == 422, (path, body, answer.text)
            assert "takes no fields" in answer.text, (path, body)
        assert "takes no fields" not in api.post(path, json={}).text
        assert "takes no fields" not in api.post(path).text
        tried += 1
    assert tried > 10


@pytest.mark.parametrize("header", ["Hooktui-Role", "Authorization"])
def test_a_header_that_says_who_calls_is_not_sent_twice(tcp, header):
    values = {"Hooktui-Role": "admin", "Authorization": tcp.headers["Authorization"]}
    other = "viewer" if header == "Hooktui-Role" else "Bearer x"
    rest = [(name, value) for name, value in values.items() if name != header]
    tcp.headers.pop("Authorization")
    answer = tcp.get("/v1/hooks", headers=[*rest, (header, values[header]), (header, other)])
    assert answer.status_code == 400, answer.text
    assert "is there twice" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/events/job.failed", "/v1/replays"])
@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ([b"a", b"b"], "is there twice"),
        ([b""], "1 to 255"),
        ([b"a" * 256], "255"),
        (["é".encode("latin-1")], "not UTF-8"),
    ],
)
def test_a_key_is_one_and_of_utf_8(api, account, path, keys, said):
    sent = SELECTION if path == "/v1/replays" else {}
    headers = [(b"Idempotency-Key", key) for key in keys]
    answer = api.post(path, params={"account": account}, json=sent, headers=headers)
    assert answer.status_code == 422, answer.text
    assert said in answer.text


# Red when its bytes are counted instead of its characters.
@pytest.mark.parametrize("path", ["/v1/events/job.failed", "/v1/replays"])
def test_a_key_has_255_characters_of_any_length(api, account, path):
    hook = {"url": "http://127.0.0.1:1/", "events": ["job"]}
    made = api.post("/v1/hooks", params={"account": account}, json=hook).json()
    sent = {"selection": {"hooks": [made["id"]]}} if path == "/v1/replays" else {}
    headers = [(b"Idempotency-Key", ("ключ" * 63).encode())]
    answer = api.post(path, params={"account": account}, json=sent, headers=headers)
    assert answer.status_code in (201, 202), answer.text


# Red when a header is read as another encoding than lines of events are.
def test_a_key_is_the_same_in_a_header_and_in_a_line(api, account):
    one = {"params": {"account": account}, "content": b"{}"}
    first = api.post(
        "/v1/events/job.failed", headers=[(b"Idempotency-Key", "ключ".encode())], **one
    )
    assert first.status_code == 202, first.text
    line = '{"type": "job.failed", "data": {}, "key": "ключ"}'.encode()
    again = api.post("/v1/events", params={"account": account}, content=line)
    assert again.status_code == 202, again.text
    assert '"duplicate":true' in again.text.replace(" ", "")


@pytest.mark.parametrize("path", ["/v1/hooks", "/v1/replays/plan"])
def test_a_number_that_python_does_not_read_is_named(api, path):
    digits = "1" * 5000
    answer = api.post(
        path, content=f'{{"timeout_s": {digits}}}', headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, "over 4,300 digits" in answer.text) == (400, True)
    text = f'{{"url": "http://127.0.0.1:1/", "events": ["job"], "name": "{digits}"}}'
    headers = {"Content-Type": "application/json"}
    answer = api.post("/v1/hooks", content=text, headers=headers)
    assert (answer.status_code, "over 4,300 digits" in answer.text) == (422, False)


@pytest.mark.parametrize("rate", [0, 1e-320, 1e-300, 9e-6, 1e6])
def test_a_rate_that_no_clock_can_count_is_refused(api, account, rate):
    hook = {"url": "http://127.0.0.1:1/", "events": ["job"], "rate_per_s": rate}
    answer = api.post("/v1/hooks", params={"account": account}, json=hook)
    assert answer.status_code == 422, answer.text
    assert "rate_per_s must be from 0.00001 to 100,000" in answer.text
