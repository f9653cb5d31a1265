"""The receiver for developers."""

import base64
import hashlib
import hmac
import http.client
import json
import signal
import socket

import pytest

from hooktui.cli.receiver import check_signatures

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def port_of(listener):
    listener.wait_for(lambda: listener.err)
    return int(listener.err[0].split("127.0.0.1:")[1].split("/")[0])


def post(port, headers, body=BODY, method="POST"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, "/in?x=1", body, headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def hexadecimal(name="sha256", secret=SECRET):
    return hmac.new(secret.encode(), BODY, getattr(hashlib, name)).hexdigest()


def test_requests_are_shown_as_lines_of_json(start):
    listener = start("listen", "--port", "0", "--json", "--secret", SECRET, "--status", "503")
    port = port_of(listener)
    assert post(port, {**STANDARD, "X-Hook-Signature": hexadecimal()}) == 503
    assert post(port, {**STANDARD, "X-Hook-Signature": hexadecimal(secret="other" * 5)}) == 503
    assert post(port, {}) == 503
    listener.wait_for(lambda: len(listener.out) == 3)
    good, bad, none = map(json.loads, listener.out)
    assert good["verified"] is True
    assert good["body"] == BODY.decode()
    assert (good["method"], good["path"]) == ("POST", "/in?x=1")
    assert ["webhook-id", STANDARD["webhook-id"]] in good["headers"]
    assert bad["verified"] is False
    assert bad["signatures"] == {"X-Hook-Signature": False, "webhook-signature": True}
    assert none["verified"] is False
    listener.process.send_signal(signal.SIGINT)
    assert listener.process.wait(10) == 130


def test_requests_are_shown_to_people_and_cannot_act(start):
    listener = start("listen", "--port", "0", "--secret", SECRET)
    assert post(port_of(listener), {**STANDARD, "X-Evil": "a\x9bb"}, BODY) == 200
    assert post(port_of(listener), {}, b"\x1b]0;title\x07\nsecond line") == 200
    listener.wait_for(lambda: any("second line" in line for line in listener.out))
    text = "\n".join(listener.out)
    assert "webhook-signature: ok" in text
    assert "X-Hook-Signature: MISMATCH" in text
    assert "\x1b" not in text
    assert "\x9b" not in text


def test_without_a_secret_nothing_is_verified(start):
    listener = start("listen", "--port", "0", "--json")
    post(port_of(listener), STANDARD)
    listener.wait_for(lambda: listener.out)
    assert json.loads(listener.out[0])["verified"] is None


def test_an_endless_body_is_refused_and_shown_without_it(start):
    listener = start("listen", "--port", "0", "--json")
    with socket.create_connection(("127.0.0.1", port_of(listener)), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
    listener.wait_for(lambda: listener.out)
    assert json.loads(listener.out[0])["body"] == ""


def test_a_chunked_body_is_read(start):
    listener = start("listen", "--port", "0", "--json")
    assert post(port_of(listener), {}, iter([b"ab", b"cd"])) == 200
    listener.wait_for(lambda: listener.out)
    assert json.loads(listener.out[0])["body"] == "abcd"


def test_a_taken_port_is_one_line_and_exit_1(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("listen", "--port", str(taken.getsockname()[1]))
    assert result.code == 1
    assert "try --port 0" in result.err


@pytest.mark.parametrize("name", ["sha1", "sha256", "sha512"])
def test_the_hash_is_known_by_its_length(name):
    checks = check_signatures(SECRET, {"x-hook-signature": hexadecimal(name)}, BODY)
    assert checks == {"X-Hook-Signature": True}


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "\uff11\uff16"])
def test_a_timestamp_that_is_none_is_a_mismatch(timestamp):
    headers = {**STANDARD, "webhook-timestamp": timestamp}
    assert check_signatures(SECRET, headers, BODY) == {"webhook-signature": False}


def test_the_vector_of_standard_webhooks_verifies():
    assert check_signatures(SECRET, STANDARD, BODY) == {"webhook-signature": True}
    assert base64.b64decode(SECRET.removeprefix("whsec_"))
