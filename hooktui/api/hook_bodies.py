"""What a client sends to make or change a hook, and how that becomes checked settings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hooktui.domain.errors import FieldError, Refused
from hooktui.domain.hook_settings import Credentials, HookSettings, check_settings, unmasked_headers
from hooktui.domain.text import MASK
from hooktui.domain.wire.events import Catalogue
from hooktui.domain.write_only import GivenValues, check_write_only, warn_of_short_values


class _Body(BaseModel):
    """A JSON object: nothing is converted, nothing unknown is taken."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class BasicAuthBody(_Body):
    """HTTP basic authentication towards a receiver; a password that is left out stays."""

    user: str
    password: str | None = Field(default=None, repr=False)


class _Writable(_Body):
    type: str = "web"
    name: str | None = None
    active: bool = True
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    sensitive_headers: list[str] = Field(default_factory=list)
    basic_auth: BasicAuthBody | None = None
    signature_hash: str = "sha256"
    verify_tls: bool = True
    timeout_s: float = 30
    retry_schedule_s: list[float] = Field(
        default_factory=lambda: list(HookSettings(url="", events=()).retry_schedule_s)
    )
    rate_per_s: float | None = None
    max_in_flight: int = 10
    ordered: bool = False
    filter: str | None = None


class HookBody(_Writable):
    """A new hook."""

    url: str
    events: list[str]
    secret: str | None = Field(default=None, repr=False)


class HookEditBody(_Writable):
    """Changes to a hook: the fields that are given; ``version`` is what the editor had read."""

    url: str = ""
    events: list[str] = Field(default_factory=list)
    version: int | None = None

    @property
    def changed(self) -> frozenset[str]:
        """The names of the settings that are given."""
        return frozenset(self.model_fields_set - {"version"})


class RotateBody(_Body):
    """A rotation: the new secret (made when left out), and how long the old one stays valid."""

    secret: str | None = Field(default=None, repr=False)
    overlap_s: float | None = None


_NEW = HookSettings(url="", events=())


@dataclass(frozen=True, slots=True)
class CheckedHook:
    """The settings that a request leads to, and what the caller should know about them."""

    settings: HookSettings
    warnings: tuple[str, ...]


def settings_of(body: HookBody, catalogue: Catalogue) -> CheckedHook:
    """Return the settings that a new hook gets.

    Raises:
        Refused: with every bad field.
    """
    given = set(HookBody.model_fields) - {"secret"}
    return _checked(_applied(_NEW, body, given), _given(body), catalogue)


def edited(before: HookSettings, body: HookEditBody, catalogue: Catalogue) -> CheckedHook:
    """Return a hook's settings after an edit.

    Raises:
        Refused: with every bad field; also where a stored write-only value would become readable
            or would be sent to another server.
    """
    after, given = _applied(before, body, body.changed), _given(body)
    wrong = check_write_only(before, after, given)
    try:
        checked = _checked(after, given, catalogue, before.headers)
    except Refused as refused:
        raise Refused.fields([*refused.errors, *wrong]) from None
    if wrong:
        raise Refused.fields(wrong)
    return checked


def _applied(
    before: HookSettings, body: HookBody | HookEditBody, given: frozenset[str] | set[str]
) -> HookSettings:
    """Return settings with the given fields of a request, not checked yet."""
    changes: dict[str, Any] = {name: getattr(body, name) for name in given}
    for name in ("events", "sensitive_headers", "retry_schedule_s"):
        if name in changes:
            changes[name] = tuple(changes[name])
    if "name" in changes:
        changes["name"] = changes["name"] or ""
    if "headers" in changes:
        changes["headers"] = unmasked_headers(changes["headers"], before.headers)
    if "basic_auth" in changes:
        changes["basic_auth"] = _credentials(changes["basic_auth"], before.basic_auth)
    return replace(before, **changes)


def _checked(
    settings: HookSettings,
    given: GivenValues,
    catalogue: Catalogue,
    stored_headers: Collection[str] = (),
) -> CheckedHook:
    checked = check_settings(settings, catalogue, stored_headers)
    return CheckedHook(checked, tuple(warn_of_short_values(checked, given)))


def _given(body: HookBody | HookEditBody) -> GivenValues:
    """Return which write-only values a request holds itself."""
    auth = body.basic_auth
    return GivenValues(
        frozenset(name.lower() for name, value in body.headers.items() if value != MASK),
        auth is not None and _is_value(auth.password),
    )


def _is_value(password: str | None) -> bool:
    return password is not None and password != MASK


def _credentials(body: BasicAuthBody | None, before: Credentials | None) -> Credentials | None:
    if body is None:
        return None
    if body.password is not None and _is_value(body.password):
        return Credentials(body.user, body.password)
    if before is None:
        pointer = "/basic_auth/password"
        raise Refused.fields([FieldError(pointer, "basic_auth.password is missing")])
    return Credentials(body.user, before.password)
