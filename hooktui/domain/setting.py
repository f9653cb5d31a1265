"""`Setting`: all that programs need to know about a setting besides its type and default.

A dataclass declares settings as annotations of its fields; `settings_of` reads them. Dataclasses
and typing only: `hooktui emit` imports this module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, MISSING, dataclass, fields, replace
from types import NoneType
from typing import Any, Final, get_args

from hooktui.domain.clock import exact_duration, parse_duration_s

Check = Callable[[Any], str | None]
"""Returns what is wrong with a value, or None."""


@dataclass(frozen=True, slots=True)
class TextFormat:
    """How people write a value.

    Attributes:
        parse: returns the value of a text; raises ValueError with what is wrong with the text.
        format: returns the text of a value, which ``parse`` reads.
    """

    parse: Callable[[str], Any] = str
    format: Callable[[Any], str] = str


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting, as people and programs see it.

    Attributes:
        label: its name for people.
        help: what it does; a phrase without a period.
        empty: what an empty value means, such as ``no limit``; "": there is no such value.
        option: its command-line option without dashes; by default its name.
        text: how people write a value; not used for ``bool``.
        check: for rules that concern this value alone.
        shown: returns a value in words; by default as ``text`` writes it.
        caution: what a ``bool`` that is not the default leads to.
        basic: whether people see it at once; a form folds the other settings.
        name: of its field; set by `settings_of`, as are the following.
        type: of its value.
        kind: the type of a value that is not None.
        optional: whether None is a value.
        required: whether there is no default.
        default: None if required.
    """

    label: str
    help: str
    _: KW_ONLY
    empty: str = ""
    option: str = ""
    text: TextFormat = TextFormat()
    check: Check | None = None
    shown: Callable[[Any], str] | None = None
    caution: str = ""
    basic: bool = False
    name: str = ""
    type: Any = None
    kind: Any = None
    optional: bool = False
    required: bool = False
    default: Any = None

    @property
    def is_plain(self) -> bool:
        """Whether a value is one text, number or bool."""
        return self.kind in (str, int, float, bool)

    @property
    def choices(self) -> tuple[str, ...]:
        """The values to choose from; empty: whatever the check accepts."""
        return self.check.values if isinstance(self.check, OneOf) else ()

    def parse(self, text: str) -> Any:  # noqa: ANN401
        """Return the value of a text that a person wrote.

        Raises:
            ValueError: with what is wrong with the text.
        """
        return None if self.optional and not text else self.text.parse(text)

    def format(self, value: object) -> str:
        """Return a value as a person writes it."""
        return "" if value is None else self.text.format(value)

    def describe(self, value: object) -> str:
        """Return a value in words."""
        if self.empty and not value:
            return self.empty
        return self.shown(value) if self.shown else self.format(value)


def settings_of(declaration: type) -> dict[str, Setting]:
    """Return the settings that a dataclass declares, by name.

    Its annotations must not be strings: no ``from __future__ import annotations`` there.
    """
    settings = {}
    for field in fields(declaration):
        value_type, setting = get_args(field.type)
        optional = NoneType in get_args(value_type)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        settings[field.name] = replace(
            setting,
            name=field.name,
            option=setting.option or field.name.replace("_", "-"),
            type=value_type,
            kind=get_args(value_type)[0] if optional else value_type,
            optional=optional,
            required=default is MISSING,
            default=None if default is MISSING else default,
        )
    return settings


# Text formats, and ways to show a value


def _parse_whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text[:9])


def _parse_names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def number_of(unit: str) -> TextFormat:
    """Return the format of a number that counts something."""

    def parse(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a number of {unit}") from None

    return TextFormat(parse, "{:g}".format)


DURATION: Final = TextFormat(parse_duration_s, exact_duration)
NAMES: Final = TextFormat(_parse_names, ", ".join)
WHOLE_NUMBER: Final = TextFormat(_parse_whole_number)


def either(true: str, false: str) -> Callable[[bool], str]:
    """Return a function that shows a bool as one of two words."""
    return lambda value: true if value else false


# Checks


@dataclass(frozen=True, slots=True)
class OneOf:
    """The check that a value is one of ``values``; ``noun`` says what they are."""

    noun: str
    values: tuple[str, ...]

    def __call__(self, value: str) -> str | None:
        """Return what is wrong with a value, or None."""
        if value in self.values:
            return None
        return f"unknown {self.noun} {value!r}; known: {', '.join(self.values)}"


def between(low: float, high: float, unit: str = "") -> Check:
    """Return the check that a number is in a range, its ends included."""

    def check(value: float) -> str | None:
        if low <= value <= high:
            return None
        shown = f"{value:g}" if abs(value) < 1e300 else "the value"
        return f"{shown} is not in {low:g} to {high:g} {unit}".rstrip()

    return check
