"""The user and the keys in the systemd unit of the service (systemd.exec(5))."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

CREDENTIAL: Final = "hooktui.key"
_LOAD: Final = {"LoadCredential": False, "LoadCredentialEncrypted": True}


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """The source of a systemd credential.

    Attributes:
        path: absolute, or a name in one of the credential stores.
        encrypted: whether `systemd-creds` decrypts it.
    """

    path: str
    encrypted: bool


@dataclass(frozen=True, slots=True)
class ServiceUnit:
    """The user of the service, None if the unit names none, and the sources of its keys."""

    user: str | None = None
    keys: tuple[CredentialSource, ...] = ()


def read_unit(texts: Iterable[str]) -> ServiceUnit:
    """Read a unit and its drop-ins, in the order in which systemd applies them."""
    user: str | None = None
    keys: dict[bool, list[CredentialSource]] = {False: [], True: []}
    for name, value in _settings(texts):
        if name == "User":
            user = value or None
        elif name in _LOAD:
            encrypted = _LOAD[name]
            if not value:  # an empty assignment resets the list
                keys[encrypted].clear()
                continue
            identity, _, path = value.partition(":")
            if identity == CREDENTIAL:
                keys[encrypted].append(CredentialSource(path or CREDENTIAL, encrypted))
    return ServiceUnit(user, (*keys[False], *keys[True]))


def _settings(texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Yield the settings of all ``[Service]`` sections."""
    for text in texts:
        section = ""
        for line in text.replace("\\\n", "").splitlines():
            line = line.strip()
            if line.startswith("[") and line.endswith("]"):
                section = line
            elif section == "[Service]" and line[:1] not in ("#", ";") and "=" in line:
                name, _, value = line.partition("=")
                yield name.strip(), value.strip()
