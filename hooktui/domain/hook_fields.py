"""The settings of a hook, each declared once.

A setting is a field of `HookFields`: its type, its `Setting`, and its default. Everything that
stores, checks, sends, reads or shows settings iterates over `HOOK_SETTINGS`. Dataclasses and typing
only: `hooktui emit` imports this module.
"""
# Without `from __future__ import annotations`: the annotations are read when this is imported.

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from types import NoneType
from typing import Annotated, Any, Final, get_args

from hooktui.domain.schedule import DEFAULT_SCHEDULE_S, check_schedule
from hooktui.domain.signatures import HASHES


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting of a hook, as people and programs see it.

    Attributes:
        label: its name for people.
        check: returns what is wrong with a value, or None; for rules that concern one value alone.
        name: of its field; set by `settings_of`, as are the following.
        type: of its value.
        required: whether a new hook must be given a value.
        default: of a new hook, unless required.
    """

    label: str
    check: Callable[[Any], str | None] | None = None
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


# Checks: each returns what is wrong with a value, or None.

MAX_NAME: Final = 200
MAX_RATE_PER_S: Final = 100_000.0
HOOK_TYPES: Final = ("web",)
"""The hook types that work."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """Accepts the given values; ``noun`` says what they are."""

    noun: str
    values: tuple[str, ...]

    def __call__(self, value: str) -> str | None:
        """Return what is wrong with a value, or None."""
        if value in self.values:
            return None
        return f"unknown {self.noun} {value!r}; known: {', '.join(self.values)}"


def between(low: float, high: float, unit: str = "") -> Callable[[float], str | None]:
    """Return a check that accepts the numbers from ``low`` to ``high``."""

    def check(value: float) -> str | None:
        if low <= value <= high:
            return None
        shown = f"{value:g}" if abs(value) < 1e300 else "the value"
        return f"{shown} is not in {low:g} to {high:g} {unit}".rstrip()

    return check


def check_name(name: str) -> str | None:
    """Accept a name: one line of limited length."""
    if len(name) > MAX_NAME:
        return f"a name has at most {MAX_NAME} characters, this one has {len(name)}"
    if any(c in name for c in "\0\n\r\x0b\x0c\x85\u2028\u2029"):
        return "a name holds no NUL and no line breaks"
    return None


def _check_rate(rate: float | None) -> str | None:
    if rate is None or 0 < rate <= MAX_RATE_PER_S:
        return None
    return f"a rate is over 0 and at most {MAX_RATE_PER_S:g} deliveries a second"


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """HTTP basic authentication towards a receiver; the password is write-only."""

    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFields:
    """The settings of a hook, in the order of the API; the defaults are the contract's."""

    type: Annotated[str, Setting(label="type", check=OneOf("hook type", HOOK_TYPES))] = "web"
    name: Annotated[str, Setting(label="name", check=check_name)] = ""
    url: Annotated[str, Setting(label="URL")]
    events: Annotated[tuple[str, ...], Setting(label="events")]
    active: Annotated[bool, Setting(label="active")] = True
    headers: Annotated[Mapping[str, str], Setting(label="headers")] = field(
        default_factory=dict, repr=False
    )
    sensitive_headers: Annotated[tuple[str, ...], Setting(label="secret headers")] = ()
    basic_auth: Annotated[BasicAuth | None, Setting(label="basic auth")] = None
    signature_hash: Annotated[str, Setting(label="signature", check=OneOf("hash", HASHES))] = (
        "sha256"
    )
    verify_tls: Annotated[bool, Setting(label="TLS")] = True
    timeout_s: Annotated[float, Setting(label="deadline", check=between(1, 30, "s"))] = 30
    retry_schedule_s: Annotated[
        tuple[float, ...], Setting(label="retries", check=check_schedule)
    ] = DEFAULT_SCHEDULE_S
    rate_per_s: Annotated[float | None, Setting(label="rate", check=_check_rate)] = None
    max_in_flight: Annotated[int, Setting(label="at once", check=between(1, 1000))] = 10
    ordered: Annotated[bool, Setting(label="order")] = False
    filter: Annotated[str | None, Setting(label="filter")] = None


HOOK_SETTINGS: Final = settings_of(HookFields)
"""All settings of a hook by name, in their order."""
