"""The home screen: every hook with its state at a glance, and the live log below."""

from __future__ import annotations

from textual.app import ComposeResult

from hooktui.console.base import Changes, HouseScreen
from hooktui.console.widgets.columns import Column
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.objects import Hook, Page


class HooksScreen(HouseScreen):
    """All hooks of the account."""

    PLACE = "Hooks"
    VERBS = ("open", "new", "edit", "ping")

    def compose_body(self) -> ComposeResult:
        """The list."""
        yield WindowedList(
            [
                Column[Hook](
                    name="id", title="id", cell=lambda h: str(h.id), width=5, align="right"
                ),
                Column[Hook](name="name", title="name", cell=lambda h: h.name, width=12, grow=1),
            ],
            self,
            lambda hook: hook.id,
            id="hooks",
        )

    async def page(
        self,
        *,
        cursor: str | None,
        limit: int,
        from_end: bool,
        sort: str | None,
        descending: bool,
    ) -> Page[Hook]:
        """Return a page of hooks."""
        from hooktui.client import calls

        return await self.ask(
            calls.list_hooks(
                self.house.account, cursor=cursor, limit=limit, from_end=from_end, sort=sort,
                order="desc" if descending else None,
            )
        )  # fmt: skip

    def on_mount(self) -> None:
        super().on_mount()
        self.run_worker(self.query_one(WindowedList).load())

    async def changed(self, changes: Changes) -> None:
        await self.query_one(WindowedList).reload()

    def verb_new(self) -> None:
        self.house.open_form(None)
