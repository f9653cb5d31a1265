"""TLS outward: the host name is checked, each failure has its class, nothing is kept half-open."""

import asyncio
import socket
import ssl
import struct
import time
import warnings
from ipaddress import ip_address

import pytest

from hooktui.delivery.dial import ConnectError
from hooktui.delivery.limits import ConnectPhases
from hooktui.delivery.tls import unverified_context, verified_context
from hooktui.domain.addresses import parse_url
from hooktui.domain.deliveries import ErrorClass
from tests.support.waiting import LIMIT_S, until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_a_trusted_certificate_for_the_host_is_taken(authority, clients, receivers):
    receiver = await receivers.answering(OK, OK, tls=authority.server_context("127.0.0.1"))
    client = clients.with_(verified=authority.trust)
    first = await client.post(receiver.target)
    second = await client.post(receiver.target)
    assert (first.status_code, first.error, first.reused_connection) == (200, None, False)
    assert first.tls_ms > 0
    assert first.connect_ms < first.total_ms
    assert (second.status_code, second.reused_connection, second.tls_ms) == (200, True, None)


async def test_tls_checks_the_name_and_not_the_address(authority, clients, receivers):
    context = authority.server_context("receiver.test")
    names = []
    context.sni_callback = lambda sock, name, _: names.append(name)
    receiver = await receivers.answering(OK, tls=context)
    client = clients.with_(verified=authority.trust, lookup=lambda host, port: ["127.0.0.1"])
    port = receiver.target.port
    good = await client.post(parse_url(f"https://receiver.test:{port}/in"))
    other = await client.post(parse_url(f"https://other.test:{port}/in"))
    assert good.error is None
    assert names == ["receiver.test", "other.test"]
    assert other.error is ErrorClass.TLS_CERTIFICATE
    assert "other.test" in other.error_detail
    assert len(receiver.requests) == 1


async def test_an_unknown_authority_is_a_certificate_error(authority, clients, receivers):
    receiver = await receivers.answering(OK, tls=authority.server_context("127.0.0.1"))
    exchange = await clients.with_().post(receiver.target)
    assert exchange.error is ErrorClass.TLS_CERTIFICATE
    assert exchange.error_detail.startswith("the certificate of 127.0.0.1 was not accepted: ")
    assert exchange.tls_ms is not None
    assert receiver.requests == []


async def test_an_expired_certificate_is_a_certificate_error(authority, clients, receivers):
    receiver = await receivers.answering(OK, tls=authority.server_context("127.0.0.1", days=-1))
    exchange = await clients.with_(verified=authority.trust).post(receiver.target)
    assert exchange.error is ErrorClass.TLS_CERTIFICATE
    assert "expired" in exchange.error_detail


async def test_a_hook_may_do_without_verification(authority, clients, receivers):
    receiver = await receivers.answering(OK, OK, tls=authority.server_context("elsewhere.test"))
    client = clients.with_()
    exchange = await client.post(receiver.target, verify_tls=False)
    assert (exchange.status_code, exchange.error) == (200, None)
    # ... and one that verifies again does not ride on the connection that was not verified.
    exchange = await client.post(receiver.target, verify_tls=True)
    assert exchange.error is ErrorClass.TLS_CERTIFICATE


async def test_garbage_instead_of_tls_is_a_tls_error(clients, receivers):
    async def garbage(reader, writer):
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    receiver = await receivers.behaving(garbage)
    exchange = await clients.with_().post(parse_url(f"https://127.0.0.1:{receiver.target.port}/"))
    assert exchange.error is ErrorClass.TLS
    assert exchange.error_detail == "no TLS with 127.0.0.1: wrong version number"


async def test_a_close_within_the_handshake_is_a_tls_error(clients, receivers):
    async def close(reader, writer):
        await reader.read(100)

    receiver = await receivers.behaving(close)
    exchange = await clients.with_().post(parse_url(f"https://127.0.0.1:{receiver.target.port}/"))
    assert exchange.error is ErrorClass.TLS
    assert exchange.error_detail == "127.0.0.1 broke off the TLS handshake: connection closed"


async def test_a_required_client_certificate_is_named_without_openssls_source(
    authority, clients, receivers
):
    context = authority.server_context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)

    async def require(reader, writer):  # asyncio and uvloop close without sending the alert
        refused = False
        while not refused:
            incoming.write(await reader.read(65_536))
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                refused = True
            writer.write(outgoing.read())
        await reader.read()

    receiver = await receivers.behaving(require)
    target = parse_url(f"https://127.0.0.1:{receiver.target.port}/")
    exchange = await clients.with_(verified=authority.trust).post(target)
    assert exchange.error is ErrorClass.TLS
    assert exchange.error_detail == "TLS failed: tlsv13 alert certificate required"


