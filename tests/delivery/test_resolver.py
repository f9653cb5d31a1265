"""Look-ups hold nobody up: they end in time, share threads fairly, and never block an exit."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from ipaddress import ip_address

import pytest

from hooktui.delivery.answered import MAX_REASON
from hooktui.delivery.resolver import NameLookupError, Resolver, system_lookup
from tests.delivery.conftest import until


class HeldLookup:
    """Answers each host only when it is let go."""

    def __init__(self):
        self.asked = []
        self._gates = {}
        self._lock = threading.Lock()

    def _gate(self, host):
        with self._lock:
            return self._gates.setdefault(host, threading.Event())

    def let_go(self, host):
        self._gate(host).set()

    def __call__(self, host, port):
        self.asked.append(host)
        self._gate(host).wait(10)
        return ["127.0.0.2"]


@pytest.fixture
def held():
    lookup = HeldLookup()
    yield lookup
    for host in list(lookup.asked):
        lookup.let_go(host)


async def test_the_system_knows_localhost():
    addresses = await Resolver().resolve("hook", "localhost", 80, 2)
    assert ip_address("127.0.0.1") in addresses or ip_address("::1") in addresses


def test_the_system_names_each_address_once():
    assert system_lookup("127.0.0.1", 80) == ["127.0.0.1"]


async def test_a_hung_lookup_ends_at_its_deadline(held):
    began = time.monotonic()
    with pytest.raises(NameLookupError, match=r"hung\.test took longer than 0\.1 s"):
        await Resolver(held).resolve("hook", "hung.test", 80, 0.1)
    assert time.monotonic() - began < 1


async def test_askers_for_one_host_share_one_lookup(held):
    resolver = Resolver(held)
    tasks = [asyncio.ensure_future(resolver.resolve(n, "a.test", 80, 3)) for n in range(20)]
    await until(lambda: held.asked)
    held.let_go("a.test")
    answers = await asyncio.gather(*tasks)
    assert answers == [(ip_address("127.0.0.2"),)] * 20
    assert held.asked == ["a.test"]


async def test_an_asker_that_gives_up_does_not_end_the_lookup_of_the_others(held):
    resolver = Resolver(held)
    patient = asyncio.ensure_future(resolver.resolve("one", "a.test", 80, 3))
    with pytest.raises(NameLookupError):
        await resolver.resolve("two", "a.test", 80, 0.05)
    held.let_go("a.test")
    assert await patient == (ip_address("127.0.0.2"),)


async def test_nothing_is_remembered_after_a_lookup():
    answers = iter([["127.0.0.2"], ["127.0.0.3"]])
    resolver = Resolver(lambda host, port: next(answers))
    first = await resolver.resolve("hook", "a.test", 80, 2)
    second = await resolver.resolve("hook", "a.test", 80, 2)
    assert (first, second) == ((ip_address("127.0.0.2"),), (ip_address("127.0.0.3"),))


async def test_a_hook_runs_two_lookups_at_most_and_others_go_on(held):
    resolver = Resolver(held)
    tasks = [
        asyncio.ensure_future(resolver.resolve("greedy", f"{n}.test", 80, 3)) for n in range(4)
    ]
    other = asyncio.ensure_future(resolver.resolve("modest", "other.test", 80, 3))
    held.let_go("other.test")
    await other
    assert sorted(held.asked) == ["0.test", "1.test", "other.test"]
    for n in range(4):
        held.let_go(f"{n}.test")
    await asyncio.gather(*tasks)
    assert len(held.asked) == 5


async def test_20_hung_lookups_do_not_delay_a_healthy_one(held):
    resolver = Resolver(held)
    held.let_go("healthy.test")
    hung = [asyncio.ensure_future(resolver.resolve(n, f"hung{n}.test", 80, 0.5)) for n in range(20)]
    await until(lambda: len(held.asked) == 20)
    began = time.monotonic()
    await resolver.resolve("healthy", "healthy.test", 80, 2)
    assert time.monotonic() - began < 0.3
    results = await asyncio.gather(*hung, return_exceptions=True)
    assert all(isinstance(result, NameLookupError) for result in results)


async def test_a_host_that_hung_is_asked_again_when_its_lookup_is_over(held):
    resolver = Resolver(held)
    for _ in range(3):
        with pytest.raises(NameLookupError):
            await resolver.resolve("hook", "a.test", 80, 0.05)
    assert held.asked == ["a.test"]
    held.let_go("a.test")
    assert await resolver.resolve("hook", "a.test", 80, 2) == (ip_address("127.0.0.2"),)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([], "a.test has no address"),
        (["nonsense"], "looking up a.test failed"),
        (OSError(24, "Too many open files"), r"looking up a.test failed \(.*Too many open files"),
        (UnicodeError("label too long"), r"looking up a.test failed \(label too long\)"),
    ],
)
async def test_a_failed_lookup_says_why(answer, message):
    def lookup(host, port):
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(NameLookupError, match=message):
        await Resolver(lookup).resolve("hook", "a.test", 80, 2)


def test_a_stuck_lookup_does_not_hold_up_the_exit():
    program = (
        "import asyncio, time\n"
        "from hooktui.delivery.resolver import NameLookupError, Resolver\n"
        "async def main():\n"
        "    try:\n"
        "        await Resolver(lambda h, p: time.sleep(60)).resolve(1, 'a.test', 80, 0.1)\n"
        "    except NameLookupError:\n"
        "        print('ended')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=10, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


# Red when the words are quoted as they came: with half a character or NUL in its detail no attempt
# can be stored, so the delivery never ends and the server does not stop either.
@pytest.mark.parametrize("failure", [socket.gaierror, OSError, ValueError])
async def test_hostile_words_of_a_name_server_become_one_plain_line(failure):
    words = "no\n\x1b]0;owned\x07 \ud800\udc9b\0\u202e" + "y" * 9999

    def fail(host, port):
        raise failure(*([words] if failure is ValueError else [4, words]))

    with pytest.raises(NameLookupError) as caught:
        await Resolver(fail).resolve("hook", "x.test", 80, 5)
    said = str(caught.value)
    assert "no ␛]0;owned␇ \\u{d800}\\x9b␀\\u{202e}yyy" in said
    assert said.isprintable()
    assert len(said) < MAX_REASON + 100
    said.encode()
