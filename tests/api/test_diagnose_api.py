"""Diagnosing over the API: what is sent, what is written down, and what happens beside it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.receivers import receiving
from tests.support.running_server import running_server


@contextmanager
def saying(answer: bytes) -> Iterator[str]:
    """Run a receiver that answers each request with these bytes; gives its address."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with closing(connection):
                request = b""
                while b"\r\n\r\n" not in request and (piece := connection.recv(65536)):
                    request += piece
                if request:
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


def made(api, account, url, **fields) -> int:
    body = {"url": url, "events": ["job"], **fields}
    answer = api.post("/v1/hooks", params={"account": account}, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def diagnosed(api, hook) -> dict:
    answer = api.post(f"/v1/hooks/{hook}/diagnose")
    assert answer.status_code == 200, answer.text
    return answer.json()


def pings_of(api, account) -> list[dict]:
    params = {"account": account, "trigger": "ping"}
    return api.get("/v1/deliveries", params=params).json()["data"]


def test_a_receiver_that_is_well_got_one_signed_ping_that_is_kept(api, account, receiver):
    hook = made(api, account, receiver.url)
    found = diagnosed(api, hook)
    assert (found["state"], found["fix"]) == ("ok", "")
    assert found["verdict"].startswith("no problems")
    assert found["checks"][-1] == {
        "name": "pace", "state": "ok", "value": "in flight 0 of 10 (auto)", "advice": ""
    }  # fmt: skip
    [request] = receiver.requests
    assert request.headers["X-Hook-Event"] == "ping"
    assert request.headers["X-Hook-Signature"]
    [ping] = pings_of(api, account)
    assert found["ping"]["delivery"] == ping["id"]
    assert ping["status"] == "delivered"
    assert found["phases_ms"]["total"] > 0


def test_it_is_in_the_audit_trail_as_one_act(api, account, receiver):
    hook = made(api, account, receiver.url)
    diagnosed(api, hook)
    told = api.get("/v1/audit", params={"account": account}).json()["data"]
    assert (told[0]["action"], told[0]["target"]) == ("hook.diagnose", f"hook {hook}")
    assert "hook.ping" not in {one["action"] for one in told}


def test_an_inactive_hook_is_looked_at_as_well(api, account, receiver):
    found = diagnosed(api, made(api, account, receiver.url, active=False))
    assert found["state"] == "warn"
    assert "the hook is disabled" in found["verdict"]
    assert len(receiver.requests) == 1


def test_no_ping_goes_where_none_would_arrive(api, account, receiver):
    found = diagnosed(api, made(api, account, receiver.url.replace("http:", "https:")))
    assert (found["state"], found["ping"]) == ("fail", None)
    assert "no TLS" in found["verdict"]
    # Red when the ping is sent whatever the look found.
    assert pings_of(api, account) == []


def test_a_410_switches_the_hook_off_as_a_ping_does(api, account, receiver):
    receiver.status = 410
    hook = made(api, account, receiver.url)
    found = diagnosed(api, hook)
    assert "410 (Gone)" in found["verdict"]
    assert not api.get(f"/v1/hooks/{hook}").json()["active"]
    # Red when the hook is not read again after the ping.
    assert "the hook is disabled" in found["checks"][-1]["value"]


def test_who_asks_meanwhile_gets_the_same_result_and_the_receiver_one_ping(api, account, receiver):
    hook = made(api, account, receiver.url)
    receiver.released.clear()
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(diagnosed, api, hook)
        receiver.wait_for(1)
        others = [pool.submit(diagnosed, api, hook) for _ in range(2)]
        trail = {"account": account, "action": "hook.diagnose"}
        while len(api.get("/v1/audit", params=trail).json()["data"]) < 3:
            pass
        receiver.released.set()
        answers = [one.result(30) for one in (first, *others)]
    assert answers[1:] == answers[:1] * 2
    assert len(receiver.requests) == 1
    diagnosed(api, hook)
    assert len(receiver.requests) == 2


def test_a_diagnosis_of_an_edited_hook_is_a_new_one(api, account, receiver):
    hook = made(api, account, receiver.url)
    receiver.released.clear()
    with ThreadPoolExecutor(1) as pool, receiving() as other:
        first = pool.submit(diagnosed, api, hook)
        receiver.wait_for(1)
        assert api.patch(f"/v1/hooks/{hook}", json={"url": other.url}).status_code == 200
        # Red when the runs are told apart by the hook alone.
        second = diagnosed(api, hook)
        receiver.released.set()
        assert first.result(30)["ping"]["delivery"] != second["ping"]["delivery"]
        assert len(other.requests) == 1


def test_a_stop_of_the_asker_does_not_stop_the_diagnosis(api, account, receiver, server):
    hook = made(api, account, receiver.url)
    receiver.released.clear()
    with closing(socket.socket(socket.AF_UNIX)) as one:
        one.connect(str(server.paths.socket))
        one.sendall(f"POST /v1/hooks/{hook}/diagnose HTTP/1.1\r\nHost: x\r\n"
                    "Content-Length: 0\r\n\r\n".encode())  # fmt: skip
        receiver.wait_for(1)
    receiver.released.set()
    while not [one for one in pings_of(api, account) if one["status"] == "delivered"]:
        pass


def test_redirects_pages_and_clocks_are_reported(api, account):
    head = b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"
    with saying(head) as there:
        found = diagnosed(api, made(api, account, f"http://{there}/in"))
    assert found["fix"] == f"set the hook's URL to http://{there}/login"
    page = b"<html>hello"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(page)
    with saying(head + page) as there:
        found = diagnosed(api, made(api, account, f"http://{there}/in"))
    assert "web page" in found["verdict"]
    head = b"HTTP/1.1 401 No\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n"
    with saying(head) as there:
        found = diagnosed(api, made(api, account, f"http://{there}/in"))
    assert "clock" in found["verdict"]
    assert found["clock_skew_s"] < -3600


def test_an_answer_that_is_none_is_a_verdict_and_no_error(api, account):
    with saying(b"\x16\x03\x01 rubbish \x1b[2J\r\n\r\n") as there:
        found = diagnosed(api, made(api, account, f"http://{there}/in"))
    assert found["state"] == "fail"
    assert found["ping"]["error"] == "protocol"


def test_a_secret_that_the_receiver_sends_back_is_masked(api, account):
    answer = b"HTTP/1.1 302 Found\r\nLocation: /x?key=sesame-open-now\r\nContent-Length: 0\r\n\r\n"
    with saying(answer) as there:
        sensitive = {"headers": {"X-Key": "sesame-open-now"}, "sensitive_headers": ["X-Key"]}
        hook = made(api, account, f"http://{there}/in", **sensitive)
        answered = api.post(f"/v1/hooks/{hook}/diagnose")
    assert "sesame-open-now" not in answered.text


def test_a_stop_meanwhile_is_reported_and_leaves_no_ping_behind(tmp_path):
    met, stopping = threading.Event(), threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    tls = Authority(tmp_path).server_context("127.0.0.1")

    def shake_hands_late() -> None:
        connection, _ = listening.accept()
        met.set()
        stopping.wait(20)
        with suppress(OSError), tls.wrap_socket(connection, server_side=True) as shaken:
            shaken.recv(65536)

    thread = threading.Thread(target=shake_hands_late)
    thread.start()
    url = f"https://127.0.0.1:{listening.getsockname()[1]}/in"
    home = tmp_path / "home"
    with running_server(home) as server, server.client() as api, ThreadPoolExecutor(1) as pool:
        hook = made(api, 1, url, verify_tls=False)
        asked = pool.submit(api.post, f"/v1/hooks/{hook}/diagnose")
        assert met.wait(10)
        server.loop.call_soon_threadsafe(server.stop_event.set)
        while accepts(server.paths.socket):
            pass
        stopping.set()
        # Red when a diagnosis goes on to its ping although the engine has stopped.
        answer = asked.result(30)
        assert answer.status_code == 503
        assert "stopping" in answer.json()["detail"]
        server.stop()
    listening.close()
    thread.join(5)
    with running_server(home) as server, server.client() as api:
        assert pings_of(api, 1) == []


def accepts(path: Path) -> bool:
    """Whether a server still takes connections."""
    with closing(socket.socket(socket.AF_UNIX)) as one:
        return one.connect_ex(str(path)) == 0


@pytest.mark.parametrize("hook", ["424242", "0", "x"])
def test_a_hook_that_is_not_there(api, hook):
    assert api.post(f"/v1/hooks/{hook}/diagnose").status_code == 404


def test_a_hook_of_another_account_is_not_there(api, account, receiver):
    hook = made(api, account, receiver.url)
    answer = api.post(f"/v1/hooks/{hook}/diagnose", params={"account": 1})
    assert answer.status_code == 404
    assert receiver.requests == []
