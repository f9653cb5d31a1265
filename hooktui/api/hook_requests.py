"""What a client sends to make or change a hook, and how that becomes checked settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hooktui.domain.errors import FieldError, Refused
from hooktui.domain.hooks import Credentials, HookSettings, check_settings, unmasked_headers
from hooktui.domain.objects import MASK, Catalogue


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


def settings_of(body: HookBody, catalogue: Catalogue) -> HookSettings:
    """Return the settings that a new hook gets.

    Raises:
        Refused: with every bad field.
    """
    given = set(HookBody.model_fields) - {"secret"}
    return _apply(_NEW, body, given, catalogue)


def edited(before: HookSettings, body: HookEditBody, catalogue: Catalogue) -> HookSettings:
    """Return a hook's settings after an edit.

    Raises:
        Refused: with every bad field.
    """
    return _apply(before, body, body.changed, catalogue)


def _apply(
    before: HookSettings,
    body: HookBody | HookEditBody,
    given: frozenset[str] | set[str],
    catalogue: Catalogue,
) -> HookSettings:
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
    return check_settings(replace(before, **changes), catalogue)


def _credentials(body: BasicAuthBody | None, before: Credentials | None) -> Credentials | None:
    if body is None:
        return None
    if body.password is not None and body.password != MASK:
        return Credentials(body.user, body.password)
    if before is None:
        pointer = "/basic_auth/password"
        raise Refused.fields([FieldError(pointer, "basic_auth.password is missing")])
    return Credentials(body.user, before.password)
