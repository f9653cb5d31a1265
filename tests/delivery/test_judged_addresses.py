"""A hook reaches judged addresses only: 127.0.0.2 stands in for a public one, .90 for a private."""

import socket

import pytest

from hooktui.domain.addresses import parse_networks, parse_url
from hooktui.domain.deliveries import ErrorClass

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
    answered = await client.post(_named(receiver.target.port))
    assert (answered.status_code, answered.error) == (200, None)
    assert answered.address == f"127.0.0.2:{receiver.target.port}"
    assert answered.dns_ms is not None


async def test_one_forbidden_address_refuses_the_whole_name(clients, receivers):
    allowed = await receivers.behaving(_answer, host="127.0.0.2")
    client = clients.with_(allowed=ALLOWED, lookup=lambda host, port: ["127.0.0.2", "127.0.0.90"])
    answered = await client.post(_named(allowed.target.port))
    assert answered.error is ErrorClass.ADDRESS_REFUSED
    assert answered.error_detail.startswith(
        "receiver.test leads to an address that hooks may not reach: "
        "127.0.0.90 is a loopback address."
    )
    assert "HOOKTUI_ALLOW_NETWORKS" in answered.error_detail
    assert answered.connect_ms is None
    assert allowed.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.90", "[::1]", "[::ffff:127.0.0.90]"])
async def test_a_literal_address_is_judged_as_well(clients, host):
    client = clients.with_(allowed=ALLOWED)
    answered = await client.post(parse_url(f"http://{host}:9/"))
    assert answered.error is ErrorClass.ADDRESS_REFUSED
    assert "loopback" in answered.error_detail


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


async def test_the_next_address_is_tried_when_one_refuses(clients, receivers):
    receiver = await receivers.behaving(_answer, host="127.0.0.3")
    client = clients.with_(allowed=ALLOWED, lookup=lambda host, port: ["127.0.0.2", "127.0.0.3"])
    answered = await client.post(_named(receiver.target.port))
    assert answered.error is None
    assert answered.address == f"127.0.0.3:{receiver.target.port}"


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
            allowed=ALLOWED, lookup=lambda host, port: ["127.0.0.2", "127.0.0.3"]
        )
        answered = await client.post(_named(receiver.target.port))
        for filler in fillers:
            filler.close()
    assert answered.error is None


async def test_ipv6_receivers_are_reached(clients, receivers):
    receiver = await receivers.behaving(_answer, host="::1")
    client = clients.with_()
    answered = await client.post(receiver.target)
    assert answered.error is None
    assert answered.address == f"[::1]:{receiver.target.port}"


@pytest.mark.parametrize("own", ["127.0.0.2", "0.0.0.0", "::"])
async def test_the_servers_own_listeners_are_refused(clients, receivers, own):
    receiver = await receivers.behaving(_answer, host="127.0.0.2")
    other = await receivers.behaving(_answer, host="127.0.0.2")
    client = clients.with_(allowed=ALLOWED)
    client.transport.refuse_own_listeners([(own, receiver.target.port)])
    answered = await client.post(receiver.target)
    assert answered.error is ErrorClass.ADDRESS_REFUSED
    assert "this hooktui server itself" in answered.error_detail
    assert receiver.connections == 0
    assert (await client.post(other.target)).error is None


async def test_a_name_without_address_is_a_dns_error(clients):
    def no_such_name(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    answered = await clients.with_(lookup=no_such_name).post(_named(80))
    assert answered.error is ErrorClass.DNS
    assert answered.error_detail == "receiver.test was not found (Name or service not known)"
    assert answered.dns_ms is not None
