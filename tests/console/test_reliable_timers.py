"""Timers that run once, in a process that is held between two readings of the clock."""

import asyncio
import inspect
import pkgutil
from collections import Counter
from importlib import import_module

import pytest
from textual import _time, events
from textual.app import App
from textual.geometry import Size
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.widget import Widget

import hooktui.console
from hooktui.console.app import ConsoleApp
from hooktui.console.frame.dialogs import ConsoleDialog
from hooktui.console.frame.palette import Palette
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.log.live_log import LiveLog
from hooktui.console.shell.reliable_timers import set_reliable_timer
from hooktui.console.shell.terminal import RestrictedMode


@pytest.fixture
def held(monkeypatch) -> None:
    """Let ten seconds pass between the first two readings of each task, as a busy machine may."""
    readings: Counter[asyncio.Task[object] | None] = Counter()
    real, ahead = _time.get_time, 0.0

    def get_time() -> float:
        nonlocal ahead
        task = asyncio.current_task()
        readings[task] += 1
        ahead += 10 if readings[task] == 2 else 0
        return real() + ahead

    monkeypatch.setattr(_time, "get_time", get_time)


class _Plain(App[None]):
    """What Textual does by itself, with one widget that fills the screen."""

    def compose(self):
        yield Widget()


class _Reliable(RestrictedMode, _Plain):
    """The same with the console's own base."""


@pytest.mark.parametrize(("kind", "ran"), [(_Plain, False), (_Reliable, True)])
async def test_a_timer_that_runs_once_is_not_lost(held, kind, ran):
    """Red when Textual does better, and the console's own way is not needed any more."""
    called = []
    async with kind().run_test() as pilot:
        pilot.app.set_timer(0.01, lambda: called.append(True))
        for _ in range(20):
            await pilot.pause(0.01)
        assert bool(called) is ran


@pytest.mark.parametrize(("kind", "resized"), [(_Plain, False), (_Reliable, True)])
async def test_a_resize_is_not_lost(held, kind, resized):
    """Red as above: Textual waits for that timer, and sends no later size to any screen."""
    async with kind().run_test(size=(80, 24)) as pilot:
        await pilot.resize_terminal(90, 20)  # the first is handed on at once
        for size in (Size(100, 30), Size(120, 40)):
            pilot.app.post_message(events.Resize(size, size))
            await pilot.pause(0.2)
            assert (pilot.app.query_one(Widget).size == size) is resized


def test_every_class_that_sets_such_a_timer_sets_a_reliable_one():
    """Red when a widget, screen or app of the console sets a timer that may be lost."""
    modules = pkgutil.walk_packages(hooktui.console.__path__, "hooktui.console.")
    kinds = {
        kind
        for module in modules
        for _, kind in inspect.getmembers(import_module(module.name), inspect.isclass)
        if kind.__module__.startswith("hooktui.")
    }
    setting = {
        kind
        for kind in kinds
        if issubclass(kind, App | Screen)
        or (issubclass(kind, MessagePump) and "self.set_timer(" in inspect.getsource(kind))
    }
    assert {LiveLog, ConsoleApp, ConsoleScreen, ConsoleDialog, Palette} < setting
    assert not [kind for kind in setting if kind.set_timer is not set_reliable_timer]
