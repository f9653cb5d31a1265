"""The table of commands is whole: no screen has a command that it does not hold."""

from __future__ import annotations

import importlib
import pkgutil

import hooktui.console
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.registry import BY_NAME
from tests.console.command_scene import OPENERS
from tests.console.command_table import ASKING, QUIET, own_commands


def full_screens() -> set[type[ConsoleScreen]]:
    """Return every full screen that there is a class of, without the bases of some of them."""
    found = set()
    for module in pkgutil.walk_packages(hooktui.console.__path__, "hooktui.console."):
        here = importlib.import_module(module.name)
        for thing in vars(here).values():
            if isinstance(thing, type) and issubclass(thing, ConsoleScreen):
                found |= set() if thing.__name__.startswith("_") else {thing}
    full = (".token_form", ".replay_form", "_screen")
    return {
        one for one in found if one.__module__.endswith(full) and ".frame." not in one.__module__
    }


# Red when a screen is new, or one gets a command, and nothing tries it.
def test_every_command_of_every_screen_is_in_the_table_once_or_more():
    assert set(OPENERS) == full_screens()
    held = {(case.screen, case.command) for case in (*ASKING, *QUIET)}
    # A form's or a dialog's Esc is everybody's; where it asks first, the table has it, too.
    offered = {(screen, command) for screen in OPENERS for command in own_commands(screen)}
    assert {pair for pair in held if pair[1] != "back"} == offered


def test_no_command_both_needs_the_server_and_does_not():
    asking = {(case.screen, case.command) for case in ASKING}
    assert asking.isdisjoint((case.screen, case.command) for case in QUIET)
    assert len({str(case) for case in ASKING}) == len(ASKING)


# Red when a command that the server may refuse is taken for one that only looks.
def test_what_changes_something_is_reported_while_it_runs():
    for case in ASKING:
        assert bool(case.working) == case.writes, case
        assert case.command in BY_NAME
