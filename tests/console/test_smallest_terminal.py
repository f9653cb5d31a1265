"""The smallest terminal: the line of keys stays in sight, and texts below lists keep a line."""

import pytest

from hooktui.console.deliveries.delivery_screen import DeliveryScreen
from hooktui.console.events.event_screen import EventScreen
from hooktui.console.hooks.diagnosis_screen import DiagnosisScreen
from hooktui.console.widgets.chrome import KeyLine
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
