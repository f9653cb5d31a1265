"""The smallest terminal: the line of keys stays in sight, and texts below lists keep a line."""

import pytest

from hooktui.console.deliveries.delivery_screen import DeliveryScreen
from hooktui.console.events.event_screen import EventScreen
from hooktui.console.frame.dialogs import DialogOption, Question
from hooktui.console.hooks.diagnosis_screen import DiagnosisScreen
from hooktui.console.hooks.secret_screen import SecretScreen
from hooktui.console.widgets.chrome import KeyLine
from hooktui.console.widgets.controls import ShortList
from hooktui.console.widgets.document_view import DocumentView
from tests.console.client import Client
from tests.console.command_scene import OPENERS, staged
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

SMALLEST = (60, 15)


async def test_what_is_long_does_not_push_out_what_is_below_it(
    open_console, client: Client, receiver: Receiver
):
    """Red when a list takes the height that it would like to have."""
    receiver.status = 500
    hooks = [client.hook(receiver.url, retry_schedule_s=[0.1] * 8) for _ in range(9)]
    event = client.emit().id
    wait_for(lambda: client.deliveries(hooks[0].id, "failed"))
    delivery = client.deliveries(hooks[0].id)[0].id
    async with open_console(size=SMALLEST) as console:
        app = console.app
        await console.shows("Live log", "failing")
        for way, kind, text in (
            (lambda: app.navigation.open_event(event), EventScreen, "Body"),
            (
                lambda: app.navigation.open_delivery(delivery),
                DeliveryScreen,
                "Response to attempt 9",
            ),
            (
                lambda: app.navigation.open_diagnosis(hooks[0]),
                DiagnosisScreen,
                "the receiver responded 500",
            ),
        ):
            way()
            await console.until(lambda kind=kind: isinstance(app.screen, kind))
            await console.shows(text)
            await console.pilot.pause()
            assert app.screen.query_one(KeyLine).region.bottom == SMALLEST[1], kind
            assert app.screen.query_one(DocumentView).scrollable_content_region.height > 0, kind


# Red when the texts of a screen, with a notice of several lines, push out the line of keys.
@pytest.mark.parametrize("kind", OPENERS, ids=lambda kind: kind.__name__)
async def test_the_line_of_keys_of_each_screen_stays_in_sight(
    client: Client, receiver: Receiver, kind
):
    async with staged(client, receiver) as scene:
        screen = await scene.open(kind)
        await scene.console.pilot.resize_terminal(*SMALLEST)
        await scene.console.pilot.pause()
        assert screen.query_one(KeyLine).region.bottom == SMALLEST[1]
        for view in screen.query(DocumentView):
            hidden = not all(node.display for node in view.ancestors_with_self)
            assert hidden or view.scrollable_content_region.height > 0
        screen.notice("a notice of several lines " * 6)
        await scene.console.pilot.pause()
        assert screen.query_one(KeyLine).region.bottom == SMALLEST[1]


# Red when a question is as high as its text: the last options are below the terminal.
@pytest.mark.parametrize("size", [SMALLEST, (80, 24)], ids=["smallest", "usual"])
@pytest.mark.parametrize("text", ["", "a long text " * 15, "a very long text " * 80])
async def test_all_options_of_a_question_stay_in_sight(
    client: Client, receiver: Receiver, size: tuple[int, int], text: str
):
    options = [DialogOption(key, f"option {key}", key) for key in "cfdhwl"]
    async with staged(client, receiver) as scene:
        await scene.console.pilot.resize_terminal(*size)
        await scene.app.push_screen(Question(f"Sure? {text[:200]}", text, options))
        for columns, rows in (size, (200, 50), size):
            await scene.console.pilot.resize_terminal(columns, rows)
            await scene.console.pilot.pause()
            found = scene.app.screen.query_one(ShortList)
            assert found.region.height == len(options)
            assert found.region in found.parent.content_region
            assert found.parent.region in scene.app.screen.region
            assert scene.app.screen.query_one("#title").region.height > 0


# Red when a text of an option is cut.
async def test_the_rotations_of_a_secret_can_be_read(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        await scene.open(SecretScreen)
        await scene.console.pilot.resize_terminal(*SMALLEST)
        await scene.console.pilot.press("t")
        await scene.on_dialog(Question)
        words = [row.words for row in scene.screen.query_one(ShortList).rows]
        await scene.console.shows(*words)
        assert len(words) >= 5
