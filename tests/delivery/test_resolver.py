"""Look-ups hold nobody up: they end in time, share threads fairly, and never block an exit."""

import asyncio
import errno
import socket
import subprocess
import sys
import threading
from ipaddress import ip_address

import pytest

from hooktui.delivery.limits import MAX_REASON
from hooktui.delivery.resolver import NameLookupError, Resolver, system_lookup
from hooktui.delivery.shortage import MachineShort
from hooktui.domain.machine import Condition
from tests.support.file_limit import no_file_left
from tests.support.waiting import until


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


async def asked_already(resolver, held, host):
    """Start a patient look-up of a host; return it once its thread has begun."""
    patient = asyncio.ensure_future(resolver.resolve("patient", host, 80, 60))
    await until(lambda: host in held.asked)
    return patient


async def test_a_hung_lookup_ends_at_its_deadline(held):
    resolver = Resolver(held)
    patient = await asked_already(resolver, held, "hung.test")
    with pytest.raises(NameLookupError, match=r"hung\.test took longer than 0\.1 s"):
        await resolver.resolve("hook", "hung.test", 80, 0.1)
    held.let_go("hung.test")
    await patient


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
    patient = await asked_already(resolver, held, "a.test")
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
        asyncio.ensure_future(resolver.resolve("greedy", f"{n}.test", 80, 60)) for n in range(4)
    ]
    other = asyncio.ensure_future(resolver.resolve("modest", "other.test", 80, 60))
    held.let_go("other.test")
    await other
    await until(lambda: {"0.test", "1.test"} <= set(held.asked))
    assert sorted(held.asked) == ["0.test", "1.test", "other.test"]
    for n in range(4):
        held.let_go(f"{n}.test")
    await asyncio.gather(*tasks)
    assert len(held.asked) == 5


async def test_20_hung_lookups_do_not_delay_a_healthy_one(held):
    resolver = Resolver(held)
    held.let_go("healthy.test")
    hung = [asyncio.ensure_future(resolver.resolve(n, f"hung{n}.test", 80, 60)) for n in range(20)]
    await until(lambda: len(held.asked) == 20)
    await resolver.resolve("healthy", "healthy.test", 80, 30)
    assert not any(lookup.done() for lookup in hung)
    for n in range(20):
        held.let_go(f"hung{n}.test")
    await asyncio.gather(*hung)


# Red without the places of an account: its look-ups that hang take every thread.
async def test_the_hung_lookups_of_an_account_leave_threads_to_the_others(held):
    resolver = Resolver(held, threads=4)
    hung = [
        asyncio.ensure_future(resolver.resolve(hook, f"h{hook}.test", 80, 60, account=1))
        for hook in range(8)
    ]
    await until(lambda: len(held.asked) == 3)
    held.let_go("fine.test")
    assert await resolver.resolve("hook", "fine.test", 80, 9, account=2)
    assert held.asked == ["h0.test", "h1.test", "h2.test", "fine.test"]
    with pytest.raises(MachineShort):  # it says nothing about the name
        await resolver.resolve("hook", "late.test", 80, 0.05, account=1)
    for hook in range(8):
        held.let_go(f"h{hook}.test")
    assert all(await asyncio.gather(*hung))
    assert not resolver._running
    assert not resolver._of_pool


async def test_a_host_that_hung_is_asked_again_when_its_lookup_is_over(held):
    resolver = Resolver(held)
    patient = await asked_already(resolver, held, "a.test")
    for _ in range(3):
        with pytest.raises(NameLookupError):
            await resolver.resolve("hook", "a.test", 80, 0.05)
    assert held.asked == ["a.test"]
    held.let_go("a.test")
    await patient
    assert await resolver.resolve("hook", "a.test", 80, 60) == (ip_address("127.0.0.2"),)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([], "a.test has no address"),
        (["nonsense"], "looking up a.test failed"),
        (OSError(5, "Input/output error"), r"looking up a.test failed \(.*Input/output error"),
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


