"""``hooktui hooks diagnose``: the verdict first, then the lines; text of others never acts."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.support.scripted_server import ATTEMPT, Answer, answer, problem

CHECKS = [
    {"name": "name", "state": "ok", "value": "a.test leads to 127.0.0.2", "advice": ""},
    {"name": "certificate", "state": "fail", "value": "it expired", "advice": "renew it"},
]
FOUND = {
    "hook": 12, "url": "https://a.test/in", "started_at": "2026-11-25T12:00:00.000Z",
    "state": "fail", "verdict": "it expired", "fix": "renew it", "checks": CHECKS,
    "phases_ms": {"dns": 3.0, "connect": 12.0, "tls": 20.0, "first_byte": None, "total": 35.0},
    "addresses": [{"address": "127.0.0.2", "error": None, "detail": None, "connect_ms": 12.0},
                  {"address": "127.0.0.3", "error": "connect", "detail": "no", "connect_ms": None}],
    "tls": {"demanded": True, "version": "TLSv1.3", "cipher": "C", "fits_host": True,
            "verified": False, "why_not": "expired", "code": 10,
            "chain": [{"subject": "a.test", "issuer": "Some authority", "names": ["a.test"],
                       "not_before": "2026-01-01T00:00:00.000Z",
                       "not_after": "2026-11-01T00:00:00.000Z", "days_left": -24}]},
    "ping": None, "clock_skew_s": None,
}  # fmt: skip


def test_the_verdict_stands_first_and_the_lines_below(run, server):
    server.will(answer(FOUND))
    result = run("hooks", "diagnose", "12")
    assert server.asked[-1].path == "/v1/hooks/12/diagnose"
    assert server.asked[-1].method == "POST"
    assert result.out.splitlines() == [
        "hook 12  it expired",
        "  what to do  renew it",
        "",
        "ok    name          a.test leads to 127.0.0.2",
        "fail  certificate   it expired",
        "                    renew it",
        "",
        "  time        name 3 ms, connect 12 ms, TLS 20 ms, total 35 ms",
        "  address     127.0.0.2  12 ms",
        "  address     127.0.0.3  no",
        "  certificate a.test, by Some authority, until 2026-11-01",
    ]
    assert result.err == ""


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("warn", 1), ("fail", 1)])
def test_the_exit_code_says_whether_all_is_well(run, server, state, code):
    server.will(answer({**FOUND, "state": state}))
    assert run("hooks", "diagnose", "12").code == code


def test_json_is_the_whole_object(run, server):
    found = {**FOUND, "ping": ATTEMPT}
    server.will(answer(found))
    result = run("hooks", "diagnose", "12", "--json")
    assert (result.code, result.json) == (1, found)


def test_no_text_of_a_certificate_or_an_answer_acts(run, server):
    nasty = "\x1b]52;c;aGk=\x07\u202e\nok    all is well"
    checks = [{"name": "certificate", "state": "fail", "value": nasty, "advice": nasty}]
    chain = [{**FOUND["tls"]["chain"][0], "subject": nasty, "issuer": nasty}]
    tls = {**FOUND["tls"], "chain": chain}
    found = {**FOUND, "verdict": nasty, "fix": nasty, "checks": checks, "tls": tls}
    server.will(answer(found))
    shown = run("hooks", "diagnose", "12").out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    # Red when a line break of others makes a line of ours.
    assert not any(line.startswith("ok") for line in shown.splitlines())


def test_a_refusal_is_reported_as_everywhere(run, server):
    server.will(problem(404, "there is no hook 12 here"))
    result = run("hooks", "diagnose", "12")
    assert (result.code, result.out) == (3, "")
    assert "there is no hook 12 here" in result.err


def on_a_terminal(environ, *arguments: str) -> tuple[int, str, str]:
    """Run a command whose stderr is a terminal; return its code, stdout and stderr."""
    ours, theirs = pty.openpty()
    try:
        command = [sys.executable, "-m", "hooktui", *arguments]
        env = {**os.environ, **environ}
        ended = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
            timeout=30,
        )  # fmt: skip
    finally:
        os.close(theirs)
    err = b"".join(pieces(ours)).decode()
    os.close(ours)
    return ended.returncode, ended.stdout.decode(), err


def pieces(terminal: int) -> Iterator[bytes]:
    """Read what a terminal still holds: one read returns only what has come through by then."""
    with suppress(OSError):  # EIO: nobody writes any more
        while piece := os.read(terminal, 65536):
            yield piece


def lines_of(*lines: object) -> Answer:
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    return Answer(200, body, "application/x-ndjson")


def test_on_a_terminal_each_step_shows_as_it_ends(run, environ, server):
    server.will(answer(FOUND))
    expected = run("hooks", "diagnose", "12").out
    server.will(
        lines_of(
            {"running": "name"},
            {"checks": CHECKS[:1], "running": "connect"},
            {"running": "TLS"},
            {"diagnosis": FOUND},
        )
    )
    code, out, err = on_a_terminal(environ, "hooks", "diagnose", "12")
    assert (code, out) == (1, expected)
    assert err.split("\r\x1b[K")[1:] == [
        "diagnosing the receiver of hook 12; takes at most 50 s",
        "name …",
        "name ok, connect …",
        "name ok, TLS …",
        "",
    ]
    server.will(lines_of({"running": "name"}))
    code, out, err = on_a_terminal(environ, "hooks", "diagnose", "12")
    assert (code, out) == (5, "")
    assert "closed the connection before it responded" in err
