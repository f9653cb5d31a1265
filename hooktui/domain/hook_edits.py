"""Edits of a hook: the JSON fields of a request, checked and applied to its settings.

Sensitive header values and the basic-auth password are write-only. A stored write-only value is
sent only to the receiver that it was given for, and is never shown. An edit that would show it or
send it to another server needs the value again in the same request. A signing secret is different:
it never leaves the server, and a signature does not reveal it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints

from msgspec import convert

from hooktui.domain.addresses import ParsedUrl, parse_url
from hooktui.domain.errors import FieldError, Refused, pointer
from hooktui.domain.hook_fields import HOOK_SETTINGS
from hooktui.domain.hook_settings import (
    Credentials,
    HookSettings,
    check_settings,
    header_pointer,
    sensitive_names,
    unmasked_headers,
)
from hooktui.domain.text import MASK
from hooktui.domain.wire.events import Catalogue

SHORTEST_MASKED: Final = 8
"""Characters; a shorter value occurs by chance in responses that have nothing to do with it."""

NEW_HOOK: Final = HookSettings(url="", events=())
"""What the fields of a new hook are applied to."""


@dataclass(frozen=True, slots=True)
class BasicAuthBody:
    """HTTP basic authentication towards a receiver; a password that is left out stays."""

    user: str
    password: str | None = field(default=None, repr=False)


_EDITABLE: Final[dict[str, Any]] = {
    **{name: setting.type for name, setting in HOOK_SETTINGS.items()},
    "name": str | None,  # None: the host of the URL
    "basic_auth": BasicAuthBody | None,
}
CREATE_TYPES: Final = {**_EDITABLE, "secret": str | None}
"""The fields of a request that creates a hook, and their types."""

CREATE_REQUIRED: Final = frozenset(n for n, setting in HOOK_SETTINGS.items() if setting.required)
EDIT_TYPES: Final = {**_EDITABLE, "version": int | None}
"""The fields of a request that edits a hook; ``version`` is what its sender had read."""


def check_fields(
    given: Mapping[str, object], types: Mapping[str, Any], required: Collection[str] = ()
) -> None:
    """Refuse JSON fields that are unknown, missing, or of another type.

    Raises:
        Refused: with every bad field.
    """
    errors = list(_field_errors(given, types, required, ()))
    if errors:
        raise Refused.fields(errors)


_Path = tuple[str | int, ...]
_NOUNS: Final = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
_LARGEST: Final = sys.float_info.max


def _field_errors(
    given: Mapping[str, object], types: Mapping[str, Any], required: Collection[str], path: _Path
) -> Iterator[FieldError]:
    for name, expected in types.items():
        if name in given:
            yield from _type_errors(given[name], expected, (*path, name))
        elif name in required:
            yield _error((*path, name), "{} is missing")
    for name in given:
        if name not in types:
            text = "unknown field {!r}; see /openapi.json for the fields of this call"
            yield _error((*path, name), text)


def _type_errors(value: object, expected: Any, path: _Path) -> Iterator[FieldError]:  # noqa: ANN401
    """Yield an error for each part of a JSON value that is not of the expected type."""
    arguments, origin = get_args(expected), get_origin(expected)
    if NoneType in arguments:
        if value is not None:
            yield from _type_errors(value, arguments[0], path)
    elif expected in _NOUNS:
        if type(value) is not expected and not (expected is float and type(value) is int):
            yield _error(path, f"{{}} must be {_NOUNS[expected]}")
        elif expected is float and not -_LARGEST <= value <= _LARGEST:  # type: ignore[operator]
            yield _error(path, "{} must be a finite number")
    elif origin is tuple:
        if isinstance(value, list):
            for index, part in enumerate(value):
                yield from _type_errors(part, arguments[0], (*path, index))
        else:
            yield _error(path, "{} must be a list")
    elif not isinstance(value, dict):
        yield _error(path, "{} must be an object")
    elif is_dataclass(expected):
        required = [declared.name for declared in fields(expected) if declared.default is MISSING]
        yield from _field_errors(value, get_type_hints(expected), required, path)
    else:
        for name, part in value.items():
            yield from _type_errors(part, arguments[1], (*path, name))


def _error(path: _Path, text: str) -> FieldError:
    return FieldError(pointer(path), text.format(".".join(str(part)[:100] for part in path)))


def apply(
    before: HookSettings, given: Mapping[str, Any], catalogue: Catalogue
) -> tuple[HookSettings, list[str]]:
    """Return settings with JSON fields of the right types applied, and warnings for the sender.

    Args:
        before: the settings of the hook, or `NEW_HOOK`.
        given: the fields, by name. A fixed ``max_in_flight`` removes a ``max_in_flight_cap``.
        catalogue: the event types.

    Raises:
        Refused: with every bad field; also where a stored write-only value would become readable
            or would be sent to another server.
    """
    changes: dict[str, Any] = {n: convert(value, _EDITABLE[n]) for n, value in given.items()}
    if "name" in changes:
        changes["name"] = changes["name"] or ""
    if changes.get("max_in_flight") is not None:
        changes.setdefault("max_in_flight_cap", None)
    errors: list[FieldError] = []
    for name, fill_in in (("headers", unmasked_headers), ("basic_auth", _credentials)):
        if name in changes:
            try:
                changes[name] = fill_in(changes[name], getattr(before, name))
            except Refused as refused:
                errors += refused.errors
                del changes[name]
    after = replace(before, **changes)
    write_only = [] if errors else check_write_only(before, after, given)
    try:
        after = check_settings(after, catalogue, before)
    except Refused as refused:
        errors += refused.errors
    errors += write_only
    if errors:
        raise Refused.fields(errors)
    return after, warn_of_short_values(after, given)


def _credentials(given: BasicAuthBody | None, before: Credentials | None) -> Credentials | None:
    if given is None:
        return None
    user, password = given.user, given.password
    if password is not None and password != MASK:
        return Credentials(user, password)
    if before is None:
        raise Refused.field("/basic_auth/password", "basic_auth.password is missing")
    return Credentials(user, before.password)


def _given_headers(given: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the headers, in lower case, whose values a request holds."""
    headers = given.get("headers", {})
    return frozenset(name.lower() for name, value in headers.items() if value != MASK)


