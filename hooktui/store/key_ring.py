"""The keys of an installation: where they are read from, and how they are replaced.

A systemd credential has priority, then the key file, then the environment. A key file is created
with a new database. The server can change only the key file.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from hooktui import failpoints
from hooktui.domain.errors import Conflict
from hooktui.store.vault import Key, KeyProblem, load_keys, new_key, parse_keys, replace_keys

CREDENTIAL: Final = "hooktui.key"
"""The name of the systemd credential (``LoadCredential=``) that holds the keys."""
VARIABLE: Final = "HOOKTUI_KEY"
_FOLDER: Final = "CREDENTIALS_DIRECTORY"  # systemd.exec(5)

Kind = Literal["credential", "file", "environment"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of an installation, newest first.

    Attributes:
        kind: where the keys come from.
        place: a path or the name of a variable.
        keys: the first encrypts, all decrypt.
    """

    kind: Kind
    place: str
    keys: tuple[Key, ...] = field(repr=False)

    @property
    def changeable(self) -> bool:
        """Whether this process can change the keys there."""
        return self.kind == "file"

    def with_new(self) -> KeyRing:
        """Return the ring with a new key in front, already on disk.

        Raises:
            Conflict: only an operator can change the keys.
            KeyProblem: the file cannot be written.
        """
        if not self.changeable:
            raise Conflict(
                f"the keys come from {self.source}, which the server cannot change: add a new key"
                " on top of them (hooktui keys new creates one), restart the server,"
                " and repeat this"
            )
        ring = self._replaced((new_key(), *self.keys))
        failpoints.hit("after_new_key_is_kept")
        return ring

    def only(self, key: bytes) -> KeyRing:
        """Return the ring with one key alone, already on disk.

        Raises:
            KeyProblem: the file cannot be written.
        """
        ring = self._replaced(tuple(kept for kept in self.keys if kept.id == key))
        failpoints.hit("after_old_keys_are_dropped")
        return ring

    def _replaced(self, keys: tuple[Key, ...]) -> KeyRing:
        replace_keys(Path(self.place), keys)
        return KeyRing(self.kind, self.place, keys)

    @property
    def source(self) -> str:
        """A readable name of the keys' location."""
        what = {"credential": "the systemd credential", "file": "the key file"}
        return f"{what.get(self.kind, 'the variable')} {self.place}"


@dataclass(slots=True)
class _ProcessKeys:
    """The keys that this process got at its start.

    Attributes:
        credential: read by a command as root before it became the service's user, who cannot.
        variable: the content of ``HOOKTUI_KEY``.
    """

    credential: KeyRing | None = None
    variable: str = field(default="", repr=False)


_PROCESS: Final = _ProcessKeys()


def find_keys(key_file: Path, *, database_is_new: bool = False) -> KeyRing:
    """Return the keys of this installation; create a key file if the database is new, too.

    Raises:
        KeyProblem: there are none beside a database in use, others can read them, or the content is
            not a key.
    """
    if _PROCESS.credential is not None:
        return _PROCESS.credential
    credential = _credential()
    if credential is not None:
        try:
            text = credential.read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise KeyProblem(f"cannot read {credential}: {error.strerror}") from error
        return _ring_of_credential(text, str(credential))
    if not os.path.lexists(key_file) and _PROCESS.variable:
        _log.warning(
            "the keys come from the environment (%s), which more programs can read than"
            " a file: write them into %s (mode 600)", VARIABLE, key_file,
        )  # fmt: skip
        text = _PROCESS.variable.replace(",", "\n")
        return KeyRing("environment", VARIABLE, tuple(parse_keys(text, VARIABLE)))
    keys = load_keys(key_file, database_is_new=database_is_new)
    return KeyRing("file", str(key_file), tuple(keys))


def hold_credential(text: str, place: str) -> None:
    """Use keys as the service's credential, in a process that systemd did not start.

    Raises:
        KeyProblem: the text holds no keys.
    """
    _PROCESS.credential = _ring_of_credential(text, place)


def _ring_of_credential(text: str, place: str) -> KeyRing:
    keys = parse_keys(text, f"the systemd credential {place}")
    return KeyRing("credential", place, tuple(keys))


def hold_variable(environ: Mapping[str, str]) -> None:
    """Use the keys of ``HOOKTUI_KEY`` unless there are others; called once, at the start."""
    _PROCESS.variable = environ.get(VARIABLE, "")


def keys_are_there(key_file: Path) -> bool:
    """Return whether any keys exist, valid or not."""
    given = _PROCESS.credential or _credential() or _PROCESS.variable
    return bool(given) or os.path.lexists(key_file)


def _credential() -> Path | None:
    folder = os.environ.get(_FOLDER)
    if not folder:
        return None
    credential = Path(folder, CREDENTIAL)
    return credential if credential.exists() else None
