"""Limits the number of connections, and chooses which one to close for a new one.

Over TCP all callers share one limit. A connection is *known* once a token on it was valid; the
others are unknown, and grouped by source address (an IPv4 address, or the /64 of an IPv6 address).
At the limit:

* while unknown connections hold the half that is not reserved or more, the source with the most of
  them loses the one whose last request head, or whose start, is the longest ago;
* else the longest idle known connection is closed, then an unknown one;
* if no connection is idle and less than a sixteenth is unknown, the caller with the most of them
  loses the one whose last request head is the longest ago: a caller is unknown when it comes.

So callers with a valid token keep half of the connections, and one source cannot take the share of
another. A caller with a valid token also gets in from an address that floods the server: one
request makes its connection known. One caller, or all tokens that are bound to one account, hold at
most half of the connections, and two of them do not keep out a third one: it gets as many as they.

Each user of the Unix socket has a limit of its own, except root and the owner of the server, who
could stop it anyway.

All of them together have the API's share of the process's open files, and one user or token half of
it. When it is used up, an unknown connection over TCP is closed, else the longest idle connection
of any caller, else one of the caller with the most, also of root and the owner.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv6Address
from itertools import chain
from typing import Final, Protocol

from hooktui.api.peer_credentials import PeerCredentials
from hooktui.domain.errors import TooManyRequests

MAX_CONNECTIONS: Final = 1000
_NEWCOMERS: Final = 16
_IPV6_SOURCE_BITS: Final = 64
"""One customer has at least this many addresses (RFC 6177), so they count as one source."""


class EvictableConnection(Protocol):
    """The methods of a connection that the limiter uses.

    Attributes:
        idle_since: when its last response ended, while no new request has begun; in seconds.
    """

    idle_since: float | None

    def evict(self) -> None:
        """Close the connection now, even during a request."""


@dataclass(slots=True, eq=False)
class ConnectionSlot:
    """The slot of one connection under the limit; it belongs to one connection at a time.

    Attributes:
        connection: None once it is released.
        source: group of an unknown connection.
        caller: the last caller with a valid token or the account it is bound to, or the user of a
            Unix socket.
        unencoded: bytes in memory of which its response is still to be made.
    """

    connection: EvictableConnection | None
    source: Hashable
    caller: str | None
    _pool: _Pool
    unencoded: int = 0

    @property
    def group(self) -> Hashable:
        """Its caller, or the source of an unknown connection."""
        return self.source if self.caller is None else self.caller

    def hand_over(self, connection: EvictableConnection) -> bool:
        """Pass the slot to the connection after a TLS handshake; False: it was released."""
        if self.connection is None:
            return False
        self.connection = connection
        return True

    def touch(self) -> None:
        """Note that a request head is complete."""
        if self.connection is not None:
            self._pool.groups_of(self).touch(self)

    def know(self, caller: str) -> None:
        """Note that a request has a valid token.

        Raises:
            TooManyRequests: this caller already holds too many connections.
        """
        if caller != self.caller and self.connection is not None:
            self._pool.make_room_for(caller)
            self._regroup(caller)

    def forget(self) -> None:
        """Note that a request has an invalid token."""
        if self.caller is not None and self.connection is not None:
            self._regroup(None)

    def _regroup(self, caller: str | None) -> None:
        self._pool.groups_of(self).discard(self)
        self.caller = caller
        self._pool.groups_of(self).add(self)

    def evict(self) -> None:
        """Close the connection, even during a request, and release its slot."""
        connection = self.connection
        self.release()
        self._pool.evicted += 1
        if connection is not None:
            connection.evict()

    def release(self) -> None:
        """Release the slot."""
        if self.connection is not None:
            self._pool.groups_of(self).discard(self)
            self.connection = None


class _Groups:
    """Slots by group, each group's in the order of their last use.

    Every operation is O(1), except the search for the longest idle connection.
    """

    def __init__(self) -> None:
        self._slots: dict[Hashable, dict[ConnectionSlot, None]] = {}
        self._by_size: dict[int, dict[Hashable, None]] = {}
        self.largest = 0
        self.count = 0

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[ConnectionSlot]:
        return chain.from_iterable(self._slots.values())

    def of(self, group: Hashable) -> Collection[ConnectionSlot]:
        return self._slots.get(group, ())

    def add(self, slot: ConnectionSlot) -> None:
        slots = self._slots.setdefault(slot.group, {})
        self._resize(slot.group, len(slots), len(slots) + 1)
        slots[slot] = None
        self.count += 1
        self.largest = max(self.largest, len(slots))

    def discard(self, slot: ConnectionSlot) -> None:
        slots = self._slots[slot.group]
        self._resize(slot.group, len(slots), len(slots) - 1)
        if len(slots) == self.largest and len(slots) not in self._by_size:
            self.largest -= 1
        del slots[slot]
        self.count -= 1
        if not slots:
            del self._slots[slot.group]

    def touch(self, slot: ConnectionSlot) -> None:
        """Make a slot the newest of its group, and this the newest of its size."""
        group = slot.group
        slots = self._slots[group]
        same_size = self._by_size[len(slots)]
        del slots[slot], same_size[group]
        slots[slot] = same_size[group] = None

    def oldest_of_largest(self) -> ConnectionSlot | None:
        if not self.count:
            return None
        group = next(iter(self._by_size[self.largest]))
        return next(iter(self._slots[group]))

    def _resize(self, group: Hashable, before: int, after: int) -> None:
        if before:
            same_size = self._by_size[before]
            del same_size[group]
            if not same_size:
                del self._by_size[before]
        if after:
            self._by_size.setdefault(after, {})[group] = None


@dataclass(slots=True)
class _Pool:
    """The connections under one limit: unknown ones by source, and known ones by caller."""

    max_connections: int
    unknown: _Groups = field(default_factory=_Groups)
    known: _Groups = field(default_factory=_Groups)
    evicted: int = 0

    @property
    def count(self) -> int:
        return self.unknown.count + self.known.count

    @property
    def share(self) -> int:
        """The most connections of one caller; the other half is for callers with a valid token."""
        return self.max_connections - self.max_connections // 2

    def groups_of(self, slot: ConnectionSlot) -> _Groups:
        return self.unknown if slot.caller is None else self.known

    def make_room(self) -> bool:
        """Close a connection if there is no slot for another; False: none can be closed."""
        if self.count < self.max_connections:
            return True
        victim = self.unknown.oldest_of_largest()
        if self.unknown.count < self.share:
            victim = _longest_idle(self.known) or victim
        few = self.unknown.count < max(1, self.max_connections // _NEWCOMERS)
        in_use = victim is None or victim.caller is None
        if few and in_use and len(self.known) > 1:  # one user alone is refused
            victim = self.known.oldest_of_largest()
        if victim is None:
            return False
        victim.evict()
        return True

    def make_room_for(self, caller: str) -> None:
        """Close an idle connection of a caller that holds its share.

        Raises:
            TooManyRequests: all of them are in use.
        """
        held = self.known.of(caller)
        if len(held) < self.share:
            return
        idle = _longest_idle(held)
        if idle is None:
            raise TooManyRequests(
                f"{caller} has {len(held)} connections in use, the limit for one caller or"
                " account; close some, or have an admin raise HOOKTUI_MAX_CONNECTIONS",
                1,
            )
        idle.evict()


class ConnectionLimiter:
    """All connections of a server, over TCP and over the Unix socket.

    Args:
        max_connections: maximum over TCP, and for each user of the Unix socket.
        in_all: maximum of all together.

    Attributes:
        refused: connections that got no slot, since the start.
    """

    def __init__(self, max_connections: int = MAX_CONNECTIONS, in_all: int = sys.maxsize) -> None:
        self.max_connections = max_connections
        self._in_all = in_all
        self._tcp = _Pool(min(max_connections, in_all))
        self._users: dict[int, _Pool] = {}
        self._owners = _Pool(sys.maxsize)
        self.refused = 0

    def admit_tcp(self, connection: EvictableConnection, address: str) -> ConnectionSlot | None:
        """Return a slot for a connection from an IP address; None: there is none."""
        return self._admit(self._tcp, connection, source_of(address), None)

    def admit_user(
        self, connection: EvictableConnection, peer: PeerCredentials
    ) -> ConnectionSlot | None:
        """Return a slot for a connection over the Unix socket; None: there is none."""
        if peer.is_owner:
            pool = self._owners
        else:
            self._users = {uid: used for uid, used in self._users.items() if used.count}
            pool = self._users.setdefault(
                peer.uid, _Pool(min(self.max_connections, self._in_all // 2))
            )
        return self._admit(pool, connection, peer.uid, f"uid {peer.uid}")

    def _admit(
        self, pool: _Pool, connection: EvictableConnection, source: Hashable, caller: str | None
    ) -> ConnectionSlot | None:
        if not (pool.make_room() and self._make_room()):
            self.refused += 1
            return None
        slot = ConnectionSlot(connection, source, caller, pool)
        pool.groups_of(slot).add(slot)
        return slot

    def _make_room(self) -> bool:
        """Close a connection if all together use up their share; False: there is none."""
        pools = (self._tcp, self._owners, *self._users.values())
        if sum(pool.count for pool in pools) < self._in_all:
            return True
        victim = (
            self._tcp.unknown.oldest_of_largest()
            or _longest_idle(chain.from_iterable(pool.known for pool in pools))
            or max(pools, key=lambda pool: pool.known.largest).known.oldest_of_largest()
        )
        if victim is None:
            return False
        victim.evict()
        return True

    def counts(self) -> dict[str, int]:
        """Return how many connections there are, by kind."""
        return {
            "known": self._tcp.known.count,
            "unknown": self._tcp.unknown.count,
            "local": self._owners.count + sum(pool.count for pool in self._users.values()),
        }

    @property
    def evicted(self) -> int:
        """Connections over TCP that were closed for new ones, since the start."""
        return self._tcp.evicted


def source_of(address: str) -> str:
    """Return the source of an IP address: the address itself, or its /64.

    An IPv4 address counts the same if it is written as IPv6 (``::ffff:192.0.2.1``).
    """
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except AddressValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{int(parsed) >> (128 - _IPV6_SOURCE_BITS):x}/{_IPV6_SOURCE_BITS}"


def _longest_idle(slots: Iterable[ConnectionSlot]) -> ConnectionSlot | None:
    longest, since = None, 0.0
    for slot in slots:
        idle = None if slot.connection is None else slot.connection.idle_since
        if idle is not None and (longest is None or idle < since):
            longest, since = slot, idle
    return longest
