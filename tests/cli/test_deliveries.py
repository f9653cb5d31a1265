"""One delivery and one event, and what can be done to deliveries."""

import pytest

from hooktui.domain.clock import now_ms, to_rfc3339
from tests.support.scripted_server import ATTEMPT, DELIVERY, answer, problem

DETAIL = {
    **DELIVERY,
    "attempts": [
        ATTEMPT,
        {**ATTEMPT, "number": 2, "outcome": "interrupted", "status_code": None,
         "error": "interrupted", "error_detail": "the server was stopped", "response": None},
    ],
    "request": {"method": "POST", "url": "https://x.test/in",
                "headers": [["X-Hook-Event", "job.failed"]], "body": '{"id":1,"errors":[]}'},
    "string_signed": "evt_1.1.{}",
}  # fmt: skip


def test_a_delivery_is_shown_as_a_timeline(run, server):
    server.will(answer(DETAIL))
    out = run("deliveries", "show", DELIVERY["id"]).out
    for part in (
        "pending", "evt_01JDG3R8Z4000 (job.failed)", "attempt 1", "500", "first byte 30 ms",
        "Server: x", "oops", "attempt 2", "the server was stopped", "next attempt",
        "POST https://x.test/in", "X-Hook-Event: job.failed", '      "id": 1,',
    ):  # fmt: skip
        assert part in out


# Red when the next attempt is in the past, or before it can be sent.
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"probe_at": 430_000}, "(in 7 min)"),
        ({"next_attempt_at": -430_000}, "(7 min ago), queued; see: hooktui hooks show 12"),
        ({"next_attempt_at": 430_000}, "(in 7 min)"),
        ({"paused": True}, "next attempt paused"),
        ({"held": True, "paused": True}, "next attempt held until its hook is enabled"),
    ],
)
def test_the_next_attempt_of_a_delivery_is_the_earliest_that_can_be(run, server, fields, words):
    now = now_ms()
    given = {
        key: to_rfc3339(now + value) if key.endswith("_at") else value
        for key, value in fields.items()
    }
    server.will(answer({**DETAIL, **given}))
    line = next(
        line
        for line in run("deliveries", "show", DELIVERY["id"]).out.splitlines()
        if line.startswith("  next attempt")
    )
    assert line.endswith(words)


def test_a_delivery_as_json_is_one_object(run, server):
    server.will(answer(DETAIL))
    assert run("deliveries", "show", DELIVERY["id"], "--json").json == DETAIL


# Red when the body is parsed and serialised again: the signature covers what was sent.
def test_a_json_body_is_laid_out_without_changing_its_values(run, server):
    body = r'{"a":1.10,"a":1e400,"b":[],"c":{},"d":[12e-1,[{"e":"\u00e9 \"}, x"}]],"f":null}'
    server.will(answer({**DETAIL, "request": {**DETAIL["request"], "body": body}}))
    out = run("deliveries", "show", DELIVERY["id"]).out
    shown = out[out.index("    {\n") :].splitlines()
    assert [line[4:] for line in shown] == [
        "{",
        '  "a": 1.10,',
        '  "a": 1e400,',
        '  "b": [],',
        '  "c": {},',
        '  "d": [',
        "    12e-1,",
        "    [",
        "      {",
        r'        "e": "\u00e9 \"}, x"',
        "      }",
        "    ]",
        "  ],",
        '  "f": null',
        "}",
    ]


def test_a_purged_body_is_said(run, server):
    server.will(answer({**DETAIL, "request": None, "string_signed": None}))
    assert "purged" in run("deliveries", "show", DELIVERY["id"]).out


def test_resend_prints_the_ids_of_what_is_sent(run, server):
    server.will(answer({**DELIVERY, "id": "dlv_new"}, 201), problem(409, "sending now"),
                answer(DELIVERY))  # fmt: skip
    # Red when what is named twice is sent twice.
    result = run("deliveries", "resend", "a", "b", "a", "c")
    assert result.code == 1
    assert result.out.splitlines() == ["dlv_new", DELIVERY["id"]]
    assert result.err == "hooktui: sending now\n"
    assert [asked.path for asked in server.asked] == [
        f"/v1/deliveries/{name}/resend" for name in "abc"
    ]


# Red when the id alone is printed, as if the delivery had been sent.
@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"held": True}, "hook 12 is disabled; enable it: hooktui hooks enable 12"),
        ({"held": True, "paused": True}, "hook 12 is disabled; enable it: hooktui hooks enable 12"),
        ({"paused": True}, "all sending is paused; resume with: hooktui resume"),
        ({"probe_at": 430_000}, "the breaker of hook 12 is open; the next attempt is not before "),
        ({"probe_at": -5_000}, ""),
        ({}, ""),
    ],
)
def test_a_resend_that_has_to_wait_says_why(run, server, fields, note):
    if "probe_at" in fields:
        fields = {"probe_at": to_rfc3339(now_ms() + fields["probe_at"])}
    due = {**DELIVERY, **fields}
    server.will(answer(due), answer(due))
    result = run("deliveries", "resend", "a")
    assert (result.code, result.out) == (0, f"{DELIVERY['id']}\n")
    assert result.err.startswith(f"{DELIVERY['id']} waits: {note}" if note else "")
    assert bool(result.err) is bool(note)
    assert run("deliveries", "resend", "a", "--quiet").err == ""


# Red when one id that is given twice makes an array.
def test_an_id_that_is_given_twice_is_one_object_as_json(run, server):
    server.will(answer(DELIVERY, 201))
    assert run("deliveries", "resend", "a", "a", "--json").json == DELIVERY


def test_cancel_says_so(run, server):
    server.will(answer({**DELIVERY, "status": "cancelled"}))
    result = run("deliveries", "cancel", "a")
    assert result.out == ""
    assert "cancelled" in result.err


def test_an_event_shows_its_deliveries_and_skips(run, server):
    event = {
        "id": "evt_1", "type": "job.failed", "account": 1, "size": 2, "body": '{"a":[1]}',
        "created_at": "2026-11-25T00:00:00.000Z", "deliveries": [DELIVERY],
        "skips": [{"hook": 7, "reason": "filter"}],
    }  # fmt: skip
    decision = {
        "hook": 7, "name": "narrow", "deleted": False, "decision": "filter", "as_of_now": True,
        "reason": "its filter did not match: data.a:2", "deliveries": 0, "delivery": None,
    }  # fmt: skip
    sent = {**decision, "hook": 1, "decision": "sent", "deliveries": 1, "delivery": DELIVERY}
    pages = [answer({"data": rows, "total": 1}) for rows in ([sent], [decision])]
    server.will(answer(event), *pages)
    out = run("events", "show", "evt_1").out
    assert DELIVERY["id"] in out
    assert "   7  narrow  filter    its filter did not match: data.a:2 (as of now)" in out
    asked = [one.path for one in server.asked[1:]]
    assert ["concerned=true" in path for path in asked] == [True, False]
    server.will(answer(event), *pages)
    shown = run("events", "show", "evt_1", "--json").json
    assert shown == {**event, "decisions": [sent, decision]}


def test_a_hostile_body_stays_text(run, server):
    detail = {**DETAIL, "request": {**DETAIL["request"], "body": "\x1b[2J\x9b\r\nline two"}}
    server.will(answer(detail))
    out = run("deliveries", "show", DELIVERY["id"]).out
    assert "\x1b" not in out
    assert "\x9b" not in out
    assert "\r" not in out
    assert "    line two\n" in out
