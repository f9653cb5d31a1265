"""The server as a whole: one for each home, tidy in its folder, and gone when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hooktui import sockets
from hooktui.domain.errors import Conflict
from hooktui.domain.paths import paths_of
from hooktui.server import listeners, run
from hooktui.server.assembly import open_store
from hooktui.server.settings import BadSettings, Settings
from tests.support.postgres import database
from tests.support.receivers import receiving
from tests.support.running_server import running_server
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]


@contextmanager
def _process(home: Path, **variables: str):
    """Run a server of its own process; yields it once it answers."""
    where = paths_of({"HOOKTUI_HOME": str(home)})
    environ = {name: value for name, value in os.environ.items() if "HOOKTUI" not in name}
    environ |= {"HOOKTUI_HOME": str(home), "PYTHONPATH": str(ROOT)} | variables
    command = "from hooktui.server.run import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", command], env=environ, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for(lambda: _answers(where.socket) or process.poll() is not None)
        yield process
    finally:
        process.kill()
        process.communicate()


def _answers(path: Path) -> bool:
    try:
        with sockets.connect(path, 5) as client:
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return client.recv(12) == b"HTTP/1.1 200"
    except OSError:
        return False


def test_a_fresh_home_is_made_for_its_owner(tmp_path):
    home = tmp_path / "a" / "b"
    with running_server(home) as server:
        assert stat.S_IMODE(home.stat().st_mode) & 0o027 == 0
        assert stat.S_IMODE(server.paths.socket.stat().st_mode) == 0o660
        assert stat.S_IMODE(server.paths.database.stat().st_mode) == 0o600
        assert stat.S_IMODE(server.paths.key_file.stat().st_mode) == 0o600
    assert not server.paths.socket.exists()


def _start_as(uid: int, home: Path) -> str:
    """Return the error of a start by another user."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            run.main({}, {"HOOKTUI_HOME": str(home)})
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as output:
        text = output.read()
    os.waitpid(child, 0)
    return text


# Red when the home is judged first: the user was told to chown the home of a running server.
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("mode", [0o750, 0o755])
def test_another_user_starts_no_second_server(mode):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = Path(folder, "home")
        with running_server(home) as server:
            home.chmod(mode)
            config = home / "config.toml"
            config.touch(0o600)
            refused = _start_as(65534, home)
            assert refused.startswith(f"NotAllowed: permission denied for {server.paths.socket}")
            home.chmod(0o755)
            server.paths.socket.chmod(0o666)
            assert _start_as(65534, home).startswith("Conflict: another server listens on")
            config.unlink()
        assert "chown" in _start_as(65534, home)


def test_a_second_server_on_a_home_is_refused(tmp_path):
    with running_server(tmp_path) as first:
        with pytest.raises(Conflict, match=f"pid {os.getpid()}"), running_server(tmp_path):
            pass
        with first.client() as api:
            assert api.get("/healthz").status_code == 200


def test_two_homes_are_two_installations(tmp_path):
    with running_server(tmp_path / "a") as one, running_server(tmp_path / "b") as other:
        with one.client() as api:
            api.post("/v1/accounts", json={"name": "only here"})
        with other.client() as api:
            assert api.get("/v1/accounts").json()["total"] == 1


def test_the_socket_of_a_killed_server_is_replaced(tmp_path):
    with _process(tmp_path) as process:
        process.kill()
        process.wait()
        assert (tmp_path / "hooktui.sock").exists()
    with running_server(tmp_path) as server, server.client() as api:
        assert api.get("/healthz").status_code == 200


def test_a_file_in_the_way_of_the_socket_is_left_alone(tmp_path):
    (tmp_path / "hooktui.sock").write_text("mine")
    told = r"hooktui\.sock is not a socket"
    with pytest.raises(BadSettings, match=told), running_server(tmp_path):
        pass
    assert (tmp_path / "hooktui.sock").read_text() == "mine"


def test_a_socket_that_somebody_listens_on_is_left_alone(tmp_path):
    with sockets.bind(tmp_path / "hooktui.sock", 0o600):
        with pytest.raises(Conflict, match="another server listens"), running_server(tmp_path):
            pass
        sockets.connect(tmp_path / "hooktui.sock", 1).close()


