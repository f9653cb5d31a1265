"""The one table of keys."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any, cast

import pytest
from textual.binding import Binding

from hooktui.console.access.audit_screen import AuditEntryScreen
from hooktui.console.access.token_form import NewTokenScreen, TokenForm
from hooktui.console.alerts.alerts_screen import ResolvedAlertsScreen
from hooktui.console.deliveries.delivery_screen import DeliveryScreen
from hooktui.console.deliveries.undelivered_screen import UndeliveredScreen
from hooktui.console.engine.doctor_screen import DoctorScreen
from hooktui.console.events.emit_screen import EmitScreen
from hooktui.console.events.event_screen import EventScreen
from hooktui.console.frame.dialogs import ConsoleDialog
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.hooks.diagnosis_screen import DiagnosisScreen
from hooktui.console.hooks.form_screen import HookForm, HookTypes
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.hooks.secret_screen import SecretScreen
from hooktui.console.navigation import screen_class
from hooktui.console.registry import (
    BY_NAME,
    COMMANDS,
    EVERYWHERE,
    MOVES,
    TOP_SCREENS,
    bindings,
    move_bindings,
    top_screen_of,
)
from hooktui.console.replays.replay_form import ReplayForm
from hooktui.console.replays.replay_screen import ReplayScreen
from hooktui.console.replays.replays_screen import ReplaysScreen
from hooktui.domain.wire.replays import ReplaySelection
from tests.console.command_scene import OPENERS
from tests.support.wire_objects import hook

_ANY = cast("Any", None)
"""What a screen shows only once it is mounted."""

SCREENS: dict[str, Callable[[], ConsoleScreen]] = {
    **{top.name: screen_class(top) for top in TOP_SCREENS},
    "hook": partial(HookScreen, 12),
    "secret": lambda: SecretScreen(hook()),
    "diagnosis": lambda: DiagnosisScreen(hook()),
    "new hook": partial(HookForm, None),
    "edit hook": lambda: HookForm(hook()),
    "hook types": HookTypes,
    "delivery": partial(DeliveryScreen, "dlv_0000000000001"),
    "event": partial(EventScreen, "evt_0000000000001"),
    "emit": EmitScreen,
    "doctor": DoctorScreen,
    "audit entry": partial(AuditEntryScreen, _ANY),
    "token form": TokenForm,
    "new token": partial(NewTokenScreen, _ANY),
    "undelivered": UndeliveredScreen,
    "replays": ReplaysScreen,
    "replay": partial(ReplayScreen, "rpl_0000000000001"),
    "new replay": lambda: ReplayForm(ReplaySelection(hooks="all"), lambda: None),
    "resolved alerts": ResolvedAlertsScreen,
}
"""Makes each full screen of the console."""

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


@pytest.mark.parametrize("name", SCREENS)
def test_each_command_of_a_screen_has_exactly_one_handler(name: str):
    """Red when a screen names a command that nothing runs, or that two things would run."""
    screen = SCREENS[name]()
    for command in screen.COMMAND_NAMES:
        assert command in BY_NAME
        tables = [one.handlers for one in (screen, *screen.parts)]
        assert sum(command in table for table in tables) == 1, command
    assert set(EVERYWHERE) <= screen.handlers.keys()


def test_every_screen_is_tried():
    """Red when a screen is new, and its commands are not checked."""
    assert {type(make()) for make in SCREENS.values()} == set(OPENERS)


def test_every_top_screen_needs_nothing_to_open():
    for place in TOP_SCREENS:
        assert issubclass(screen_class(place), ConsoleScreen)
        assert screen_class(place).HEADING.lower() == place.label
        needed = signature(screen_class(place)).parameters.values()
        assert all(one.default is not one.empty for one in needed)


def test_dialogs_bind_only_keys_of_the_table():
    bound = [b for b in ConsoleDialog.BINDINGS if isinstance(b, Binding)]
    assert all(b.id is not None and b.id.startswith("command.") for b in bound)


def test_the_next_session_begins_on_a_top_screen_or_a_tab_of_it():
    tops = {
        kind: top and top.name
        for kind in ("HooksScreen", "ReplaysScreen", "ResolvedAlertsScreen", "ReplayScreen")
        for top in [top_screen_of(kind)]
    }
    assert tops == {
        "HooksScreen": "hooks",
        "ReplaysScreen": "deliveries",
        "ResolvedAlertsScreen": "alerts",
        "ReplayScreen": None,
    }
