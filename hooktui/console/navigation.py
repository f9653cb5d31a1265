"""The ways to the screens; each screen is imported when somebody goes there first."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING

from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.personal import PersonalApp
from hooktui.console.registry import TopScreen

if TYPE_CHECKING:
    from hooktui.domain.wire.hooks import Hook


class WaysApp(PersonalApp):
    """An app whose screens lie on one another, home at the bottom."""

    def full_screens(self) -> Iterator[ConsoleScreen]:
        """Return the full screens of the stack, the lowest first."""
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen):
                yield screen

    def front(self) -> ConsoleScreen | None:
        """Return the full screen that is in front, under dialogs."""
        found = list(self.full_screens())
        return found[-1] if found else None

    def go(self, place: TopScreen) -> None:
        """Go to a place, whatever lies above it; home is always at the bottom."""
        wanted = place.screen_class()
        if type(self.screen) is wanted:
            return
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if not isinstance(self.screen, wanted):
            self.push_screen(wanted())

    def select(self, place: str, identity: Hashable) -> None:
        """Put the cursor of a place's list on what was created just now, if the place is open."""
        from hooktui.console.frame.choosing import Choosing

        for screen in self.full_screens():
            if place == screen.HEADING and isinstance(screen, Choosing):
                screen.listing.select(identity)

    def open_form(self, hook: Hook | None) -> None:
        """Open the form of a hook that exists; for a new one (None) the list of types first."""
        from hooktui.console.hooks.form_screen import HookForm, HookTypes

        self.push_screen(HookTypes() if hook is None else HookForm(hook))

    def open_hook(self, hook: int) -> None:
        """Open a hook by its id."""
        from hooktui.console.hooks.hook_screen import HookScreen

        self.push_screen(HookScreen(hook))

    def open_secret(self, hook: Hook) -> None:
        """Open the secret of a hook."""
        from hooktui.console.hooks.secret_screen import SecretScreen

        self.push_screen(SecretScreen(hook))

    def open_diagnosis(self, hook: Hook) -> None:
        """Look at the receiver of a hook, and say what is wrong with it."""
        from hooktui.console.hooks.diagnosis_screen import DiagnosisScreen

        self.push_screen(DiagnosisScreen(hook))

    def open_delivery(self, delivery: str) -> None:
        """Open a delivery by its id."""
        from hooktui.console.deliveries.delivery_screen import DeliveryScreen

        self.push_screen(DeliveryScreen(delivery))

    def open_event(self, event: str) -> None:
        """Open an event by its id."""
        from hooktui.console.events.event_screen import EventScreen

        self.push_screen(EventScreen(event))

    def open_emit(self, event_type: str = "", body: str | None = None) -> None:
        """Let the admin send an event; of a type, and with a body, to begin with."""
        from hooktui.console.events.emit_screen import EmitScreen

        self.push_screen(EmitScreen(event_type, body))

    def open_help(self) -> None:
        """Show the keys of the screen in front; choosing one runs it."""
        from hooktui.console.frame.help import HelpScreen

        front = self.front()
        if front is not None:
            self.push_screen(HelpScreen(front), front.run_chosen)

    def action_command_palette(self) -> None:
        """Open the palette."""
        from hooktui.console.frame.palette import Palette

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))
