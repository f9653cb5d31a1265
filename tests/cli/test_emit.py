"""Sending events: the bytes stay what they are, and many go in parts."""

import json

import pytest

from tests.support.scripted_server import answer, problem


def accepted(number=1, **more):
    return {"id": f"evt_{number}", "type": "job.failed", "account": 1, "deliveries": 1,
            "skipped": 0, "duplicate": False, **more}  # fmt: skip


def test_a_file_goes_out_byte_by_byte_and_its_id_is_printed(run, server, tmp_path):
    body = b'{ "n":\t1e2 }\r\n\n'
    (tmp_path / "job.json").write_bytes(body)
    server.will(answer(accepted(), 202))
    result = run("emit", "job.failed", str(tmp_path / "job.json"), "--key", "k", "--account", "2")
    assert (result.code, result.out, result.err) == (0, "evt_1\n", "")
    assert server.asked[0].body == body
    assert server.asked[0].path == "/v1/events/job.failed?account=2"
    assert server.asked[0].headers["idempotency-key"] == "k"


@pytest.mark.parametrize("file", [(), ("-",)])
def test_stdin_is_the_default(run, server, file):
    server.will(answer(accepted(), 202))
    result = run("emit", "job.failed", *file, "--json", stdin=b'{"a":1}')
    assert server.asked[0].body == b'{"a":1}'
    assert result.json == accepted()


@pytest.mark.parametrize("json", ['{"id": 1}', " [1]"])
def test_json_in_place_of_a_file_is_told_the_way_to_send_it(run, server, json):
    result = run("emit", "job.failed", json)
    assert (result.code, server.asked) == (2, [])
    assert "write it to stdin" in result.err


def test_it_is_said_when_nobody_gets_the_event(run, server):
    server.will(answer(accepted(deliveries=0), 202))
    assert "no hook" in run("emit", "job.failed", stdin=b"{}").err
    assert run("emit", "job.failed", "--quiet", stdin=b"{}").err == ""


def test_a_duplicate_is_said(run, server):
    server.will(answer(accepted(duplicate=True), 202))
    result = run("emit", "job.failed", "--key", "k", stdin=b"{}")
    assert result.out == "evt_1\n"
    assert "seen before" in result.err


def lines(count, size=10):
    return b"".join(
        b'{"type":"job.failed","data":{"n":%d,"x":"%s"}}\n' % (n, b"x" * size) for n in range(count)
    )


def many(count):
    return answer({"accepted": count, "data": [accepted(n) for n in range(count)]}, 202)


def test_many_events_go_in_one_request_up_to_1000(run, server):
    server.will(many(1000), many(5))
    result = run("emit", "--many", "-", "--json", stdin=lines(1005))
    assert result.code == 0
    assert len(result.lines) == 1005
    assert [asked.body.count(b"\n") for asked in server.asked] == [1000, 5]
    assert b"".join(asked.body for asked in server.asked) == lines(1005)


def test_duplicates_among_many_are_counted(run, server):
    again = [accepted(0), accepted(1, duplicate=True), accepted(2, duplicate=True)]
    server.will(answer({"accepted": 3, "data": again}, 202))
    result = run("emit", "--many", stdin=lines(3))
    assert result.out == "evt_0\nevt_1\nevt_2\n"
    assert "2 events had a key that was seen before" in result.err


def test_one_event_that_was_accepted_before_an_error_is_one(run, server):
    server.will(many(1), problem(422, "line 1: unknown event type"))
    result = run("emit", "--many", stdin=lines(1, 8_000_000) + lines(1, 1_000_000))
    assert "the first event was accepted; the next part fails" in result.err


def test_many_large_events_go_in_requests_of_8_mib(run, server):
    server.will(many(34), many(6))
    assert run("emit", "--many", stdin=lines(40, 240_000)).code == 0
    assert [len(asked.body) <= 8 * 2**20 for asked in server.asked] == [True, True]


# Red when an empty part goes before it: the server says that the body is empty.
def test_a_line_of_more_than_8_mib_is_left_to_the_server_to_refuse(run, server):
    server.will(problem(413, "over 8 MiB"))
    result = run("emit", "--many", stdin=b'"' + b"x" * (9 * 2**20) + b'"\n')
    assert "over 8 MiB" in result.err
    assert len(server.asked[0].body) > 8 * 2**20


def test_ids_of_many_are_printed_one_a_line_and_blank_lines_passed_over(run, server, tmp_path):
    (tmp_path / "many").write_bytes(b"\n" + lines(1) + b"\n  \n" + lines(1).rstrip())
    server.will(many(2))
    assert run("emit", "--many", str(tmp_path / "many")).out == "evt_0\nevt_1\n"


def test_a_refused_part_says_what_was_accepted_before_it(run, server):
    server.will(many(1000), problem(422, "line 3: unknown event type"))
    result = run("emit", "--many", stdin=b"\n\n" + lines(1005))
    assert result.code == 6
    assert "first 1,000 events were accepted" in result.err
    assert "line 1005: unknown" in result.err  # 2 blank lines, 1,000 of the first part, and 3
    assert len(result.out.splitlines()) == 1000


# Red when only lines before a colon are counted from the first line of the input.
@pytest.mark.parametrize(
    ("says", "shown"),
    [
        ("line 3 is not JSON: it ends early, line 1 column 9",
         "line 1003 is not JSON: it ends early, line 1 column 9"),
        ("line 3 is not UTF-8: bad byte at offset 0",
         "line 1003 is not UTF-8: bad byte at offset 0"),
        ("line 3: type is missing; line 4: data is missing",
         "line 1003: type is missing; line 1004: data is missing"),
    ],
)  # fmt: skip
def test_the_lines_of_a_refused_part_are_those_of_the_input(run, server, says, shown):
    server.will(many(1000), problem(400, says))
    result = run("emit", "--many", stdin=lines(1005))
    assert result.err.splitlines()[-1] == f"hooktui: {shown}"


# Red when only the detail is left of what the server sent: its type was about:blank.
def test_a_refused_part_is_the_problem_object_with_the_lines_of_the_input(run, server):
    errors = [{"pointer": "/2/type", "detail": "line 3: unknown event type"}]
    refused = problem(422, "line 3: unknown event type", errors=errors)
    server.will(many(1000), refused)
    told = json.loads(run("emit", "--many", "--json", "--quiet", stdin=lines(1005)).err)
    assert told == {
        **json.loads(refused.body), "detail": "line 1003: unknown event type",
        "errors": [{"pointer": "/1002/type", "detail": "line 1003: unknown event type"}],
    }  # fmt: skip


def test_no_lines_are_no_events(run, server):
    assert run("emit", "--many", stdin=b"\n\n").code == 2
    assert server.asked == []


def test_an_oversized_body_is_left_to_the_server_to_refuse(run, server):
    server.will(problem(413, "over 256 KiB"))
    body = json.dumps("x" * 300_000).encode()
    assert run("emit", "job.failed", stdin=body).code == 6
    assert len(server.asked[0].body) == 256 * 1024 + 1
