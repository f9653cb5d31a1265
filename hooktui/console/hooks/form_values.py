"""Values of a hook's form: conversion to and from settings, and the fields of the save requests.

This module has no widgets. ``domain.hook_settings`` validates the values; only header lines are
parsed here.
"""

from __future__ import annotations

from typing import Any, Final

from hooktui.domain.errors import FieldError, Refused
from hooktui.domain.hook_edits import kept_headers, same_origin
from hooktui.domain.hook_fields import HOOK_SETTINGS, SHOWN_SETTINGS, HookFields
from hooktui.domain.hook_settings import Credentials, HookSettings, check_settings, sensitive_names
from hooktui.domain.text import MASK, counted
from hooktui.domain.wire.events import Catalogue

SENSITIVE_PREFIX: Final = "secret "
"""Prefix of a header line with a write-only value. No header name contains a space."""

_FIELDS_OF: Final[dict[str, tuple[str, ...]]] = {
    "type": (),  # chosen before the form opens
    "headers": ("headers",),
    "sensitive_headers": ("headers",),
    "basic_auth": ("user", "password"),
    **{one.with_setting: (one.name,) for one in SHOWN_SETTINGS if one.with_setting},
}
"""Form fields of each setting that is not represented by one field of the same name."""

PLAIN: Final = tuple(one for name, one in HOOK_SETTINGS.items() if name not in _FIELDS_OF)
"""The settings with a field of the same name."""

_FIRST: Final = ("url", "name", "active", "events")
FOLDED: Final = tuple(one for one in PLAIN if not one.basic)
FIELDS: Final = (*_FIRST, "headers", "user", "password", *(one.name for one in FOLDED))
"""The fields of the form, from top to bottom."""


class FormValues(dict[str, Any]):
    """The content of each field: a text, a bool, or the selected events."""

    def __repr__(self) -> str:
        return f"FormValues({', '.join(self)})"  # headers and password are secret


def new_values() -> FormValues:
    """Return the form values of a new hook: the defaults of the contract."""
    return values_of(HookSettings(url="", events=()))


def values_of(hook: HookFields) -> FormValues:
    """Return the form values of a hook; sensitive values are ``***``, and the password is empty."""
    lines = [
        f"{SENSITIVE_PREFIX if name in hook.sensitive_headers else ''}{name}: {value}"
        for name, value in hook.headers.items()
    ]
    user = hook.basic_auth.user if hook.basic_auth else ""
    values = FormValues(headers="\n".join(lines), user=user, password="")
    for setting in PLAIN:
        value = setting.value_in(hook)
        as_it_is = setting.kind is bool or setting.name == "events"
        values[setting.name] = value if as_it_is else setting.format(value)
    return values


def read(values: FormValues, catalogue: Catalogue) -> tuple[HookSettings, list[FieldError]]:
    """Parse form values; return the settings and all errors in them.

    A text that cannot be parsed adds an error, and its setting keeps the default.
    """
    errors: list[FieldError] = []
    headers, sensitive = _read_headers(values["headers"], errors)
    given: dict[str, Any] = {
        "headers": headers,
        "sensitive_headers": sensitive_names(headers, sensitive),
    }
    if values["user"] or values["password"]:
        given["basic_auth"] = Credentials(values["user"], values["password"])
    for setting in PLAIN:
        content = values[setting.name]
        if not isinstance(content, str):
            given[setting.name] = content
            continue
        try:
            given |= setting.fields_of(content.strip())
        except ValueError as error:
            errors.append(FieldError(f"/{setting.name}", str(error)))
    settings = HookSettings(**given)
    try:
        settings = check_settings(settings, catalogue)
    except Refused as refused:
        errors += refused.errors
    return settings, errors


def _read_headers(text: str, errors: list[FieldError]) -> tuple[dict[str, str], tuple[str, ...]]:
    headers: dict[str, str] = {}
    sensitive = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, colon, value = line.strip().partition(":")
        if name.startswith(SENSITIVE_PREFIX):
            name = name.removeprefix(SENSITIVE_PREFIX).lstrip()
            sensitive.append(name)
        if not colon:
            # The message does not repeat the line, which may contain a secret.
            errors.append(FieldError("/headers", f"line {number} has no colon; write Name: value"))
        elif name in headers:
            errors.append(FieldError("/headers", f"line {number}: {name[:100]!r} is given twice"))
        else:
            headers[name] = value.strip()
    return headers, tuple(sensitive)


