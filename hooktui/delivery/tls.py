"""TLS contexts of outbound connections, and a parser for the certificates of receivers.

The environment has no influence: ``ssl.create_default_context`` reads ``SSL_CERT_FILE``,
``SSL_CERT_DIR`` and ``SSLKEYLOGFILE``, and a user who sets one could read or forge every delivery.
So the system's own store is named here, or certifi's if a system has none. Certificates are hostile
bytes until they are parsed.
"""

from __future__ import annotations

import functools
import math
import ssl
from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

import certifi
from cryptography import x509

from hooktui.domain.clock import DAY_MS, to_rfc3339
from hooktui.domain.wire.diagnosis import Certificate


@functools.cache
def verified_context() -> ssl.SSLContext:
    """Return the context that checks chain and host name against the system's authorities."""
    context = _context()
    paths = ssl.get_default_verify_paths()
    # The openssl_* paths are compiled in; cafile and capath would follow the environment.
    bundle, folder = Path(paths.openssl_cafile), Path(paths.openssl_capath)
    if bundle.is_file():
        context.load_verify_locations(cafile=bundle)
    if folder.is_dir():
        context.load_verify_locations(capath=folder)
    if not bundle.is_file() and not (folder.is_dir() and any(folder.iterdir())):
        context.load_verify_locations(cafile=certifi.where())
    return context


@functools.cache
def unverified_context() -> ssl.SSLContext:
    """Return the context for hooks with ``verify_tls`` off: encrypted, without authentication."""
    context = _context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Each renegotiation is an expensive handshake, outside of the limit of a response's bytes.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


MAX_CERTIFICATES = 10
"""Limit of a chain; legitimate ones have two to four."""
MAX_NAMES = 100
LONGEST_TEXT = 200


def read_chain(chain: Sequence[bytes], now_ms: int) -> tuple[Certificate, ...]:
    """Return the content of certificates (DER), without those that cannot be parsed."""
    read = [_read(certificate, now_ms) for certificate in chain[:MAX_CERTIFICATES]]
    return tuple(certificate for certificate in read if certificate is not None)


def fits(host: str, chain: tuple[Certificate, ...]) -> bool:
    """Return whether the first certificate names a host, as TLS clients check it (RFC 9525)."""
    host_name = host.rstrip(".").lower()
    names = [name.lower() for name in chain[0].names] if chain else []
    try:
        literal = ip_address(host_name)
    except ValueError:
        first, dot, rest = host_name.partition(".")
        return host_name in names or bool(first and dot and f"*.{rest}" in names)
    return str(literal) in names


def _read(der: bytes, now_ms: int) -> Certificate | None:
    try:
        certificate = x509.load_der_x509_certificate(der)
        ends_ms = _ms(certificate.not_valid_after_utc)
        return Certificate(
            subject=_named(certificate.subject),
            issuer=_named(certificate.issuer),
            names=_names(certificate),
            not_before=to_rfc3339(_ms(certificate.not_valid_before_utc)),
            not_after=to_rfc3339(ends_ms),
            days_left=math.floor((ends_ms - now_ms) / DAY_MS),
        )
    except Exception:  # the kind of error depends on the malformed part
        return None


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


def _named(name: x509.Name) -> str:
    """Return a name's common name, or the whole name if it has none."""
    common = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    text = common[0].value if common else name.rfc4514_string()
    return (text if isinstance(text, str) else text.decode("latin-1"))[:LONGEST_TEXT]


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = [name[:LONGEST_TEXT] for name in san.get_values_for_type(x509.DNSName)]
    names += [str(address) for address in san.get_values_for_type(x509.IPAddress)]
    return tuple(names[:MAX_NAMES])
