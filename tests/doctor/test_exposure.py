"""What the settings leave open, looked at in files and addresses, and said when a server starts."""

from __future__ import annotations

import base64
import logging
import re
from pathlib import Path

import pytest

from hooktui.bench.sink import write_certificate
from hooktui.doctor.exposure import check_exposure
from hooktui.domain.wire.diagnosis import Check
from hooktui.server.listeners import TlsFiles
from hooktui.server.settings import Settings
from tests.support.running_server import running_server


def found(environ: dict[str, str] | None = None, **given: object) -> dict[str, Check]:
    settings = Settings(**given)
    checks = check_exposure(
        settings.allow_networks, settings.tls_files, settings.database_url, environ or {}
    )
    return {one.name: one for one in checks}


@pytest.mark.parametrize(
    ("url", "environ", "state"),
    [
        ("postgresql://u:p@db.example/x", {}, "warn"),
        ("postgresql://u@10.1.2.3:5432/x", {}, "warn"),
        ("postgresql://u@[2001:db8::1]:5432/x", {}, "warn"),
        ("postgresql://u@db.example/x?sslmode=prefer", {}, "warn"),
        ("postgresql://u@db.example/x?sslmode=verify-full", {}, "ok"),
        ("postgresql://u@db.example/x?sslmode=require", {}, "ok"),
        ("postgresql://u@db.example/x", {"PGSSLMODE": "verify-full"}, "ok"),
        ("postgresql://u@db.example/x?sslmode=disable", {"PGSSLMODE": "verify-full"}, "warn"),
        ("postgresql://u@127.0.0.1:5432/x", {}, "ok"),
        ("postgresql://u@[::1]/x", {}, "ok"),
        ("postgresql://localhost/x", {}, "ok"),
        ("postgresql:///x", {}, "ok"),
        ("postgresql:///x", {"PGHOST": "db.example"}, "warn"),
        ("postgresql:///x?host=/var/run/postgresql", {}, "ok"),
        ("postgresql:///x?host=db.example", {}, "warn"),
        ("postgresql://u@127.0.0.1,db.example/x", {}, "warn"),
        ("postgresql://u@127.0.0.1,localhost/x", {}, "ok"),
        ("postgresql://u@127.0.0.1:1,db.example:2/x", {}, "warn"),
        ("postgresql:///x", {"PGHOST": "127.0.0.1:1,db.example:2"}, "warn"),
    ],
)
def test_postgresql_on_another_machine_needs_tls(url, environ, state):
    check = found(environ, database_url=url)["database TLS"]
    assert check.state == state, check
    assert "u:p" not in check.value


# Red when what stands for the host is taken from an address that cannot be read: the log showed it.
@pytest.mark.parametrize("odd", "/?#:[]")
@pytest.mark.parametrize("before", ["", ":", ",", "@", "1"])
def test_no_part_of_a_password_is_taken_for_a_host(before: str, odd: str):
    url = f"postgresql://hooktui:precious{before}{odd}rest@db.example/x"
    shown = repr(found(database_url=url))
    assert "precious" not in shown
    assert "rest" not in shown


def test_sqlite_and_plain_http_have_nothing_to_look_at():
    assert list(found()) == ["networks"]
    assert list(found(database_url="sqlite:////x.db")) == ["networks"]


# Red when a server starts without a word with a key that others read, or networks that open the
# address where clouds hand out credentials.
def test_a_server_says_at_its_start_what_it_leaves_open(tmp_path: Path, caplog):
    key = tmp_path / "key.pem"
    write_certificate(key)
    key.chmod(0o644)
    given = {"listen": "127.0.0.1:0", "tls_cert": key, "tls_key": key}
    with (
        caplog.at_level(logging.WARNING),
        running_server(tmp_path / "home", allow_networks="0.0.0.0/0", **given) as server,
    ):
        assert f"{key} has mode 644: others can read or" in caplog.text
        assert "0.0.0.0/0 opens 169.254.169.254" in caplog.text
        with server.client() as api:
            api.post("/v1/tokens", json={"name": "for ever", "role": "viewer"})
            checks = {one["name"]: one for one in api.get("/v1/doctor").json()["checks"]}
    assert checks["TLS key"]["state"] == "fail"
    assert checks["networks"]["state"] == "warn"
    assert checks["tokens"]["value"] == "1 token never expires: 1 (for ever)"


# Red when a certificate that the server uses is said to be none: OpenSSL reads what others refuse.
def test_a_certificate_whose_dates_cannot_be_read_is_no_failure(tmp_path: Path):
    file = tmp_path / "own cert.pem"
    write_certificate(file)
    pem = file.read_text()
    begin, end = (f"-----{which} CERTIFICATE-----" for which in ("BEGIN", "END"))
    encoded = pem.partition(begin)[2].partition(end)[0]
    der = base64.b64decode(encoded)
    last = re.findall(rb"\d{12}Z", der)[1]
    der = der.replace(last, last[:2] + b"13" + last[4:])  # in a thirteenth month
    file.write_text(pem.replace(encoded, f"\n{base64.encodebytes(der).decode()}"))
    TlsFiles(file, file)
    check = found(tls_cert=file, tls_key=file)["certificate"]
    assert check.state == "warn"
    assert check.advice == f"see: openssl x509 -text -in '{file}'"


def test_a_safe_server_says_nothing(tmp_path: Path, caplog):
    key = tmp_path / "key.pem"
    write_certificate(key)
    given = {"listen": "127.0.0.1:0", "tls_cert": key, "tls_key": key}
    with caplog.at_level(logging.WARNING), running_server(tmp_path / "home", **given):
        pass
    assert "TLS key" not in caplog.text
    assert "networks" not in caplog.text
