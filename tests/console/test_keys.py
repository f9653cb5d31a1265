"""The one table of keys."""

from collections import Counter
from inspect import signature

import pytest
from textual.binding import Binding

from hooktui.console.access.audit_screen import AuditEntryScreen
from hooktui.console.access.token_form import NewTokenScreen, TokenForm
from hooktui.console.engine.doctor_screen import CheckupScreen
from hooktui.console.events.emit_screen import EmitScreen
from hooktui.console.events.event_screen import EventScreen
from hooktui.console.frame.screen import ConsoleDialog, ConsoleScreen
from hooktui.console.navigation import screen_class
from hooktui.console.registry import (
    BY_COMMAND,
    BY_NAME,
    COMMANDS,
    EVERYWHERE,
    MOVES,
    TOP_SCREENS,
    bindings,
    move_bindings,
)

SCREENS = (
    *(screen_class(place) for place in TOP_SCREENS), EventScreen, EmitScreen, AuditEntryScreen,
    CheckupScreen, NewTokenScreen, TokenForm,
)  # fmt: skip
UNTELLABLE = {"ctrl+j", "ctrl+m", "ctrl+h", "ctrl+i", "ctrl+left_square_bracket"}
"""Keys that a terminal sends as Enter, Backspace, Tab or Esc."""


def all_keys() -> list[str]:
    return [key for command in (*COMMANDS, *MOVES) for key in command.keys.split(",")]


def test_no_key_has_two_meanings():
    assert [key for key, count in Counter(all_keys()).items() if count > 1] == []


def test_no_key_is_one_that_terminals_cannot_tell_from_another():
    assert UNTELLABLE.isdisjoint(all_keys())


def test_every_binding_has_an_id_and_no_two_share_one():
    found = [*bindings(*(command.name for command in COMMANDS)), *move_bindings()[:-1]]
    ids = [binding.id for binding in found]
    assert None not in ids
    assert len(set(ids)) == len(ids)


def test_every_screen_answers_every_key_of_the_table():
    bound = {b.key for b in ConsoleScreen.BINDINGS if isinstance(b, Binding)}
    assert bound == {command.keys for command in COMMANDS}


@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen_does_each_verb_that_it_names(screen: type[ConsoleScreen]):
    for name in (*screen.COMMAND_NAMES, *EVERYWHERE):
        assert name in BY_NAME
        assert name in BY_COMMAND or callable(getattr(screen, f"verb_{name}")), name


def test_every_place_is_a_screen_that_needs_nothing_to_open():
    for place in TOP_SCREENS:
        assert issubclass(screen_class(place), ConsoleScreen)
        assert screen_class(place).HEADING.lower() == place.label
        assert len(signature(screen_class(place)).parameters) == 0


def test_dialogs_bind_only_keys_of_the_table():
    bound = [b for b in ConsoleDialog.BINDINGS if isinstance(b, Binding)]
    assert all(b.id is not None and b.id.startswith("command.") for b in bound)
