"""A certificate for a receiver on 127.0.0.1, signed by itself."""

from __future__ import annotations

import datetime
from ipaddress import ip_address
from pathlib import Path

_DAYS = 7


def write_certificate(file: Path) -> None:
    """Write a new key and its certificate (PEM), readable by their owner alone."""
    # cryptography takes a tenth of a second to import, which only the start of a sink may cost.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooktui measurement")])
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    hosts = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=_DAYS))
        .add_extension(hosts, critical=False)
        .sign(key, hashes.SHA256())
    )
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
