"""Both signature schemes: published vectors, an independent implementation, and properties."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from hooktui.domain.signatures import (
    HASHES,
    check_secret,
    hook_signature,
    make_secret,
    standard_key,
    standard_signature,
    string_signed,
    verify_hook_signature,
    verify_standard_signature,
)

PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=16, max_size=99)


def whsec(size: int) -> str:
    return "whsec_" + base64.b64encode(bytes(range(size))).decode()


def test_the_standard_webhooks_vector() -> None:
    key = standard_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert key is not None
    signature = standard_signature(
        key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_github_vector() -> None:
    signature = hook_signature("It's a Secret to Everybody", b"Hello, World!", "sha256")
    assert signature == "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


@pytest.mark.parametrize("name", HASHES)
@given(secret=PRINTABLE, body=st.binary(max_size=200))
def test_the_hex_signature_is_a_plain_hmac_of_the_body(name: str, secret: str, body: bytes) -> None:
    expected = hmac.new(secret.encode(), body, getattr(hashlib, name)).hexdigest()
    assert hook_signature(secret, body, name) == expected
    assert verify_hook_signature(secret, body, expected, name)
    assert verify_hook_signature(secret, body, f" {name}={expected.upper()}\n", name)


@given(body=st.text(max_size=200), message_id=st.from_regex(r"evt_[0-9A-Z]{13}", fullmatch=True))
def test_the_public_library_accepts_our_standard_signature(body: str, message_id: str) -> None:
    secret = make_secret()
    key = standard_key(secret)
    assert key is not None
    raw, moment = body.encode("utf-8", "replace"), datetime.now(UTC)
    theirs = Webhook(secret).sign(message_id, moment, raw.decode())
    ours = standard_signature(key, message_id, int(moment.timestamp()), raw)
    assert ours == theirs


def test_the_string_signed_holds_the_bytes_as_they_are() -> None:
    assert string_signed("evt_1", 7, b"\xff{}%s") == b"evt_1.7.\xff{}%s"


def test_a_wrong_hex_signature_is_refused() -> None:
    secret, body = "0123456789abcdef", b"{}"
    good = hook_signature(secret, body)
    for wrong in ("", good[:-1], good[:-1] + ("0" if good[-1] != "0" else "1"), "sha1=" + good,
                  "ü" * 64, "\ud800", hook_signature(secret, b"{ }")):  # fmt: skip
        assert not verify_hook_signature(secret, body, wrong)


def test_an_unknown_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="sha256, sha1, sha512"):
        hook_signature("0123456789abcdef", b"", "md5")


def test_any_of_several_standard_signatures_may_match() -> None:
    old, new = b"o" * 32, b"n" * 32
    both = " ".join(standard_signature(key, "evt_1", 7, b"{}") for key in (new, old))
    assert verify_standard_signature(old, "evt_1", 7, b"{}", both)
    assert verify_standard_signature(new, "evt_1", 7, b"{}", both)
    assert not verify_standard_signature(b"x" * 32, "evt_1", 7, b"{}", both)
    assert not verify_standard_signature(new, "evt_1", 8, b"{}", both)
    assert not verify_standard_signature(new, "evt_1", 7, b"{}", "")


def test_a_made_secret_holds_32_random_bytes_and_is_acceptable() -> None:
    secrets = {make_secret() for _ in range(50)}
    assert len(secrets) == 50
    for secret in secrets:
        assert check_secret(secret) is None
        assert len(standard_key(secret) or b"") == 32


@pytest.mark.parametrize(
    "secret",
    [whsec(24), whsec(32), whsec(64), "a" * 16, "a" * 128, "It's a Secret to Everybody",
     "WHSEC_0123456789", "!" + "~" * 15],
)  # fmt: skip
def test_an_acceptable_secret(secret: str) -> None:
    assert check_secret(secret) is None


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "16 to 128"),
        ("a" * 15, "16 to 128"),
        ("a" * 129, "16 to 128"),
        (" " + "a" * 20, "space"),
        ("a" * 20 + " ", "space"),
        ("a" * 20 + "\n", "printable"),
        ("a" * 20 + "\x7f", "printable"),
        ("ä" * 20, "printable"),
        (whsec(23), "24 to 64"),
        (whsec(65), "24 to 64"),
        ("whsec_", "24 to 64"),
        ("whsec_" + "a" * 43, "not base64"),
        ("whsec_" + "-_" * 20, "not base64"),
        ("whsec_" + "ä" * 40, "not base64"),
        (whsec(32) + "\n", "not base64"),
    ],
)
def test_what_is_wrong_with_a_secret_is_said_without_repeating_it(secret: str, reason: str) -> None:
    wrong = check_secret(secret)
    assert wrong is not None
    assert reason in wrong
    assert len(secret) < 10 or secret not in wrong


def test_a_secret_of_another_form_has_no_standard_key() -> None:
    assert standard_key("It's a Secret to Everybody") is None
    assert standard_key("whsec_***") is None


@given(st.text(max_size=140))
def test_any_text_is_acceptable_or_explained(text: str) -> None:
    if check_secret(text) is None:
        hook_signature(text, b"{}")
        assert (standard_key(text) is not None) == text.startswith("whsec_")
