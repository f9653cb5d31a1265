"""The settings of a hook, each declared once.

A setting is a field of `HookFields`: its type, its `Setting`, and its default. Everything that
stores, checks, sends, reads or shows settings iterates over `HOOK_SETTINGS`. Dataclasses and typing
only: `hooktui emit` imports this module.
"""
# Without `from __future__ import annotations`: the annotations are read when this is imported.

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from types import NoneType
from typing import Annotated, Any, Final, get_args

from hooktui.domain.schedule import DEFAULT_SCHEDULE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting of a hook, as people and programs see it.

    Attributes:
        label: its name for people.
        name: of its field; set by `settings_of`, as are the following.
        type: of its value.
        required: whether a new hook must be given a value.
        default: of a new hook, unless required.
    """

    label: str
    name: str = ""
    type: Any = None
    required: bool = False
    default: Any = None

    @property
    def optional(self) -> bool:
        """Whether None is a value."""
        return NoneType in get_args(self.type)

    @property
    def kind(self) -> object:
        """The type of a value that is not None."""
        return get_args(self.type)[0] if self.optional else self.type

    @property
    def is_plain(self) -> bool:
        """Whether a value is one text, number or bool."""
        return self.kind in (str, int, float, bool)


def settings_of(declaration: type) -> dict[str, Setting]:
    """Return the settings that a dataclass declares, by name."""
    return {one.name: _setting_of(one) for one in fields(declaration)}


def _setting_of(declared: Field[Any]) -> Setting:
    setting: Setting
    value_type, setting = get_args(declared.type)
    setting = replace(setting, name=declared.name, type=value_type)
    if declared.default_factory is not MISSING:
        return replace(setting, default=declared.default_factory())
    if declared.default is MISSING:
        return replace(setting, required=True)
    return replace(setting, default=declared.default)


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """HTTP basic authentication towards a receiver; the password is write-only."""

    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFields:
    """The settings of a hook, in the order of the API; the defaults are the contract's."""

    type: Annotated[str, Setting(label="type")] = "web"
    name: Annotated[str, Setting(label="name")] = ""
    url: Annotated[str, Setting(label="URL")]
    events: Annotated[tuple[str, ...], Setting(label="events")]
    active: Annotated[bool, Setting(label="active")] = True
    headers: Annotated[Mapping[str, str], Setting(label="headers")] = field(
        default_factory=dict, repr=False
    )
    sensitive_headers: Annotated[tuple[str, ...], Setting(label="secret headers")] = ()
    basic_auth: Annotated[BasicAuth | None, Setting(label="basic auth")] = None
    signature_hash: Annotated[str, Setting(label="signature")] = "sha256"
    verify_tls: Annotated[bool, Setting(label="TLS")] = True
    timeout_s: Annotated[float, Setting(label="deadline")] = 30
    retry_schedule_s: Annotated[tuple[float, ...], Setting(label="retries")] = DEFAULT_SCHEDULE_S
    rate_per_s: Annotated[float | None, Setting(label="rate")] = None
    max_in_flight: Annotated[int, Setting(label="at once")] = 10
    ordered: Annotated[bool, Setting(label="order")] = False
    filter: Annotated[str | None, Setting(label="filter")] = None


HOOK_SETTINGS: Final = settings_of(HookFields)
"""All settings of a hook by name, in their order."""
