"""Responses that nobody reads: how many bytes of them are held, and whose connection is reset."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from hooktui.api.bodies import BodyBudget
from hooktui.api.response_budget import UnsentResponses

MAX, OF_CALLER = 100, 40


class Connection:
    """A connection whose client does not read."""

    def __init__(self) -> None:
        self.was_reset = False

    def reset(self) -> None:
        self.was_reset = True


def _unsent() -> UnsentResponses:
    return UnsentResponses(BodyBudget(MAX), OF_CALLER)


# Red without the bound of a caller.
def test_over_its_bound_a_caller_loses_its_largest_other_response():
    unsent, connections = _unsent(), [Connection() for _ in range(3)]
    for connection, size in zip(connections, (10, 20, 15), strict=True):
        unsent.update(connection, "token 1", size)
    assert [one.was_reset for one in connections] == [False, True, False]
    assert (unsent.size, len(unsent._unsent), unsent.reset) == (25, 2, 1)


# Red when the largest response of all callers goes: one that reads slowly pays for another's.
def test_over_its_bound_a_caller_takes_nothing_from_another():
    unsent, connections = _unsent(), [Connection() for _ in range(3)]
    for number, (whose, size) in enumerate((("2", 35), ("1", 20), ("1", 25))):
        unsent.update(connections[number], f"token {whose}", size)
    assert [one.was_reset for one in connections] == [False, True, False]


# Red when the bound is the one that all share, or so low that a console with 20 pages is cut off.
def test_a_caller_may_have_20_pages_of_1_mib_and_no_64():
    unsent, connections = UnsentResponses(), [Connection() for _ in range(64)]
    for number, connection in enumerate(connections):
        if number == 20:
            assert not any(one.was_reset for one in connections)
        unsent.update(connection, "token 1", 1 << 20)
    assert unsent.size == 32 << 20


def test_one_response_may_be_longer_than_the_bound_of_its_caller():
    unsent, one = _unsent(), Connection()
    unsent.update(one, "token 1", 2 * OF_CALLER)
    assert not one.was_reset


def test_what_was_read_is_no_longer_counted():
    unsent, one = _unsent(), Connection()
    unsent.update(one, "token 1", 30)
    unsent.update(one, "token 1", 5)
    assert unsent.bodies.size == 5
    unsent.update(one, "token 1", 0)
    unsent.update(one, "", 0)
    assert (unsent.bodies.size, unsent.size, len(unsent._unsent)) == (0, 0, 0)


# Red when bodies and responses have a bound each.
def test_request_bodies_count_as_well():
    unsent = _unsent()
    unsent.bodies.take({}, 80)
    first, second = Connection(), Connection()
    unsent.update(first, "token 1", 15)
    unsent.update(second, "token 2", 10)
    assert (first.was_reset, second.was_reset) == (True, False)
    assert unsent.bodies.size == 90


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 3), st.integers(0, 40)), max_size=80))
def test_whatever_is_written_no_bound_is_passed_by_more_than_one_response(steps):
    unsent = _unsent()
    connections = [Connection() for _ in range(8)]
    held: dict[int, tuple[int, int]] = {}
    for number, caller, size in steps:
        if connections[number].was_reset:
            connections[number] = Connection()
            held.pop(number, None)
        unsent.update(connections[number], f"token {caller}", size)
        held[number] = (caller, size)
        held = {n: one for n, one in held.items() if not connections[n].was_reset and one[1]}
        assert not connections[number].was_reset, "the one that is being written"
        assert unsent.bodies.size == unsent.size == sum(size for _, size in held.values())
        assert len(unsent._unsent) == len(held)
        assert unsent.size < MAX + 40
        for whose in range(4):
            of_caller = [size for caller, size in held.values() if caller == whose]
            assert sum(of_caller) <= OF_CALLER or len(of_caller) == 1


def _time_s(count: int) -> float:
    unsent = UnsentResponses(BodyBudget(1 << 40), 1 << 40)
    connections = [Connection() for _ in range(count)]
    started = time.thread_time()
    for connection in connections:
        unsent.update(connection, "token 1", 1)
    for connection in connections:
        unsent.update(connection, "token 1", 0)
    return time.thread_time() - started


# Red where each looks through all: the ratio is 16 then, in each try.
def test_counting_takes_time_in_proportion_to_the_connections():
    ratios: list[float] = []
    for _ in range(25):  # what else runs takes the cache away, from many more than from few
        few, many = (min(_time_s(count) for _ in range(5)) for count in (1000, 4000))
        ratios.append(many / few)
        if ratios[-1] <= 6:
            return
    raise AssertionError(ratios)
