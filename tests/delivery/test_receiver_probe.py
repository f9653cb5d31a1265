"""A receiver looked at step by step: what each fault looks like, and that nothing is sent."""

import re
import ssl
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from hooktui.delivery.dial import Dialer
from hooktui.delivery.receiver_probe import ReceiverProbe
from hooktui.delivery.resolver import Resolver, system_lookup
from hooktui.delivery.shortage import Shortages
from hooktui.delivery.tls import LONGEST_TEXT, fits, read_chain
from hooktui.domain.addresses import parse_networks, parse_url
from hooktui.domain.clock import now_ms
from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.diagnosis import DiagnosisInput, connection_checks, diagnose
from hooktui.domain.wire.diagnosis import Certificate
from tests.delivery.conftest import LOOPBACK, PATIENT
from tests.support.certificates import Authority
from tests.support.live_hooks import live_hook
from tests.support.waiting import until
from tests.support.wire_objects import hook as wire_hook

ALLOWED = parse_networks("127.0.0.2, 127.0.0.3")


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def quiet(_look, _step):
    """Take what is told, and do nothing with it."""


async def looked(target, *, trust=None, verify_tls=True, lookup=None, own=(), **more):
    """Return the look at a target, and what is said of it."""
    limits = more.get("limits", PATIENT)
    dialer = Dialer(more.get("allowed", LOOPBACK), Resolver(lookup or system_lookup), limits, trust)
    dialer.own_listeners = frozenset(own)
    tell = more.get("tell", quiet)
    probe = ReceiverProbe(dialer, 1, Shortages())
    look = await probe(live_hook(target=target, verify_tls=verify_tls), tell)
    found = DiagnosisInput(
        hook=wire_hook(url=target.url), target=target, findings=look, ping=None,
        breaker_until_ms=None, paused=False, started_at="2026-11-25T12:00:00.000Z", now_ms=now_ms(),
    )  # fmt: skip
    return SimpleNamespace(look=look, said=diagnose(found))


async def serving(receivers, context, **where):
    """Start a receiver that takes connections and waits for requests that never come."""
    seen = []

    async def read(reader, _writer):
        try:
            seen.append(await reader.read())
        except ConnectionResetError:  # what came before it counts
            seen.append(bytes(reader._buffer))

    receiver = await receivers.behaving(read, tls=context, **where)
    return receiver, seen


async def test_a_trusted_receiver_shows_its_certificate_and_gets_no_byte(authority, receivers):
    receiver, seen = await serving(receivers, authority.server_context("127.0.0.1", days=90))
    one = await looked(receiver.target, trust=authority.trust)
    tls = one.look.tls
    assert (one.look.error, tls.verified, tls.demanded, tls.fits_host) == (None, True, True, True)
    assert tls.version == "TLSv1.3"
    assert [c.subject for c in tls.chain] == ["receiver"]
    assert (tls.chain[0].issuer, tls.chain[0].names) == ("Test authority", ("127.0.0.1",))
    assert tls.chain[0].days_left == 89
    assert one.look.phases_ms.tls > 0
    assert one.look.addresses[0].connect_ms > 0
    assert one.said.state == "ok"
    # Red when the looker sends something, or leaves its connections open.
    await until(lambda: seen)
    assert set(seen) == {b""}


async def test_each_step_that_leads_on_is_reported_with_what_is_known_by_then(authority, receivers):
    receiver, _ = await serving(receivers, authority.server_context("127.0.0.1", days=-3))
    told = []
    one = await looked(receiver.target, tell=lambda look, step: told.append((step, look)))
    assert [step for step, _ in told] == ["connect", "TLS"]
    assert [look.addresses[0].connect_ms is None for _, look in told] == [True, False]
    rest = [check.name for check in one.said.checks]
    lines = [connection_checks(look, receiver.target, 12, now_ms()) for _, look in told]
    # Red when a step that has not begun is among the lines.
    assert [[check.name for check in line] for line in lines] == [rest[:2], rest[:3]]


async def test_an_expired_certificate_is_seen_although_it_is_not_taken(authority, receivers):
    receiver, _ = await serving(receivers, authority.server_context("127.0.0.1", days=-3))
    one = await looked(receiver.target, trust=authority.trust)
    assert one.look.error == ErrorClass.TLS_CERTIFICATE
    # Red without the second handshake, which looks at what the first one refused.
    assert one.look.tls.chain[0].days_left == -4
    assert not one.look.tls.verified
    assert one.said.verdict.startswith("the certificate of 127.0.0.1 expired 3 days ago, on ")
    assert one.said.fix.startswith("renew it")


