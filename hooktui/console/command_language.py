"""The language of the ``:`` line: ``:hook 12``, ``:log status:failed``, ``:theme nord``, ``:ping``.

A line is a word and its argument. `parse` reports an error with its column and similar words;
`complete` lists continuations.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from hooktui.console.registry import COMMANDS, TOP_SCREENS
from hooktui.domain import ids
from hooktui.domain.errors import Refused

_ABOUT: Final = {
    "hook": "a hook's number, such as :hook 12",
    "delivery": "a delivery's id, such as :delivery dlv_01JDG3R8Z4000",
    "event": "an event's id, such as :event evt_01JDG3R8Z4000",
    "account": "an account's number, such as :account 2",
    "theme": "a theme's name, such as :theme nord",
}
"""Words that need something, and what."""

TOP_SCREEN_NAMES: Final = {top.name: top for top in TOP_SCREENS}
_COMMANDS: Final = {
    command.name.replace("_", "-"): command.name
    for command in COMMANDS
    if not command.name.startswith("go_")
    and command.name not in ("command", *_ABOUT, *TOP_SCREEN_NAMES)
}
_SHORT: Final = {"q": "quit", "wq": "quit", "h": "help"}
_FILTERED: Final = "filter"

WORDS: Final = (*_ABOUT, *TOP_SCREEN_NAMES, *_COMMANDS)
"""All words that a line can begin with, except for the short ones."""


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    """What a line asks for.

    Attributes:
        word: a word of `WORDS`, in full.
        about: the thing or the filter behind it; empty: none.
        command: the command that does it, for words that are commands.
    """

    word: str
    about: str = ""
    command: str = ""


def parse(line: str, themes: Iterable[str] = ()) -> ParsedCommand:
    """Return what a line asks for.

    Args:
        line: without the colon.
        themes: the names that ``:theme`` knows.

    Raises:
        Refused: says what is wrong, and at which column of the line.
    """
    word, about, column = _split(line)
    if re.match(r"(dlv|evt)_", word) and not about:
        word, about, column = ("delivery" if word[0] == "d" else "event"), word, 1
    elif re.fullmatch(r"[0-9]+", word) and not about:
        word, about, column = "hook", word, 1
    word = _SHORT.get(word, word)
    if word in _ABOUT:
        return ParsedCommand(word, _judged(word, about, column, tuple(themes)))
    if word in TOP_SCREEN_NAMES:
        return ParsedCommand(word, about)
    if word == _FILTERED:
        return ParsedCommand(word, about, _COMMANDS[word])
    if word in _COMMANDS:
        if about:
            raise Refused(f"column {column}: {word} takes no argument")
        return ParsedCommand(word, "", _COMMANDS[word])
    near = get_close_matches(word, WORDS, 3, 0.5)
    hint = f"did you mean {_either(near)}?" if near else f"there are {', '.join(WORDS)}"
    raise Refused(f"column 1: there is no command {word!r}; {hint}")


def complete(line: str, themes: Iterable[str] = (), accounts: Iterable[str] = ()) -> list[str]:
    """Return the whole lines that a line can become, in the order in which they are offered."""
    word, space, about = line.lstrip().partition(" ")
    if not space:
        return [
            f"{name} " if name in _ABOUT else name
            for name in dict.fromkeys(WORDS)
            if name.startswith(word)
        ]
    known: Sequence[str] = ()
    if word == "theme":
        known = sorted(themes)
    elif word == "account":
        known = list(accounts)
    elif word in TOP_SCREEN_NAMES or word == _FILTERED:
        return _filter_completions(line)
    return [f"{word} {name}" for name in known if name.startswith(about.lstrip())]


_TERMS: Final = ("status:", "event:", "hook:", "code:", "took:", "since:", "until:", "error:")
_STATUSES: Final = ("pending", "sending", "delivered", "failed", "cancelled", "held")


def _filter_completions(line: str) -> list[str]:
    """Complete the last term of a filter: its key, or a status."""
    before, _, last = line.rpartition(" ")
    minus, term = ("-", last[1:]) if last.startswith("-") else ("", last)
    known = [f"status:{name}" for name in _STATUSES] if term.startswith("status:") else list(_TERMS)
    return [f"{before} {minus}{name}" for name in known if term and name.startswith(term)]


def common(lines: Sequence[str]) -> str:
    """Return the longest beginning that some lines share."""
    if not lines:
        return ""
    first, last = min(lines), max(lines)
    length = next((i for i, letter in enumerate(first) if last[i : i + 1] != letter), len(first))
    return first[:length]


def _split(line: str) -> tuple[str, str, int]:
    """Return the word, what is behind it, and the column of that, counted from 1."""
    match = re.fullmatch(r"\s*:?\s*(\S*)(\s*)(.*)", line, re.DOTALL)
    if match is None or not match[1]:
        raise Refused(f"there are {', '.join(WORDS)}")
    return match[1], match[3].rstrip(), match.start(3) + 1


def _judged(word: str, about: str, column: int, themes: Sequence[str]) -> str:
    if not about:
        raise Refused(f"column {column}: {word} needs {_ABOUT[word]}")
    if word in ("hook", "account"):
        number = about.removeprefix("#")
        if not (number.isascii() and number.isdigit() and len(number) < 19):
            raise Refused(
                f"column {column}: {about[:40]!r} is not a number; {word} needs {_ABOUT[word]}"
            )
        return str(int(number))
    if word in ("delivery", "event"):
        try:
            ids.decode("dlv" if word == "delivery" else "evt", about)
        except ValueError as error:
            raise Refused(f"column {column}: {error}") from None
    elif about not in themes:
        near = get_close_matches(about, themes, 3)
        hint = (
            f"did you mean {_either(near)}?" if near else f"there are {', '.join(sorted(themes))}"
        )
        raise Refused(f"column {column}: there is no theme {about[:40]!r}; {hint}")
    return about


def _either(words: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