def test_a_home_whose_path_is_too_long_for_a_socket_works(tmp_path):
    home = tmp_path / ("x" * 100) / ("y" * 100)
    with running_server(home) as server:
        assert _answers(server.paths.socket)
    assert not server.paths.socket.exists()


def test_a_failed_start_leaves_the_home_to_the_next_server(tmp_path):
    with pytest.raises(BadSettings), running_server(tmp_path, listen="0.0.0.0:0"):
        pass
    with running_server(tmp_path) as server, server.client() as api:
        assert api.get("/readyz").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_in_order(tmp_path, number):
    with _process(tmp_path) as process:
        process.send_signal(number)
        _, log = process.communicate(timeout=20)
        assert process.returncode == 0, log
    assert not (tmp_path / "hooktui.sock").exists()
    lines = log.splitlines()
    assert any("started version=" in line for line in lines)
    assert [line.rpartition(" ")[2] for line in lines[-2:]] == ["stopping", "stopped"]
    assert "Traceback" not in log


def test_what_waits_is_delivered_by_the_next_server(tmp_path):
    with receiving() as receiver:
        receiver.released.clear()
        with _process(tmp_path, HOOKTUI_ALLOW_NETWORKS="127.0.0.0/8") as process:
            with httpx.Client(
                transport=httpx.HTTPTransport(uds=str(tmp_path / "hooktui.sock"), verify=False),
                base_url="http://hooktui",
                timeout=None,
            ) as api:
                fields = {"url": receiver.url, "events": ["job"]}
                assert api.post("/v1/hooks", json=fields).status_code == 201
                assert api.post("/v1/events/job.failed", json={"n": 1}).status_code == 202
            receiver.wait_for(1)
            process.kill()
        receiver.released.set()
        with running_server(tmp_path):
            first, second = receiver.wait_for(2)
        assert first.body == second.body
        assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_a_ping_in_flight_gets_its_response_before_the_end(tmp_path):
    with receiving() as receiver, running_server(tmp_path) as server, server.client() as api:
        fields = {"url": receiver.url, "events": ["job"]}
        hook = api.post("/v1/hooks", json=fields).json()["id"]
        receiver.released.clear()
        with ThreadPoolExecutor(2) as pool:
            ping = pool.submit(api.post, f"/v1/hooks/{hook}/ping")
            receiver.wait_for(1)
            ending = pool.submit(server.stop)
            wait_for(lambda: not _answers(server.paths.socket))
            receiver.released.set()
            assert ping.result(15).json()["delivery"]["status"] == "delivered"
            ending.result(15)


# TCP


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_without_tls_only_loopback_is_listened_on(tmp_path, listen):
    with pytest.raises(BadSettings, match="needs TLS"), running_server(tmp_path, listen=listen):
        pass


