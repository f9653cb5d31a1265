"""A server that can open nothing more still answers who is connected, and says what is missing."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest

from tests.support.file_limit import no_file_left
from tests.support.running_server import RunningServer, running_server
from tests.support.waiting import wait_for


@pytest.fixture
def server(tmp_path: Path):
    with running_server(tmp_path / "home") as one:
        yield one


def ours(caplog) -> list[logging.LogRecord]:
    return [one for one in caplog.records if one.name.startswith("hooktui")]


# Red when readers are opened late, or when doctor, ping or a backup end in a traceback.
def test_calls_are_answered_or_say_what_is_missing(server: RunningServer, caplog):
    hook = {"url": "http://127.0.0.1:9/", "events": ["job"]}
    with server.client() as client:
        made = client.post("/v1/hooks", json=hook).json()["id"]
        with no_file_left():
            for path in ("/healthz", "/readyz", "/v1/hooks", "/v1/status", "/v1/deliveries"):
                assert client.get(path).status_code == 200, path
            assert client.post("/v1/events/job.failed", json={"id": 1}).status_code == 202
            ping = client.post(f"/v1/hooks/{made}/ping")
            diagnosis = client.post(f"/v1/hooks/{made}/diagnose")
            doctor = client.get("/v1/doctor")
            backup = client.post("/v1/backup")
            status = client.get("/v1/status").json()["connections"]
    for answer in (ping, diagnosis):
        assert answer.status_code == 503, answer.text
        assert "no file descriptor left" in answer.json()["detail"]
        assert answer.headers["content-type"] == "application/problem+json"
    assert backup.status_code in {503, 507}, backup.text
    assert doctor.status_code == 200, doctor.text
    failed = {one["name"] for one in doctor.json()["checks"] if one["state"] == "fail"}
    assert failed & {"machine", "database", "open files"}
    assert status["shortage"]["condition"] == "open_files"
    assert [one.getMessage() for one in ours(caplog) if one.exc_info] == []


# Red when the event loop's traceback for each connection that it could not accept is logged, or
# when other errors are swallowed with it.
def test_a_refused_connection_is_one_line_and_no_traceback(server: RunningServer, caplog):
    full = OSError(errno.EMFILE, "Too many open files")
    accept = {"message": "socket.accept() out of system resource", "exception": full}
    other = {"message": "something else", "exception": full}
    for context in (*[accept] * 50, other):
        server.loop.call_soon_threadsafe(server.loop.call_exception_handler, context)
    wait_for(lambda: any("something else" in one.getMessage() for one in caplog.records))
    assert len([one for one in ours(caplog) if "this machine" in one.getMessage()]) == 1
    assert not any("accept" in one.getMessage() for one in caplog.records)