async def test_a_certificate_for_another_name_says_for_which(authority, receivers):
    receiver, _ = await serving(receivers, authority.server_context("a.test", "*.b.test"))
    target = parse_url(f"https://localhost:{receiver.target.port}/")
    one = await looked(target, trust=authority.trust, lookup=lambda *_: ["127.0.0.1"])
    assert not one.look.tls.fits_host
    assert one.said.verdict == "the certificate is for a.test, *.b.test, not for localhost"
    assert one.said.fix.startswith("use one of its names")


async def test_a_self_signed_certificate_and_what_else_is_wrong_with_it(
    authority, receivers, tmp_path
):
    # Its own issuer: the subject is the authority's name, and so is the key that signs.
    certificate = authority._sign(
        authority._name, authority._key.public_key(), hosts=[x509.DNSName("other.test")], days=-1
    )
    receiver, _ = await serving(receivers, context_of(authority._key, [certificate], tmp_path))
    one = await looked(receiver.target)
    assert one.said.verdict == (
        "the certificate of 127.0.0.1 is self-signed: no authority vouches for it; and it is for"
        " other.test, and it has expired"
    )
    assert "--no-verify-tls" in one.said.fix


async def test_an_authority_that_is_not_trusted_is_named(authority, receivers, tmp_path):
    context = authority.server_context("127.0.0.1")
    root = authority._sign(authority._name, authority._key.public_key(), authority=True)
    alone, _ = await serving(receivers, context)
    one = await looked(alone.target)
    assert "without that of its signer Test authority" in one.said.verdict
    assert "fullchain.pem" in one.said.fix
    key, leaf = (tmp_path / "server1.pem"), root.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "both.pem").write_bytes(key.read_bytes() + leaf)
    whole = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    whole.load_cert_chain(tmp_path / "both.pem")
    sent_whole, _ = await serving(receivers, whole)
    two = await looked(sent_whole.target)
    assert [c.subject for c in two.look.tls.chain] == ["receiver", "Test authority"]
    assert (
        two.said.verdict == "this machine does not trust Test authority, which signed for 127.0.0.1"
    )


async def test_a_hook_that_does_not_verify_is_told_what_verifying_would_say(authority, receivers):
    receiver, _ = await serving(receivers, authority.server_context("127.0.0.1", days=-3))
    one = await looked(receiver.target, trust=authority.trust, verify_tls=False)
    assert (one.look.error, one.look.tls.verified, one.look.tls.demanded) == (None, False, False)
    line = next(check for check in one.said.checks if check.name == "certificate")
    assert line.state == "ok"
    assert "expired 3 days ago" in line.value
    good, _ = await serving(receivers, authority.server_context("127.0.0.1", days=90))
    two = await looked(good.target, trust=authority.trust, verify_tls=False)
    line = next(check for check in two.said.checks if check.name == "certificate")
    assert line.advice == "verify it: hooktui hooks edit 12 --verify-tls"


async def test_a_certificate_that_ends_soon_is_a_warning(authority, receivers):
    receiver, _ = await serving(receivers, authority.server_context("127.0.0.1", days=1))
    one = await looked(receiver.target, trust=authority.trust)
    assert one.said.state == "warn"
    assert one.said.verdict == "the certificate of 127.0.0.1 expires within a day"


async def test_one_forbidden_address_keeps_all_from_being_dialled(receivers):
    receiver, _ = await serving(receivers, None, host="127.0.0.2")
    target = parse_url(f"http://receiver.test:{receiver.target.port}/in")
    one = await looked(
        target, allowed=ALLOWED, lookup=lambda *_: ["127.0.0.2", "127.0.0.90", "::ffff:127.0.0.91"]
    )
    assert [a.error for a in one.look.addresses] == [None, "address_refused", "address_refused"]
    assert all(a.connect_ms is None for a in one.look.addresses)
    assert one.said.verdict == (
        "receiver.test leads to an address that hooks may not reach: 127.0.0.90 is a loopback"
        " address"
    )
    assert "HOOKTUI_ALLOW_NETWORKS" in one.said.fix
    # Red when the looker dials before it has judged every address.
    assert receiver.connections == 0


async def test_the_server_itself_is_not_looked_at(receivers):
    receiver, _ = await serving(receivers, None)
    target = receiver.target
    one = await looked(target, own=[(target.literal, target.port)])
    assert one.look.error == ErrorClass.ADDRESS_REFUSED
    assert "is this hooktui server itself" in one.said.verdict
    assert receiver.connections == 0