def _gives_password(given: Mapping[str, Any]) -> bool:
    """Return whether a request holds the basic-auth password."""
    return (given.get("basic_auth") or {}).get("password") not in (None, MASK)


def same_origin(before: HookSettings, after: HookSettings) -> bool:
    """Return whether two URLs lead to the same scheme, host and port."""
    old, new = _target(before.url), _target(after.url)
    return old is not None and new is not None and old.origin == new.origin


def check_write_only(
    before: HookSettings, after: HookSettings, given: Mapping[str, Any]
) -> list[FieldError]:
    """Return why an edit would show a stored write-only value or send it to another server."""
    moved = not same_origin(before, after)
    hidden = {name.lower() for name in sensitive_names(after.headers, after.sensitive_headers)}
    headers = kept_headers(before, after, _given_headers(given))
    errors = [_readable(name) for name in headers if name.lower() not in hidden]
    if moved:
        target = _shown_origin(after.url)
        errors += [_elsewhere(header_pointer(n), f"header {n[:100]!r}", target) for n in headers]
        if before.basic_auth and after.basic_auth and not _gives_password(given):
            errors.append(_elsewhere("/basic_auth/password", "basic_auth.password", target))
    return errors


def kept_headers(before: HookSettings, after: HookSettings, given: Collection[str]) -> list[str]:
    """Return the headers of an edited hook whose write-only values come from the stored hook."""
    stored = {n.lower() for n in sensitive_names(before.headers, before.sensitive_headers)}
    return [n for n in after.headers if n.lower() in stored and n.lower() not in given]


def warn_of_short_values(settings: HookSettings, given: Mapping[str, Any]) -> list[str]:
    """Return a warning for each given value that is too short to be masked in responses."""
    given_headers = _given_headers(given)
    short = [
        f"the value of header {name[:100]!r}"
        for name in settings.sensitive_headers
        if name.lower() in given_headers and len(settings.headers[name]) < SHORTEST_MASKED
    ]
    auth = settings.basic_auth
    if auth is not None and _gives_password(given) and len(auth.password) < SHORTEST_MASKED:
        short.append("the basic-auth password")
    return [
        f"{what} has fewer than {SHORTEST_MASKED} characters; it is not masked in a response"
        " that repeats it, so choose a longer one"
        for what in short
    ]


def _readable(name: str) -> FieldError:
    return FieldError(
        header_pointer(name),
        f"the stored value of header {name[:100]!r} is write-only; give the value again to make the"
        " header readable",
    )


def _elsewhere(pointer: str, what: str, target: str) -> FieldError:
    return FieldError(
        pointer,
        f"the stored value of {what} is not sent to another server ({target}); give the value"
        " again together with the URL, or remove it",
    )


def _shown_origin(url: str) -> str:
    target = _target(url)
    return "unknown" if target is None else f"{target.scheme}://{target.host}:{target.port}"


def _target(url: str) -> ParsedUrl | None:
    try:
        return parse_url(url)
    except Refused:
        return None
