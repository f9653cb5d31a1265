"""Public ids: they never go backwards, keep their order as text, and read back exactly."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.domain.errors import Unavailable
from hooktui.domain.ids import (
    MAX_SERVER_NUMBER,
    IdClock,
    decode,
    encode,
    floor_at,
    stored_before,
    time_of,
)

IDENTITIES = st.integers(0, (1 << 63) - 1)
TIMES = st.lists(st.integers(0, 5), min_size=1, max_size=40)


@given(TIMES, st.integers(0, MAX_SERVER_NUMBER))
def test_ids_never_go_backwards_whatever_the_clock_does(times: list[int], server: int) -> None:
    moments = iter(times)
    clock = IdClock(server, clock=lambda: next(moments))
    made = [clock.next() for _ in times]
    assert all(earlier < later for earlier, later in itertools.pairwise(made))


@given(TIMES, IDENTITIES.filter(lambda other: time_of(other) < 1 << 41))
def test_ids_go_beyond_one_of_another_server_and_never_back(times: list[int], other: int) -> None:
    moments = iter([*times, *times])
    clock = IdClock(1, clock=lambda: next(moments))
    before = [clock.next() for _ in times]
    clock.go_beyond(other)
    after = [clock.next() for _ in times]
    assert min(after) > max(other, *before, 0)
    assert all(earlier < later for earlier, later in itertools.pairwise(after))


@given(TIMES, TIMES)
def test_no_id_is_of_a_time_before_that_of_its_row(times: list[int], created: list[int]) -> None:
    moments = iter(times)
    clock = IdClock(2, clock=lambda: next(moments))
    made = [(clock.next(ms), ms) for ms, _ in zip(created, times, strict=False)]
    assert all(time_of(identity) >= ms for identity, ms in made)
    assert made == sorted(made)


def test_only_ids_of_one_server_a_minute_apart_tell_what_was_stored_first() -> None:
    moments = [100_000, 150_000, 200_000]
    one, two = (
        [IdClock(server, clock=lambda ms=ms: ms).next() for ms in moments] for server in (1, 2)
    )
    pairs = [(a, b) for a in (*one, *two) for b in (*one, *two) if stored_before(a, b)]
    assert pairs == [(one[0], one[2]), (two[0], two[2])]


def test_more_than_a_millisecond_can_count_moves_into_the_next() -> None:
    clock = IdClock(3, clock=lambda: 1000)
    made = [clock.next() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert time_of(made[4095]) == 1000
    assert time_of(made[4096]) == 1001


@given(st.integers(1, 1 << 41), st.integers(0, 1 << 41), st.integers(0, MAX_SERVER_NUMBER))
def test_a_restart_continues_above_what_is_stored(then: int, now: int, server: int) -> None:
    last = IdClock(server, clock=lambda: then).next()
    assert IdClock(0, last_id=last, clock=lambda: now).next() > last


def test_two_servers_never_make_the_same_id() -> None:
    first, second = (IdClock(number, clock=lambda: 7) for number in (0, 511))
    assert not {first.next() for _ in range(5000)} & {second.next() for _ in range(5000)}


@pytest.mark.parametrize("number", [-1, 512])
def test_a_server_number_out_of_range_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=r"0\.\.511"):
        IdClock(number)


@given(IDENTITIES)
def test_the_public_form_reads_back(identity: int) -> None:
    text = encode("evt", identity)
    assert re.fullmatch(r"evt_[0-7][0-9A-HJKMNP-TV-Z]{12}", text)
    assert decode("evt", text) == identity
    assert decode("evt", text.replace("evt_", "").lower().join(("evt_", ""))) == identity


@given(IDENTITIES, IDENTITIES)
def test_public_forms_sort_as_the_ids_do(one: int, other: int) -> None:
    assert (encode("dlv", one) < encode("dlv", other)) == (one < other)


def test_letters_that_are_easily_confused_are_read_alike() -> None:
    assert decode("evt", "evt_OOOOOOOOOOOIL") == decode("evt", "evt_0000000000011")


@pytest.mark.parametrize(
    "text",
    ["", "evt", "evt_", "dlv_0000000000001", "0000000000001", "evt_000000000000",
     "evt_00000000000000", "evt_000000000000U", "evt_00000000000 1", "evt_8000000000000",
     "evt_000000000000\u0661", "EVT_0000000000001"],
)  # fmt: skip
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an id|not used in ids|out of range"):
        decode("evt", text)


@given(st.integers(0, (1 << 42) - 3), st.integers(0, MAX_SERVER_NUMBER))
def test_times_become_ranges_of_ids(ms: int, server: int) -> None:
    identity = IdClock(server, clock=lambda: ms + 1).next()
    assert time_of(identity) == ms + 1
    assert floor_at(ms + 1) <= identity < floor_at(ms + 2)


def test_a_time_before_1970_is_the_lowest_id() -> None:
    assert floor_at(-5) == 0
    assert floor_at(10**15) < 2**63


# Red when the clock keeps the time: all ids after it is corrected are too large to be stored.
def test_a_time_that_no_id_can_have_is_forgotten() -> None:
    now = [1 << 42]
    clock = IdClock(clock=lambda: now[0])
    with pytest.raises(Unavailable, match="2109"):
        clock.next()
    now[0] = 1_000
    assert time_of(clock.next()) == 1_000
