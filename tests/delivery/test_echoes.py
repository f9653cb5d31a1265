"""What a receiver sends back of a hook's secrets is masked, and nothing else is touched."""

from __future__ import annotations

from base64 import b64encode

from hooktui.delivery.answered import Answered
from hooktui.delivery.echoes import masked, sensitive_values
from hooktui.domain.hooks import Credentials, HookSettings

SETTINGS = HookSettings(
    url="https://example.com/", name="x", events=("job",),
    headers={
        "X-Api-Key": "key-0123456789", "Authorization": "Bearer abcdefghij", "X-Plain": "plain-one",
    },
    sensitive_headers=("X-Api-Key", "Authorization"),
    basic_auth=Credentials("ada", 'pass"w\\rd-é'),
)  # fmt: skip
PAIR = b64encode('ada:pass"w\\rd-é'.encode()).decode()


def answer(body: bytes = b"", **more: object) -> Answered:
    return Answered(status_code=200, error=None, error_detail=None, body=body, **more)


def seen(body: bytes) -> bytes:
    return masked(answer(body), sensitive_values(SETTINGS)).body


def test_each_form_of_a_secret_is_masked() -> None:
    assert seen(b"got key-0123456789, key-0123456789") == b"got ***, ***"
    assert seen(b"Authorization: Bearer abcdefghij") == b"Authorization: ***"
    assert seen(b'{"token": "abcdefghij"}') == b'{"token": "***"}'
    assert seen(f"Basic {PAIR}".encode()) == b"Basic ***"
    assert seen('password pass"w\\rd-é'.encode()) == b"password ***"
    assert seen(rb'{"p": "pass\"w\\rd-\u00e9"}') == b'{"p": "***"}'


def test_headers_and_the_words_of_an_error_are_masked_too() -> None:
    latin = 'pass"w\\rd-é'.encode().decode("latin-1")
    given = Answered(
        status_code=None, error=None, error_detail="bad line 'key-0123456789'",
        headers=(("X-Echo", "key-0123456789"), ("X-Pass", latin)),
    )  # fmt: skip
    found = masked(given, sensitive_values(SETTINGS))
    assert found.headers == (("X-Echo", "***"), ("X-Pass", "***"))
    assert found.error_detail == "bad line '***'"


def test_what_holds_no_secret_is_the_very_same() -> None:
    given = answer(b"plain-one, \xff\x00 ok", headers=(("A", "b"),))
    assert masked(given, sensitive_values(SETTINGS)) is given
    short = answer(b"it is a test")
    assert masked(short, ["a", "test", ""]) is short
