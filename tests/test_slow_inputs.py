"""A search for slow inputs: what a caller may send costs time in proportion to its size.

Each target is a function that sees text of a caller or receiver. It gets inputs of n and 4 n bytes,
from generators of nasty ones and from patterns put together at random; the CPU time of the second
may be six times that of the first, as measured in the same run. A quadratic one takes 16 times.

To search more, add a `Target`, or a generator to `TEXTS`. To search for longer, set SLOW_INPUTS to
the number of random patterns.
"""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from hooktui.api.bodies import check_json_type, lines_of
from hooktui.api.identity import claimed_token
from hooktui.api.parameters import account_number, moment
from hooktui.domain import json_text
from hooktui.domain.addresses import parse_url
from hooktui.domain.catalogue import ETL, normalise, unknown
from hooktui.domain.errors import HooktuiError
from hooktui.domain.filter_data import Stored
from hooktui.domain.filters import Subject, parse
from hooktui.domain.hook_search import parse_hook_search
from hooktui.domain.hooks import check_headers
from hooktui.domain.text import visible
from hooktui.store.feed import parse_position

MOST_RATIO = 6.0
TRIES = 5
LEAST_S = 0.000_5
"""What takes less than this at 4 n is no finding, and too short to compare."""
RANDOM_PATTERNS = int(os.environ.get("SLOW_INPUTS", "60"))

Make = Callable[[int], bytes]


