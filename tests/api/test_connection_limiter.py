"""Who gets a connection when there is no slot left, as rules and as a search through sequences."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooktui.api.connection_limiter import ConnectionLimiter, ConnectionSlot, source_of
from hooktui.api.peer_credentials import PeerCredentials
from hooktui.domain.errors import TooManyRequests

MAX = 8
HALF = MAX // 2


class Connection:
    """A connection that does nothing by itself."""

    def __init__(self) -> None:
        self.idle_since: float | None = None
        self.evicted = False
        self.slot: ConnectionSlot | None = None

    def evict(self) -> None:
        self.evicted = True


def connect(limiter: ConnectionLimiter, source: str, caller: str | None = None) -> Connection:
    connection = Connection()
    connection.slot = limiter.admit_tcp(connection, source)
    if caller is not None:
        assert connection.slot is not None
        connection.slot.know(caller)
    return connection


def test_a_source_that_floods_loses_its_own_oldest_connections():
    limiter = ConnectionLimiter(MAX)
    careful = connect(limiter, "192.0.2.1")
    flood = [connect(limiter, "192.0.2.9") for _ in range(10 * MAX)]
    assert not careful.evicted
    assert [one.evicted for one in flood] == [True] * (9 * MAX + 1) + [False] * (MAX - 1)


def test_a_complete_request_head_makes_a_connection_the_newest_of_its_source():
    limiter = ConnectionLimiter(MAX)
    asking, silent, *_ = (connect(limiter, "192.0.2.1") for _ in range(MAX))
    assert asking.slot is not None
    asking.slot.touch()
    connect(limiter, "192.0.2.1")
    assert (asking.evicted, silent.evicted) == (False, True)


# Red when there is no reserve.
def test_a_flood_takes_no_connection_that_showed_a_good_token():
    limiter = ConnectionLimiter(MAX)
    known = [connect(limiter, "192.0.2.9", f"token {n}") for n in range(HALF)]
    for number, one in enumerate(known):
        one.idle_since = float(number)
    for number in range(10 * MAX):
        connect(limiter, f"192.0.2.{number}")
    assert not any(one.evicted for one in known)


def test_over_the_reserve_the_connection_that_is_idle_for_longest_goes():
    limiter = ConnectionLimiter(MAX)
    known = [connect(limiter, "192.0.2.9", f"token {n}") for n in range(MAX)]
    for number, one in enumerate(known[2:]):
        one.idle_since = 10.0 - number
    newcomer = connect(limiter, "192.0.2.9")
    assert [one.evicted for one in known] == [False] * (MAX - 1) + [True]
    assert newcomer.slot is not None


# Red when no connection in use is closed: two callers keep out all others.
def test_when_all_are_known_and_in_use_the_caller_with_most_loses_its_oldest():
    limiter = ConnectionLimiter(MAX)
    few = connect(limiter, "192.0.2.9", "token 1")
    many = [connect(limiter, "192.0.2.9", "token 2") for _ in range(HALF)]
    some = [connect(limiter, "192.0.2.9", "token 3") for _ in range(HALF - 1)]
    assert many[0].slot is not None
    many[0].slot.touch()
    newcomers = [connect(limiter, f"192.0.2.{n}") for n in range(3)]
    assert [one.evicted for one in many] == [False, True, False, False]
    assert [one.evicted for one in newcomers] == [True, True, False]
    assert limiter.refused == 0
    for _ in range(MAX):
        connect(limiter, "192.0.2.1", "token 4")
    assert [sum(not one.evicted for one in group) for group in (many, some)] == [2, 2]
    assert not few.evicted


# Red when a caller has no share.
def test_one_caller_holds_half_of_the_connections_at_most():
    limiter = ConnectionLimiter(MAX)
    held = [connect(limiter, "192.0.2.9", "token 1") for _ in range(HALF)]
    with pytest.raises(TooManyRequests, match="HOOKTUI_MAX_CONNECTIONS"):
        connect(limiter, "192.0.2.9", "token 1")
    held[2].idle_since = 1.0
    connect(limiter, "192.0.2.9", "token 1")
    assert [one.evicted for one in held] == [False, False, True, False]
    connect(limiter, "192.0.2.9", "token 2")


def test_a_token_that_is_no_longer_good_makes_its_connection_unknown():
    limiter = ConnectionLimiter(MAX)
    revoked = connect(limiter, "192.0.2.1", "token 1")
    assert revoked.slot is not None
    revoked.slot.forget()
    for _ in range(MAX):
        connect(limiter, "192.0.2.1")
    assert revoked.evicted


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.2", "::ffff:192.0.2.1", False),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "", True),
    ],
)
def test_a_source_is_an_ipv4_address_or_an_ipv6_network(one, other, same):
    assert (source_of(one) == source_of(other)) is same


def test_users_of_the_socket_share_nothing_and_the_owner_has_no_bound():
    limiter = ConnectionLimiter(MAX)
    for uid in (12345, 12346):
        peer = PeerCredentials(1, uid, uid)
        places = [limiter.admit_user(Connection(), peer) for _ in range(MAX + 1)]
        assert [slot is None for slot in places] == [False] * MAX + [True]
        for slot in places[:-1]:
            assert slot is not None
            slot.release()
        assert limiter.admit_user(Connection(), peer) is not None
    owner = PeerCredentials(1, 0, 0)
    assert all(limiter.admit_user(Connection(), owner) for _ in range(3 * MAX))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("connect"), st.integers(0, 3)),
        st.tuples(st.just("know"), st.integers(0, 40), st.integers(0, 2)),
        st.tuples(st.sampled_from(["touch", "idle", "busy", "forget", "release"]),
                  st.integers(0, 40)),
    ),
    max_size=120,
)  # fmt: skip


@settings(deadline=None)
@given(STEPS)
def test_whatever_happens_the_bound_holds_and_nobody_loses_a_share(steps):
    limiter = ConnectionLimiter(MAX)
    all_of_them: list[Connection] = []
    for number, (what, *given_) in enumerate(steps):
        alive = [one for one in all_of_them if one.slot and one.slot.connection]
        if what == "connect":
            sizes = Counter(one.slot.source for one in alive if one.slot.caller is None)
            known = [one for one in alive if one.slot.caller is not None]
            new = connect(limiter, f"192.0.2.{given_[0]}")
            all_of_them.append(new)
            lost = [one for one in alive if one.evicted]
            assert len(lost) == (len(alive) == MAX and new.slot is not None)
            for one in lost:
                if one in known and one.idle_since is None:
                    assert all(o in known and o.idle_since is None for o in alive)
                    most = Counter(o.slot.caller for o in known)
                    assert most[one.slot.caller] == max(most.values())
                elif one in known:
                    assert len(known) > HALF, "out of the reserve"
                else:
                    assert one.slot is not None
                    assert sizes[one.slot.source] == max(sizes.values())
            assert new.slot is not None
        elif alive:
            one = alive[given_[0] % len(alive)]
            assert one.slot is not None
            if what == "know":
                try:
                    one.slot.know(f"token {given_[1]}")
                except TooManyRequests:
                    assert one.slot.caller != f"token {given_[1]}"
            elif what == "idle":
                one.idle_since = float(number)
            elif what == "busy":
                one.idle_since = None
            else:
                getattr(one.slot, what)()
        left = [one for one in all_of_them if one.slot and one.slot.connection]
        callers = Counter(one.slot.caller for one in left if one.slot.caller)
        assert len(left) <= MAX
        assert sum(limiter.counts().values()) == len(left)
        assert not any(one.evicted for one in left)
        assert all(count <= HALF for count in callers.values())


def _flood_s(most: int) -> float:
    """Return the CPU seconds of 2,000 connections of many sources to a full limiter."""
    limiter = ConnectionLimiter(most)
    for number in range(most):
        connect(limiter, f"10.{number >> 8 & 255}.{number & 255}.1")
    started = time.thread_time()
    for number in range(2000):
        connect(limiter, f"192.0.{number & 255}.9")
    return time.thread_time() - started


# Red when the connection to close is looked for among all.
def test_room_is_made_in_the_same_time_however_many_connections_there_are():
    few, many = (min(_flood_s(most) for _ in range(5)) for most in (500, 8000))
    assert many < 4 * few


# Red without the bound on all together: three users and an owner take the files of the deliveries.
def test_all_together_hold_no_more_than_the_share_of_the_api():
    limiter = ConnectionLimiter(MAX, in_all=10)
    tcp = [connect(limiter, "192.0.2.1") for _ in range(4)]
    users = []
    for uid in (0, 12345, 12346):
        for _ in range(4):
            one = Connection()
            one.idle_since = float(len(users))
            one.slot = limiter.admit_user(one, PeerCredentials(1, uid, uid))
            assert one.slot is not None
            users.append(one)
    assert sum(limiter.counts().values()) == 10
    assert [one.evicted for one in tcp] == [True] * 4, "those that showed no token go first"
    assert [one.evicted for one in users] == [True] * 2 + [False] * 10, "then the longest idle"
    for one in users:
        one.idle_since = None
    newcomer = connect(limiter, "192.0.2.1")
    assert [one.evicted for one in users] == [True] * 2 + [False] * 2 + [True] + [False] * 7
    connect(limiter, "192.0.2.1")
    assert newcomer.evicted, "one that showed no token, if there is one"
    owner = PeerCredentials(1, 0, 0)
    assert all(limiter.admit_user(Connection(), owner) for _ in range(20))
    assert sum(limiter.counts().values()) == 10
    assert limiter.refused == 0
    assert limiter.admit_user(Connection(), PeerCredentials(1, 12345, 12345)) is not None


# Red when root and the owner lose no connection that is in use: nobody else is admitted.
def test_long_calls_of_the_owner_leave_room_for_others():
    limiter = ConnectionLimiter(MAX, in_all=10)
    owner = PeerCredentials(1, 0, 0)
    assert all(limiter.admit_user(Connection(), owner) for _ in range(30))
    careful = connect(limiter, "192.0.2.1", "token 1")
    assert all(limiter.admit_user(Connection(), owner) for _ in range(30))
    assert not careful.evicted


# Red when the half of a caller is that of the setting: with few files it takes all connections.
def test_a_caller_holds_half_of_all_however_few_there_are():
    limiter = ConnectionLimiter(1000, in_all=10)
    ann, bob = (PeerCredentials(1, uid, uid) for uid in (12345, 12346))
    held = [limiter.admit_user(Connection(), ann) for _ in range(20)]
    assert [slot is not None for slot in held] == [True] * 5 + [False] * 15
    assert limiter.admit_user(Connection(), bob) is not None
    assert limiter.admit_tcp(Connection(), "192.0.2.1") is not None


def test_a_token_holds_half_of_all_however_few_there_are():
    limiter = ConnectionLimiter(1000, in_all=10)
    for _ in range(5):
        connect(limiter, "192.0.2.1", "token 1 (a)")
    with pytest.raises(TooManyRequests, match=r"token 1 \(a\) has 5 connections in use"):
        connect(limiter, "192.0.2.1", "token 1 (a)")
    connect(limiter, "192.0.2.2", "token 2 (b)")


# Red when one connection is kept for newcomers: of ten that come at once, nine are reset.
def test_newcomers_that_come_at_once_get_in_together():
    limiter = ConnectionLimiter(160)
    held = [connect(limiter, "192.0.2.9", f"token {n % 2}") for n in range(160)]
    newcomers = [connect(limiter, "192.0.2.1") for _ in range(10)]
    assert not any(one.evicted for one in newcomers)
    for one in newcomers:
        assert one.slot is not None
        one.slot.know("token 2")
    assert [one.evicted for one in held] == [True] * 10 + [False] * 150