def test_a_port_that_is_taken_is_reported(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = pytest.raises(BadSettings, match=f"{listen}: Address already in use")
        with refused, running_server(tmp_path, listen=listen):
            pass


# /etc/hosts names ::1 for localhost also where IPv6 is off, as in most containers.
async def test_an_ipv6_address_that_the_machine_lacks_is_left_out(monkeypatch):
    async def look_up(*_, **__):
        ipv4, ipv6 = (socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("2001:db8::1", 0, 0, 0))
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in (ipv6, ipv4)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    bound = await listeners.bind_tcp(Settings(listen="both:0", tls_cert="c.pem", tls_key="k.pem"))
    assert [listening.getsockname()[0] for listening in bound] == ["127.0.0.1"]
    listeners.close(bound)


async def test_an_ipv6_address_alone_that_the_machine_lacks_is_reported():
    settings = Settings(listen="[2001:db8::1]:0", tls_cert="c.pem", tls_key="k.pem")
    with pytest.raises(BadSettings, match=r"cannot listen on \[2001:db8::1\]:0"):
        await listeners.bind_tcp(settings)


def test_tls_is_spoken_with_the_certificate_that_was_given(tmp_path):
    certificate, key = _certificate(tmp_path)
    given = {"listen": "127.0.0.1:0", "tls_cert": certificate, "tls_key": key}
    with running_server(tmp_path / "home", **given) as server:
        port = server.listen[0][1]
        trusting = ssl.create_default_context(cafile=certificate)
        answer = httpx.get(
            f"https://localhost:{port}/healthz", verify=trusting, trust_env=False, timeout=None
        )
        assert answer.status_code == 200
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://localhost:{port}/healthz", trust_env=False, timeout=None)


# Red when the files are read at the start only, or when faulty ones replace those in use.
def test_a_renewed_certificate_is_used_without_a_restart(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "_CERTIFICATE_EVERY_S", 0.01)
    (tmp_path / "new").mkdir()
    (certificate, key), (new, new_key) = _certificate(tmp_path), _certificate(tmp_path / "new")
    old = certificate.read_text()
    given = {"listen": "127.0.0.1:0", "tls_cert": certificate, "tls_key": key}
    with running_server(tmp_path / "home", **given) as server, server.client() as api:

        def check() -> dict[str, str]:
            checks = {one["name"]: one for one in api.get("/v1/doctor").json()["checks"]}
            return checks["certificate"]

        def shown() -> str:
            return ssl.get_server_certificate(server.listen[0])

        assert check()["value"] == f"{certificate} expires within a day"
        new.replace(certificate)
        wait_for(lambda: "the key belongs to another certificate" in check()["value"])
        assert shown() == old
        new_key.replace(key)
        wait_for(lambda: check()["value"] == f"{certificate} expires within a day")
        assert shown() == certificate.read_text()
        certificate.unlink()
        wait_for(lambda: "No such file" in check()["value"])
        assert shown() != old


def test_a_certificate_that_cannot_be_used_is_reported(tmp_path):
    (tmp_path / "x.pem").write_text("nothing")
    given = {"listen": "127.0.0.1:0", "tls_cert": tmp_path / "x.pem", "tls_key": tmp_path / "x.pem"}
    with pytest.raises(BadSettings, match=r"x\.pem"), running_server(tmp_path, **given):
        pass


# Red when all of them are "[SSL] PEM lib (_ssl.c:3926)", with both names.
def test_a_certificate_and_a_key_that_do_not_fit_are_explained(tmp_path):
    (tmp_path / "other").mkdir()
    (certificate, key), (_, other) = _certificate(tmp_path), _certificate(tmp_path / "other")
    encrypted, missing = tmp_path / "encrypted.pem", tmp_path / "missing.pem"
    cut, short = tmp_path / "cut.pem", tmp_path / "short.pem"
    cut.write_bytes(certificate.read_bytes()[:100])
    short.write_bytes(key.read_bytes()[:100])
    encrypted.write_bytes(
        serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
    )
    for files, message in {
        (missing, key): f"cannot read {missing}: No such file or directory",
        (certificate, missing): f"cannot read {missing}: No such file or directory",
        (certificate, certificate): f"{certificate} holds no private key in PEM format",
        (key, key): f"{key} holds no certificate in PEM format",
        (certificate, other): "the key belongs to another certificate",
        (certificate, encrypted): "the key is encrypted; store it without a passphrase",
        (cut, key): "one of them is incomplete or damaged; copy both again",
        (certificate, short): "one of them is incomplete or damaged; copy both again",
    }.items():
        with pytest.raises(BadSettings) as caught:
            listeners.tls(Settings(tls_cert=files[0], tls_key=files[1]))
        assert caught.value.detail.endswith(message), (files, caught.value.detail)


def test_hooks_do_not_reach_the_server_itself(tmp_path):
    with running_server(tmp_path, listen="127.0.0.1:0") as server, server.client() as api:
        fields = {"url": f"http://127.0.0.1:{server.listen[0][1]}/", "events": ["job"]}
        hook = api.post("/v1/hooks", json=fields).json()["id"]
        attempt = api.post(f"/v1/hooks/{hook}/ping").json()["delivery"]["attempt"]
        assert attempt["error"] == "address_refused"


def test_the_hosts_that_are_configured_are_answered(tmp_path):
    given = {"listen": "127.0.0.1:0", "hosts": "hooks.example, Other.example"}
    with running_server(tmp_path, **given) as server:
        url = f"http://127.0.0.1:{server.listen[0][1]}/healthz"
        for host, status in (("hooks.example", 200), ("OTHER.example:8443", 200), ("x", 403)):
            assert (
                httpx.get(url, headers={"Host": host}, trust_env=False, timeout=None).status_code
                == status
            )


# Settings


def test_another_catalogue_brings_its_own_types(tmp_path):
    catalogue = tmp_path / "catalogue.toml"
    catalogue.write_text(
        '[[group]]\nid = "order"\nname = "Order"\n'
        '[[group.type]]\nid = "order.paid"\nname = "Paid"\ndescription = "Paid."\n'
    )
    with running_server(tmp_path / "home", catalogue=catalogue) as server, server.client() as api:
        assert api.get("/v1/event-types").json()["groups"][0]["id"] == "order"
        assert api.post("/v1/events/order.paid", json={}).status_code == 202
        assert api.post("/v1/events/job.failed", json={}).status_code == 422


def test_the_database_may_lie_elsewhere(tmp_path):
    url = f"sqlite:///{tmp_path}/other/data.db"
    with running_server(tmp_path / "home", database_url=url) as server, server.client() as api:
        location = api.get("/v1/status").json()["database"]["location"]
        assert location == f"{tmp_path}/other/data.db"
        assert not server.paths.database.exists()


@pytest.mark.parametrize(
    ("service", "advice"),
    [(True, "the line ReadWritePaths={folder} in its unit"), (False, "set database_url to")],
)
async def test_a_folder_of_the_database_that_cannot_be_written_is_reported(
    tmp_path, monkeypatch, service, advice
):
    folder = tmp_path / "elsewhere"
    home = paths_of({"HOOKTUI_HOME": str(tmp_path / "home")})
    where = replace(home, service=service).absolute(folder / "a.db")
    monkeypatch.setattr(os, "access", lambda path, _mode: path != folder)
    with pytest.raises(BadSettings, match=f"{folder} is not writable") as refused:
        await open_store(where, Settings())
    assert advice.format(folder=folder) in refused.value.detail


# Red when the text names the variable: an option or the file may hold the address.
@pytest.mark.parametrize("url", ["sqlite:///", "data.db", "mysql://x"])
def test_a_database_that_this_version_has_not_is_refused(tmp_path, url):
    refused = pytest.raises(BadSettings, match="database address must be sqlite:///PATH")
    with refused, running_server(tmp_path, database_url=url):
        pass


async def test_a_home_of_postgresql_gets_no_new_database_by_accident(tmp_path, postgres):
    """Red when a console that finds no server starts one: it takes events, and has no hooks."""
    async with database(postgres) as url:
        with running_server(tmp_path, database_url=url):
            pass
    refused = pytest.raises(BadSettings, match="--database or HOOKTUI_DATABASE_URL")
    with refused, running_server(tmp_path):
        pass
    with running_server(tmp_path, database_url=f"sqlite:///{tmp_path}/named.db"):
        pass
    (tmp_path / "hooktui.lease").unlink()
    with running_server(tmp_path) as server:
        assert server.paths.database.exists()


async def test_a_server_on_postgresql_warns_of_the_sqlite_database_beside_it(
    tmp_path, postgres, caplog
):
    """Red when an admin only names the new database: events of the old one wait unseen."""
    with running_server(tmp_path):
        pass
    async with database(postgres) as url:
        with running_server(tmp_path, database_url=url) as server:
            assert f"{server.paths.database} was not moved to PostgreSQL" in caplog.text


def test_the_documentation_page_is_there_only_when_asked_for(tmp_path):
    with running_server(tmp_path, api_docs=True) as server, server.client() as api:
        page = api.get("/docs")
        assert page.headers["Content-Type"].startswith("text/html")
        assert "/v1/hooks/{hook}/ping" in page.text


def test_an_error_of_our_own_is_logged_and_shown_without_its_inside(tmp_path, caplog):
    with running_server(tmp_path) as server, server.client() as api:
        fields = {"url": "http://127.0.0.1:9/", "events": ["job"]}
        assert api.post("/v1/hooks", json=fields).status_code == 201
        with contextlib.closing(sqlite3.connect(server.paths.database)) as shell, shell:
            shell.execute("UPDATE hook SET events = 'broken'")
        answer = api.get("/v1/hooks")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "JSON is malformed" not in answer.text
    assert "error while handling GET /v1/hooks" in caplog.text
    assert "JSON is malformed" in caplog.text


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"
