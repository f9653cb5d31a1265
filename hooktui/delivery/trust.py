"""The TLS contexts of outbound connections; nothing of them comes from the environment.

``ssl.create_default_context`` reads ``SSL_CERT_FILE``, ``SSL_CERT_DIR`` and ``SSLKEYLOGFILE``:
whoever sets one could read or fake every delivery. So the system's own store is named here, and
certifi's is taken where a system has none.
"""

from __future__ import annotations

import functools
import ssl
from pathlib import Path

import certifi


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
    """Return the context for hooks whose ``verify_tls`` is off: encrypted, to anybody."""
    context = _context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Each renegotiation is a handshake that we pay for, and they are no bytes of an answer.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context
