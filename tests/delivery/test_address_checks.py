"""A hook reaches judged addresses only: 127.0.0.2 stands in for a public one, .90 for a private."""

import asyncio
import socket
import threading

import psutil
import pytest

from hooktui.delivery import dial, resolver
from hooktui.delivery.resolver import Resolver, UrlCheck
from hooktui.domain.addresses import parse_networks, parse_url
from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.errors import Refused
from tests.support.waiting import LIMIT_S, until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ALLOWED = parse_networks("127.0.0.2, 127.0.0.3")


async def _answer(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK)


def _named(port, host="receiver.test"):
    return parse_url(f"http://{host}:{port}/in")


async def test_a_name_that_leads_to_an_allowed_address_is_dialled_there(clients, receivers):
    receiver = await receivers.behaving(_answer, host="127.0.0.2")
    client = clients.with_(allowed=ALLOWED, lookup=lambda host, port: ["127.0.0.2"])
    exchange = await client.post(_named(receiver.target.port))
    assert (exchange.status_code, exchange.error) == (200, None)
    assert exchange.address == f"127.0.0.2:{receiver.target.port}"
    assert exchange.dns_ms is not None


async def test_one_forbidden_address_refuses_the_whole_name(clients, receivers):
    allowed = await receivers.behaving(_answer, host="127.0.0.2")
    client = clients.with_(allowed=ALLOWED, lookup=lambda host, port: ["127.0.0.2", "127.0.0.90"])
    exchange = await client.post(_named(allowed.target.port))
    assert exchange.error is ErrorClass.ADDRESS_REFUSED
    assert exchange.error_detail.startswith(
        "receiver.test leads to an address that hooks may not reach: "
        "127.0.0.90 is a loopback address."
    )
    assert "HOOKTUI_ALLOW_NETWORKS" in exchange.error_detail
    assert exchange.connect_ms is None
    assert allowed.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.90", "[::1]", "[::ffff:127.0.0.90]"])
async def test_a_literal_address_is_judged_as_well(clients, host):
    client = clients.with_(allowed=ALLOWED)
    exchange = await client.post(parse_url(f"http://{host}:9/"))
    assert exchange.error is ErrorClass.ADDRESS_REFUSED
    assert "loopback" in exchange.error_detail


async def test_a_name_that_changes_its_mind_is_judged_at_each_connect(clients, receivers):
    """DNS rebinding: good when the hook was saved and at the first try, forbidden at the second."""
    receiver = await receivers.answering()
    good = await receivers.behaving(_answer, host="127.0.0.2")
    answers = iter([["127.0.0.2"], ["127.0.0.90"]])
    client = clients.with_(allowed=ALLOWED, lookup=lambda host, port: next(answers))
    first = await client.post(_named(good.target.port))
    second = await client.post(_named(good.target.port))
    assert first.error is None
    assert second.error is ErrorClass.ADDRESS_REFUSED
    assert receiver.connections == 0


