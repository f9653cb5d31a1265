"""Events come in by the API: exact bytes, all or nothing, once for each key."""

from __future__ import annotations

import json
import socket

import pytest

from hooktui import sockets

BODY = b'{ "id" : 1,\n "name": "\xc3\xa9", "a":1, "a":2 }\n'


@pytest.fixture
def hook(api, account, receiver):
    fields = {"url": receiver.url, "events": ["job", "cluster.error"]}
    answer = api.post("/v1/hooks", params={"account": account}, json=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def make_hook(api, receiver):
    """Make a hook that asks for jobs, unless told otherwise."""

    def make(account, **fields):
        body = {"url": receiver.url, "events": ["job"], **fields}
        answer = api.post("/v1/hooks", params={"account": account}, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return make


def _send(api, account, event_type="job.failed", body=BODY, **headers):
    return api.post(
        f"/v1/events/{event_type}", params={"account": account}, content=body, headers=headers
    )


def test_an_event_is_accepted_and_its_receiver_gets_the_exact_bytes(api, account, hook, receiver):
    answer = _send(api, account)
    assert answer.status_code == 202
    assert answer.json() == {
        "id": answer.json()["id"],
        "type": "job.failed",
        "account": account,
        "deliveries": 1,
        "skipped": 0,
        "duplicate": False,
    }
    (received,) = receiver.wait_for(1)
    assert received.body == BODY
    assert received.headers["webhook-id"] == answer.json()["id"]


def test_an_event_is_shown_with_its_body_and_deliveries(api, account, hook, receiver):
    event = _send(api, account).json()["id"]
    shown = api.get(f"/v1/events/{event}").json()
    assert shown["body"] == BODY.decode()
    assert shown["size"] == len(BODY)
    assert [delivery["hook"] for delivery in shown["deliveries"]] == [hook["id"]]
    assert shown["skips"] == []


def test_a_disabled_hook_is_named_among_the_skips(api, account, hook):
    api.patch(f"/v1/hooks/{hook['id']}", json={"active": False})
    answer = _send(api, account).json()
    assert (answer["deliveries"], answer["skipped"]) == (0, 1)
    shown = api.get(f"/v1/events/{answer['id']}").json()
    assert shown["skips"] == [{"hook": hook["id"], "reason": "disabled"}]


def test_the_same_key_gives_the_first_answer_again(api, account, hook):
    first = _send(api, account, **{"Idempotency-Key": "k1"}).json()
    again = _send(api, account, **{"Idempotency-Key": "k1"})
    assert again.status_code == 202
    assert again.json() == first | {"duplicate": True}


@pytest.mark.parametrize("other", [{"body": b"{}"}, {"event_type": "job.started"}])
def test_a_key_with_another_event_is_refused(api, account, other):
    assert _send(api, account, **{"Idempotency-Key": "k1"}).status_code == 202
    answer = _send(api, account, **other, **{"Idempotency-Key": "k1"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/key"


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a_key_of_another_form_is_refused(api, account, key):
    answer = _send(api, account, **{"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/key"


def test_an_unknown_type_names_near_ones(api, account):
    answer = _send(api, account, "job.faild")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/type"
    assert "job.failed" in answer.json()["detail"]


def test_nobody_sends_pings_as_events(api, account):
    assert _send(api, account, "ping").status_code == 422


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b"NaN", {}, 400),
        (b"\xff", {}, 400),
        (b"[" * 5000, {}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {"Content-Encoding": "gzip"}, 415),
        (b'"' + b"x" * (256 * 1024) + b'"', {}, 413),
    ],
)
def test_a_bad_body_is_refused_and_nothing_is_stored(api, account, body, headers, status):
    answer = _send(api, account, body=body, **headers)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert api.get("/v1/events", params={"account": account}).json()["total"] == 0


def test_the_largest_body_is_taken(api, account):
    body = b'"' + b"x" * (256 * 1024 - 2) + b'"'
    assert _send(api, account, body=body).status_code == 202


@pytest.mark.parametrize("account", ["0", "-1", "x", "1.0", "9" * 30])
def test_an_account_that_is_no_number_is_refused(api, account):
    assert _send(api, account).status_code == 422


def test_an_account_that_is_not_there_is_not_found(api):
    assert _send(api, 424242).status_code == 404


def test_413_comes_before_the_rest_is_sent(server):
    """A body without end: the answer is there although the client has not stopped sending."""
    with sockets.connect(server.paths.socket, 10) as client:
        client.sendall(
            b"POST /v1/events/job.failed HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        for _ in range(5):
            client.sendall(chunk)
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_413_comes_at_once_when_the_length_says_it(server):
    with sockets.connect(server.paths.socket, 10) as client:
        client.sendall(
            b"POST /v1/events/job.failed HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n"
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_connection_goes_on_after_a_refused_body_that_was_sent_whole(api, account):
    for _ in range(3):
        assert _send(api, account, body=b"x" * 400_000).status_code == 413
    assert _send(api, account).status_code == 202


# NDJSON


def _many(api, account, body, **headers):
    return api.post("/v1/events", params={"account": account}, content=body, headers=headers)


def test_each_line_is_delivered_as_the_exact_slice_of_its_data(api, account, hook, receiver):
    slices = [b'{"a": 1 , "a":2}', b'[1,  "\xc3\xa9"]', b'"x"', b"12.50", b"null"]
    lines = [b'{"type":"job.failed" , "data" :  %b  }' % data for data in slices]
    answer = _many(api, account, b"\n".join(lines) + b"\n\n")
    assert answer.status_code == 202
    assert answer.json()["accepted"] == len(slices)
    ids = [one["id"] for one in answer.json()["data"]]
    assert len(set(ids)) == len(slices)
    received = {one.headers["webhook-id"]: one.body for one in receiver.wait_for(len(slices))}
    assert [received[event] for event in ids] == slices


def test_keys_of_lines_work_as_the_header_does(api, account):
    line = b'{"type":"job.failed","data":{},"key":"n1"}'
    first = _many(api, account, line).json()["data"][0]
    again = _many(api, account, line).json()["data"][0]
    assert again == first | {"duplicate": True}


@pytest.mark.parametrize(
    ("line", "status", "place"),
    [
        (b'{"type":"job.faild","data":{}}', 422, "/1/type"),
        (b'{"type":1,"data":{}}', 422, "/1/type"),
        (b'{"data":{}}', 422, "/1/type"),
        (b'{"type":"job.failed"}', 422, "/1/data"),
        (b'{"type":"job.failed","data":{},"kee":"x"}', 422, "/1/kee"),
        (b'{"type":"job.failed","data":{},"a/b":"x"}', 422, "/1/a~1b"),
        (b'{"type":"job.failed","data":{},"key":1}', 422, "/1/key"),
        (b'{"type":"job.failed","data":{},"key":""}', 422, "/1/key"),
        (b"[1]", 422, "/1"),
        (b"{", 400, None),
        (b'{"type":"job.failed","data":{"a":"\xff"}}', 400, None),
        (b'{"type":"job.failed","data":NaN}', 400, None),
        (b'{"type":"job.failed","data":"' + b"x" * (256 * 1024) + b'"}', 413, None),
        (b'{"type":"job.failed","data":' + b"[" * 999 + b"]" * 999 + b"}", 400, None),
    ],
)
def test_one_bad_line_refuses_all_and_is_named(api, account, line, status, place):
    good = b'{"type":"job.failed","data":{}}'
    answer = _many(api, account, b"\n".join([good, line, good]))
    assert answer.status_code == status
    assert "line 2" in answer.json()["detail"]
    if place is not None:
        assert answer.json()["errors"][0]["pointer"] == place
    assert api.get("/v1/events", params={"account": account}).json()["total"] == 0


# Red when the store's index of an event is taken for its line.
def test_a_used_key_is_named_by_its_line(api, account):
    used = b'{"type":"job.failed","data":{},"key":"k-used"}'
    assert _many(api, account, used).status_code == 202
    answer = _many(api, account, b"\n\n" + used.replace(b"{},", b"1,"))
    assert answer.status_code == 422
    (wrong,) = answer.json()["errors"]
    assert wrong["pointer"] == "/2/key"
    assert wrong["detail"].startswith("line 3: idempotency key 'k-used'")


# Red when it is ignored: a caller that repeats the request would send all events twice.
def test_a_key_for_many_events_is_refused(api, account):
    line = b'{"type":"job.failed","data":{}}'
    answer = _many(api, account, line, **{"Idempotency-Key": "k-many"})
    assert answer.status_code == 422
    assert api.get("/v1/events", params={"account": account}).json()["total"] == 0


def test_of_many_bad_lines_the_first_ones_are_named(api, account):
    answer = _many(api, account, b'{"type":"x.y","data":{}}\n' * 1000)
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 20


def test_lines_end_with_lf_or_crlf(api, account):
    line = b'{"type":"job.failed","data":{}}'
    assert _many(api, account, line + b"\r\n" + line).json()["accepted"] == 2


def test_a_thousand_lines_are_taken_and_one_more_is_not(api, account):
    line = b'{"type":"job.failed","data":{}}\n'
    assert _many(api, account, line * 1000).json()["accepted"] == 1000
    assert _many(api, account, line * 1001).status_code == 413
    assert api.get("/v1/events", params={"account": account}).json()["total"] == 1000


def test_eight_mib_are_the_most(api, account):
    line = b'{"type":"job.failed","data":"' + b"x" * 255_000 + b'"}\n'
    assert _many(api, account, line * 32).status_code == 202
    assert _many(api, account, line * 33).status_code == 413


@pytest.mark.parametrize("body", [b"", b"\n\n"])
def test_no_lines_at_all_are_refused(api, account, body):
    assert _many(api, account, body).status_code == 400


@pytest.mark.parametrize(
    ("media_type", "status"),
    [("application/x-ndjson", 202), ("application/json", 202), ("text/csv", 415)],
)
def test_ndjson_has_media_types_of_its_own(api, account, media_type, status):
    line = b'{"type":"job.failed","data":{}}'
    assert _many(api, account, line, **{"Content-Type": media_type}).status_code == status


# Lists


def test_events_are_listed_newest_first_by_type_and_filter(api, account):
    kinds = ("job.failed", "cluster.error", "job.started")
    made = [_send(api, account, kind, b'{"n":%d}' % n).json()["id"] for n, kind in enumerate(kinds)]
    params = {"account": account}
    listed = api.get("/v1/events", params=params).json()
    assert [event["id"] for event in listed["data"]] == made[::-1]
    assert (listed["total"], listed["total_is_estimate"]) == (3, False)
    listed = api.get("/v1/events", params=params | {"type": "cluster.error"}).json()
    assert [event["id"] for event in listed["data"]] == [made[1]]
    listed = api.get("/v1/events", params=params | {"q": "event:job data.n:2"}).json()
    assert [event["id"] for event in listed["data"]] == [made[2]]


def test_events_are_found_by_time_and_not_by_what_only_deliveries_have(api, account):
    """Red when ``until:`` is read as ``since:``, or a term that fits no event lists nothing."""
    made = _send(api, account).json()["id"]
    params = {"account": account}
    for q, found in (("until:1h", []), ("since:1h", [made]), ("-until:1h since:1h", [made])):
        listed = api.get("/v1/events", params=params | {"q": q}).json()
        assert [event["id"] for event in listed["data"]] == found, q
    answer = api.get("/v1/events", params=params | {"q": "a status:failed"})
    assert answer.status_code == 422
    assert "filter, column 3: events have no status:" in answer.json()["errors"][0]["detail"]


def test_a_list_tells_how_the_deliveries_of_each_event_stand(api, account, make_hook):
    make_hook(account, retry_schedule_s=[3600])
    _send(api, account, "cluster.error")
    _send(api, account)
    listed = api.get("/v1/events", params={"account": account}).json()["data"]
    counts = [event["counts"] for event in listed]
    assert sum(counts[0].values()) == 1
    assert sum(counts[1].values()) == 0


def test_each_hook_has_a_decision_and_its_reason(api, account, make_hook):
    """Red when a hook of the account is left out, or a reason is not its own."""
    asked = make_hook(account, events=["job.failed"])["id"]
    narrow = make_hook(account, filter="data.n:1")["id"]
    off = make_hook(account, active=False)["id"]
    other = make_hook(account, events=["cluster"])["id"]
    event = _send(api, account, body=b'{"n":2}').json()["id"]
    late = make_hook(account)["id"]
    api.delete(f"/v1/hooks/{asked}")

    def decided(**params):
        answer = api.get(f"/v1/events/{event}/decisions", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    page = decided(sort="id")
    found = {one["hook"]: (one["decision"], one["reason"]) for one in page["data"]}
    assert found == {
        asked: ("sent", "subscribes to it"),
        narrow: ("filter", "its filter did not match: data.n:1 (it is 2)"),
        off: ("disabled", "was disabled when the event was received"),
        other: ("not_subscribed", "subscribes to cluster"),
        late: ("later", "was created after the event was received"),
    }
    first = page["data"][0]
    assert (first["deleted"], first["deliveries"]) == (True, 1)
    assert first["delivery"]["status"] in ("delivered", "cancelled", "pending", "sending", "failed")
    assert [one["hook"] for one in decided(concerned=True)["data"]] == [off, narrow, asked]
    assert [one["hook"] for one in decided(concerned=False)["data"]] == [late, other]
    one = decided(limit=1, sort="id")
    assert (one["total"], one["data"][0]["hook"]) == (5, asked)
    assert decided(limit=1, cursor=one["next"])["data"][0]["hook"] == narrow


def test_a_missing_event_names_where_to_look(api):
    answer = api.get("/v1/events/evt_0000000000000")
    assert answer.json()["detail"] == (
        "there is no event evt_0000000000000 here; see: hooktui events list"
    )


@pytest.mark.parametrize("event", ["x", "evt_", "evt_0000000000000", "dlv_0000000000000", "1"])
def test_an_event_that_is_not_there_is_not_found(api, event):
    answer = api.get(f"/v1/events/{event}")
    assert answer.status_code == 404
    assert answer.json()["title"] == "Not found"


def test_types_are_listed_in_their_groups(api):
    groups = api.get("/v1/event-types").json()["groups"]
    assert [group["id"] for group in groups] == ["job", "cluster", "hooktui"]
    assert groups[0]["types"][0] == {
        "id": "job.submitted",
        "name": "Job Submitted",
        "description": "Job was submitted by user or schedule for execution.",
    }


def test_an_answer_of_the_hot_route_is_plain_json(api, account):
    answer = _send(api, account)
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.content)["type"] == "job.failed"
    assert "server" not in answer.headers


def test_a_client_that_leaves_in_the_middle_of_a_body_harms_nobody(server, api, account):
    client = sockets.connect(server.paths.socket, 5)
    client.sendall(b"POST /v1/events/job.failed HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
    client.shutdown(socket.SHUT_RDWR)
    client.close()
    assert _send(api, account).status_code == 202
