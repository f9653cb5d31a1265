"""Converts a hook's settings to columns and back; write-only values share one encrypted column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from hooktui.domain.hook_fields import HOOK_SETTINGS, BasicAuth
from hooktui.domain.hook_settings import Credentials, HookSettings, masked_headers, sensitive_names
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.text import MASK
from hooktui.store.sealed_values import bound_to_url
from hooktui.store.tables import HOOK, HookRow
from hooktui.store.vault import Vault

_TABLE = "hook"


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

_NAMES = (*_COLUMNS, _AUTH_USER)
_read = attrgetter(*_NAMES)
SETTINGS = [HOOK.c[name] for name in _NAMES]
"""The columns that settings fill, except the sealed one."""

_ZERO_IS_NONE = frozenset(
    name
    for name, setting in _COLUMNS.items()
    if setting.optional and setting.is_plain and not HOOK.c[name].nullable
)
"""Columns from before their setting could be None; SQLite cannot make a column nullable."""


class StoredSettings(NamedTuple):
    """The settings of a hook as they are stored; ``columns`` are the values of `SETTINGS`."""

    hook: HookId
    account: AccountId
    sealed: bytes | None
    columns: Sequence[Any]

    @classmethod
    def of(cls, row: HookRow) -> StoredSettings:
        """Return the settings of a hook's row."""
        return cls(row.id, row.account_id, row.sealed, _read(row))


def columns_of(settings: HookSettings) -> dict[str, Any]:
    """Return all columns that settings fill, except the sealed one."""
    readable = _masked(settings, settings.sensitive_headers)
    columns = {
        name: _json(value) if name in _DECODERS else value for name, value in readable.items()
    }
    return columns | {name: columns[name] or 0 for name in _ZERO_IS_NONE}


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
    return vault.encrypt(text, _TABLE, hook, bound_to_url(account, settings.url))


def settings_of(stored: StoredSettings, vault: Vault) -> HookSettings:
    """Return the settings of a hook with write-only values decrypted.

    Raises:
        ValueMoved: the write-only values were not stored for this hook's account and URL.
    """
    values, sealed = values_of(stored.columns), _Sealed()
    if stored.sealed is not None:
        bound = bound_to_url(stored.account, values["url"])
        text = vault.decrypt(stored.sealed, _TABLE, stored.hook, bound)
        sealed = msgspec.json.decode(text, type=_Sealed)
    return _settings(values, sealed)


def readable_settings(stored: StoredSettings) -> HookSettings:
    """Return the settings of a hook with ``***`` in place of write-only values."""
    return _settings(values_of(stored.columns), _Sealed(password=MASK))


def values_of(columns: Iterable[Any]) -> dict[str, Any]:
    """Return settings by name from the values of `SETTINGS`, without what is write-only."""
    values = dict(zip(_NAMES, columns, strict=True))
    values |= {name: decoder.decode(values[name]) for name, decoder in _DECODERS.items()}
    values |= {name: values[name] or None for name in _ZERO_IS_NONE}
    user = values.pop(_AUTH_USER)
    values[_AUTH] = None if user is None else BasicAuth(user)
    return values


def _settings(values: dict[str, Any], sealed: _Sealed) -> HookSettings:
    headers = {name: sealed.headers.get(name, v) for name, v in values["headers"].items()}
    # An encrypted value is write-only, whatever the column says, which anyone may have changed.
    marks = sensitive_names(headers, (*values["sensitive_headers"], *sealed.headers))
    values |= {"headers": headers, "sensitive_headers": marks}
    if values[_AUTH] is not None:
        values[_AUTH] = Credentials(values[_AUTH].user, sealed.password or "")
    return HookSettings(**values)


def shown(settings: HookSettings, other: HookSettings | None = None) -> dict[str, object]:
    """Return settings for the audit trail, with write-only values masked.

    Values that are write-only in these or in the ``other`` settings are masked in both.
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
