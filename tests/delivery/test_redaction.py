"""What a receiver sends back of a hook's secrets is masked, and nothing else is touched."""

from __future__ import annotations

import asyncio
import html
import math
import time
import timeit
import tracemalloc
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from unittest.mock import AsyncMock
from urllib.parse import quote

import hypothesis
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.delivery import redaction
from hooktui.delivery import sender as sending
from hooktui.delivery.redaction import SecretForms, mask_steps, may_echo, own_secrets
from hooktui.delivery.resolver import Resolver
from hooktui.delivery.sender import Sender
from hooktui.delivery.transport import Transport
from hooktui.domain.deliveries import ErrorClass, Exchange, Trigger
from hooktui.domain.hook_settings import Credentials, HookSettings
from hooktui.domain.ids import DeliveryId, EventId
from hooktui.domain.json_text import finish
from hooktui.domain.live_hook import LiveHook, LiveSecret
from hooktui.slices import in_slices
from hooktui.store.contract import ClaimedDelivery
from tests.support.live_hooks import live_hook
from tests.support.steps import longest_step_s, times_s

HOOK = live_hook(
    headers={
        "X-Api-Key": "key-0123456789", "Authorization": "Bearer abcdefghij", "X-Plain": "plain-one",
    },
    sensitive_headers=("X-Api-Key", "Authorization"),
    basic_auth=Credentials("ada", 'pass"w\\rd-é'),
    secrets=(LiveSecret(1, "whsec_0123456789"),),
)  # fmt: skip
PAIR = b64encode('ada:pass"w\\rd-é'.encode()).decode()


def answer(body: bytes = b"", **more: object) -> Exchange:
    return Exchange(status_code=200, error=None, error_detail=None, body=body, **more)


def masked(exchange: Exchange, secrets: SecretForms) -> Exchange:
    return finish(mask_steps(exchange, secrets))


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
    given = Exchange(
        status_code=None, error=None, error_detail="bad line 'key-0123456789'",
        headers=(("X-Echo", "key-0123456789"), ("X-Pass", latin)),
    )  # fmt: skip
    found = masked(given, own_secrets(HOOK))
    assert found.headers == (("X-Echo", "***"), ("X-Pass", "***"))
    assert found.error_detail == "bad line '***'"


def test_what_holds_no_secret_is_the_very_same() -> None:
    given = answer(b"plain-one, \xff\x00 ok", headers=(("A", "b"),))
    assert masked(given, own_secrets(HOOK)) is given
    escaped = answer(rb'{"text": "say \"no\" & 100%"}', headers=(("A", "a=1&b=%20"),))
    assert masked(escaped, own_secrets(HOOK)) == escaped
    short = replace(HOOK.settings, headers={"X-Api-Key": "test"}, sensitive_headers=("X-Api-Key",))
    given = answer(b"this is a test")
    assert masked(given, own_secrets(replace(HOOK, settings=short))) is given


# Each way to write a character in one format; a text may mix them.
WAYS: dict[str, list[Callable[[str], str]]] = {
    "json": [
        lambda c: c if c not in '\\"' else "\\" + c,
        lambda c: f"\\u{ord(c):04x}",
        lambda c: f"\\u{ord(c):04X}",
        lambda c: "\\/" if c == "/" else f"\\u{ord(c):04x}",
        lambda c: f"\\x{ord(c):02x}",
        lambda c: f"\\u{{{ord(c):x}}}",
    ],
    "url": [
        lambda c: quote(c, safe=""),
        lambda c: quote(c, safe="").lower() if not c.isalnum() else c,
        lambda c: f"%{ord(c):02X}",
        lambda c: "+" if c == " " else quote(c, safe=""),
    ],
    "html": [
        lambda c: html.escape(c),
        lambda c: f"&#{ord(c)};",
        lambda c: f"&#{ord(c):05};",
        lambda c: f"&#x{ord(c):X};",
        lambda c: f"&#x{ord(c):x};",
        lambda c: {"+": "&plus;", "/": "&sol;", "'": "&apos;"}.get(c, html.escape(c)),
    ],
}
values = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=40)


def test_the_shortest_text_that_may_hold_a_secret_is_looked_at() -> None:
    signing = own_secrets(live_hook(secrets=HOOK.secrets))
    assert all(signing.may_occur(form) for form in signing.forms)
    assert not signing.may_occur(b"ok")
    password = own_secrets(live_hook(basic_auth=Credentials("ada", "\u226b\u20d2" * 8)))
    escaped = b"&nGt;" * 8  # five bytes for six
    assert len(escaped) < min(map(len, password.forms))
    assert password.may_occur(escaped)
    assert masked(answer(escaped), password).body == b"***"


