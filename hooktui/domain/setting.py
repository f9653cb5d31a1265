"""`Setting`: all that programs need to know about a setting besides its type and default.

A dataclass declares settings as annotations of its fields; `settings_of` reads them. Dataclasses
and typing only: `hooktui emit` imports this module.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import KW_ONLY, MISSING, dataclass, fields, replace
from types import NoneType
from typing import Any, Final, get_args

from hooktui.domain.clock import exact_duration, parse_duration_s
from hooktui.domain.text import decimal_text, number_text

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
        with_setting: another setting that the same text gives; ``text`` and ``shown`` then use the
            pair of both values. The other one has no option and no field in a form.
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
    with_setting: str = ""
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
        return None if self.optional and self.empty and not text else self.text.parse(text)

    def fields_of(self, text: str) -> dict[str, Any]:
        """Return the values of the settings that a text gives, by name.

        Raises:
            ValueError: with what is wrong with the text.
        """
        value = self.parse(text)
        if self.with_setting:
            return dict(zip((self.name, self.with_setting), value, strict=True))
        return {self.name: value}

    def value_in(self, settings: object) -> Any:  # noqa: ANN401
        """Return its value in an object with all settings."""
        value = getattr(settings, self.name)
        return (value, getattr(settings, self.with_setting)) if self.with_setting else value

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


# Numbers as people write them. int() and float() also read 1_0, +10, 1e1, and other scripts' digits

_WHOLE: Final = re.compile(r"[0-9]+")
_DECIMAL: Final = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)")
_MOST_DIGITS: Final = 4300
"""As many as Python reads."""


def whole_number(text: str) -> int:
    """Return the number of a text.

    Raises:
        ValueError: it has other characters than digits, or thousands of them.
    """
    if not _WHOLE.fullmatch(text) or len(text) > _MOST_DIGITS:
        raise ValueError(f"{text[:40]!r} is not a whole number")
    return int(text)


def decimal_number(text: str) -> float:
    """Return the number of a text; it may have decimals.

    Raises:
        ValueError: it has other characters than digits and a point, or no float holds it.
    """
    number = float(text) if _DECIMAL.fullmatch(text) else math.inf
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]!r} is not a number")
    return number


def as_whole(value: object) -> object:
    """Return a value that pydantic may read as a whole number.

    Raises:
        ValueError: it is a text that people do not write for one.
    """
    if isinstance(value, str) and not _WHOLE.fullmatch(value.removeprefix("-")):
        raise ValueError(f"must be a whole number, not {value[:40]!r}")
    return _as_number(value)


def as_decimal(value: object) -> object:
    """Return a value that pydantic may read as a number.

    Raises:
        ValueError: it is not finite, or a text that people do not write for a number.
    """
    if str(value).lstrip("+-") in ("inf", "nan"):
        raise ValueError(f"must be a finite number, not {value!r}")
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise ValueError(f"must be a number, not {value[:40]!r}")
    return _as_number(value)


def _as_number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


# Text formats, and ways to show a value


def _parse_names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def number_of(unit: str) -> TextFormat:
    """Return the format of a number that counts something."""

    def parse(text: str) -> float:
        try:
            return decimal_number(text)
        except ValueError as error:
            raise ValueError(f"{error} of {unit}") from None

    return TextFormat(parse, decimal_text)


_AUTO: Final = "auto"
_Limit = tuple[int | None, int | None]
"""A fixed number, or None for an adaptive limit; and the maximum of an adaptive limit."""


def _parse_limit(text: str) -> _Limit:
    word, colon, most = text.partition(":")
    if word.strip() == _AUTO:
        return None, whole_number(most.strip()) if colon else None
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text[:40]!r} is not auto, auto:N or a whole number")
    return whole_number(text), None


def _format_limit(limit: _Limit) -> str:
    fixed, most = limit
    if fixed is not None:
        return str(fixed)
    return _AUTO if most is None else f"{_AUTO}:{most}"


def describe_limit(limit: _Limit) -> str:
    """Return a limit in words: ``auto``, ``auto, at most 50``, ``at most 20``."""
    fixed, most = limit
    if fixed is not None:
        return f"at most {fixed}"
    return _AUTO if most is None else f"{_AUTO}, at most {most}"


DURATION: Final = TextFormat(parse_duration_s, exact_duration)
NAMES: Final = TextFormat(_parse_names, ", ".join)
LIMIT: Final = TextFormat(_parse_limit, _format_limit)


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
        return f"unknown {self.noun} {value[:40]!r}; known: {', '.join(self.values)}"


@dataclass(frozen=True, slots=True)
class Between:
    """The check that a number, if there is one, is in a range, its ends included."""

    name: str
    low: float
    high: float
    unit: str = ""

    def __call__(self, value: float | None) -> str | None:
        """Return what is wrong with a value, or None."""
        if value is None or self.low <= value <= self.high:
            return None
        high = f"{self.high:,} {self.unit}".rstrip()
        shown = number_text(value) if abs(value) < 1e300 else "the value"
        return f"{self.name} must be from {decimal_text(self.low)} to {high}, not {shown}"
