"""The syntax of the ``:`` line: ``:hook 12``, ``:log status:failed``, ``:theme nord``, ``:ping``.

A line is a command of the registry and its argument. `parse` reports an error with its column and
similar words; `complete` returns completions, and `Completion` goes through them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from hooktui.console.registry import BY_NAME, COMMANDS, LINE_COMMANDS, TOP_SCREENS, Command
from hooktui.domain import ids
from hooktui.domain.errors import Refused
from hooktui.domain.filters.terms import NO_TERMS, FilterTerms
from hooktui.domain.text import visible

_TOP: Final = tuple(BY_NAME[top.command] for top in TOP_SCREENS)
_LINE: Final = {
    command.word: command
    for command in (*LINE_COMMANDS, *_TOP, *COMMANDS)
    if command.name != "command"
}
WORDS: Final = tuple(_LINE)
"""All words that can start a line, except for abbreviations."""

_SHOWN: Final = 12
"""Maximum number of completions that are shown at once."""

_SHORT: Final = {"q": "quit", "wq": "quit", "h": "help"}
_WORD_OF_ID: Final[dict[str, str]] = {
    command.argument.prefix: command.word
    for command in _LINE.values()
    if command.argument is not None and command.argument.prefix
}


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    """A command and its argument; None if it has none, as 0 is one."""

    command: Command
    argument: int | str | None = None


def parse(line: str, known: Mapping[str, Iterable[str]] | None = None) -> ParsedCommand:
    """Parse a line, without the colon, into a command and its argument.

    ``known`` are the names that a command accepts, by the word of the command.

    Raises:
        Refused: the line is invalid; the message states the reason and the column.
    """
    word, argument, column = _split(line)
    if not argument and (alone := _word_for(word)):
        word, argument, column = alone, word, 1
    word = _SHORT.get(word, word)
    command = _LINE.get(word)
    if command is None:
        begun = [name for name in WORDS if name.startswith(word)]
        near = begun[:3] or get_close_matches(word, WORDS, 3, 0.5)
        hint = f"did you mean {_either(near)}?" if near else f"known: {', '.join(WORDS)}"
        raise Refused(f"column 1: unknown command {word!r}; {hint}")
    if command.argument is None and argument:
        raise Refused(f"column {column}: {word} takes no argument")
    if command.argument is None or not (argument or command.argument.required):
        return ParsedCommand(command)
    try:
        names = tuple((known or {}).get(word, ()))
        return ParsedCommand(command, _read_argument(command, argument, names))
    except ValueError as error:
        raise Refused(f"column {column}: {error}") from None


def _word_for(text: str) -> str:
    """Return the word of the command that opens a bare number or id; "" for any other text."""
    if text.isascii() and text.isdigit():
        return "hook"
    prefix, underscore, _ = text.partition("_")
    return _WORD_OF_ID.get(prefix, "") if underscore else ""


def _read_argument(command: Command, text: str, names: Sequence[str]) -> int | str:
    """Return the value of an argument.

    Raises:
        ValueError: the argument is invalid; the message states the reason.
    """
    argument = command.argument
    if argument is None:
        return text
    needs = f"{command.word} needs {argument.noun}, such as :{command.usage}"
    if not text:
        raise ValueError(needs)
    match argument.kind:
        case "number":
            number = text.removeprefix("#")
            if not (number.isascii() and number.isdigit() and len(number) < 19):
                raise ValueError(f"{text[:40]!r} is not a number; {needs}")
            return int(number)
        case "id" if argument.prefix is not None:
            ids.decode(argument.prefix, text)
        case "name" if text not in names:
            near = get_close_matches(text, names, 3)
            others = f"known: {', '.join(sorted(names))}"
            hint = f"did you mean {_either(near)}?" if near else others
            raise ValueError(f"unknown {command.word} {text[:40]!r}; {hint}")
    return text


def complete(
    line: str, known: Mapping[str, Iterable[str]] | None = None, terms: FilterTerms = NO_TERMS
) -> list[str]:
    """Return the completions of a line, without the colon, as whole lines in display order.

    ``known`` are the arguments that a command accepts, by the word of the command, in display
    order; ``terms`` are those of the filter in the line.
    """
    word, space, text = line.lstrip().partition(" ")
    if not space:
        return [
            f"{name} " if command.argument is not None and command.argument.required else name
            for name, command in _LINE.items()
            if name.startswith(word)
        ]
    argument = _LINE[word].argument if word in _LINE else None
    if argument is not None and argument.kind == "filter":
        return complete_filter(line, terms)
    names = (known or {}).get(word, ())
    return [f"{word} {name}" for name in names if name.startswith(text.lstrip())]


def complete_filter(line: str, terms: FilterTerms) -> list[str]:
    """Return the completions of the last term of a filter: its key, or a known value.

    ``line``: the filter, which may follow a command.
    """
    before, space, last = line.rpartition(" ")
    minus, term = ("-", last[1:]) if last.startswith("-") and terms.negatable else ("", last)
    key, colon, _ = term.partition(":")
    values = terms.values.get(f"{key}:", ())
    offered = [f"{key}:{name}" for name in values] if colon else terms.values
    return [f"{before}{space}{minus}{name}" for name in offered if name.startswith(term)]


def expected(line: str, terms: FilterTerms = NO_TERMS) -> str:
    """Return a hint for a line without completions; ``terms`` as for `complete`."""
    word, space, _ = line.lstrip().partition(" ")
    command = _LINE.get(word) if space else None
    if command is None:
        return "no completion; Enter lists the commands"
    argument = command.argument
    if argument is None or (argument.kind == "filter" and not terms.values):
        return f"{word} takes no argument here"
    if argument.kind == "filter":
        return expected_in_filter(terms)
    return f"no completion; type {argument.noun}, such as :{command.usage}"


def expected_in_filter(terms: FilterTerms) -> str:
    """Return a hint for a filter without completions."""
    return f"no completion; type a word, or {', '.join(terms.values)}"


def common(lines: Sequence[str]) -> str:
    """Return the longest common prefix of some lines."""
    if not lines:
        return ""
    first, last = min(lines), max(lines)
    length = next((i for i, letter in enumerate(first) if last[i : i + 1] != letter), len(first))
    return first[:length]


class Completion:
    """The completions of one line, which is completed again and again.

    ``complete`` returns the completions of a line, as whole lines.

    Attributes:
        offers: the completions that can be chosen from; empty: there is no choice.
    """

    def __init__(self, complete: Callable[[str], Sequence[str]]) -> None:
        self._complete = complete
        self.offers: Sequence[str] = ()
        self._offered = -1

    def next(self, line: str) -> str | None:
        """Return a line with the common part of its completions; repeated, each of them in turn.

        Returns:
            None if there is no completion.
        """
        if self._offered >= 0 or (self.offers and line == common(self.offers)):
            self._offered = (self._offered + 1) % len(self.offers)
            return self.offers[self._offered]
        offers = self._complete(line)
        self.offers = offers if len(offers) > 1 else ()
        return common(offers) if offers else None

    def typed(self, line: str) -> None:
        """Discard the completions if a line is another one than the last returned."""
        last = self.offers[self._offered] if self._offered >= 0 else common(self.offers)
        if self.offers and line != last:
            self.offers, self._offered = (), -1

    def words(self, names: Mapping[str, str]) -> str:
        """Return the last word of each completion, with the name of what it stands for, if any."""
        words = [line.strip().rpartition(" ")[2] for line in self.offers]
        words = [visible(f"{word} {names.get(word, '')}", limit=24).strip() for word in words]
        return "  ".join(words[:_SHOWN]) + (" …" if len(words) > _SHOWN else "")


def _split(line: str) -> tuple[str, str, int]:
    """Return the word, the rest of the line, and the column of the rest, counted from 1."""
    match = re.fullmatch(r"\s*:?\s*(\S*)(\s*)(.*)", line, re.DOTALL)
    if match is None or not match[1]:
        raise Refused(f"enter a command; known: {', '.join(WORDS)}")
    return match[1], match[3].rstrip(), match.start(3) + 1


def _either(words: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
