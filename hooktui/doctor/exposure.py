"""Checks the settings of a server for risks: networks, the TLS key, TLS to PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from hooktui.doctor.rules import assess_database_tls, assess_networks, assess_tls_key
from hooktui.domain.clock import now_ms
from hooktui.domain.diagnosis_tls import assess_own_certificate
from hooktui.domain.errors import Refused
from hooktui.domain.wire.diagnosis import Check


def check_exposure(
    networks: Sequence[IPv4Network | IPv6Network],
    tls_files: tuple[Path, Path] | None,
    database_url: str | None,
    environ: Mapping[str, str],
    tls_fault: str | None = None,
) -> Iterator[Check]:
    """Check the settings of a server for risks: allowed networks, TLS files, database address.

    ``environ`` is the server's: the driver of PostgreSQL reads ``PGHOST`` and ``PGSSLMODE``.
    ``tls_fault`` says why a running server does not use the files.
    """
    yield assess_networks(networks)
    if tls_files is not None:
        certificate, key = tls_files
        yield _check_certificate(certificate, tls_fault)
        yield _check_key(key)
    if database_url and not database_url.startswith("sqlite:"):
        with contextlib.suppress(Refused, ValueError):
            yield assess_database_tls(*_hosts_and_sslmode(database_url, environ))


def _check_certificate(file: Path, fault: str | None) -> Check:
    if fault is not None:
        advice = "correct the files; the server looks at them every minute"
        return Check("certificate", "fail", f"the old one is still in use: {fault}", advice)
    from cryptography import x509  # takes a tenth of a second

    try:
        first = x509.load_pem_x509_certificates(file.read_bytes())[0]
    except OSError as error:
        advice = "correct the file, or tls_cert"
        return Check("certificate", "fail", f"{file}: {error.strerror}", advice)
    except ValueError:  # OpenSSL, and so the server, accepts more
        advice = f"see: openssl x509 -text -in {shlex.quote(str(file))}"
        return Check("certificate", "warn", f"{file}: cannot read when it expires", advice)
    lifetime = (first.not_valid_before_utc, first.not_valid_after_utc)
    begin_ms, end_ms = (int(moment.timestamp()) * 1000 for moment in lifetime)
    return assess_own_certificate(str(file), begin_ms, end_ms, now_ms())


def _check_key(file: Path) -> Check:
    try:
        status = file.stat()
    except OSError as error:
        return Check("TLS key", "fail", f"{file}: {error.strerror}", "check that the file exists")
    return assess_tls_key(str(file), status.st_mode, status.st_uid, os.geteuid())


def _hosts_and_sslmode(url: str, environ: Mapping[str, str]) -> tuple[list[str], str | None]:
    """Return the remote hosts of an address, and its ``sslmode``.

    Raises:
        Refused: no server accepts the address. A part of its password may seem to be a host.
        ValueError: nor ``PGHOST``.
    """
    from hooktui.store.postgres.connections import parse_database_url, parse_hosts

    hosts = parse_database_url(url).hosts
    if not hosts[0][0]:
        hosts = parse_hosts(environ.get("PGHOST", ""))
    query = parse_qs(urlsplit(url).query)
    chosen = query.get("sslmode", [None])[-1] or environ.get("PGSSLMODE") or None
    return [host for host, _ in hosts if not _is_here(host)], chosen


def _is_here(host: str) -> bool:
    """Return whether a host is this machine: none named, a socket's folder, or loopback."""
    if not host or host.startswith(("/", "@")) or host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