# Red when what getaddrinfo makes of a machine without files or memory is told as a missing name.
@pytest.mark.parametrize(
    ("answer", "condition"),
    [
        (OSError(errno.EMFILE, "Too many open files"), Condition.FILES),
        (OSError(errno.ENFILE, "Too many open files in system"), Condition.SYSTEM_FILES),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), Condition.MEMORY),
        (OSError(errno.ENOBUFS, "No buffer space available"), Condition.BUFFERS),
        (OSError(errno.EBUSY, "Device or resource busy"), Condition.LOOKUPS),
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), Condition.LOOKUPS),
        (socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure"), Condition.MEMORY),
        (MemoryError(), Condition.MEMORY),
    ],
)
async def test_what_this_machine_lacks_is_no_answer_about_a_name(answer, condition):
    def lookup(host, port):
        raise answer

    with pytest.raises(MachineShort) as missing:
        await Resolver(lookup).resolve("hook", "a.test", 80, 2)
    assert missing.value.condition is condition


# Red when the system is not asked whether a file can be opened: a name server's configuration that
# could not be read looks like a name that does not exist.
@pytest.mark.parametrize("code", [socket.EAI_AGAIN, socket.EAI_NONAME, socket.EAI_FAIL])
async def test_a_name_is_not_missing_while_no_file_can_be_opened(code):
    def lookup(host, port):
        raise socket.gaierror(code, "as if")

    with no_file_left(), pytest.raises(MachineShort) as missing:
        await Resolver(lookup).resolve("hook", "a.test", 80, 2)
    assert missing.value.condition is Condition.FILES


# The same of what means that a resolver is busy: there is no file for it to read its names from.
@pytest.mark.parametrize("code", [errno.EBUSY, errno.EAGAIN])
async def test_no_name_server_is_busy_while_no_file_can_be_opened(code):
    def lookup(host, port):
        raise OSError(code, "as if")

    with no_file_left(), pytest.raises(MachineShort) as missing:
        await Resolver(lookup).resolve("hook", "a.test", 80, 2)
    assert missing.value.condition is Condition.FILES


# Red when waiting for a thread counts as waiting for a name server: other hooks' look-ups that hang
# would use up the schedule of this one.
async def test_a_lookup_that_no_thread_began_says_nothing_about_the_name(held):
    resolver = Resolver(held, threads=1)
    hung = asyncio.create_task(resolver.resolve("hung", "hung.test", 80, 60))
    await until(lambda: held.asked == ["hung.test"])
    with pytest.raises(MachineShort) as missing:
        await resolver.resolve("healthy", "healthy.test", 80, 0.05)
    assert missing.value.condition is Condition.LOOKUPS
    held.let_go("hung.test")
    held.let_go("healthy.test")
    await hung


# Red when a thread that cannot be started is a traceback, or leaves the pool believing in it.
async def test_a_thread_that_cannot_be_started_is_want_of_memory(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    resolver = Resolver(lambda host, port: ["127.0.0.1"])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(3):
            with pytest.raises(MachineShort) as missing:
                await resolver.resolve("hook", "a.test", 80, 2)
            assert missing.value.condition is Condition.MEMORY
    assert await resolver.resolve("hook", "a.test", 80, 2) == (ip_address("127.0.0.1"),)


def test_a_stuck_lookup_does_not_hold_up_the_exit():
    program = (
        "import asyncio, threading, time\n"
        "from hooktui.delivery.resolver import NameLookupError, Resolver\n"
        "begun = threading.Event()\n"
        "resolver = Resolver(lambda h, p: begun.set() or time.sleep(60))\n"
        "async def main():\n"
        "    patient = asyncio.ensure_future(resolver.resolve(2, 'a.test', 80, 60))\n"
        "    while not begun.is_set():\n"
        "        await asyncio.sleep(0.01)\n"
        "    try:\n"
        "        await resolver.resolve(1, 'a.test', 80, 0.1)\n"
        "    except NameLookupError:\n"
        "        print('ended')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False
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
