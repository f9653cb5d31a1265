"""Deliveries by the API: what is shown, sent again, cancelled."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from tests.support.waiting import wait_for

BODY = b'{"id": 1, "note": "\xc3\xa9"}'


@pytest.fixture
def make(api, account, receiver):
    def create(**fields):
        wanted = {"url": receiver.url, "events": ["job"], "retry_schedule_s": []} | fields
        answer = api.post("/v1/hooks", params={"account": account}, json=wanted)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return create


@pytest.fixture
def send(api, account):
    """Send an event; returns the id of its only delivery."""

    def emit(event_type="job.failed", body=BODY):
        params = {"account": account}
        event = api.post(f"/v1/events/{event_type}", params=params, content=body).json()["id"]
        (delivery,) = api.get(f"/v1/events/{event}").json()["deliveries"]
        return delivery["id"]

    return emit


def _once(api, delivery, *statuses):
    """Return a delivery once it is in one of some states."""

    def shown():
        found = api.get(f"/v1/deliveries/{delivery}").json()
        return found if found["status"] in statuses else None

    return wait_for(shown, what=f"{delivery} is {' or '.join(statuses)}")


def test_a_delivery_is_shown_with_attempt_request_and_string_signed(api, make, send, receiver):
    hook = make(headers={"X-Api-Key": "hidden", "X-A": "1"})
    shown = _once(api, send(), "delivered")
    (received,) = receiver.wait_for(1)
    (attempt,) = shown["attempts"]
    assert (attempt["number"], attempt["outcome"], attempt["status_code"]) == (1, "delivered", 200)
    assert attempt["response"]["body"] == '{"ok":true}'
    assert attempt["phases_ms"]["total"] > 0
    request = shown["request"]
    assert (request["method"], request["url"]) == ("POST", hook["url"])
    assert request["body"].encode() == BODY
    headers = dict(request["headers"])
    assert headers["X-Api-Key"] == "***"
    seen = {name: value for name, value in received.headers.items() if name != "X-Api-Key"}
    assert {name: headers[name] for name in seen} == seen
    timestamp = received.headers["webhook-timestamp"]
    assert shown["string_signed"] == f"{shown['event']}.{timestamp}.{BODY.decode()}"
    key = base64.b64decode(hook["secret"].removeprefix("whsec_"))
    digest = hmac.digest(key, shown["string_signed"].encode(), "sha256")
    assert received.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


# Red when a receiver is asked to compress: nothing is ever inflated, people would read gibberish.
def test_answers_are_asked_for_uncompressed(make, send, receiver):
    make()
    send()
    (received,) = receiver.wait_for(1)
    assert received.headers["Accept-Encoding"] == "identity"


def test_the_request_is_rebuilt_with_the_secret_that_signed_it(api, make, send, receiver):
    hook = make()
    delivery = send()
    _once(api, delivery, "delivered")
    api.post(f"/v1/hooks/{hook['id']}/secret/rotate", json={"overlap_s": 0})
    shown = api.get(f"/v1/deliveries/{delivery}").json()
    signature = hmac.new(hook["secret"].encode(), BODY, hashlib.sha256).hexdigest()
    assert dict(shown["request"]["headers"])["X-Hook-Signature"] == signature


# Red when a request that was never made is signed for now: a viewer could make it.
def test_no_request_is_signed_that_was_not_sent(api, make, send, receiver):
    make()
    api.post("/v1/engine/pause")
    try:
        delivery = send()
        for _ in range(2):
            headers = dict(api.get(f"/v1/deliveries/{delivery}").json()["request"]["headers"])
            assert headers["webhook-id"]
            assert not [name for name in headers if "signature" in name.lower()]
            api.post(f"/v1/deliveries/{delivery}/cancel")
    finally:
        api.post("/v1/engine/resume")
    assert receiver.requests == []


def test_a_delivery_of_a_deleted_hook_is_still_shown(api, make, send, receiver):
    hook = make()
    delivery = send()
    _once(api, delivery, "delivered")
    api.delete(f"/v1/hooks/{hook['id']}")
    shown = api.get(f"/v1/deliveries/{delivery}")
    assert shown.status_code == 200
    assert shown.json()["request"] is None
    assert len(shown.json()["attempts"]) == 1


def test_a_failed_delivery_is_sent_again_as_a_new_one(api, make, send, receiver):
    make()
    receiver.status = 500
    first = _once(api, send(), "failed")
    assert first["attempts"][0]["error"] == "status"
    receiver.status = 200
    answer = api.post(f"/v1/deliveries/{first['id']}/resend")
    assert answer.status_code == 201
    again = answer.json()
    assert again["id"] != first["id"]
    assert (again["event"], again["trigger"]) == (first["event"], "resend")
    _once(api, again["id"], "delivered")
    bodies = {request.body for request in receiver.wait_for(2)}
    assert bodies == {BODY}


def test_a_waiting_delivery_is_due_at_once_when_sent_again(api, make, send, receiver):
    make(retry_schedule_s=[3600])
    receiver.status = 500
    waiting = _once(api, send(), "pending")
    assert waiting["next_attempt_at"]
    receiver.status = 200
    answer = api.post(f"/v1/deliveries/{waiting['id']}/resend")
    assert answer.status_code == 200
    assert answer.json()["id"] == waiting["id"]
    assert len(_once(api, waiting["id"], "delivered")["attempts"]) == 2


def test_a_waiting_delivery_can_be_cancelled_once(api, make, send, receiver):
    make(retry_schedule_s=[3600])
    receiver.status = 500
    waiting = _once(api, send(), "pending")
    answer = api.post(f"/v1/deliveries/{waiting['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert api.post(f"/v1/deliveries/{waiting['id']}/cancel").status_code == 409


def test_what_is_being_sent_is_neither_sent_again_nor_cancelled(api, make, send, receiver):
    make()
    receiver.released.clear()
    delivery = send()
    receiver.wait_for(1)
    for verb in ("resend", "cancel"):
        answer = api.post(f"/v1/deliveries/{delivery}/{verb}")
        assert answer.status_code == 409
        assert answer.json()["title"] == "Conflict"
    receiver.released.set()
    _once(api, delivery, "delivered")


@pytest.mark.parametrize("delivery", ["x", "dlv_0000000000000", "evt_0000000000000", "1"])
@pytest.mark.parametrize("verb", ["", "/resend", "/cancel"])
def test_a_delivery_that_is_not_there_is_not_found(api, delivery, verb):
    answer = api.request("POST" if verb else "GET", f"/v1/deliveries/{delivery}{verb}")
    assert answer.status_code == 404


def test_deliveries_are_listed_by_every_condition(api, account, make, send, receiver):
    hook = make(events=["job", "cluster"])
    good = _once(api, send("job.failed", b'{"n":1}'), "delivered")
    receiver.status = 500
    bad = _once(api, send("cluster.error", b'{"n":2}'), "failed")
    ping = api.post(f"/v1/hooks/{hook['id']}/ping").json()["delivery"]

    def listed(**params):
        answer = api.get("/v1/deliveries", params={"account": account} | params)
        assert answer.status_code == 200, answer.text
        return [delivery["id"] for delivery in answer.json()["data"]]

    everything = [ping["id"], bad["id"], good["id"]]
    assert listed() == everything
    assert listed(hook=hook["id"]) == everything
    assert listed(hook=hook["id"] + 1) == []
    assert listed(event=bad["event"]) == [bad["id"]]
    assert listed(type="cluster.error") == [bad["id"]]
    assert listed(status="delivered") == [good["id"]]
    assert listed(trigger="ping") == [ping["id"]]
    assert listed(since="1h") == everything
    assert listed(until="1h") == []
    assert listed(since="2100-01-01T00:00:00Z") == []
    assert listed(q="status:failed event:cluster") == [bad["id"]]
    assert listed(q="data.n:1") == [good["id"]]
    assert listed(q="-trigger:ping", status="failed") == [bad["id"]]


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"hook": "x"}, "/hook"),
        ({"event": "x"}, "/event"),
        ({"status": "lost"}, "/status"),
        ({"trigger": "x"}, "/trigger"),
        ({"since": "yesterday"}, "/since"),
        ({"until": "2026-13-01T00:00:00Z"}, "/until"),
        ({"q": "statu:failed"}, "/q"),
        ({"q": "x" * 3000}, "/q"),
    ],
)
def test_a_bad_condition_is_refused(api, params, pointer):
    answer = api.get("/v1/deliveries", params=params)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_an_unknown_status_is_named(api):
    answer = api.get("/v1/deliveries", params={"status": "lost"})
    assert answer.json()["detail"].startswith("unknown status 'lost'; known: pending, sending,")


def test_a_bad_filter_names_the_column(api):
    answer = api.get("/v1/deliveries", params={"q": "hook:1 statu:failed"})
    assert "column 8" in answer.json()["detail"]
