"""The receiver for developers."""

import base64
import hashlib
import hmac
import http.client
import json
import signal
import socket
import time

import pytest

from hooktui.cli.receiver import Verification
from hooktui.domain.signatures import standard_key, standard_signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


OTHER_FORM = "It's a Secret to Everybody"
THEN = 1614265330


def signed(age_s=0, secret=SECRET, event="evt_0000000000001"):
    """Return the headers that hooktui sends, of an attempt of that age."""
    moment = int(time.time()) - age_s
    key = standard_key(secret)
    headers = {
        "webhook-id": event,
        "webhook-timestamp": str(moment),
        "X-Hook-Signature": hexadecimal(secret=secret),
    }
    if key is not None:
        headers["webhook-signature"] = standard_signature(key, event, moment, BODY)
    return headers


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


# Red when what does not verify is answered as if it did: the sender would count it as delivered.
def test_what_does_not_verify_is_answered_with_401(start):
    listener = start("listen", "--port", "0", "--json", "--secret", SECRET, "--status", "503")
    port = port_of(listener)
    requests = {
        "good": (signed(), 503),
        "bad": ({**signed(), "X-Hook-Signature": hexadecimal(secret="other" * 5)}, 401),
        "none": ({}, 401),
        "stale": (signed(age_s=3600), 401),
    }
    for headers, status in requests.values():
        assert post(port, headers) == status
    listener.wait_for(lambda: len(listener.out) == len(requests))
    good, bad, none, stale = map(json.loads, listener.out)
    assert good["verified"] is True
    assert good["stale"] is False
    assert good["body"] == BODY.decode()
    assert (good["method"], good["path"], good["status"]) == ("POST", "/in?x=1", 503)
    assert ["webhook-id", "evt_0000000000001"] in good["headers"]
    assert bad["verified"] is False
    assert bad["signatures"] == {"X-Hook-Signature": False, "webhook-signature": True}
    assert none["verified"] is False
    assert (stale["verified"], stale["stale"], stale["status"]) == (False, True, 401)
    listener.process.send_signal(signal.SIGINT)
    assert listener.process.wait(10) == 130


def test_requests_are_shown_to_people_and_cannot_act(start):
    listener = start("listen", "--port", "0", "--secret", SECRET)
    port = port_of(listener)
    assert post(port, {**signed(), "X-Evil": "a\x9bb"}, BODY) == 200
    assert post(port, signed(age_s=400)) == 401
    assert post(port, {"X-Hook-Signature": "0"}, b"\x1b]0;title\x07\nsecond line") == 401
    listener.wait_for(lambda: any("second line" in line for line in listener.out))
    text = "\n".join(listener.out)
    assert "webhook-signature: ok" in text
    assert "webhook-signature: STALE" in text
    assert "X-Hook-Signature: MISMATCH" in text
    assert "\x1b" not in text
    assert "\x9b" not in text


def test_a_longer_tolerance_takes_older_requests(start):
    listener = start("listen", "--port", "0", "--secret", SECRET, "--tolerance", "2h")
    port = port_of(listener)
    assert [post(port, signed(age_s=age)) for age in (3600, 3 * 3600)] == [200, 401]


# Red when a secret that signs no timestamp is refused, or nobody learns that the age is unknown.
def test_a_secret_of_another_form_verifies_by_the_body_alone_and_says_so(start):
    listener = start("listen", "--port", "0", "--secret", OTHER_FORM)
    listener.wait_for(lambda: any("listening" in line for line in listener.err))
    assert "the age was not checked" in listener.err[0]
    port = int(listener.err[1].split("127.0.0.1:")[1].split("/")[0])
    assert post(port, signed(age_s=10**6, secret=OTHER_FORM)) == 200
    assert post(port, {}) == 401


def test_without_a_secret_nothing_is_verified(start):
    listener = start("listen", "--port", "0", "--json")
    post(port_of(listener), STANDARD)
    listener.wait_for(lambda: listener.out)
    assert json.loads(listener.out[0])["verified"] is None


@pytest.mark.parametrize("length", [b"99999999999999999999", b"0" * 15 + b"9999999"])
def test_an_endless_body_is_refused_and_shown_without_it(start, length):
    listener = start("listen", "--port", "0", "--json")
    with socket.create_connection(("127.0.0.1", port_of(listener)), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: %b\r\n\r\n" % length)
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
    listener.wait_for(lambda: listener.out)
    assert json.loads(listener.out[0])["body"] == ""


# Red when what has come of a body is shown as the request, answered with 200.
def test_a_request_that_is_broken_off_is_not_shown(start):
    listener = start("listen", "--port", "0", "--json")
    port = port_of(listener)
    for head in (b"Content-Length: 9", b"Transfer-Encoding: chunked"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\n%b\r\n\r\n5\r\nab" % head)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100) == b""
    assert post(port, {}, b"whole") == 200
    listener.wait_for(lambda: listener.out)
    assert json.loads(listener.out[0])["body"] == "whole"


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


def checked(headers, secret=SECRET, now_s=THEN, tolerance_s=300.0):
    """Return the result of each check, and whether the request passes."""
    verification = Verification(secret, tolerance_s)
    checks = verification.checks(headers, BODY, now_s)
    return checks, verification.passes(checks, headers)


@pytest.mark.parametrize("name", ["sha1", "sha256", "sha512"])
def test_the_hash_is_known_by_its_length(name):
    given = {"x-hook-signature": hexadecimal(name, OTHER_FORM)}
    assert checked(given, OTHER_FORM) == ({"X-Hook-Signature": "ok"}, True)


# Red when a captured request verifies again once its timestamp is taken away.
def test_a_request_without_the_signature_of_its_timestamp_does_not_verify():
    checks, passes = checked({"x-hook-signature": hexadecimal()})
    assert checks == {"X-Hook-Signature": "ok", "webhook-signature": "mismatch"}
    assert not passes


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "\uff11\uff16", "01614265330", "9" * 5000])
def test_a_timestamp_that_is_none_is_a_mismatch(timestamp):
    headers = {**STANDARD, "webhook-timestamp": timestamp}
    assert checked(headers) == ({"webhook-signature": "mismatch"}, False)


@pytest.mark.parametrize(
    ("away_s", "result"), [(0, "ok"), (300, "ok"), (-300, "ok"), (301, "stale"), (-301, "stale")]
)
def test_the_vector_of_standard_webhooks_verifies_while_it_is_recent(away_s, result):
    checks, passes = checked(STANDARD, now_s=THEN + away_s)
    assert checks == {"webhook-signature": result}
    assert passes is (result == "ok")
    assert base64.b64decode(SECRET.removeprefix("whsec_"))


# Red when a receiver that was given the new secret in time fails during the overlap: until its end
# X-Hook-Signature stays with the previous secret.
def test_during_a_rotation_either_secret_verifies():
    new = "whsec_" + base64.b64encode(b"n" * 32).decode()
    headers = {name.lower(): value for name, value in signed().items()}
    moment = int(headers["webhook-timestamp"])
    by_new = standard_signature(b"n" * 32, headers["webhook-id"], moment, BODY)
    headers["webhook-signature"] = f"{by_new} {headers['webhook-signature']}"
    for secret in (SECRET, new):
        assert checked(headers, secret, now_s=moment)[1]
    assert not checked(headers, "whsec_" + "A" * 40, now_s=moment)[1]
