"""A list of numbered rows behind cursors, as the API serves lists; and an app that shows it."""

from dataclasses import dataclass

from textual.app import App, ComposeResult

from hooktui.console.glyphs import UNICODE
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.table import Column
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.errors import NoServer
from hooktui.domain.wire.pages import Page


@dataclass(frozen=True)
class Row:
    """A row with a number that never changes."""

    id: int
    name: str


class Rows:
    """A keyset source: a cursor names a row and a direction, as ``+17`` or ``-17``."""

    def __init__(self, count: int) -> None:
        self.rows = [Row(number, f"row {number}") for number in range(count)]
        self.asked: list[tuple[str | None, bool]] = []
        self.broken = False

    async def page(self, query: PageQuery) -> Page[Row]:
        cursor, limit, from_end = query["cursor"], query["limit"], query["from_end"]
        self.asked.append((cursor, from_end))
        if self.broken:
            raise NoServer("no server responds")
        rows = sorted(self.rows, key=lambda row: row.id, reverse=query["order"] == "desc")
        places = {row.id: place for place, row in enumerate(rows)}
        if cursor is None:
            start = max(len(rows) - limit, 0) if from_end else 0
            end = start + limit
        elif cursor.startswith("+"):
            start = self._after(rows, places, int(cursor[1:]), descending=query["order"] == "desc")
            end = start + limit
        else:
            end = places[int(cursor[1:])]
            start = max(end - limit, 0)
        part = rows[start:end]
        return Page(
            data=part,
            next=f"+{part[-1].id}" if end < len(rows) and part else None,
            prev=f"-{part[0].id}" if start > 0 and part else None,
            total=len(rows),
        )

    def _after(
        self, rows: list[Row], places: dict[int, int], number: int, *, descending: bool
    ) -> int:
        if number in places:
            return places[number] + 1
        return sum((row.id > number) if descending else (row.id < number) for row in rows)


class ListApp(App[None]):
    """An app of one list; remembers what was opened."""

    glyphs = UNICODE

    def __init__(self, source: Rows, **options: object) -> None:
        super().__init__()
        self.opened: list[Row] = []
        self.failures: list[str] = []
        self.listing: WindowedList[Row] = WindowedList(
            [
                Column(name="id", cell=lambda r: str(r.id), width=6, align="right"),
                Column(name="name", cell=lambda r: r.name, width=10, grow=1),
            ],
            source,
            lambda row: row.id,
            **options,
        )

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"quiet": "#888888"}

    def compose(self) -> ComposeResult:
        yield self.listing

    async def on_mount(self) -> None:
        await self.listing.load()

    def on_windowed_list_opened(self, message: WindowedList.Opened) -> None:
        self.opened.append(message.listing.cursor_row)

    def on_windowed_list_failed(self, message: WindowedList.Failed) -> None:
        self.failures.append(str(message.error))

    def text(self, y: int) -> str:
        """Return a line of the list as it is drawn."""
        return self.listing.render_line(y).text.rstrip()
