"""The log: the last lines, and those that come."""

import signal
from urllib.parse import parse_qs, urlsplit

from hooktui.cli import log
from tests.support.scripted_server import ATTEMPT, HOOK, Answer, answer, problem, serving


def attempt(number, **more):
    return {**ATTEMPT, "number": number, "kind": "attempt", "at": "2026-11-25T00:00:01.000Z",
            "hook": 12, "account": 1, "event": "evt_1", "event_type": "job.failed",
            "trigger": "event", "status": "pending", **more}  # fmt: skip


def feed(*lines, following="p2", **more):
    return answer({"data": lines, "next": following, **more})


def query(asked):
    return {name: value[0] for name, value in parse_qs(urlsplit(asked.path).query).items()}


def test_the_last_50_lines_are_shown(run, server):
    server.will(feed(*(attempt(n) for n in range(60))))
    result = run("log", "--json", "status:failed")
    assert [line["number"] for line in result.lines] == list(range(10, 60))
    assert query(server.asked[0])["q"] == "status:failed"
    assert query(server.asked[0])["from_end"] == "true"


# Red when a log without a match claims that there is nothing.
def test_a_log_without_a_match_names_the_filter(run, server):
    server.will(feed())
    assert run("log", "status:failed").err == "no match for status:failed; -f waits for it\n"
    assert run("log").err == "nothing yet; -f waits for it\n"


def test_a_line_says_what_happened(run, server):
    timeout = {"status_code": None, "error": "timeout", "error_detail": "no answer in 15 s"}
    deleted = {"kind": "hook", "at": "2026-11-25T00:00:01.000Z", "id": 9, "account": 1}
    created = {**deleted, "deleted": True, "change": "created", "reason": None}
    disabled = {**HOOK, "kind": "hook", "at": deleted["at"], "active": False,
                "disabled_reason": "receiver answered 410 Gone"}  # fmt: skip
    server.will(
        feed(attempt(1), attempt(2, **timeout, status="failed"), deleted, disabled, created)
    )
    first, second, third, fourth, fifth = run("log").out.splitlines()
    assert first.split()[-6:] == ["job.failed", "#1", "500", "34", "ms", "retried"]
    assert "failed" in second
    assert "timeout no answer in 15 s" in second
    assert third.endswith("hook 9  deleted")
    assert "410 Gone" in fourth
    assert fifth.endswith("hook 9  created")  # although it is deleted now


# Red when a long event type pushes the columns of its line out of those of the others.
def test_the_columns_of_lines_stay_in_line(start, tmp_path):
    names = ("job.failed", "hooktui.replay.finished", "cluster.error")
    later = "a.type.that.is.longer.than.all.before"
    with serving(tmp_path / "server.sock") as server:
        server.will(
            feed(*(attempt(1, event_type=name) for name in names)),
            feed(attempt(1, event_type=later), attempt(1), following="p3"),
            answer({}, hang=True),
        )
        log = start("log", "-f")
        log.wait_for(lambda: len(log.out) == 5)
    first, second = ({line.index("#1 ") for line in part} for part in (log.out[:3], log.out[3:]))
    assert len(first) == len(second) == 1


def test_an_alert_that_opens_or_ends_is_a_line(run, server):
    alert = {"kind": "alert", "at": "2026-11-25T00:00:01.000Z", "id": "alr_1", "account": 1,
             "state": "resolved", "summary": "hook 3 (billing) is failing: dns"}  # fmt: skip
    server.will(feed({**alert, "change": "open"}, {**alert, "change": "resolved"}))
    opened, ended = run("log").out.splitlines()
    assert opened.endswith("alert open  hook 3 (billing) is failing: dns")
    assert ended.endswith("alert resolved  hook 3 (billing) is failing: dns")


# Red when the log ends with the first page of a search that found too little.
def test_the_search_continues_until_there_are_50_lines_or_no_older_change(run, server):
    part = {"searched_to": "2026-11-25T00:00:00.000Z"}
    server.will(
        feed(*(attempt(n) for n in range(70, 80)), following="p9", before="p5", **part),
        feed({"kind": "event", "id": "evt_1"}, following="p5", before="p4", **part),
        feed(*(attempt(n) for n in range(60)), following="p4", before="p1", **part),
    )
    result = run("log", "--json", "status:failed")
    assert [line["number"] for line in result.lines] == [*range(20, 60), *range(70, 80)]
    assert [query(one).get("before") for one in server.asked] == [None, "p5", "p4"]
    assert result.err == ""
    server.will(feed(attempt(2), before="p5", **part), feed(attempt(1)))
    assert [line["number"] for line in run("log", "--json").lines] == [1, 2]


