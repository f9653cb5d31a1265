"""The keymap of a user: the keys of the registry, with the changes of ``[keys]`` in config.toml.

Textual silently drops a key that two commands share, so its keymap only gets entries that were
validated here. An invalid entry is ignored, and a message states the reason and the remedy.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Final

from textual.keys import KEY_NAME_REPLACEMENTS, REPLACED_KEYS, key_to_character

from hooktui.console.registry import BY_NAME, Command

SAME_AS: Final = {
    "ctrl+h": "Backspace",
    "ctrl+i": "Tab",
    "ctrl+j": "Enter",
    "ctrl+m": "Enter",
    "ctrl+left_square_bracket": "Esc",
}
"""Keys that a terminal sends as a different key, with the name of that key."""

TAKEN: Final = {
    "ctrl+c": "shows how to quit",
    "ctrl+q": "quits from everywhere",
    "ctrl+z": "suspends the console",
    "tab": "goes to the next field",
    "shift+tab": "goes to the previous field",
    "backspace": "deletes in a field",
    "left": "moves in fields and plots",
    "right": "moves in fields and plots",
}
"""Reserved keys, which cannot be mapped, with their functions."""

_SHOWN: Final = {
    "enter": "Enter", "escape": "Esc", "space": "Space", "insert": "Ins", "delete": "Del",
    "up": "Up", "down": "Down", "home": "Home", "end": "End", "pageup": "PgUp",
    "pagedown": "PgDn", **{f"f{number}": f"F{number}" for number in range(1, 13)},
}  # fmt: skip
"""Named keys and their display names."""


@dataclass(frozen=True, slots=True)
class Keymap:
    """The keys of commands that differ from the registry.

    Attributes:
        changed: by command name, Textual's names of the keys, comma-separated.
    """

    changed: Mapping[str, str] = field(default_factory=dict)

    def fit(self, command: Command) -> Command:
        """Return a command with the user's keys."""
        keys = self.changed.get(command.name)
        if keys is None:
            return command
        return replace(command, keys=keys, shown=shown(keys.partition(",")[0]))

    def key(self, name: str) -> str:
        """Return the (first) key of a command as displayed, for use in messages."""
        return self.fit(BY_NAME[name]).key

    def ids(self) -> dict[str, str]:
        """Return the changes by binding id, as `App.set_keymap` expects them."""
        return {BY_NAME[name].id: keys for name, keys in self.changed.items()}


def read_keys(table: Mapping[str, object]) -> tuple[Keymap, list[str]]:
    """Return the keymap of a ``[keys]`` table, and messages about its invalid entries.

    Args:
        table: by command name, one key or a list of keys, which replace all keys of the command.
    """
    mapped: dict[str, tuple[str, ...]] = {}
    problems = []
    for name, value in table.items():
        try:
            mapped[_command_name(name)] = _keys(name, value)
        except ValueError as error:
            problems.append(f"[keys] {name}: {error}")
    # Removing an entry restores the default key of its command, which may clash in turn.
    while clashes := list(_clashes(mapped)):
        for name, why in dict(clashes).items():
            del mapped[name]
            problems.append(f"[keys] {name}: {why}")
    held = {
        command.name: keys
        for command in BY_NAME.values()
        if ",".join(keys := _keys_of(command, mapped)) != command.keys
    }
    return Keymap({name: ",".join(keys) for name, keys in held.items()}), problems


def key_name(written: str) -> str:
    """Return Textual's name of a key as users write it: ``P``, ``?``, ``f5``, ``ctrl+t``, ``^t``.

    Raises:
        ValueError: the key is unknown or reserved, or terminals do not send it.
    """
    if len(written) == 1:
        name = _of_character(written)
    elif len(written) == 2 and written[0] == "^":
        name = _with_ctrl(written[1], written)
    elif written.startswith("ctrl+"):
        name = _with_ctrl(written.removeprefix("ctrl+"), written)
    else:
        name = _named(written)
    if name in SAME_AS:
        raise ValueError(f"terminals send {written!r} as {SAME_AS[name]}; use another key")
    if name in TAKEN:
        raise ValueError(f"{written!r} {TAKEN[name]}; use another key")
    return name


def shown(key: str) -> str:
    """Return the display name of a key, given Textual's name."""
    if key in _SHOWN:
        return _SHOWN[key]
    if key.startswith("ctrl+"):
        return f"^{key[5:]}"
    return key_to_character(REPLACED_KEYS.get(key, key)) or key


def _with_ctrl(key: str, written: str) -> str:
    """Return Textual's name of a key with ctrl.

    Raises:
        ValueError: no terminal sends it.
    """
    key = _of_character(key.lower() if len(key) == 1 else key)
    name = f"ctrl+{key}"
    if name not in SAME_AS and not (len(key) == 1 and key.isascii() and key.isalpha()):
        raise ValueError(f"no terminal sends {written!r}; ctrl works with letters only")
    return name


def _named(written: str) -> str:
    """Return Textual's name of a key that is written as a name.

    Raises:
        ValueError: there is no such key, or not all terminals send it.
    """
    name = written.lower().replace("page_", "page")
    name = {"esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown"}.get(
        name, name
    )
    if name in _SHOWN or name in TAKEN or len(shown(name)) == 1:
        return name
    if "+" in name:
        raise ValueError(f"not all terminals send {written!r}; use ctrl and a letter")
    near = get_close_matches(name, [*_SHOWN, *TAKEN], 1)
    hint = f"; did you mean {near[0]!r}?" if near else "; write P, ?, f5, pageup or ctrl+t"
    raise ValueError(f"unknown key {written!r}{hint}")


def _of_character(character: str) -> str:
    if len(character) != 1 or character.isalnum():
        return character
    if character == " ":
        return "space"
    try:
        name = unicodedata.name(character).lower().replace("-", "_").replace(" ", "_")
    except ValueError:
        raise ValueError("a control character is not a key; write its name") from None
    return KEY_NAME_REPLACEMENTS.get(name, name)


def _command_name(name: str) -> str:
    """Return the name of a command; hyphens are accepted, such as ``mark-all`` for ``mark_all``.

    Raises:
        ValueError: there is no such command.
    """
    command = name.replace("-", "_")
    if command in BY_NAME:
        return command
    near = get_close_matches(command, BY_NAME, 1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(BY_NAME))}"
    raise ValueError(f"unknown command; {hint}")


def _keys(name: str, value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    keys = [key for key in listed if isinstance(key, str) and key]
    if not keys or len(keys) < len(listed):
        raise ValueError(f'write a key, {name} = "P", or a list of keys, {name} = ["P", "f5"]')
    return tuple(dict.fromkeys(key_name(key) for key in keys))


def _keys_of(command: Command, mapped: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the keys of a command; F1 is not a key of help if another command has it."""
    if command.name in mapped:
        return mapped[command.name]
    f1_is_mapped = any("f1" in keys for keys in mapped.values())
    return tuple(key for key in command.keys.split(",") if key != "f1" or not f1_is_mapped)


def _clashes(mapped: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """Yield the entries with a key that another command also has, each with a message."""
    owners: dict[str, list[str]] = {}
    for command in BY_NAME.values():
        for key in _keys_of(command, mapped):
            owners.setdefault(key, []).append(command.name)
    for key, names in owners.items():
        for name in names if len(names) > 1 else ():
            if name in mapped:
                others = " and ".join(other for other in names if other != name)
                why = f"{shown(key)} is also the key of {others}; this entry is ignored:"
                yield name, f"{why} use another key, or give {others} another one"
