"""The main job, seen from outside: commands in, HTTP requests out."""

import base64
import hashlib
import hmac
import json
import signal
import time

import pytest
from standardwebhooks import Webhook

from tests.support.installation import SAMPLES, Installation, LocalInstallation
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

INSTALLATION = LocalInstallation

EVENT_TYPES = sorted(path.stem for path in SAMPLES.glob("*.json"))


def hmac_hex(secret: str, body: bytes, name: str = "sha256") -> str:
    return hmac.new(secret.encode(), body, getattr(hashlib, name)).hexdigest()


def verifies(secret: str, seen) -> bool:
    headers = {name.lower(): value for name, value in seen.headers.items()}
    Webhook(secret).verify(seen.body, headers)
    return True


def test_each_event_arrives_byte_for_byte_and_signed_in_both_schemes(
    home: Installation, receiver: Receiver
):
    assert len(EVENT_TYPES) == 10
    hook = home.create_hook(receiver.url)
    ids = {event_type: home.emit(event_type) for event_type in EVENT_TYPES}
    wait_for(lambda: len(receiver.requests) == 10, what="ten requests")
    for seen in receiver.requests:
        event_type = seen.headers["X-Hook-Event"]
        assert seen.body == (SAMPLES / f"{event_type}.json").read_bytes()
        assert seen.headers["X-Hook-Signature"] == hmac_hex(hook["secret"], seen.body)
        assert verifies(hook["secret"], seen)
        assert seen.headers["webhook-id"] == ids[event_type]
        assert seen.headers["X-Hook-Id"] == str(hook["id"])
        assert seen.headers["Content-Type"] == "application/json"
        assert seen.headers["User-Agent"].startswith("hooktui/")
    wait_for(lambda: {d["status"] for d in home.deliveries()} == {"delivered"})
    delivered = home.deliveries()
    assert {d["id"] for d in delivered} == {s.headers["X-Hook-Delivery"] for s in receiver.requests}
    assert {d["event"]: d["event_type"] for d in delivered} == {v: k for k, v in ids.items()}
    lines = [json.loads(line) for line in home.ok("log", "--json").splitlines()]
    assert sum(line["kind"] == "attempt" for line in lines) == 10


def test_only_subscribed_events_are_sent(home: Installation, receiver: Receiver):
    home.create_hook(receiver.url, events="job,cluster.error")
    home.emit("cluster.available")
    home.emit("cluster.error")
    home.emit("job.failed")
    wait_for(lambda: len(receiver.requests) == 2)
    assert {s.headers["X-Hook-Event"] for s in receiver.requests} == {"cluster.error", "job.failed"}


def test_a_ping_carries_the_hook_and_says_what_the_receiver_said(
    home: Installation, receiver: Receiver
):
    hook = home.create_hook(receiver.url, "--inactive", "--header", "X-Api-Key=hunter2hunter2")
    answer = home.json("hooks", "ping", str(hook["id"]))
    assert answer["delivery"]["trigger"] == "ping"
    assert answer["delivery"]["status"] == "delivered"
    [seen] = receiver.requests
    assert seen.headers["X-Hook-Event"] == "ping"
    assert seen.headers["X-Api-Key"] == "hunter2hunter2"
    body = json.loads(seen.body)
    assert body["id"] == hook["id"]
    assert body["headers"] == {"X-Api-Key": "***"}
    assert hook["secret"] not in seen.body.decode()
    assert verifies(hook["secret"], seen)
    receiver.script["/in"] = [500]
    assert home.run("hooks", "ping", str(hook["id"])).returncode == 1


def test_during_a_rotation_both_secrets_verify_and_the_old_signature_stays(
    home: Installation, receiver: Receiver
):
    hook = home.create_hook(receiver.url)
    number = str(hook["id"])
    new = home.json("hooks", "secret", number, "--rotate")["secret"]
    assert new != hook["secret"]
    home.emit("job.failed")
    [seen] = wait_for(lambda: list(receiver.requests))
    assert verifies(new, seen)
    assert verifies(hook["secret"], seen)
    assert seen.headers["X-Hook-Signature"] == hmac_hex(hook["secret"], seen.body)
    home.ok("hooks", "secret", number, "--finish")
    home.emit("job.failed")
    wait_for(lambda: len(receiver.requests) == 2)
    second = receiver.requests[1]
    assert second.headers["X-Hook-Signature"] == hmac_hex(new, second.body)
    assert " " not in second.headers["webhook-signature"]