# Red when a search that fails loses its lines, or does not say how far it searched.
def test_an_incomplete_search_writes_its_lines_and_says_how_far_it_searched(run, server):
    server.will(
        feed(attempt(1), before="p5", searched_to="2026-11-25T00:00:00.000Z"),
        problem(429, "too many calls"),
    )
    result = run("log", "--json", "status:failed")
    assert (result.code, [line["number"] for line in result.lines]) == (1, [1])
    searched, failed = result.err.splitlines()
    assert "searched back to 2026-11-25T00:00:00.000Z only; run the command again" in searched
    assert "too many calls" in failed


# Red when the whole feed is searched for old lines before a new one is shown.
def test_following_begins_when_the_search_takes_long(run, server, monkeypatch):
    monkeypatch.setattr(log, "_SEARCH_S", -1)
    server.will(
        feed(attempt(1), before="p5", searched_to="2026-11-25T00:00:00.000Z"),
        feed(attempt(2), following="p3"),
        problem(422, "the end"),
    )
    result = run("log", "-f", "--json", "status:failed")
    assert [line["number"] for line in result.lines] == [1, 2]
    assert [query(one).get("after") for one in server.asked] == [None, "p2", "p3"]
    assert "only; run the command again without -f to search older lines" in result.err


# Red when the value of a field is written as Python has it.
def test_a_pause_and_its_end_are_reported_in_words(run, server):
    line = {"kind": "engine", "at": "2026-11-25T00:00:01.000Z", "account": 0}
    by = {"at": line["at"], "by": "root\x1b[2J"}
    server.will(feed({**line, "paused": by}, {**line, "paused": None}, {**line, "paused": True}))
    paused, resumed, unknown = run("log").out.splitlines()
    assert paused.endswith("engine  paused by root␛[2J")
    assert resumed.endswith("engine  resumed")
    assert unknown.endswith("engine  paused")


def test_following_goes_on_over_a_restart_of_the_server(start, tmp_path):
    path = tmp_path / "server.sock"
    with serving(path) as server:
        server.will(feed(attempt(1), following="p1"), feed(attempt(2), following="p2"),
                    answer({}, hang=True))  # fmt: skip
        log = start("log", "-f", "--json")
        log.wait_for(lambda: len(log.out) == 2 and len(server.asked) == 3)
    log.wait_for(lambda: log.err)
    path.unlink()
    assert "reconnecting" in log.err[0]
    with serving(path) as server:
        server.will(feed(attempt(3), following="p3"), answer({}, hang=True))
        log.wait_for(lambda: len(log.out) == 3)
        assert query(server.asked[0])["after"] == "p2"
        log.wait_for(lambda: "connected again" in log.err)
        log.process.send_signal(signal.SIGINT)
        assert log.process.wait(10) == 130
    assert not any("Traceback" in line for line in log.err)


# Red when only the first reason is shown: it has ended, and what follows lasts.
def test_each_reason_why_following_is_interrupted_is_shown_once(start, tmp_path):
    path = tmp_path / "server.sock"
    with serving(path) as server:
        server.will(feed(attempt(1), following="p1"), answer({}, hang=True))
        log = start("log", "-f", "--json")
        log.wait_for(lambda: len(log.out) == 1 and len(server.asked) == 2)
    log.wait_for(lambda: log.err)
    path.unlink()
    with serving(path) as server:
        server.will(Answer(502, b"<html></html>", "text/html"))
        log.wait_for(lambda: any("502 with text/html" in line for line in log.err))
        log.wait_for(lambda: len(server.asked) > 2)
    assert sum("502" in line for line in log.err) == 1
    log.process.send_signal(signal.SIGINT)
    assert log.process.wait(10) == 130


def test_a_bad_filter_ends_the_log(run, server):
    server.will(problem(422, "column 1: unknown field"))
    assert run("log", "-f", "stauts:failed").code == 6


def test_lost_lines_are_said(start, tmp_path):
    with serving(tmp_path / "server.sock") as server:
        server.will(feed(following="p1"), feed(attempt(9), following="p9", reset=True),
                    answer({}, hang=True))  # fmt: skip
        log = start("log", "--follow")
        log.wait_for(lambda: log.err and log.out)
        assert "no longer stores" in log.err[0]
