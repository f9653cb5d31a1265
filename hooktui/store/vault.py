"""The vault encrypts the store's secrets with AES-256-GCM before they reach a row.

An encrypted value is key id (4 bytes), nonce (12 bytes), ciphertext. Its associated data names the
table, column and row and the binding of the value (``sealed_values``), so a value that was copied
elsewhere cannot be decrypted. A key file holds one key a line (``<id> <base64>``), newest first:
the first encrypts, all decrypt.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
import shlex
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hooktui import failpoints
from hooktui.domain.errors import HooktuiError
from hooktui.store.durable_files import sync

ID_BYTES = 4
_NONCE_BYTES, _KEY_BYTES = 12, 32
_DRAFT_END = re.compile(r"[0-9a-f]{8}\.new")
_HEADER = """\
# The keys that encrypt hooktui's secrets; the first encrypts, all decrypt. Without this file the
# secrets in the database are lost: keep a copy apart from it.
"""


class KeyProblem(HooktuiError):
    """The key file is missing, wrong or readable by others, or does not fit the database."""

    title = "Key file problem"


class ValueMoved(KeyProblem):
    """An encrypted value does not belong to its row and column: it was changed or moved."""

    status = 409
    title = "Encrypted value was changed or moved"


@dataclass(frozen=True, slots=True)
class Key:
    """A key and the id that encrypted values name it by."""

    id: bytes
    value: bytes = field(repr=False)


class Vault:
    """Encrypts values with the first of its keys, and decrypts them with all.

    Attributes:
        sealer: the id of the key that encrypts.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        self.sealer = keys[0].id
        self._ciphers = {key.id: AESGCM(key.value) for key in keys}

    @property
    def ids(self) -> frozenset[bytes]:
        """The ids of the keys that decrypt."""
        return frozenset(self._ciphers)

    def add_keys(self, keys: Sequence[Key]) -> None:
        """Add keys that decrypt.

        No key is removed while the process runs: a reader may still hold an old row.
        """
        self._ciphers = {**self._ciphers, **{key.id: AESGCM(key.value) for key in keys}}

    def encrypt_with(self, key: bytes) -> None:
        """Encrypt with another of the keys from now on.

        Raises:
            KeyProblem: the key is not in this vault.
        """
        if key not in self._ciphers:
            raise KeyProblem(
                f"the installation now encrypts with key {key.hex()}, which this server lacks;"
                " copy the key file of the server that rotated the keys, and restart this one"
            )
        self.sealer = key

    def encrypt(self, text: str, table: str, row: int, bound: str = "") -> bytes:
        """Return a text encrypted for the column ``sealed`` of one row.

        ``bound`` is a binding that must be the same for decryption.
        """
        nonce, sealer = os.urandom(_NONCE_BYTES), self.sealer
        associated_data = _associated_data(table, row, bound)
        return sealer + nonce + self._ciphers[sealer].encrypt(nonce, text.encode(), associated_data)

    def decrypt(self, sealed: bytes, table: str, row: int, bound: str = "") -> str:
        """Return the text of an encrypted value.

        Raises:
            KeyProblem: the key is missing.
            ValueMoved: the value was not encrypted for this row.
        """
        key_id, rest = sealed[:ID_BYTES], sealed[ID_BYTES:]
        where = f"{table} {row}"
        if len(rest) < _NONCE_BYTES:
            raise ValueMoved(
                f"{where} holds an encrypted value that was cut off; restore it from a backup"
            )
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise KeyProblem(
                f"{where} was encrypted with key {key_id.hex()}, which is not in the key file; "
                "restore the key file that belongs to this database"
            )
        try:
            associated_data = _associated_data(table, row, bound)
            return cipher.decrypt(
                rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], associated_data
            ).decode()
        except InvalidTag as error:
            bound_to = f", or does not belong to {bound}" if bound else ""
            raise ValueMoved(
                f"{where} holds an encrypted value that was changed or moved{bound_to};"
                " restore it from a backup"
            ) from error


def _associated_data(table: str, row: int, bound: str) -> bytes:
    return f"hooktui|{table}|sealed|{row}{'|' if bound else ''}{bound}".encode()


