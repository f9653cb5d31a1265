"""Name look-ups that delay nothing else, and the check of a hook's URL.

``getaddrinfo`` cannot be cancelled, and the event loop's default executor is tiny: 20 hung look-ups
delayed a healthy hook by 4 s (measured). So look-ups run in 64 daemon threads of their own (fewer
if few files may be open), at most two at a time for one hook, with a deadline; concurrent requests
for one host share the result. A look-up that no thread started in time, or that failed for lack of
files or memory, says nothing about the receiver (`MachineShort`). The hooks of one account use at
most three quarters of the threads, as someone who controls their names can let all of them hang.

Nothing else is cached. A URL is checked when its hook is saved, and again by each connect.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from queue import Empty, SimpleQueue

from hooktui.delivery.limits import one_line
from hooktui.delivery.shortage import MachineShort
from hooktui.domain.addresses import Networks, how_to_allow, parse_url, refusal_reason
from hooktui.domain.errors import Refused
from hooktui.domain.machine import Condition, condition_of
from hooktui.sockets import no_file_left

Address = IPv4Address | IPv6Address
Lookup = Callable[[str, int], Sequence[str]]
"""Maps host and port to addresses; blocking, may raise OSError."""

LOOKUP_THREADS = 64
LOOKUPS_PER_POOL = 2
_THREAD_IDLE_S = 10.0
_NOT_NOW = frozenset({errno.EBUSY, errno.EAGAIN})
"""Errors of ``getaddrinfo`` when it lacked a file or memory without noticing."""


_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
"""Results of a name server; the other errors mean that none responded, or that it failed."""


class NameLookupError(Exception):
    """A name has no address; ``str(error)`` is one plain line."""


def system_lookup(host: str, port: int) -> list[str]:
    """Ask the operating system; return each address once, in the order of RFC 6724."""
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


class Resolver:
    """Looks up names for one event loop.

    Args:
        lookup: blocking; by default the operating system's.
        threads: maximum number of concurrent look-ups.
    """

    def __init__(self, lookup: Lookup = system_lookup, threads: int = LOOKUP_THREADS) -> None:
        self._lookup = lookup
        self._threads = _DaemonThreads(threads)
        most_of_account = max(threads - threads // 4, 1)
        self._of_account: defaultdict[Hashable, asyncio.Semaphore] = defaultdict(
            partial(asyncio.Semaphore, most_of_account)
        )
        self._running: dict[str, _Pending] = {}
        self._begun: set[str] = set()
        self._of_pool: dict[Hashable, set[_Pending]] = {}

    async def resolve(
        self,
        pool_key: Hashable,
        host: str,
        port: int,
        timeout_s: float,
        account: Hashable = None,
    ) -> tuple[Address, ...]:
        """Return the addresses of a name, in the order of preference, at least one.

        Args:
            pool_key: the hook; it has at most two look-ups at a time.
            host: an ASCII name.
            port: the port; look-ups of one host are shared for all ports.
            timeout_s: time limit, including the wait for a free thread.
            account: of the hook; it leaves threads to the others.

        Raises:
            NameLookupError: no such name, no address, or no response in time.
            MachineShort: this machine lacks a resource, or all threads were busy.
        """
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._answer(pool_key, host, port, account)
        except TimeoutError:
            waits = host in self._running or self._of_account[account].locked()
            if waits and host not in self._begun:
                raise MachineShort(Condition.LOOKUPS) from None
            raise NameLookupError(f"looking up {host} took longer than {timeout_s:.3g} s") from None
        if isinstance(answer, Condition):
            raise MachineShort(answer)
        if isinstance(answer, str):
            raise NameLookupError(answer)
        return answer

    async def _answer(self, pool_key: Hashable, host: str, port: int, account: Hashable) -> _Answer:
        places = self._of_account[account]
        while host not in self._running:
            await places.acquire()
            if host in self._running:  # another hook began it meanwhile
                places.release()
                break
            of_pool = self._of_pool.setdefault(pool_key, set())
            if len(of_pool) < LOOKUPS_PER_POOL:
                self._start(pool_key, host, port, places)
            else:
                places.release()
                await asyncio.wait(of_pool, return_when=asyncio.FIRST_COMPLETED)
        # A caller that gives up must not cancel the look-up for the others.
        return await asyncio.shield(self._running[host])

    def _start(self, pool_key: Hashable, host: str, port: int, places: asyncio.Semaphore) -> None:
        """Begin a look-up; its place is released at its end."""
        loop = asyncio.get_running_loop()
        pending: _Pending = loop.create_future()
        self._running[host] = pending
        self._of_pool[pool_key].add(pending)

        def finish(answer: _Answer) -> None:
            del self._running[host]
            self._begun.discard(host)
            of_pool = self._of_pool[pool_key]
            of_pool.discard(pending)
            if not of_pool:
                del self._of_pool[pool_key]
            places.release()
            pending.set_result(answer)

        def work() -> None:
            self._begun.add(host)
            answer = self._look_up(host, port)
            try:
                loop.call_soon_threadsafe(finish, answer)
            except RuntimeError:  # the loop closed during the look-up
                return

        try:
            self._threads.submit(work)
        except RuntimeError:  # "can't start new thread"
            finish(Condition.MEMORY)
            raise MachineShort(Condition.MEMORY) from None

    def _look_up(self, host: str, port: int) -> _Answer:
        """Return addresses or the failure; raises nothing because it runs in a thread."""
        try:
            addresses = tuple(ip_address(text) for text in self._lookup(host, port))
        except MemoryError:
            return Condition.MEMORY
        except socket.gaierror as error:
            if error.errno == socket.EAI_MEMORY:
                return Condition.MEMORY
            if no_file_left():
                return Condition.FILES
            why = one_line(error.strerror or error)
            if error.errno in _NO_SUCH_NAME:
                return f"{host} was not found ({why})"
            return f"the name servers could not look up {host} ({why})"
        except (OSError, ValueError) as error:  # UnicodeError is a ValueError
            condition = condition_of(error)
            if condition is None and isinstance(error, OSError) and error.errno in _NOT_NOW:
                condition = Condition.FILES if no_file_left() else Condition.LOOKUPS
            if condition is not None:
                return condition
            return f"looking up {host} failed ({one_line(error)})"
        return addresses or f"{host} has no address"


_Answer = tuple[Address, ...] | str | Condition
_Pending = asyncio.Future[_Answer]


class _DaemonThreads:
    """A pool whose threads never delay the interpreter's exit and end when idle.

    ``concurrent.futures`` joins its threads at exit, so a hung look-up would block it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._alive = 0
        self._unfinished = 0

    def submit(self, task: Callable[[], None]) -> None:
        with self._lock:
            self._unfinished += 1
            self._tasks.put(task)
            start = self._alive < min(self._unfinished, self._limit)
            if start:
                self._alive += 1
        if not start:
            return
        try:
            threading.Thread(target=self._work, name="hooktui-lookup", daemon=True).start()
        except RuntimeError:
            with self._lock:
                self._alive -= 1
                if self._alive:  # another thread runs it
                    return
                self._unfinished -= 1
                self._tasks.get_nowait()
            raise

    def _work(self) -> None:
        while True:
            try:
                task = self._tasks.get(timeout=_THREAD_IDLE_S)
            except Empty:
                with self._lock:
                    if self._tasks.empty():
                        self._alive -= 1
                        return
                continue
            try:
                task()
            finally:
                with self._lock:
                    self._unfinished -= 1


LOOKUP_S = 2.0
"""How long saving a hook waits for a name to resolve."""


class UrlCheck:
    """Checks URLs for one server.

    Args:
        allowed: networks that hooks may reach although they are not public.
        resolver: looks up names.
    """

    def __init__(self, allowed: Networks, resolver: Resolver) -> None:
        self._allowed = allowed
        self._resolver = resolver

    async def __call__(self, url: str) -> str | None:
        """Return None, or a warning if the name cannot be resolved at the moment.

        Raises:
            Refused: the URL leads to an address that hooks may not reach.
        """
        target = parse_url(url)
        addresses: tuple[Address, ...]
        if target.literal is not None:
            addresses = (target.literal,)
        else:
            try:
                addresses = await self._resolver.resolve(self, target.host, target.port, LOOKUP_S)
            except (NameLookupError, MachineShort) as error:
                return f"{error}; the hook is saved; each delivery looks it up again"
        for address in addresses:
            reason = refusal_reason(address, self._allowed)
            if reason is not None:
                way_out = how_to_allow(address, self._allowed)
                detail = f"hooks may not connect to {target.host}: {reason}. {way_out}"
                raise Refused.field("/url", detail)
        return None
