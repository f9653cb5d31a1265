"""Converts a hook's settings to columns and back; write-only values share one encrypted column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import RowMapping

from hooktui.domain.hook_fields import HOOK_SETTINGS, BasicAuth
from hooktui.domain.hook_settings import Credentials, HookSettings, masked_headers
from hooktui.domain.text import MASK
from hooktui.store.sealed_places import bound_to_url
from hooktui.store.vault import Vault

TABLE, COLUMN = "hook", "sealed"


class _Sealed(msgspec.Struct):
    """The content of the encrypted column."""

    headers: dict[str, str] = {}
    password: str | None = None


_AUTH = "basic_auth"
_AUTH_USER = "basic_auth_user"
"""The column of `_AUTH`; the password is in the sealed column."""

_COLUMNS = {name: one for name, one in HOOK_SETTINGS.items() if name != _AUTH}
_DECODERS = {
    name: msgspec.json.Decoder(one.type) for name, one in _COLUMNS.items() if not one.is_plain
}
"""Of the columns that hold JSON; the others hold the value itself."""


def columns_of(settings: HookSettings) -> dict[str, object]:
    """Return all columns that settings fill, except the sealed one."""
    readable = _masked(settings, settings.sensitive_headers)
    return {name: _json(value) if name in _DECODERS else value for name, value in readable.items()}


def _masked(settings: HookSettings, marks: Sequence[str]) -> dict[str, Any]:
    """Return the values of all columns but the sealed one; ``marks`` are headers to be masked."""
    values = {name: getattr(settings, name) for name in _COLUMNS}
    values["headers"] = masked_headers(settings.headers, marks)
    values[_AUTH_USER] = settings.basic_auth.user if settings.basic_auth else None
    return values


def encrypt(settings: HookSettings, vault: Vault, hook: int, account: int) -> bytes | None:
    """Return the write-only values encrypted for a hook, its account and URL; None if none."""
    headers = {name: settings.headers[name] for name in settings.sensitive_headers}
    password = settings.basic_auth.password if settings.basic_auth else None
    if not headers and password is None:
        return None
    text = msgspec.json.encode(_Sealed(headers, password)).decode()
    return vault.encrypt(text, TABLE, COLUMN, hook, bound_to_url(account, settings.url))


def settings_of(row: RowMapping, vault: Vault) -> HookSettings:
    """Return the settings of a hook's row with write-only values decrypted.

    Raises:
        ValueMoved: the write-only values were not stored for this hook's account and URL.
    """
    sealed = _Sealed()
    if row["sealed"] is not None:
        bound = bound_to_url(row["account_id"], row["url"])
        text = vault.decrypt(row["sealed"], TABLE, COLUMN, row["id"], bound)
        sealed = msgspec.json.decode(text, type=_Sealed)
    return _settings(row, sealed)


def readable_settings(row: RowMapping) -> HookSettings:
    """Return the settings of a hook's row with ``***`` in place of write-only values."""
    return _settings(row, _Sealed(password=MASK))


def values_of(row: RowMapping) -> dict[str, Any]:
    """Return the settings of a hook's row by name, without what is write-only."""
    values = {name: row[name] for name in _COLUMNS}
    values |= {name: decoder.decode(row[name]) for name, decoder in _DECODERS.items()}
    user = row[_AUTH_USER]
    values[_AUTH] = None if user is None else BasicAuth(user)
    return values


def _settings(row: RowMapping, sealed: _Sealed) -> HookSettings:
    values = values_of(row)
    values["headers"] = {n: sealed.headers.get(n, v) for n, v in values["headers"].items()}
    if values[_AUTH] is not None:
        values[_AUTH] = Credentials(values[_AUTH].user, sealed.password or "")
    return HookSettings(**values)


def shown(settings: HookSettings, other: HookSettings | None = None) -> dict[str, object]:
    """Return settings for the audit trail, with write-only values masked.

    Args:
        settings: the settings to show.
        other: the settings before or after; values that are write-only in either are masked in
            both.
    """
    marks = settings.sensitive_headers + (other.sensitive_headers if other else ())
    readable = _masked(settings, marks)
    return {
        **{
            name: list(value) if isinstance(value, tuple) else value
            for name, value in readable.items()
        },
        "basic_auth_password": None if settings.basic_auth is None else MASK,
    }


def difference(
    before: Mapping[str, object], after: Mapping[str, object]
) -> tuple[dict[str, object], dict[str, object]]:
    """Return the entries that differ between two mappings."""
    names = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}


def texts(column: str) -> tuple[str, ...]:
    """Return the strings of a JSON column."""
    return msgspec.json.decode(column, type=tuple[str, ...])


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
