"""The longest filters and searches that are legal, on every list: answered, and answered right.

A chain of a thousand conditions is deeper than SQLite takes an expression; it said so as an error
of the database. Red with any chain in `queries.filter_sql` or `queries.hooks` that is not split.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from hooktui.domain.clock import now_ms
from hooktui.domain.filters.hook_search import parse_hook_search
from hooktui.domain.filters.parser import MAX_LENGTH, FilterError, parse, parse_event_filter
from hooktui.store import queries
from hooktui.store.queries.pages import PageRequest
from tests.support.stores import DEFAULT, Opened, always, deliveries, make_hook, offer

NAMES = ["".join(pair) for pair in product("qwxyz", "0123456789abcdefghijklmnopqrstuvwxyz")]


def longest(start: str, part: Callable[[int], str], between: str, end: str = "") -> str:
    """Return as many parts as fit into the length of a filter."""
    text, number = start + part(0), 1
    while len(text + between + part(number) + end) <= MAX_LENGTH:
        text += between + part(number)
        number += 1
    return text + end


def name(number: int) -> str:
    """Return a short name that no type, hook or body here has."""
    return NAMES[number % len(NAMES)]


# What fits the one delivery, and the one event, at the largest number of values and of terms, plain
# and negated.
FITS = {
    "types": longest("event:", name, ",", ",job.failed"),
    "one-letter types": longest("event:", lambda n: "qwxyz"[n % 5], ",", ",job"),
    "patterns": longest("event:", lambda n: f"{name(n)}*", ",", ",job.*"),
    "no types": longest("-event:", name, ","),
    "terms without a type": longest("", lambda n: f"-event:{name(n)}", " "),
    "the same term": longest("", lambda _: "event:job", " "),
    "times": longest("since:", lambda n: f"{n + 9}d", ","),
    "terms of times": longest("", lambda n: f"until:{n % 9}s", " "),
    "words that are not there": longest("", lambda n: f"-\u00a7{name(n)}", " "),
    "words of the body": longest("", lambda _: "e", " "),
    "fields": longest("-data.a:", name, ","),
}
OF_DELIVERIES = {
    "hooks": longest("hook:", lambda n: str(n + 1), ","),
    "no hooks": longest("-hook:", lambda n: str(n + 2), ","),
    "terms without a hook": longest("", lambda n: f"-hook:{n + 2}", " "),
    "statuses": longest("status:", lambda _: "held,sending", ","),
    "no codes": longest("-code:", lambda n: str(200 + n % 300), ","),
    "no code ranges": longest("-code:", lambda n: f">={200 + n % 300}", ","),
    "no times taken": longest("-took:", lambda n: f">{n}s", ","),
    "no errors": longest("-error:", lambda _: "tls", ","),
    "triggers": longest("trigger:", lambda _: "event", ","),
    "terms of triggers": longest("", lambda _: "trigger:event", " "),
}
MISSES = {
    "types": longest("event:", name, ","),
    "hooks": longest("hook:", lambda n: str(n + 2), ","),
    "terms": longest("", lambda n: f"event:{name(n)}", " "),
}


async def one_delivery(opened: Opened) -> None:
    opened.clock.ms = now_ms() - 60_000
    await make_hook(opened.store, name="main")
    await opened.store.accept([offer(b'{"a":"here"}', "job.failed")], always)


async def test_the_longest_filters_of_deliveries_are_answered(opened: Opened) -> None:
    await one_delivery(opened)
    for what, text in {**FITS, **OF_DELIVERIES}.items():
        assert len(await deliveries(opened.store, q=parse(text))) == 1, what
    for what, text in MISSES.items():
        assert await deliveries(opened.store, q=parse(text)) == [], what


async def test_the_longest_filters_of_events_are_answered(opened: Opened) -> None:
    await one_delivery(opened)
    for what, text in FITS.items():
        wanted = parse_event_filter(text)
        page = await opened.store.read(queries.list_events, DEFAULT, PageRequest(), None, wanted)
        assert len(page.data) == 1, what


LETTERS = [one for one in map(chr, range(0x80, 0x20000)) if one != one.casefold()]
"""Those whose case the search folds itself."""
SEARCHES = {
    "words": longest("", lambda n: "main"[n % 4], " "),
    "no words": longest("", lambda n: f"-{name(n)}", " "),
    "states": longest("status:", lambda _: "active", ","),
    "terms of states": longest("", lambda _: "status:active", " "),
    "no states": longest("-status:", lambda _: "held", ","),
    "a long word": "-" + "q" * (MAX_LENGTH - 1),
    "all letters": "-" + "".join(LETTERS)[: MAX_LENGTH - 1],
    "words of all letters": longest("", lambda n: f"-{LETTERS[n]}", " "),
}


async def test_the_longest_searches_for_hooks_are_answered(opened: Opened) -> None:
    await make_hook(opened.store, name="main")
    for what, text in SEARCHES.items():
        page = await opened.store.read(queries.list_hooks, DEFAULT, PageRequest(), text)
        assert [hook.name for hook in page.data] == ["main"], what
        assert page.total == 1
    page = await opened.store.read(
        queries.list_hooks, DEFAULT, PageRequest(), longest("", lambda n: name(n), " ")
    )
    assert not page.data


def test_what_is_longer_is_refused_with_the_limit() -> None:
    for read in (parse, parse_event_filter, parse_hook_search):
        read("a" * MAX_LENGTH)
        with pytest.raises(FilterError, match=f"at most {MAX_LENGTH} characters"):
            read("a" * (MAX_LENGTH + 1))