@pytest.mark.parametrize("name", ["sha1", "sha512"])
def test_a_hook_may_sign_with_another_hash_and_a_plain_secret(home, receiver, name):
    secret = "It's a Secret to Everybody"
    home.create_hook(receiver.url, "--signature-hash", name, "--secret", secret)
    home.emit("job.failed")
    [seen] = wait_for(lambda: list(receiver.requests))
    assert seen.headers["X-Hook-Signature"] == hmac_hex(secret, seen.body, name)
    assert "webhook-signature" not in seen.headers
    assert {"webhook-id", "webhook-timestamp"} <= set(seen.headers)


def test_a_failed_attempt_is_tried_again_by_schedule(home: Installation, receiver: Receiver):
    receiver.script["/in"] = [500]
    home.create_hook(receiver.url, "--retry-schedule", "1s,1s")
    home.emit("job.failed")
    wait_for(lambda: len(receiver.requests) == 2)
    first, second = receiver.requests
    assert second.at - first.at >= 0.85
    assert first.body == second.body
    for name in ("webhook-id", "X-Hook-Delivery", "X-Hook-Signature"):
        assert first.headers[name] == second.headers[name]
    wait_for(lambda: home.deliveries()[0]["status"] == "delivered")
    shown = home.json("deliveries", "show", home.deliveries()[0]["id"])
    assert [a["status_code"] for a in shown["attempts"]] == [500, 200]
    assert [a["error"] for a in shown["attempts"]] == ["status", None]


def test_retry_after_makes_the_next_attempt_later_never_earlier(home, receiver):
    receiver.script["/in"] = [(429, {"Retry-After": "2"})]
    home.create_hook(receiver.url, "--retry-schedule", "1s")
    home.emit("job.failed")
    wait_for(lambda: len(receiver.requests) == 2)
    assert receiver.requests[1].at - receiver.requests[0].at >= 1.9


def test_a_delivery_whose_schedule_is_used_up_is_failed_and_can_be_resent(home, receiver):
    receiver.script["/in"] = [500, 503]
    home.create_hook(receiver.url, "--retry-schedule", "1s")
    event = home.emit("job.failed")
    failed = wait_for(lambda: home.deliveries("status:failed"))[0]
    assert failed["event"] == event
    assert len(receiver.requests) == 2
    again = home.json("deliveries", "resend", failed["id"])
    again = again[0] if isinstance(again, list) else again
    assert again["id"] != failed["id"]
    wait_for(lambda: len(receiver.requests) == 3)
    assert receiver.requests[2].headers["webhook-id"] == event
    assert receiver.requests[2].headers["X-Hook-Delivery"] == again["id"]


def test_410_ends_the_delivery_and_disables_the_hook(home: Installation, receiver: Receiver):
    receiver.script["/in"] = [410]
    hook = home.create_hook(receiver.url)
    home.emit("job.failed")
    wait_for(lambda: not home.json("hooks", "show", str(hook["id"]))["active"])
    assert "410" in home.json("hooks", "show", str(hook["id"]))["disabled_reason"]
    assert home.deliveries()[0]["status"] == "failed"
    event = home.emit("job.failed")
    shown = home.json("events", "show", event)
    assert shown["skips"] == [{"hook": hook["id"], "reason": "disabled"}]
    assert len(receiver.requests) == 1


