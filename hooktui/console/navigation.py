"""Opens screens, each imported when it is opened first."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from importlib import import_module
from typing import TYPE_CHECKING, cast

from textual.app import App

from hooktui.console.frame.screen import ConsoleScreen, front_screen, full_screens
from hooktui.console.registry import TOP_SCREENS, Command, TopScreen
from hooktui.domain.filters.terms import NO_TERMS, FilterTerms

if TYPE_CHECKING:
    from hooktui.domain.wire.hooks import Hook
    from hooktui.domain.wire.replays import ReplaySelection


class Navigation:
    """Opens the screens of an app; they lie on one another, the first top screen at the bottom."""

    def __init__(self, app: App[None]) -> None:
        self._app = app

    def screens(self) -> list[ConsoleScreen]:
        """Return the full screens of the stack, the lowest first."""
        return full_screens(self._app)

    def front(self) -> ConsoleScreen | None:
        """Return the full screen that is in front, under dialogs."""
        return front_screen(self._app)

    def go(self, top: TopScreen) -> None:
        """Go to a top screen, whatever lies above it."""
        kind = screen_class(top)
        if type(self._app.screen) is kind:
            return
        while len(self._app.screen_stack) > 1:
            self._app.pop_screen()
        if not isinstance(self._app.screen, kind):
            self._app.push_screen(kind())

    def show_tab(self, path: str) -> None:
        """Show another tab of a top screen in place of the screen in front."""
        front = self.front()
        if front is not None:
            front.leave(_import(path)())

    def open_deliveries(self, filter_text: str) -> None:
        """List the deliveries of all hooks that match a filter."""
        from hooktui.console.deliveries.deliveries_screen import DeliveriesScreen

        self._app.push_screen(DeliveriesScreen(filter_text))

    def open_events(self, filter_text: str, note: str = "") -> None:
        """List the events that match a filter; ``note`` says in the title which those are."""
        from hooktui.console.events.events_screen import EventsScreen

        self._app.push_screen(EventsScreen(filter_text, note))

    def open_replay(self, replay: str) -> None:
        """Open a replay by its id."""
        from hooktui.console.replays.replay_screen import ReplayScreen

        self._app.push_screen(ReplayScreen(replay))

    def open_replay_form(
        self, selection: ReplaySelection, started: Callable[[], object] = lambda: None
    ) -> None:
        """Open the form of a new replay, with a selection; ``started`` is called if one runs."""
        from hooktui.console.replays.replay_form import ReplayForm

        self._app.push_screen(ReplayForm(selection, started))

    def select(self, heading: str, identity: Hashable) -> None:
        """Put the cursor on what was created just now, in the list of the screen that shows it."""
        from hooktui.console.frame.chosen_rows import ChosenRows

        for screen in self.screens():
            if heading == screen.HEADING and isinstance(screen.rows, ChosenRows):
                screen.rows.listing.select(identity)

    def open_form(self, hook: Hook | None) -> None:
        """Open the form of a hook that exists; for a new one (None) the list of types first."""
        from hooktui.console.hooks.form_screen import HookForm, HookTypes

        self._app.push_screen(HookTypes() if hook is None else HookForm(hook))

    def open(self, command: Command, *identity: int | str) -> None:
        """Open what a command of the ``:`` line opens: a list, or one thing by its id."""
        self._app.push_screen(_import(command.screen)(*identity))

    def open_hook(self, hook: int) -> None:
        """Open a hook by its id."""
        from hooktui.console.hooks.hook_screen import HookScreen

        self._app.push_screen(HookScreen(hook))

    def open_secret(self, hook: Hook) -> None:
        """Open the secret of a hook."""
        from hooktui.console.hooks.secret_screen import SecretScreen

        self._app.push_screen(SecretScreen(hook))

    def open_diagnosis(self, hook: Hook) -> None:
        """Diagnose the receiver of a hook."""
        from hooktui.console.hooks.diagnosis_screen import DiagnosisScreen

        self._app.push_screen(DiagnosisScreen(hook))

    def open_delivery(self, delivery: str) -> None:
        """Open a delivery by its id."""
        from hooktui.console.deliveries.delivery_screen import DeliveryScreen

        self._app.push_screen(DeliveryScreen(delivery))

    def open_event(self, event: str) -> None:
        """Open an event by its id."""
        from hooktui.console.events.event_screen import EventScreen

        self._app.push_screen(EventScreen(event))

    def open_emit(self, event_type: str = "", body: str | None = None) -> None:
        """Open the dialog that sends an event, with a type and a body to begin with."""
        from hooktui.console.events.emit_screen import EmitScreen

        self._app.push_screen(EmitScreen(event_type, body))

    def open_help(self) -> None:
        """Show the keys of the screen in front; choosing one runs it."""
        from hooktui.console.frame.help import HelpScreen

        front = self.front()
        if front is not None:
            self._app.push_screen(HelpScreen(front), front.run_chosen)

    def ask_to_leave(self, title: str, details: str, leave: Callable[[], object]) -> None:
        """Ask whether typed text may be lost; leave if so."""
        from hooktui.console.frame.dialogs import DialogOption, Question

        def answered(answer: str | None) -> None:
            if answer == "leave":
                leave()

        options = (DialogOption("s", "stay", "stay"), DialogOption("y", "leave", "leave"))
        self._app.push_screen(Question(title, details, options), answered)

    def open_palette(self) -> None:
        """Open the palette."""
        from hooktui.console.frame.palette import Palette

        if not isinstance(self._app.screen, Palette):
            self._app.push_screen(Palette(id="--command-palette"))

    def filter_terms(self, word: str) -> FilterTerms:
        """Return the terms of the list that a word filters; else those of the screen in front."""
        top = next((top for top in TOP_SCREENS if top.name == word), None)
        screen = self.front() if top is None else screen_class(top)
        return NO_TERMS if screen is None else screen.FILTER_TERMS

    async def open_command_line(self, text: str = "") -> None:
        """Open the ``:`` line of the screen in front, with a text; returns once keys go there."""
        from hooktui.console.frame.command_line import open_command_bar

        front = self.front()
        if front is not None:
            await open_command_bar(front, text)


def screen_class(top: TopScreen) -> type[ConsoleScreen]:
    """Import the class of a top screen."""
    return cast("type[ConsoleScreen]", _import(top.screen))


def _import(screen: str) -> Callable[..., ConsoleScreen]:
    module, _, name = screen.partition(":")
    return cast(
        "Callable[..., ConsoleScreen]", getattr(import_module(f"hooktui.console.{module}"), name)
    )
