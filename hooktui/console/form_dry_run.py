"""A form's events and filter tried on the latest events while they are typed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from hooktui.client import calls
from hooktui.console.base import HouseScreen
from hooktui.console.form_values import top_field
from hooktui.console.widgets.dry_run_lines import DryRunLines
from hooktui.console.widgets.short_list import ShortList
from hooktui.domain.errors import FieldError, HooktuiError
from hooktui.domain.hook_settings import HookSettings
from hooktui.domain.wire.hooks import Hook

TYPED_S: Final = 0.4
"""Of rest in typing before the server is asked."""

_GROUP: Final = "dry run"


class FormDryRun(HouseScreen):
    """A form with `DryRunLines`; ``hook`` is the one that is edited, None for a new one."""

    def __init__(self, hook: Hook | None) -> None:
        super().__init__()
        self.hook = hook
        self._asked: tuple[Sequence[str], str | None] | None = None

    @property
    def tried(self) -> DryRunLines:
        """What events and filter would have meant."""
        return self.query_one(DryRunLines)

    def try_out(self, settings: HookSettings, errors: Sequence[FieldError]) -> None:
        """Ask soon what events and filter would have meant, unless that is asked already."""
        wrong = {top_field(error.pointer) for error in errors} & {"events", "filter"}
        wanted = None if wrong else (settings.events, settings.filter)
        if wanted == self._asked:
            return
        self._asked = wanted
        if wanted is None:
            self.workers.cancel_group(self, _GROUP)
            self.tried.clear()
            return
        self.tried.wait()
        self.run_worker(self._ask(*wanted), name=_GROUP, group=_GROUP, exclusive=True)

    async def _ask(self, events: Sequence[str], filter_text: str | None) -> None:
        await asyncio.sleep(TYPED_S)
        fields: dict[str, object] = {"events": list(events), "filter": filter_text}
        if self.hook is not None:
            fields["hook"] = self.hook.id
        try:
            run = await self.ask(calls.dry_run(self.house.account, fields))
        except HooktuiError as error:
            self._asked = None  # asked again at the next change
            if self.query("#tried"):
                self.tried.fail(str(error))
            return
        if self.query("#tried"):
            self.tried.show(run, self.house.clock())

    def on_short_list_chosen(self, message: ShortList.Chosen) -> None:
        """Show the event that was chosen."""
        from hooktui.console.screens.event_look import EventLook

        self.app.push_screen(EventLook(message.row.value))