def with_value(value: str) -> SecretForms:
    settings = HookSettings(
        url="https://example.com/", events=("job",), headers={"X-Key": value},
        sensitive_headers=("X-Key",),
    )  # fmt: skip
    return own_secrets(replace(HOOK, settings=settings))


@st.composite
def spelled(draw: st.DrawFn, value: str, formats: int = 2) -> str:
    """Write a value in a format, each character in one of its ways; maybe again in another."""
    for _ in range(draw(st.integers(1, formats))):
        ways = WAYS[draw(st.sampled_from(sorted(WAYS)))]
        at_least = draw(st.sampled_from([ways[:1], ways]))
        value = "".join(draw(st.sampled_from(at_least))(c) for c in value)
    return value


@given(st.data(), values, st.sampled_from(["", "\n ", " \u00e9 "]))
def test_a_value_is_masked_however_its_characters_are_escaped(
    data: st.DataObject, value: str, plain: str
) -> None:
    # Red without one of the three formats, without nesting, or with a wrong way back.
    text = data.draw(spelled(value))
    body = f"{plain}[{text}]{plain}".encode()
    found = masked(answer(body), with_value(value)).body
    assert found == f"{plain}[***]{plain}".encode()
    in_header = answer(headers=(("X-Echo", f"[{text}]"),))
    assert masked(in_header, with_value(value)).headers == (("X-Echo", "[***]"),)
    told = Exchange(status_code=None, error=None, error_detail=f"bad line {text}")
    assert masked(told, with_value(value)).error_detail == "bad line ***"


@given(values, st.binary(max_size=7), st.binary(max_size=7), st.sampled_from([False, True]),
       st.sampled_from(["as it is", "no padding", "json", "url", "html"]))  # fmt: skip
