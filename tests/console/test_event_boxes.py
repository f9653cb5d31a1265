"""The event boxes as keys move them, in an app of one widget."""

import pytest
from textual.containers import VerticalScroll

from hooktui.console.hooks.event_boxes import EventBoxes
from hooktui.domain.catalogue import ETL
from hooktui.domain.wire.events import Catalogue, EventGroup, EventType
from tests.console.bare import BareApp


class Boxes(BareApp):
    """Only the boxes, and what they said."""

    def __init__(self, catalogue: Catalogue = ETL, events: tuple[str, ...] = ()) -> None:
        self.boxes = EventBoxes(catalogue, events)
        self.heard: list[tuple[str, ...]] = []
        super().__init__(self.boxes)

    def on_event_boxes_changed(self) -> None:
        self.heard.append(self.boxes.events)

    def drawn(self) -> list[str]:
        height = self.boxes.get_content_height(self.size, self.size, self.size.width)
        return [self.boxes.render_line(y).text.rstrip() for y in range(height)]


async def test_space_ticks_groups_and_types_and_the_boxes_show_three_states() -> None:
    app = Boxes()
    async with app.run_test(size=(80, 24)) as pilot:
        app.boxes.focus()
        await pilot.press("space", "down", "j", "space")
        lines = app.drawn()
        assert lines[0].startswith("[-] All Job Notifications")
        assert lines[1].startswith("  [x] Job Submitted")
        assert lines[2].startswith("  [ ] Job Started")
        assert lines[6].startswith("[ ] All Cluster Notifications")
        assert app.heard[0] == ("job",)
        left = ("job.submitted", "job.stopped", "job.completed", "job.failed")
        assert app.boxes.events == left
        assert app.heard[-1] == left


@pytest.mark.parametrize("size", [(80, 24), (60, 15), (120, 36)])
async def test_no_line_is_wider_than_the_screen(size: tuple[int, int]) -> None:
    app = Boxes()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        strips = [app.boxes.render_line(y) for y in range(12)]
        assert {strip.cell_length for strip in strips} == {app.boxes.size.width}


async def test_the_form_scrolls_with_the_cursor() -> None:
    app = Boxes()
    async with app.run_test(size=(60, 6)) as pilot:
        app.boxes.focus()
        await pilot.press("end")
        await pilot.pause()
        assert app.boxes.cursor == 11
        assert app.query_one(VerticalScroll).scroll_offset.y == 12 - 6
        await pilot.press("home")
        await pilot.pause()
        assert app.query_one(VerticalScroll).scroll_offset.y == 0


async def test_markup_and_escapes_in_a_catalogue_are_only_text() -> None:
    evil = EventType(id="x.y", name="[/b]\x1b[31m", description="[@click=app.quit]run[/]")
    app = Boxes(Catalogue(groups=(EventGroup(id="x", name="X", types=(evil,)),)))
    async with app.run_test(size=(100, 10)) as pilot:
        await pilot.pause()
        line = app.drawn()[1]
        assert "[/b]␛[31m" in line
        assert "[@click=app.quit]run[/]" in line


async def test_a_lost_event_can_be_unticked_and_is_gone_then() -> None:
    app = Boxes(events=("job", "package.deployed"))
    async with app.run_test(size=(100, 20)) as pilot:
        app.boxes.focus()
        assert "package.deployed" in app.drawn()[12]
        await pilot.press("end", "space")
        assert len(app.drawn()) == 12
        assert app.boxes.events == ("job",)