def load_keys(path: Path, *, database_is_new: bool) -> list[Key]:
    """Read the key file; create it if the database is new, too.

    Raises:
        KeyProblem: it is missing beside an existing database, readable by others, or not a key
            file.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        if not database_is_new:
            raise KeyProblem(
                f"the key file {path} is missing, and the database was encrypted with it; "
                "restore it from a backup (nothing is ever stored unencrypted)"
            ) from None
        key = new_key()
        create_keys(path, [key])
        return [key]
    except OSError as error:
        raise KeyProblem(f"cannot read the key file {path}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(file).st_mode):  # a pipe would be waited for
        os.close(file)
        raise KeyProblem(f"cannot read the key file {path}: it is not a file")
    with os.fdopen(file, encoding="ascii", errors="replace") as lines:
        _check_mode(path, os.fstat(lines.fileno()))
        return parse_keys(lines.read(), f"the key file {path}")


def _check_mode(path: Path, status: os.stat_result) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise KeyProblem(f"the key file {path} belongs to another user; chown it to this one")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyProblem(
            f"others can read the key file {path} (mode {stat.S_IMODE(status.st_mode):o}); "
            f"run: chmod 600 {shlex.quote(str(path))}"
        )


def parse_keys(text: str, where: str) -> list[Key]:
    """Read keys, one a line.

    Args:
        text: lines of ``<8 hex digits> <32 bytes in base64>``; ``#`` begins a comment.
        where: what it was read from, for messages.

    Raises:
        KeyProblem: a line is not a key, two keys share an id, or there is none.
    """
    keys: list[Key] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            identity, value = words
            key = Key(bytes.fromhex(identity), base64.b64decode(value, validate=True))
        except (ValueError, binascii.Error):
            key = Key(b"", b"")
        if len(key.id) != ID_BYTES or len(key.value) != _KEY_BYTES:
            raise KeyProblem(f"{where}, line {number} is not a key (8 hex digits, 32 bytes base64)")
        if any(key.id == other.id for other in keys):
            raise KeyProblem(f"{where} has two keys {key.id.hex()}; remove the wrong one")
        keys.append(key)
    if not keys:
        raise KeyProblem(f"{where} holds no key; restore it from a backup")
    return keys


def new_key() -> Key:
    """Return a new random key."""
    return Key(secrets.token_bytes(ID_BYTES), secrets.token_bytes(_KEY_BYTES))


def key_line(key: Key) -> str:
    """Return a key as a line of a key file."""
    return f"{key.id.hex()} {base64.b64encode(key.value).decode()}\n"


def create_keys(path: Path, keys: Sequence[Key]) -> None:
    """Write a key file atomically: secrets are lost without it.

    Raises:
        KeyProblem: it cannot be written, or the file already exists.
    """
    try:
        draft = _draft(path, keys)
        try:
            os.link(draft, path)  # unlike a rename, it never replaces a file
        finally:
            draft.unlink()
        sync(path.parent)
    except OSError as error:
        raise KeyProblem(f"cannot write the key file {path}: {error.strerror}") from error


def replace_keys(path: Path, keys: Sequence[Key]) -> None:
    """Replace the keys in a key file atomically: a kill leaves the old or the new ones.

    Raises:
        KeyProblem: it cannot be written.
    """
    try:
        for file in path.parent.iterdir():
            if _is_draft(file, path):  # left by a killed process
                file.unlink()
        draft = _draft(path, keys)
        failpoints.hit("before_keys_are_replaced")
        draft.replace(path)
        sync(path.parent)
    except OSError as error:
        raise KeyProblem(f"cannot write the key file {path}: {error.strerror}") from error


def _is_draft(file: Path, path: Path) -> bool:
    """Return whether a file was made by `_draft`: people keep old keys under similar names."""
    begin, _, rest = file.name.partition(f".{path.name}.")
    return not begin and _DRAFT_END.fullmatch(rest) is not None


def _draft(path: Path, keys: Sequence[Key]) -> Path:
    """Write keys to a new, synced, private file next to a key file; return its path."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(file, "w", encoding="ascii") as out:
            out.write(_HEADER + "".join(map(key_line, keys)))
            out.flush()
            os.fsync(out.fileno())
    except OSError:
        draft.unlink()
        raise
    return draft