def test_what_waits_is_sent_after_a_restart(home: Installation, receiver: Receiver):
    receiver.script["/in"] = [500]
    home.create_hook(receiver.url, "--retry-schedule", "2s")
    home.emit("job.failed")
    wait_for(lambda: len(receiver.requests) == 1)
    assert home.run("stop").returncode == 0
    assert home.run("emit", "job.failed", str(SAMPLES / "job.failed.json")).returncode == 5
    home.start()
    wait_for(lambda: len(receiver.requests) == 2)
    wait_for(lambda: home.deliveries()[0]["status"] == "delivered")


def test_a_killed_server_loses_nothing_and_uses_up_no_schedule(home, receiver):
    receiver.released.clear()
    home.create_hook(receiver.url, "--retry-schedule", "", "--max-in-flight", "2")
    events = {home.emit("job.failed") for _ in range(5)}
    wait_for(lambda: len(receiver.requests) == 2)
    home.kill()
    receiver.released.set()
    home.start()
    wait_for(lambda: {d["status"] for d in home.deliveries()} == {"delivered"}, 30)
    assert {d["event"] for d in home.deliveries()} == events
    assert {s.headers["webhook-id"] for s in receiver.requests} == events
    cut_off = [d["id"] for d in home.deliveries() if d["attempts"] == 2]
    assert len(cut_off) == 2
    for delivery in cut_off:
        outcomes = [a["outcome"] for a in home.json("deliveries", "show", delivery)["attempts"]]
        assert outcomes == ["interrupted", "delivered"]


def test_responses_that_came_while_a_server_was_stopped_count(home, receiver):
    receiver.released.clear()
    home.create_hook(receiver.url, "--timeout", "2s")
    home.emit("job.failed")
    (request,) = receiver.wait_for(1)
    home.server.send_signal(signal.SIGSTOP)
    receiver.released.set()
    wait_for(lambda: time.time() > request.at + 3, what="the deadline of the attempt")
    home.server.send_signal(signal.SIGCONT)
    wait_for(lambda: home.deliveries()[0]["attempts"] == 1)
    assert home.deliveries()[0]["status"] == "delivered"


def test_deliveries_of_a_disabled_hook_are_held_and_go_on(home, receiver):
    receiver.script["/in"] = [500] * 100  # until it is disabled, however long that takes
    hook = home.create_hook(receiver.url, "--retry-schedule", ",".join(["1s"] * 30))
    home.emit("job.failed")
    wait_for(lambda: receiver.requests)
    home.ok("hooks", "disable", str(hook["id"]))
    wait_for(lambda: home.deliveries()[0]["held"])
    receiver.script["/in"] = []
    attempts = len(receiver.requests)
    home.ok("hooks", "enable", str(hook["id"]))
    wait_for(lambda: home.deliveries()[0]["status"] == "delivered")
    assert len(receiver.requests) == attempts + 1


def test_the_same_key_is_accepted_once(home: Installation, receiver: Receiver):
    home.create_hook(receiver.url)
    sample = str(SAMPLES / "job.failed.json")
    first = home.json("emit", "job.failed", sample, "--key", "k1")
    second = home.json("emit", "job.failed", sample, "--key", "k1")
    assert (first["id"], first["duplicate"]) == (second["id"], False)
    assert second["duplicate"] is True
    other = str(SAMPLES / "job.started.json")
    assert home.run("emit", "job.started", other, "--key", "k1").returncode == 6
    wait_for(lambda: {d["status"] for d in home.deliveries()} == {"delivered"})
    assert len(receiver.requests) == 1


def test_many_events_in_one_call_keep_their_bytes(home: Installation, receiver: Receiver):
    home.create_hook(receiver.url)
    bodies = [b'{ "n" : %d ,\t"x": "\\u00e9"}' % n for n in range(120)]
    lines = b"".join(b'{"type": "job.started", "data": ' + body + b"}\n" for body in bodies)
    printed = home.ok("emit", "--many", "-", "--json", stdin=lines).splitlines()
    assert len(printed) == 120
    wait_for(lambda: len(receiver.requests) == 120)
    assert sorted(s.body for s in receiver.requests) == sorted(bodies)


def test_the_standard_secret_is_32_random_bytes(home: Installation, receiver: Receiver):
    secret = home.create_hook(receiver.url)["secret"]
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