async def test_a_hung_handshake_times_out_and_is_closed(clients, receivers):
    async def hang(reader, writer):
        await reader.read()
        receiver.closed_by_peer.set()

    receiver = await receivers.behaving(hang)
    client = clients.with_(tls_s=0.3)
    exchange = await client.post(parse_url(f"https://127.0.0.1:{receiver.target.port}/"))
    assert exchange.error is ErrorClass.TIMEOUT
    assert exchange.error_detail == "127.0.0.1 did not finish the TLS handshake within 0.3 s"
    assert exchange.tls_ms > 200
    await receiver.closed_by_peer.wait()


async def test_a_cancelled_handshake_closes_its_socket(clients, receivers):
    connected = asyncio.Event()

    async def hang(reader, writer):
        await reader.read(1)
        connected.set()
        await reader.read()
        receiver.closed_by_peer.set()

    receiver = await receivers.behaving(hang)
    client = clients.with_(tls_s=5.0)
    target = parse_url(f"https://127.0.0.1:{receiver.target.port}/")
    task = asyncio.ensure_future(client.post(target, timeout_s=5))
    await connected.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(LIMIT_S):
        await receiver.closed_by_peer.wait()


async def test_the_file_of_a_connection_that_breaks_before_its_handshake_is_closed_once(client):
    dialer, deadline = client.transport.dialer, time.monotonic() + LIMIT_S
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        sock = await dialer.connect(ip_address("127.0.0.1"), port, LIMIT_S)
        accepted, _ = server.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
        target = parse_url(f"https://127.0.0.1:{port}/in")
        with pytest.raises(ConnectError):
            await dialer.handshake(sock, target, asyncio.Protocol, False, deadline, ConnectPhases())
    # With a number it would close that again, whatever has it by then.
    await until(lambda: sock.fileno() == -1)


async def test_old_tls_is_refused(authority, clients, receivers):
    context = authority.server_context("127.0.0.1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    receiver = await receivers.answering(OK, tls=context)
    exchange = await clients.with_().post(receiver.target, verify_tls=False)
    assert exchange.error is ErrorClass.TLS


async def test_an_endless_body_over_tls_is_cut(authority, clients, receivers):
    async def endless(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()

    receiver = await receivers.behaving(endless, tls=authority.server_context("127.0.0.1"))
    exchange = await clients.with_(verified=authority.trust).post(receiver.target)
    assert (exchange.status_code, exchange.error, exchange.truncated) == (200, None, True)
    assert exchange.size <= 65_536
    async with asyncio.timeout(LIMIT_S):
        await receiver.closed_by_peer.wait()


def test_the_environment_names_no_authorities(monkeypatch, tmp_path):
    known = len(verified_context().get_ca_certs())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    verified_context.cache_clear()
    try:
        context = verified_context()
        assert len(context.get_ca_certs()) == known > 0
        assert context.keylog_filename is None
    finally:
        verified_context.cache_clear()


def test_verified_contexts_check_chain_and_name():
    assert verified_context().verify_mode is ssl.CERT_REQUIRED
    assert verified_context().check_hostname
    assert verified_context().minimum_version is ssl.TLSVersion.TLSv1_2
    assert unverified_context().verify_mode is ssl.CERT_NONE
    assert unverified_context().minimum_version is ssl.TLSVersion.TLSv1_2
    # Red when a receiver may ask for one handshake after the other within an answer.
    for context in (verified_context(), unverified_context()):
        assert context.options & ssl.OP_NO_RENEGOTIATION


async def test_all_hooks_together_keep_a_bounded_number_of_tls_connections(
    authority, clients, receivers
):
    """Each holds a read buffer of 256 KiB; and what leaves in any way makes room again."""
    receiver = await receivers.answering(OK, OK, OK, tls=authority.server_context("127.0.0.1"))
    client = clients.with_(
        verified=authority.trust, idle_tls_connections=3,
        connect_s=LIMIT_S, tls_s=LIMIT_S, first_byte_s=LIMIT_S,
    )  # fmt: skip

    async def reused():
        answers = await asyncio.gather(
            *(client.post(receiver.target, pool=pool, timeout_s=LIMIT_S) for pool in "aabbcc")
        )
        assert {exchange.error for exchange in answers} == {None}
        return sum(exchange.reused_connection for exchange in answers)

    assert [await reused() for _ in range(3)] == [0, 3, 3]
    for pool in "abc":
        client.transport.forget(pool)
    assert [await reused() for _ in range(2)] == [0, 3]
