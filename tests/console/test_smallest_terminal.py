"""The smallest terminal: the line of keys stays in sight, and texts below lists keep a line."""

from hooktui.console.deliveries.delivery_screen import DeliveryScreen
from hooktui.console.events.event_screen import EventScreen
from hooktui.console.hooks.diagnosis_screen import DiagnosisScreen
from hooktui.console.widgets.chrome import KeyLine
from hooktui.console.widgets.document_view import DocumentView
from tests.console.client import Client
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