async def test_an_address_out_of_several_that_takes_no_connection_is_a_warning(receivers):
    receiver, _ = await serving(receivers, None, host="127.0.0.2")
    target = parse_url(f"http://receiver.test:{receiver.target.port}/in")
    one = await looked(target, allowed=ALLOWED, lookup=lambda *_: ["127.0.0.3", "127.0.0.2"])
    assert [a.error for a in one.look.addresses] == ["connect_refused", None]
    assert one.look.error is None
    assert one.said.state == "warn"
    assert "1 of 2 addresses cannot be reached: nothing listens at 127.0.0.3" in one.said.verdict


async def test_a_port_where_nothing_listens(unused_tcp_port):
    one = await looked(parse_url(f"http://127.0.0.1:{unused_tcp_port}/"))
    assert one.said.verdict == f"nothing listens at 127.0.0.1 port {unused_tcp_port}"
    assert one.said.fix.startswith("start the receiver, or correct the port in the hook's URL")
    # Red when the time of a connect that failed is lost: of a firewall it is all there was.
    assert one.said.phases_ms.connect > 0


async def test_a_name_that_leads_nowhere_names_the_command_to_look_it_up():
    def nowhere(host, port):
        raise OSError("no such name")

    one = await looked(parse_url("http://nosuch.test/"), lookup=nowhere)
    assert one.look.error == ErrorClass.DNS
    assert "getent ahosts nosuch.test" in one.said.fix


# Red when the steps have only their own limits, which make half a minute together.
async def test_all_steps_together_have_a_limit(monkeypatch):
    monkeypatch.setattr("hooktui.delivery.receiver_probe.PROBE_S", 0.3)
    hung = threading.Event()
    try:
        one = await looked(parse_url("http://hung.test/"), lookup=lambda *_: hung.wait(30) and [])
    finally:
        hung.set()
    assert re.search(r"took longer than 0\.\d+ s", one.look.detail)


async def test_a_port_without_tls_and_one_that_hangs_in_the_handshake(receivers):
    async def plain(reader, writer):
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async def hang(reader, _writer):
        await reader.read()

    receiver = await receivers.behaving(plain)
    one = await looked(parse_url(f"https://127.0.0.1:{receiver.target.port}/"))
    assert one.look.error == ErrorClass.TLS
    assert "use http:// in hook 12's URL" in one.said.fix
    receiver = await receivers.behaving(hang)
    target = parse_url(f"https://127.0.0.1:{receiver.target.port}/")
    two = await looked(target, limits=replace(PATIENT, tls_s=0.2))
    # Red without a limit of the handshake: the test ends by its own time-out.
    assert two.look.error == ErrorClass.TIMEOUT
    assert two.said.state == "fail"


async def test_what_stands_in_a_certificate_is_cut_and_stays_text(authority, receivers, tmp_path):
    nasty = "\x1b]52;c;aGk=\x07[red]" + "x" * 40
    context = authority.server_context(*(f"h{n}.{'a' * 60}.test" for n in range(300)),
                                       subject=nasty)  # fmt: skip
    receiver, _ = await serving(receivers, context)
    one = await looked(receiver.target)
    assert one.look.tls.chain[0].subject == nasty
    assert len(one.look.tls.chain[0].names) == 100
    long = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "o" * 60) for _ in range(40)])
    certificate = authority._sign(long, authority._key.public_key())
    [read] = read_chain([certificate.public_bytes(serialization.Encoding.DER)], now_ms())
    assert len(read.subject) == LONGEST_TEXT


@pytest.mark.parametrize("der", [b"", b"\x30\x03abc", b"\x30\x82\xff\xff" + b"\0" * 400])
def test_bytes_that_are_no_certificate_are_left_out(der):
    assert read_chain([der], now_ms()) == ()


@pytest.mark.parametrize(
    ("host", "names", "fit"),
    [("a.test", ["a.test"], True), ("A.test.", ["a.TEST"], True), ("a.test", ["*.test"], True),
     ("x.a.test", ["*.test"], False), ("a.test", ["*.a.test"], False), ("test", ["*.test"], False),
     ("127.0.0.1", ["127.0.0.1"], True), ("127.0.0.1", ["*.0.0.1"], False), ("a.test", [], False),
     ("::1", ["::1"], True)],
)  # fmt: skip
def test_a_name_fits_as_tls_clients_have_it(host, names, fit):
    one = Certificate(
        subject="", issuer="", names=tuple(names), not_before="", not_after="", days_left=0
    )
    assert fits(host, (one,)) is fit


def context_of(key, chain, folder):
    """Return a server's context with a key and a chain."""
    path = folder / "made.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