def repeated(unit: bytes, before: bytes = b"", after: bytes = b"") -> Make:
    return lambda n: before + unit * (n // len(unit)) + after


TEXTS: dict[str, Make] = {
    "the quote that never closes": repeated(b'\\"', b"[" + b"[]," * 201 + b'"'),
    "quotes that never close": repeated(b'"\\', b"[" + b"[]," * 201),
    "backslashes": repeated(b"\\", b'"'),
    "a string that ends in a backslash": repeated(b'\\"', b'"', b"\\"),
    "openers": repeated(b"["),
    "openers of objects": repeated(b'{"a":'),
    "closers": repeated(b"]"),
    "empty lists": repeated(b"[],", b"[", b"1]"),
    "empty objects": repeated(b"{},", b"[", b"1]"),
    "lists as deep as allowed": repeated(b"[" * 199 + b"]" * 199 + b",", b"[", b"1]"),
    "brackets in strings": repeated(b'["["],', b"[", b"1]"),
    "empty strings": repeated(b'"",', b"[" + b"[]," * 201, b"1]"),
    "names": lambda n: b"{%b}" % b",".join(b'"%x":1' % i for i in range(n // 9)),
    "one name": repeated(b'"a":1,', b"{", b'"b":1}'),
    "half characters": repeated(b"\\ud83d", b'"', b'"'),
    "halves between lists": repeated(b'[],"\\ud83d",', b"[", b"1]"),
    "digits": repeated(b"9"),
    "long integers": repeated(b"9" * 4000 + b",", b"[", b"1]"),
    "long fractions": repeated(b"1.2345678901234567890123e-300,", b"[", b"1]"),
    "long exponents": repeated(b"1e" + b"9" * 300 + b",", b"[", b"1]"),
    "one fraction": repeated(b"7", b"0."),
    "commas": repeated(b","),
    "numbers": repeated(b"1,", b"[", b"1]"),
    "spaces": repeated(b" "),
    "spaces in JSON": repeated(b" ", b"[1", b"]"),
    "lines": repeated(b"\n"),
    "lines of spaces": repeated(b" \r\n"),
    "small lines": repeated(b"{}\n"),
    "letters": repeated(b"a"),
    "stars": repeated(b"*"),
    "stars and letters": repeated(b"*a"),
    "dots": repeated(b"."),
    "dots and digits": repeated(b"0."),
    "dashes": repeated(b"-"),
    "colons": repeated(b":"),
    "percents": repeated(b"%"),
    "escapes": repeated(b"%2e"),
    "quotes": repeated(b'"'),
    "quoted words": repeated(b'"a" '),
    "words": repeated(b"a "),
    "words with keys": repeated(b"data.a:b "),
    "values": repeated(b",a", b"data.a:a"),
    "fields": repeated(b".a", b"data", b":a"),
    "near types": repeated(b"job.faile"),
    "combining marks": repeated("\u0301".encode()),
    "letters with marks": repeated("a\u0301".encode()),
    "wide letters": repeated("\U0001f600".encode()),
    "sharp letters": repeated("ß".encode()),
    "controls": repeated(b"\x1b"),
    "bad bytes": repeated(b"\xff"),
    "lookalikes": repeated("\uff45".encode()),
    "slashes": repeated(b"/", b"http:"),
    "a host of labels": repeated(b"a.", b"http://"),
    "a host of numbers": repeated(b"1.", b"http://"),
    "a host of foreign letters": repeated("ü".encode(), b"http://"),
    "a host of xn": repeated(b"xn--a.", b"http://"),
    "zone": repeated(b"%", b"http://[fe80::1"),
    "charsets": repeated(b"charset ", b"application/json;"),
    "a charset of spaces": repeated(b" ", b"application/json;charset="),
    "plusses": repeated(b"+", b"application/"),
    "a token": repeated(b"1", b"Bearer hkt_1_"),
    "base64": repeated(b"QUFB", b"Basic "),
    "padding": repeated(b"=", b"Basic "),
    "underscores": repeated(b"_"),
}
PIECES = [
    b'"', b"\\", b"[", b"]", b"{", b"}", b",", b":", b" ", b"\n", b"1", b"e", b".", b"-", b"a",
    b"*", b"\\u", b"d83d", b"\\ud83d", b'\\"', b'"a":', b"data.a:", b"event:", b"/", b"%", b"@",
    b"xn--", b"job.", b"null", "é".encode(), "\u0301".encode(), b"=", b";", b"charset=", b"9" * 30,
]  # fmt: skip


def random_texts(seed: int) -> Make:
    """Return what puts a text together: some pieces, other pieces again and again, and an end."""
    choose = random.Random(seed)

    def some(most: int) -> bytes:
        return b"".join(choose.choices(PIECES, k=choose.randint(0, most)))

    before = choose.choice([b"", b"[" + b"[]," * 201, b'{"a":', b"http://", b"data.a:"]) + some(3)
    unit = choose.choice(PIECES) + some(3)
    return repeated(unit, before, some(3))


@dataclass(frozen=True)
class Target:
    """A function that sees a caller's text, and the size that it is first given."""

    name: str
    run: Callable[[bytes], object]
    n: int = 8 * 1024


def _text(function: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda text: function(text.decode("utf-8", "replace"))


def _read(text: bytes, dense: int) -> None:
    json_text.check(text)
    json_text.finish(json_text.read_steps(text, dense))


_MANY = parse("data.a:*a*9*,x*,*x,*\\*,1,2.5,true -data.a.b:*z* data.0:*aab* zzz *a*b")


def _match(text: bytes) -> None:
    subject = Subject(
        at_ms=0, words=lambda: text.decode("utf-8", "replace"), data=lambda: Stored(text)
    )
    for term in _MANY.terms:
        term.matches(subject, 0)


def _match_field(text: str) -> None:
    data = {"a": text.split(","), text[:99]: {"b": text}}
    for term in _MANY.terms:
        term.matches(Subject(at_ms=0, data=lambda: data), 0)


def _headers(text: str) -> None:
    check_headers({"X-A": text, text: "b"})


TARGETS = [
    Target("check JSON", json_text.check),
    Target("read JSON", lambda text: _read(text, 10**9)),
    Target("read JSON by tokens", lambda text: _read(text, -1)),
    Target("count values", lambda text: json_text.count_values(text, -1)),
    Target("lines", lambda text: list(lines_of(text)), n=32 * 1024),
    Target(
        "content type", lambda text: check_json_type({"headers": [(b"content-type", text)]}), 12_000
    ),
    Target("token", _text(claimed_token), n=12_000),
    Target("event type", _text(lambda text: unknown(ETL, text))),
    Target("event types", _text(lambda text: normalise(ETL, text.split(" ")))),
    Target("URL", _text(parse_url)),
    Target("headers of a hook", _text(_headers)),
    Target("filter", _text(parse), n=500),
    Target("match a body", _match, n=3000),  # four times that is read in one call of C
    Target("match a field", _text(_match_field)),
    Target("search for hooks", _text(parse_hook_search), n=500),
    Target("visible", _text(visible)),
    Target("visible, cut", _text(lambda text: visible(text, limit=100))),
    Target("visible lines", _text(lambda text: visible(text, lines=True))),
    Target("position", _text(parse_position)),
    Target("number", _text(account_number)),
    Target("time", _text(moment), n=500),
]


@pytest.fixture(autouse=True)
def _without_collections() -> Iterator[None]:
    """Leave the collector out: it comes when it likes, and its time is not the input's."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


# Red with a regular expression that begins again after each escaped quote (S01: ratio 16), with
# difflib over a whole name, and wherever else time grows faster than the text.
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_time_grows_as_the_text_does(target: Target) -> None:
    slow = {name: ratio for name, make in TEXTS.items() if (ratio := growth(target, make))}
    assert not slow


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_time_grows_as_the_text_does_at_random(target: Target) -> None:
    slow = {
        seed: ratio
        for seed in range(RANDOM_PATTERNS)
        if (ratio := growth(target, random_texts(seed)))
    }
    assert not slow, "these seeds of random_texts"


def test_the_search_finds_what_is_quadratic() -> None:
    def quadratic(text: bytes) -> None:
        for place in range(len(text)):
            text[place:].count(b"z")

    assert growth(Target("quadratic", quadratic, n=1_000), repeated(b"a")) > MOST_RATIO


def growth(target: Target, make: Make) -> float:
    """Return by how much four times the text takes longer, if that is too much; else 0."""
    small, large = make(target.n), make(4 * target.n)
    size = len(large) / max(len(small), 1) / 4  # 1, but for units that are not small beside n
    ratio = 0.0
    slow_s = fast_s = float("inf")
    for _ in range(25):  # a busy machine spoils some, and no quadratic one escapes
        slow_s = min(slow_s, _least_s(target.run, large))
        measured_s = _least_s(target.run, small)
        fast_s = min(fast_s, measured_s)
        ratio = min(slow_s / max(fast_s, 1e-6), slow_s / max(measured_s, 1e-6)) / size
        if slow_s < LEAST_S or ratio <= MOST_RATIO:
            return 0.0
    return ratio


def _least_s(run: Callable[[bytes], object], text: bytes) -> float:
    least = float("inf")
    for _ in range(TRIES):
        begun = time.thread_time()
        with suppress(HooktuiError, ValueError):
            run(text)
        took = time.thread_time() - begun
        least = min(least, took)
        if least < LEAST_S / 10:
            break
    return least