def test_a_value_is_masked_in_base64_and_hex(
    value: str, before: bytes, after: bytes, url_safe: bool, way: str
) -> None:
    # Red without one of the three alignments, and without the characters beside the form.
    encode = urlsafe_b64encode if url_safe else b64encode
    text = encode(before + value.encode() + after).decode()
    if way == "no padding":
        text = text.rstrip("=")
    elif way != "as it is":
        text = "".join(WAYS[way][-1](c) for c in text)
    found = masked(answer(text.encode()), with_value(value)).body
    assert b"***" in found
    around = encode(before).decode()[: len(before) * 8 // 6]
    left = found.partition(b"***")[0].decode()
    if way in ("as it is", "no padding"):
        assert around.startswith(left)  # nothing that depends on the value is left
    for digits in (value.encode().hex(), value.encode().hex().upper()):
        assert masked(answer(f"0x{digits}.".encode()), with_value(value)).body == b"0x***."


@hypothesis.settings(deadline=None)
@given(st.data(), values, st.integers(1, 2))
def test_a_body_that_was_cut_does_not_end_with_the_beginning_of_a_value(
    data: st.DataObject, value: str, formats: int
) -> None:
    # Red when masking ends with whole values, or an escape that is cut off hides a beginning.
    text = data.draw(
        st.one_of(spelled(value, formats), st.just(b64encode(value.encode()).decode()))
    )
    for end in range(len(text) + 1):
        body = f" {text[:end]}".encode()
        found = masked(answer(body, truncated=True), with_value(value)).body.rstrip(b"=*")
        assert len(found) <= 1 + _first_character(text[:end], formats)
    begun = f" {text[: len(text) // 2 + 3]}".encode()
    given = Exchange(status_code=200, error=ErrorClass.RESET, error_detail="closed", body=begun)
    cut = answer(begun, truncated=True)
    assert masked(given, with_value(value)).body == masked(cut, with_value(value)).body


def _first_character(text: str, formats: int) -> int:
    """Return how long the first character of a text may be: 9 bytes, each escaped again."""
    return min(len(text), 9 if formats == 1 else 9 * 9) if text[:1] in ("\\", "%", "&") else 0


def test_a_stored_header_that_was_cut_does_not_end_with_the_beginning_of_a_value() -> None:
    value = "k" * 8 + "0123456789" * 10
    for kept in range(1, 60):
        shown = "x" * (1024 - len("X-Echo") - kept) + value[:kept]
        given = answer(headers=(("X-Echo", shown), ("B", "b")))
        (_, found), other = masked(given, with_value(value)).headers
        assert found == "x" * (1024 - len("X-Echo") - kept) + "***"
        assert other == ("B", "b")


def test_a_long_value_that_was_cut_is_masked_from_its_first_byte() -> None:
    value = "".join(chr(33 + n * 37 % 94) for n in range(4000))
    for kept in (1, 23, 24, 25, 2000, 3999):
        found = masked(answer(f" {value[:kept]}".encode(), truncated=True), with_value(value))
        assert found.body == b" ***"


# At n and 4n: 4 is linear, 16 is quadratic. Red with overlaps by trial.
def test_the_work_for_a_response_is_in_proportion_to_its_length() -> None:
    secret = with_value("a" * 400 + "b")

    def took_s(piece: bytes, size: int) -> float:
        given = answer((piece * size)[:size], truncated=True)
        return min(sum(times_s(mask_steps(given, secret))) for _ in range(5))

    for piece in (b"a", b"\\", b"\\u0061", b"%61", b"%2561", b"&#97;", b"a\\", b"&", b"\\/%41&lt;"):
        least_s = dict.fromkeys((4096, 16384), math.inf)
        for _ in range(6):  # other programs may have the caches of the CPU for a while
            least_s = {size: min(least, took_s(piece, size)) for size, least in least_s.items()}
            if least_s[16384] <= 6 * least_s[4096] + 0.002:
                break
        assert least_s[16384] <= 6 * least_s[4096] + 0.002, piece


JOB = ClaimedDelivery(
    DeliveryId(1), EventId(1), "job.failed", HOOK.id, HOOK.account, Trigger.EVENT, 1, 0, 0, b"{}"
)


def full_of(piece: str) -> Exchange:
    """Return a response that repeats a text in all that is kept of it."""
    text = piece * 2000
    headers = tuple((f"X-{number}", text[:1000]) for number in range(50))
    return answer(text[: 16 * 1024].encode(), truncated=True, headers=headers)


WORST = full_of("\\/%41&lt;")
FULL_OF_SECRETS = full_of("\\/%410123456789")


# Red when a body, or all headers, are looked at in one step (3.7 ms, and 15 ms).
@pytest.mark.parametrize("response", [WORST, FULL_OF_SECRETS], ids=["escapes", "secrets"])
def test_a_response_full_of_escapes_is_looked_at_in_short_steps(response: Exchange) -> None:
    begin = partial(mask_steps, response, own_secrets(HOOK))
    assert longest_step_s(begin, 0.003) < 0.003


# Red when all texts are freed in one step: it frees 100 % and 48 % of the memory then.
@pytest.mark.parametrize("response", [WORST, FULL_OF_SECRETS], ids=["escapes", "secrets"])
def test_no_step_frees_most_of_the_memory(response: Exchange) -> None:
    freed: list[int] = []
    steps = mask_steps(response, own_secrets(HOOK))
    tracemalloc.start()
    try:
        ended = False
        while not ended:
            before, _ = tracemalloc.get_traced_memory()
            ended = next(steps, steps) is steps
            after, _ = tracemalloc.get_traced_memory()
            freed.append(max(0, before - after))
    finally:
        tracemalloc.stop()
    assert max(freed) < 0.3 * sum(freed)


# Red when the secrets of all parts are replaced in one step.
def test_a_step_replaces_the_secrets_of_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    replaced = 0

    def counted(text: bytes, spans: list[tuple[int, int]]) -> bytes:
        nonlocal replaced
        replaced += 1
        return original(text, spans)

    original = redaction._replaced
    monkeypatch.setattr(redaction, "_replaced", counted)
    steps, most, before = mask_steps(FULL_OF_SECRETS, own_secrets(HOOK)), 0, 0
    while next(steps, steps) is not steps:
        most, before = max(most, replaced - before), replaced
    assert replaced == 2 + 2 * len(FULL_OF_SECRETS.headers)
    assert max(most, replaced - before) == 1


STEP_S = 0.005
SECRETS: dict[str, Callable[[int, int], str]] = {
    "another letter near the end": lambda m, n: ("a" * m + chr(98 + n) + "aa")[-m:],
    "another letter in the middle": lambda m, n: "a" * (m // 2) + chr(98 + n) + "a" * (m // 2),
    "one letter": lambda m, n: "a" * (m + n),
    "two letters": lambda m, n: ("ab" * m)[: m - 1] + chr(99 + n),
    "chance": lambda m, n: "".join(chr(33 + (n + k) * (k + 37) % 94) for k in range(m)),
}
ECHOES = {
    "letters": lambda _: "a" * 20_000,
    "two letters": lambda _: "ab" * 10_000,
    "one secret": lambda secret: (secret + " ") * (20_000 // len(secret)),
    "the beginning of a secret": lambda secret: secret[:-1] * (20_000 // len(secret)),
    "base64": lambda _: "YWFh" * 5000,
    "hexadecimal": lambda _: "61" * 10_000,
}
ESCAPED = "\\/%41&lt;"


def of_shape(shape: str, length: int) -> LiveHook:
    """Return a hook with as many secrets as are allowed."""
    headers = {f"X-{n}": SECRETS[shape](length, n) for n in range(20)}
    settings = replace(HOOK.settings, headers=headers, sensitive_headers=tuple(headers))
    return replace(HOOK, settings=settings)


# Red when all forms are searched in one step (289 ms), when each is searched by trial (8 ms before
# the first step), and when forms of long secrets are compared with each other (74 ms).
@pytest.mark.parametrize("shape", SECRETS)
@pytest.mark.parametrize(
    "length", [8, 1300, *(pytest.param(each, marks=pytest.mark.soak) for each in (93, 4000))]
)
def test_secrets_that_suit_a_response_are_masked_in_short_steps(shape: str, length: int) -> None:
    def took_s(run: Callable[[], object]) -> float:
        return longest_step_s(lambda: (run() for _ in range(1)), STEP_S)

    hook = of_shape(shape, length)
    assert took_s(partial(own_secrets, hook)) < STEP_S
    secrets = own_secrets(hook)
    for echo, make in ECHOES.items():
        text = make(SECRETS[shape](length, 0))
        for end, number in (("", 0), (ESCAPED, 0), (ESCAPED, 40)):
            body = (text[: 16 * 1024 - len(end)] + end).encode()
            headers = tuple((f"X-{n}", text[: 1020 - len(end)] + end) for n in range(number))
            given = answer(body, headers=headers)
            assert took_s(partial(may_echo, given, secrets)) < STEP_S
            begin = partial(mask_steps, given, secrets)
            assert longest_step_s(begin, STEP_S) < STEP_S, (echo, end, number)


def _least_s(run: Callable[[], object]) -> float:
    return min(timeit.repeat(run, number=1, repeat=3, timer=time.thread_time))


# Red when Python searches by trial, as in texts of less than 30 kB: four times as long.
def test_the_work_for_a_response_does_not_grow_with_the_length_of_secrets() -> None:
    given = answer(b"a" * 16_000 + ESCAPED.encode())
    shape = "another letter near the end"
    short, long = (own_secrets(of_shape(shape, length)) for length in (24, 96))
    assert _least_s(partial(masked, given, long)) < 2 * _least_s(partial(masked, given, short))


def test_a_long_text_without_escapes_is_searched_at_once() -> None:
    assert not may_echo(answer(b"no escape. " * 1400), own_secrets(HOOK))


# Red when the longest of no forms is looked for.
def test_a_cut_response_for_a_hook_without_secrets_is_left_as_it_is() -> None:
    given = answer(b"whatever", truncated=True)
    assert masked(given, own_secrets(live_hook())) is given


# Red when each response of a hook has a place of its own among the long computations: 25 places.
async def test_the_responses_of_a_hook_share_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Transport, "send", AsyncMock(return_value=WORST))
    sender = Sender(Transport((), Resolver()))
    attempts = [asyncio.create_task(sender.attempt(HOOK, JOB, 0)) for _ in range(25)]
    await asyncio.sleep(0)
    alone_s = max(_least_s(partial(masked, WORST, own_secrets(HOOK))), 0.001)
    begun_s = time.thread_time()
    await in_slices(mask_steps(WORST, own_secrets(HOOK)))
    assert time.thread_time() - begun_s < 12 * alone_s  # with places of their own: 26 times
    for attempt in attempts:
        attempt.cancel()
    await asyncio.wait(attempts)


# Red when a result may wait for longer than its lease: then its delivery is sent again.
async def test_a_response_that_waits_for_too_long_is_masked_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = msgspec.structs.replace(WORST, error=ErrorClass.RESET, error_detail="key-0123456789")
    monkeypatch.setattr(Transport, "send", AsyncMock(return_value=given))
    monkeypatch.setattr(sending, "MASKING_S", 0.01, raising=False)
    sender = Sender(Transport((), Resolver()))
    attempts = [asyncio.create_task(sender.attempt(HOOK, JOB, 0)) for _ in range(3)]
    results = await asyncio.gather(*attempts)
    exchange = results[-1].exchange
    assert (exchange.body, exchange.headers, exchange.error_detail) == (b"***", (), "***")
    assert (exchange.status_code, exchange.truncated) == (200, True)


# Red when an attempt does all steps at once.
async def test_the_loop_goes_round_while_a_response_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Transport, "send", AsyncMock(return_value=WORST))
    sender = Sender(Transport((), Resolver()))
    attempt = asyncio.create_task(sender.attempt(HOOK, JOB, 0))
    await asyncio.sleep(0)
    rounds = 0
    while not attempt.done():
        rounds += 1
        await asyncio.sleep(0)
    assert rounds > 3
    assert (await attempt).exchange.body == WORST.body
