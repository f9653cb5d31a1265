"""What is wrong with a command line, in plain words, from the errors of cyclopts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, get_args, get_origin

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

_NUMBERS = ((int, "a whole number"), (float, "a number"))
_NEAR = re.compile(r'Did you mean "?([^"?\s]+)"?\?')


def describe(error: CycloptsError, arguments: Sequence[str]) -> str:
    """Return what is wrong with some arguments, and what to do.

    Args:
        error: what cyclopts says.
        arguments: the command line without the global options.
    """
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected argument: {' '.join(error.unused_tokens or ())}; see --help"
    if isinstance(error, UnknownOptionError):
        return _unknown(f"option {error.token.keyword or error.token.value}", error)
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        return _unknown(f"command {error.unused_tokens[0]!r}", error)
    name = _name(error, arguments)
    if isinstance(error, MissingArgumentError) and name:
        if name in arguments:
            return f"{name} needs a value; see --help"
        return f"{' '.join(error.command_chain or ())} needs {name}; see --help"
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword} repeats or contradicts an earlier option; see --help"
    if isinstance(error, CoercionError) and error.token is not None and name:
        if error.target_type is bool:
            return f"{name} takes no value"
        return f"{name}: {error.token.value!r} is not {_expected(error.target_type)}"
    return " ".join(str(error).split())


def _unknown(what: str, error: CycloptsError) -> str:
    near = _NEAR.search(" ".join(str(error).split()))
    return f"unknown {what}; " + (f"did you mean {near[1]}?" if near else "see --help")


def _name(error: CycloptsError, arguments: Sequence[str]) -> str:
    """Return the name of the argument or option as the usage has it."""
    argument = error.argument
    if argument is None:
        return ""
    given = [name for name in argument.names if name in arguments]
    if given:
        return given[0]
    return argument.name.removeprefix("--").upper() if argument.index is not None else argument.name


def _expected(kind: object) -> str:
    kinds = (kind, *get_args(kind))
    for one in kinds:
        if get_origin(one) is Literal:
            return f"one of {', '.join(map(str, get_args(one)))}"
    return next((text for number, text in _NUMBERS if number in kinds), "valid")
