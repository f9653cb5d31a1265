"""Certificates for receivers of tests, by an authority that only they know."""

import datetime
import ssl
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """A certificate authority of our own; ``trust`` is what a client that trusts it uses.

    Attributes:
        pem: its certificate.
    """

    def __init__(self, folder, name="Test authority"):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(self._name, self._key.public_key(), authority=True)
        self._made = 0
        self.trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.trust.load_verify_locations(cadata=self.pem)

    def _sign(self, name, public_key, *, authority=False, hosts=(), days=1):
        now = datetime.datetime.now(datetime.UTC)
        begin = now - datetime.timedelta(days=10)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def server_context(self, *hosts, days=1, subject="receiver"):
        """Return a server's context with a certificate for these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [
            x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
            for host in hosts
        ]
        certificate = self._sign(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]),
            key.public_key(),
            hosts=names,
            days=days,
        )
        self._made += 1
        path = self._folder / f"server{self._made}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context
