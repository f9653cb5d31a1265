"""What a receiver sends back of a hook's secrets is masked, and nothing else is touched."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

from hooktui.delivery.answered import Answered
from hooktui.delivery.echoes import masked, own_secrets
from hooktui.domain.addresses import parse_url
from hooktui.domain.hooks import Credentials, HookSettings, LiveHook, LiveSecret
from hooktui.domain.ids import AccountId, HookId

SETTINGS = HookSettings(
    url="https://example.com/", name="x", events=("job",),
    headers={
        "X-Api-Key": "key-0123456789", "Authorization": "Bearer abcdefghij", "X-Plain": "plain-one",
    },
    sensitive_headers=("X-Api-Key", "Authorization"),
    basic_auth=Credentials("ada", 'pass"w\\rd-é'),
)  # fmt: skip
HOOK = LiveHook(
    id=HookId(1), account=AccountId(1), version=1, settings=SETTINGS,
    target=parse_url(SETTINGS.url), subscriptions=frozenset(), filter=None,
    secrets=(LiveSecret(1, "whsec_0123456789", 0),),
)  # fmt: skip
PAIR = b64encode('ada:pass"w\\rd-é'.encode()).decode()


def answer(body: bytes = b"", **more: object) -> Answered:
    return Answered(status_code=200, error=None, error_detail=None, body=body, **more)


def seen(body: bytes) -> bytes:
    return masked(answer(body), own_secrets(HOOK)).body


def test_each_form_of_a_secret_is_masked() -> None:
    assert seen(b"got key-0123456789, key-0123456789") == b"got ***, ***"
    assert seen(b"Authorization: Bearer abcdefghij") == b"Authorization: ***"
    assert seen(b'{"token": "abcdefghij"}') == b'{"token": "***"}'
    assert seen(b"expected whsec_0123456789") == b"expected ***"
    assert seen(f"Basic {PAIR}".encode()) == b"Basic ***"
    assert seen('password pass"w\\rd-é'.encode()) == b"password ***"
    assert seen(rb'{"p": "pass\"w\\rd-\u00e9"}') == b'{"p": "***"}'


def test_headers_and_the_words_of_an_error_are_masked_too() -> None:
    latin = 'pass"w\\rd-é'.encode().decode("latin-1")
    given = Answered(
        status_code=None, error=None, error_detail="bad line 'key-0123456789'",
        headers=(("X-Echo", "key-0123456789"), ("X-Pass", latin)),
    )  # fmt: skip
    found = masked(given, own_secrets(HOOK))
    assert found.headers == (("X-Echo", "***"), ("X-Pass", "***"))
    assert found.error_detail == "bad line '***'"


def test_what_holds_no_secret_is_the_very_same() -> None:
    given = answer(b"plain-one, \xff\x00 ok", headers=(("A", "b"),))
    assert masked(given, own_secrets(HOOK)) is given
    short = replace(SETTINGS, headers={"X-Api-Key": "test"}, sensitive_headers=("X-Api-Key",))
    assert "test" not in own_secrets(replace(HOOK, settings=short))
