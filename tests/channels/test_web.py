"""Requests of ``web`` hooks: headers, signatures, and what people see of them."""

from base64 import b64encode

from hooktui.channels import web
from hooktui.domain.hook_settings import Credentials
from hooktui.domain.ids import DeliveryId, EventId
from hooktui.domain.live_hook import LiveHook, LiveSecret
from hooktui.domain.signatures import hook_signature, make_secret, standard_signature
from tests.support.live_hooks import live_hook

BODY = b'{"id": 7}'
OLD, NEW = LiveSecret(1, make_secret(), 1_000), LiveSecret(2, make_secret())


def attempt_of(hook: LiveHook) -> dict[str, str]:
    """Return the headers of an attempt by name."""
    lines = web.attempt_lines(
        hook, event_type="job.failed", delivery=DeliveryId(1), event=EventId(1), timestamp_s=9,
        body=BODY, secrets=hook.secrets,
    )  # fmt: skip
    return dict(line.split(": ", 1) for line in lines.splitlines())


def test_during_a_rotation_each_signature_uses_the_secrets_that_a_receiver_may_know():
    headers = attempt_of(live_hook(secrets=(NEW, OLD), signature_hash="sha512"))
    assert headers["X-Hook-Signature"] == hook_signature(OLD.value, BODY, "sha512")
    signed = [
        standard_signature(secret.standard_key, headers["webhook-id"], 9, BODY)
        for secret in (NEW, OLD)
    ]
    assert headers["webhook-signature"] == " ".join(signed)


def test_a_secret_of_another_form_signs_no_standard_webhook():
    headers = attempt_of(live_hook(secrets=(LiveSecret(1, "a plain secret"),)))
    assert "X-Hook-Signature" in headers
    assert "webhook-signature" not in headers


def test_own_headers_replace_the_default_ones():
    headers = web.fixed_headers(live_hook(headers={"content-type": "text/plain", "X-Team": "etl"}))
    assert [value for name, value in headers if name.lower() == "content-type"] == ["text/plain"]
    assert ("X-Team", "etl") in headers


def test_people_see_neither_sensitive_headers_nor_the_password():
    hook = live_hook(
        headers={"X-Key": "hidden"}, sensitive_headers=("X-Key",),
        basic_auth=Credentials("ada", "secret"),
    )  # fmt: skip
    sent, shown = dict(web.fixed_headers(hook)), dict(web.fixed_headers(hook, show=True))
    assert (sent["X-Key"], shown["X-Key"]) == ("hidden", "***")
    pair = b64encode(b"ada:secret").decode()
    assert (sent["Authorization"], shown["Authorization"]) == (f"Basic {pair}", "Basic ***")


def test_a_head_is_the_request_line_and_all_headers_of_one_attempt():
    hook = live_hook(url="http://a.test:8080/in?x=1")
    head = web.request_head(web.head_prefix(hook), "X-Hook-Event: ping\r\n")
    assert head.startswith(b"POST /in?x=1 HTTP/1.1\r\nHost: a.test:8080\r\n")
    assert head.endswith(b"X-Hook-Event: ping\r\n\r\n")
