"""Converts a hook's settings to columns and back; write-only values share one encrypted column."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import RowMapping

from hooktui.domain.hook_settings import Credentials, HookSettings, masked_headers
from hooktui.domain.text import MASK
from hooktui.store.sealed_places import bound_to_url
from hooktui.store.vault import Vault

TABLE, COLUMN = "hook", "sealed"


class _Sealed(msgspec.Struct):
    """The content of the encrypted column."""

    headers: dict[str, str] = {}
    password: str | None = None


def columns_of(settings: HookSettings) -> dict[str, object]:
    """Return all columns that settings fill, except the encrypted one."""
    return {
        "type": settings.type,
        "name": settings.name,
        "url": settings.url,
        "events": _json(settings.events),
        "active": settings.active,
        "headers": _json(masked_headers(settings.headers, settings.sensitive_headers)),
        "sensitive_headers": _json(settings.sensitive_headers),
        "basic_auth_user": settings.basic_auth.user if settings.basic_auth else None,
        "signature_hash": settings.signature_hash,
        "verify_tls": settings.verify_tls,
        "timeout_s": settings.timeout_s,
        "retry_schedule_s": _json(settings.retry_schedule_s),
        "rate_per_s": settings.rate_per_s,
        "max_in_flight": settings.max_in_flight,
        "ordered": settings.ordered,
        "filter": settings.filter,
    }


def seal(settings: HookSettings, vault: Vault, hook: int, account: int) -> bytes | None:
    """Return the write-only values encrypted for a hook, its account and URL; None if none."""
    headers = {name: settings.headers[name] for name in settings.sensitive_headers}
    password = settings.basic_auth.password if settings.basic_auth else None
    if not headers and password is None:
        return None
    text = msgspec.json.encode(_Sealed(headers, password)).decode()
    return vault.seal(text, TABLE, COLUMN, hook, bound_to_url(account, settings.url))


def settings_of(row: RowMapping, vault: Vault) -> HookSettings:
    """Return the settings of a hook's row with write-only values decrypted.

    Raises:
        ValueMoved: the write-only values were not stored for this hook's account and URL.
    """
    sealed = _Sealed()
    if row["sealed"] is not None:
        bound = bound_to_url(row["account_id"], row["url"])
        text = vault.open(row["sealed"], TABLE, COLUMN, row["id"], bound)
        sealed = msgspec.json.decode(text, type=_Sealed)
    return _settings(row, sealed)


def readable_settings(row: RowMapping) -> HookSettings:
    """Return the settings of a hook's row with ``***`` in place of write-only values."""
    return _settings(row, _Sealed(password=MASK))


def _settings(row: RowMapping, sealed: _Sealed) -> HookSettings:
    user = row["basic_auth_user"]
    return HookSettings(
        type=row["type"],
        name=row["name"],
        url=row["url"],
        events=texts(row["events"]),
        active=bool(row["active"]),
        headers={name: sealed.headers.get(name, v) for name, v in headers(row["headers"]).items()},
        sensitive_headers=texts(row["sensitive_headers"]),
        basic_auth=None if user is None else Credentials(user, sealed.password or ""),
        signature_hash=row["signature_hash"],
        verify_tls=bool(row["verify_tls"]),
        timeout_s=row["timeout_s"],
        retry_schedule_s=numbers(row["retry_schedule_s"]),
        rate_per_s=row["rate_per_s"],
        max_in_flight=row["max_in_flight"],
        ordered=bool(row["ordered"]),
        filter=row["filter"],
    )


def shown(settings: HookSettings, other: HookSettings | None = None) -> dict[str, object]:
    """Return settings for the audit trail, with write-only values masked.

    Args:
        settings: the settings to show.
        other: the settings before or after; values that are write-only in either are masked in
            both.
    """
    user = settings.basic_auth.user if settings.basic_auth else None
    marks = settings.sensitive_headers + (other.sensitive_headers if other else ())
    return {
        **columns_of(settings),
        "events": list(settings.events),
        "headers": masked_headers(settings.headers, marks),
        "sensitive_headers": list(settings.sensitive_headers),
        "retry_schedule_s": list(settings.retry_schedule_s),
        "basic_auth_user": user,
        "basic_auth_password": MASK if user is not None else None,
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


def numbers(column: str) -> tuple[float, ...]:
    """Return the numbers of a JSON column."""
    return msgspec.json.decode(column, type=tuple[float, ...])


def headers(column: str) -> dict[str, str]:
    """Return the headers of a JSON column by name."""
    return msgspec.json.decode(column, type=dict[str, str])


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