class Answers:
    """A name server that gives these answers in turn, and counts."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.asked = []

    def __call__(self, host, port):
        self.asked.append(host)
        return self._answers.pop(0)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_connect_looks_its_name_up_once(clients, receivers, scheme):
    """Rebinding between judging and dialling: a second look-up would get the forbidden answer."""
    receiver = await receivers.behaving(_answer, host="127.0.0.2")
    forbidden = await receivers.behaving(_answer, host="127.0.0.90")
    lookup = Answers(["127.0.0.2"], ["127.0.0.90"])
    client = clients.with_(allowed=ALLOWED, lookup=lookup, tls_s=0.3)
    target = parse_url(f"{scheme}://receiver.test:{receiver.target.port}/in")
    exchange = await client.post(target, verify_tls=False)
    assert exchange.error is (None if scheme == "http" else ErrorClass.TIMEOUT)
    assert lookup.asked == ["receiver.test"]
    assert (receiver.connections, forbidden.connections) == (1, 0)


@pytest.mark.parametrize("place", [0, 1, 7, 8, 255, 511])
async def test_of_512_addresses_one_forbidden_refuses_all_wherever_it_stands(
    clients, receivers, place
):
    receiver = await receivers.behaving(_answer, host="127.0.0.2")
    answer = ["127.0.0.2"] * 512
    answer[place] = "127.0.0.90"
    client = clients.with_(allowed=ALLOWED, lookup=lambda host, port: answer)
    exchange = await client.post(_named(receiver.target.port))
    assert exchange.error is ErrorClass.ADDRESS_REFUSED
    assert receiver.connections == 0


async def test_of_512_addresses_each_of_the_first_eight_is_tried(clients, receivers):
    """Eight, so that what a name server says cannot make an attempt dial for its whole time."""
    receiver = await receivers.behaving(_answer, host="127.0.1.8")
    answer = [f"127.0.{1 + n // 250}.{1 + n % 250}" for n in range(512)]
    dialled = []

    async def dial(answer):
        client = clients.with_(
            allowed=parse_networks("127.0.0.0/8"), lookup=lambda host, port: answer
        )
        loop = asyncio.get_running_loop()
        connect = loop.sock_connect
        loop.sock_connect = lambda sock, address: (
            dialled.append(address[0]) or connect(sock, address)
        )
        try:
            return await client.post(_named(receiver.target.port))
        finally:
            loop.sock_connect = connect

    exchange = await dial(answer)
    assert exchange.error is None
    assert dialled == answer[:8]
    dialled.clear()
    exchange = await dial(answer[8:])
    assert exchange.error is ErrorClass.CONNECT_REFUSED
    assert dialled == answer[8:16]


class Dials:
    """Connects like the dialer, but an address with an event waits for it first.

    With ``late_s`` it waits longer than it may, as where the event loop was blocked.
    """

    def __init__(self, client, late_s=0.0, **waits):
        self.dialled = []
        self._late_s = late_s
        self.most_at_once = self._now = 0
        self._waits = waits
        self._connect = client.transport.dialer._connect
        client.transport.dialer._connect = self

    async def __call__(self, address, port, timeout_s):
        self.dialled.append(str(address))
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        wait = self._waits.get(f"to_{str(address).rpartition('.')[2]}")
        try:
            async with asyncio.timeout(timeout_s + self._late_s):
                if wait is not None:
                    await wait.wait()
            return await self._connect(address, port, timeout_s)
        finally:
            self._now -= 1


THREE = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]


# Red when an address is given up for the next one: on a slow link no address has the time it needs.
async def test_a_slow_address_may_accept_while_the_next_is_tried(clients, receivers, monkeypatch):
    monkeypatch.setattr(dial, "_HEAD_START_S", 0.01)
    receiver = await receivers.behaving(_answer, host="127.0.0.2")
    client = clients.with_(allowed=parse_networks("127.0.0.0/8"), lookup=lambda *_: THREE[:2])
    first = asyncio.Event()
    dials = Dials(client, to_2=first, to_3=asyncio.Event())
    sending = asyncio.ensure_future(client.post(_named(receiver.target.port)))
    await until(lambda: dials.dialled == THREE[:2])
    first.set()
    exchange = await sending
    assert (exchange.status_code, exchange.address) == (200, f"127.0.0.2:{receiver.target.port}")


# Red when a dead address costs the attempt more than its head start.
async def test_a_dead_address_delays_only_for_its_head_start(clients, receivers, monkeypatch):
    monkeypatch.setattr(dial, "_HEAD_START_S", 0.01)
    receiver = await receivers.behaving(_answer, host="127.0.0.4")
    client = clients.with_(
        allowed=parse_networks("127.0.0.0/8"), lookup=lambda *_: THREE, connect_s=600.0
    )
    dials = Dials(client, to_2=asyncio.Event(), to_3=asyncio.Event())
    async with asyncio.timeout(LIMIT_S):
        exchange = await client.post(_named(receiver.target.port), timeout_s=600.0)
    assert exchange.status_code == 200
    assert dials.dialled == THREE


# Red when each attempt may hold two sockets: those of a thousand hung ones are files of callers.
async def test_few_attempts_connect_to_two_addresses_at_once(clients, receivers, monkeypatch):
    monkeypatch.setattr(dial, "_HEAD_START_S", 0.01)
    monkeypatch.setattr(dial, "MAX_SECOND_DIALS", 1)
    receiver = await receivers.behaving(_answer, host="127.0.0.4")
    client = clients.with_(
        allowed=parse_networks("127.0.0.0/8"), lookup=lambda *_: THREE, connect_s=600.0
    )
    dials = Dials(client, to_2=asyncio.Event(), to_3=asyncio.Event())
    posts = (client.post(_named(receiver.target.port), timeout_s=600.0) for _ in range(5))
    async with asyncio.timeout(LIMIT_S):
        exchanges = await asyncio.gather(*posts)
    assert [one.status_code for one in exchanges] == [200] * 5
    assert dials.most_at_once <= 5 + 1
    assert client.transport.dialer._second_dials == 0


# Red when the limit of the first address alone ends it before the third begins: where the event
# loop is blocked as an attempt begins, that limit is late, and three sockets are open.
@pytest.mark.parametrize("most", [0, 1, 8])
async def test_no_attempt_connects_to_three_addresses_at_once(
    clients, receivers, monkeypatch, most
):
    monkeypatch.setattr(dial, "_HEAD_START_S", 0.01)
    monkeypatch.setattr(dial, "MAX_SECOND_DIALS", most)
    receiver = await receivers.behaving(_answer, host="127.0.0.4")
    client = clients.with_(
        allowed=parse_networks("127.0.0.0/8"), lookup=lambda *_: THREE, connect_s=600.0
    )
    dials = Dials(client, late_s=600.0, to_2=asyncio.Event(), to_3=asyncio.Event())
    async with asyncio.timeout(LIMIT_S):
        exchange = await client.post(_named(receiver.target.port), timeout_s=600.0)
    assert exchange.status_code == 200
    assert dials.dialled == THREE
    assert dials.most_at_once == min(1 + most, 2)
    assert client.transport.dialer._second_dials == 0


async def test_of_two_addresses_that_accept_one_connection_stays(clients, receivers, monkeypatch):
    monkeypatch.setattr(dial, "_HEAD_START_S", 0.01)
    receiver = await receivers.behaving(_answer, host="0.0.0.0")
    client = clients.with_(allowed=parse_networks("127.0.0.0/8"), lookup=lambda *_: THREE[:2])
    both = asyncio.Event()
    dials = Dials(client, to_2=both, to_3=both)
    sending = asyncio.ensure_future(client.post(_named(receiver.target.port)))
    await until(lambda: len(dials.dialled) == 2)
    both.set()
    assert (await sending).status_code == 200

    def open_connections():
        ours = psutil.Process().net_connections("tcp4")
        return sum(one.raddr[1:] == (receiver.target.port,) for one in ours if one.raddr)

    await until(lambda: open_connections() == 1)


@pytest.mark.parametrize("answer", ["fe80::1%lo", "::1%1", "127.0.0.2\0", "2130706433", "0x7f.1"])
async def test_odd_addresses_of_a_name_server_are_dialled_nowhere(clients, answer):
    client = clients.with_(
        allowed=parse_networks("0.0.0.0/0, ::/0"), lookup=lambda host, port: [answer]
    )
    exchange = await client.post(_named(9))
    assert exchange.error in (ErrorClass.ADDRESS_REFUSED, ErrorClass.DNS)
    assert exchange.connect_ms is None


async def test_who_answers_must_be_who_was_dialled(clients, receivers):
    """What redirects connects below us, as a preloaded socks library does, is noticed."""
    receiver = await receivers.behaving(_answer, host="127.0.0.2")
    elsewhere = await receivers.behaving(_answer, host="127.0.0.90")
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect
    loop.sock_connect = lambda sock, _: connect(sock, ("127.0.0.90", elsewhere.target.port))
    exchange = await clients.with_(allowed=ALLOWED).post(receiver.target)
    assert exchange.error is ErrorClass.ADDRESS_REFUSED
    assert exchange.error_detail == "dialled 127.0.0.2, but 127.0.0.90 accepted"
    assert elsewhere.requests == []


async def test_a_slow_name_server_ends_an_attempt_in_time_and_the_next_one_is_right(
    clients, receivers
):
    receiver = await receivers.behaving(_answer, host="127.0.0.2")
    slow = threading.Event()

    def lookup(host, port):
        slow.wait(30)
        return ["127.0.0.2"]

    client = clients.with_(allowed=ALLOWED, lookup=lookup, dns_s=0.3)
    exchange = await client.post(_named(receiver.target.port))
    assert exchange.error is ErrorClass.DNS
    assert exchange.error_detail == "looking up receiver.test took longer than 0.3 s"
    slow.set()

    async def sent():
        return (await client.post(_named(receiver.target.port))).error is None

    await until(sent)  # on a busy machine a look-up may take longer than the limit


async def test_a_name_server_that_fails_for_a_while_costs_tries_and_nothing_else(
    clients, receivers
):
    receiver = await receivers.behaving(_answer, host="127.0.0.2")
    failures = [
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        OSError(5, "Input/output error"),
        ValueError("embedded null character"),
    ]

    def lookup(host, port):
        if failures:
            raise failures.pop()
        return ["127.0.0.2"]

    client = clients.with_(allowed=ALLOWED, lookup=lookup)
    classes = [(await client.post(_named(receiver.target.port))).error for _ in range(4)]
    assert classes == [ErrorClass.DNS] * 3 + [None]


async def test_the_next_address_is_tried_when_one_refuses(clients, receivers):
    receiver = await receivers.behaving(_answer, host="127.0.0.3")
    client = clients.with_(allowed=ALLOWED, lookup=lambda host, port: ["127.0.0.2", "127.0.0.3"])
    exchange = await client.post(_named(receiver.target.port))
    assert exchange.error is None
    assert exchange.address == f"127.0.0.3:{receiver.target.port}"


async def test_an_address_that_hangs_leaves_time_for_the_next(clients, receivers):
    receiver = await receivers.behaving(_answer, host="127.0.0.3")
    with socket.socket() as full:
        full.bind(("127.0.0.2", receiver.target.port))
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        client = clients.with_(
            allowed=ALLOWED, lookup=lambda host, port: ["127.0.0.2", "127.0.0.3"], connect_s=2.0
        )
        for _ in range(10):  # on a busy machine both may take longer than the limit
            exchange = await client.post(_named(receiver.target.port))
            if exchange.error is None:
                break
        for filler in fillers:
            filler.close()
    assert exchange.error is None


async def test_ipv6_receivers_are_reached(clients, receivers):
    receiver = await receivers.behaving(_answer, host="::1")
    client = clients.with_()
    exchange = await client.post(receiver.target)
    assert exchange.error is None
    assert exchange.address == f"[::1]:{receiver.target.port}"


@pytest.mark.parametrize("host", ["127.0.0.2", "[::ffff:127.0.0.2]"])
@pytest.mark.parametrize("own", ["127.0.0.2", "0.0.0.0", "::", "::ffff:127.0.0.2"])
async def test_the_servers_own_listeners_are_refused(clients, receivers, own, host):
    receiver = await receivers.behaving(_answer, host="127.0.0.2")
    other = await receivers.behaving(_answer, host="127.0.0.2")
    client = clients.with_(allowed=ALLOWED)
    client.transport.refuse_own_listeners([(own, receiver.target.port)])
    exchange = await client.post(parse_url(f"http://{host}:{receiver.target.port}/"))
    assert exchange.error is ErrorClass.ADDRESS_REFUSED
    assert "this hooktui server itself" in exchange.error_detail
    assert receiver.connections == 0
    assert (await client.post(other.target)).error is None


async def test_every_address_of_this_machine_leads_to_a_listener_on_all(clients):
    """Also a second one of an interface, which packets to it do not come from; none is sent."""
    own = [
        one.address
        for of_one in psutil.net_if_addrs().values()
        for one in of_one
        if one.family == socket.AF_INET and not one.address.startswith("127.")
    ]
    for address in own:
        client = clients.with_(allowed=parse_networks("0.0.0.0/0"))
        client.transport.refuse_own_listeners([("0.0.0.0", 9)])
        exchange = await client.post(parse_url(f"http://{address}:9/"))
        assert "this hooktui server itself" in exchange.error_detail


# Red when a connect that came from the address it went to is not seen as one to this machine.
async def test_a_listener_on_all_is_known_by_the_connect_where_binding_says_nothing(
    clients, receivers, monkeypatch
):
    monkeypatch.setattr(dial, "_is_this_machine", lambda address: False)  # as ip_nonlocal_bind does
    receiver = await receivers.behaving(_answer)
    client = clients.with_()
    client.transport.refuse_own_listeners([("0.0.0.0", receiver.target.port)])
    exchange = await client.post(receiver.target)
    assert exchange.error is ErrorClass.ADDRESS_REFUSED
    assert "this hooktui server itself" in exchange.error_detail


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failed_attempt_and_never_followed(clients, receivers, status):
    other = await receivers.behaving(_answer, host="127.0.0.3")

    async def redirect(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        place = b"http://127.0.0.3:%d/" % other.target.port
        writer.write(
            b"HTTP/1.1 %d Go\r\nLocation: %s\r\nRefresh: 0; url=%s\r\n" % (status, place, place)
        )
        writer.write(b'Alt-Svc: h2=":%d"\r\nContent-Length: 0\r\n\r\n' % other.target.port)
        await reader.read()

    receiver = await receivers.behaving(redirect, host="127.0.0.2")
    client = clients.with_(allowed=ALLOWED)
    exchange = await client.post(receiver.target)
    assert (exchange.status_code, exchange.error) == (status, ErrorClass.REDIRECT)
    assert other.connections == 0


async def test_proxies_and_netrc_of_the_environment_play_no_part(
    clients, receivers, monkeypatch, tmp_path
):
    proxy = await receivers.behaving(_answer, host="127.0.0.3")
    receiver = await receivers.answering(OK)
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.setenv(name, f"http://127.0.0.3:{proxy.target.port}")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hidden\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    exchange = await clients.with_().post(receiver.target)
    assert (exchange.error, proxy.connections) == (None, 0)
    assert b"authorization" not in receiver.requests[0].lower()


async def test_saving_refuses_a_name_with_one_forbidden_address_and_says_how_to_allow_it():
    check_url = UrlCheck(ALLOWED, Resolver(lambda host, port: ["127.0.0.2", "127.0.0.90"]))
    with pytest.raises(Refused) as refusal:
        await check_url("https://receiver.test/in")
    assert refusal.value.detail.startswith(
        "hooks may not connect to receiver.test: 127.0.0.90 is a loopback address. "
    )
    assert "add 127.0.0.0/8 to the server's HOOKTUI_ALLOW_NETWORKS" in refusal.value.detail


async def test_saving_waits_for_a_slow_name_server_only_so_long(monkeypatch):
    assert resolver.LOOKUP_S == 2.0
    monkeypatch.setattr(resolver, "LOOKUP_S", 0.1)
    end = threading.Event()
    check_url = UrlCheck(ALLOWED, Resolver(lambda host, port: end.wait(30) and ["127.0.0.90"]))
    warning = await check_url("https://receiver.test/in")
    end.set()
    assert warning.startswith("looking up receiver.test took longer than 0.1 s; the hook is saved")


# Red when name servers that are away are taken for a name that does not exist.
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (socket.EAI_NONAME, "receiver.test was not found (as if)"),
        (socket.EAI_NODATA, "receiver.test was not found (as if)"),
        (socket.EAI_AGAIN, "the name servers could not look up receiver.test (as if)"),
        (socket.EAI_FAIL, "the name servers could not look up receiver.test (as if)"),
    ],
)
async def test_a_name_without_address_is_a_dns_error(clients, code, words):
    def no_such_name(host, port):
        raise socket.gaierror(code, "as if")

    exchange = await clients.with_(lookup=no_such_name).post(_named(80))
    assert exchange.error is ErrorClass.DNS
    assert exchange.error_detail == words
    assert exchange.dns_ms is not None