def creation(settings: HookSettings) -> dict[str, object]:
    """Return the fields of ``POST /v1/hooks`` for a new hook."""
    return {name: _sent(settings, name) for name in HOOK_SETTINGS}


def changes(
    before: FormValues, now: FormValues, catalogue: Catalogue
) -> tuple[dict[str, object], list[FieldError]]:
    """Return the fields of ``PATCH /v1/hooks/{id}`` (without ``version``) that an edit changed.

    Only errors of changed fields are returned: a hook that was created under other rules (with an
    event type that no longer exists, for example) can still be renamed.
    """
    settings, errors = read(now, catalogue)
    edited = set(_differing(before, now))
    changed = {
        name: _sent(settings, name) for name in HOOK_SETTINGS if edited & {*_fields_of(name)}
    }
    if "basic_auth" in changed and now["user"] and not now["password"]:
        changed["basic_auth"] = {"user": now["user"], "password": MASK}
    return changed, [error for error in errors if top_field(error.pointer) in changed]


def asked_again(
    before: FormValues, now: FormValues, catalogue: Catalogue, *, deleted: bool = False
) -> list[FieldError]:
    """Return an error for each field with write-only values that must be typed again.

    A stored value stays secret and is not sent to another server (``domain.hook_edits``). Of a
    ``deleted`` hook there is none any more.
    """
    (was, _), (will, wrong) = read(before, catalogue), read(now, catalogue)
    given = {name.lower() for name, value in will.headers.items() if value != MASK}
    headers = kept_headers(was, will, given)
    hidden = {name.lower() for name in will.sensitive_headers}
    moved = not same_origin(was, will) and not any(error.pointer == "/url" for error in wrong)
    why = "was deleted with its hook" if deleted else "is not sent to another server"
    missing = []
    if (moved or deleted) and headers:
        missing.append(FieldError("/headers", _type_again(", ".join(headers), why)))
    elif shown := [name for name in headers if name.lower() not in hidden]:
        missing.append(FieldError("/headers", _type_again(", ".join(shown), "stays secret")))
    credentials = was.basic_auth and will.basic_auth and now["password"] in ("", MASK)
    if (moved or deleted) and credentials:
        missing.append(FieldError("/basic_auth/password", _type_again("the password", why)))
    return missing


def _type_again(what: str, why: str) -> str:
    return f"type {what} again: a stored value {why}"


def _fields_of(setting: str) -> tuple[str, ...]:
    return _FIELDS_OF.get(setting, (setting,))


def top_field(pointer: str) -> str:
    """Return the field of the hook object that an error's pointer refers to."""
    return pointer.strip("/").partition("/")[0]


def form_field(pointer: str) -> str | None:
    """Return the (first) form field that an error's pointer refers to, or None."""
    names = _fields_of(top_field(pointer))
    if not names or names[0] not in FIELDS:
        return None
    return names[-1] if pointer.endswith("/password") else names[0]


def _sent(settings: HookSettings, name: str) -> object:
    if name == "basic_auth":
        auth = settings.basic_auth
        return None if auth is None else {"user": auth.user, "password": auth.password}
    value = getattr(settings, name)
    return list(value) if isinstance(value, tuple) else value


def rebased(before: FormValues, mine: FormValues, theirs: FormValues) -> FormValues:
    """Return the values that another admin has saved, with the user's own edits applied on top."""
    return FormValues(theirs | {name: mine[name] for name in _differing(before, mine)})


def both_changed(before: FormValues, mine: FormValues, theirs: FormValues) -> list[str]:
    """Return the fields that the user and the other admin changed to different values."""
    others = _differing(before, theirs)
    return [
        name for name in _differing(before, mine) if name in others and mine[name] != theirs[name]
    ]


def _differing(before: FormValues, after: FormValues) -> list[str]:
    return [name for name in FIELDS if before[name] != after[name]]


def folded_in_words(values: FormValues) -> str:
    """Return a summary of how the folded settings differ from those of a new hook."""
    usual = new_values()
    words = []
    count = sum(1 for line in values["headers"].splitlines() if line.strip())
    if count:
        words.append(counted(count, "header"))
    if values["user"]:
        words.append("basic auth")
    for setting in FOLDED:
        content = values[setting.name]
        if content != usual[setting.name]:
            shown = (
                setting.describe(content) if isinstance(content, bool) else content or setting.empty
            )
            words.append(f"{setting.label}: {shown}")
    folded = ", ".join(["headers", "basic auth", *(setting.label for setting in FOLDED)])
    return ", ".join(words) or f"as usual: {folded}"
