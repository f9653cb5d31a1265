"""A client of the account of a test, past the console."""

from typing import Any

from hooktui.client import calls
from hooktui.client.address import find_server
from hooktui.client.calls import Call
from hooktui.client.sync_client import PlainClient
from hooktui.console.app import ConsoleApp
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.events import AcceptedEvent
from hooktui.domain.wire.hooks import CreatedHook
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for


class Client:
    """An account of its own on the server, so that tests do not see one another's hooks."""

    def __init__(self, environ: dict[str, str], account: int) -> None:
        self.environ = environ
        self._client = PlainClient(find_server(environ))
        self.id = account

    def ask(self, call: Call[Any]) -> Any:
        """Send a call as the admin, past the console."""
        return self._client.call(call)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def hook(self, url: str, **fields: object) -> CreatedHook:
        """Make a hook."""
        made: CreatedHook = self.ask(
            calls.create_hook(self.id, {"url": url, "events": ["job"], **fields})
        )
        return made

    def retrying_hook(self, receiver: Receiver, count: int) -> CreatedHook:
        """Make a hook with some deliveries that failed once and wait for their next try."""
        receiver.status = 500
        made = self.hook(receiver.url, retry_schedule_s=[3600, 3600])
        for _ in range(count):
            self.emit()
        wait_for(lambda: tried_once(self, made.id))
        return made

    def emit(self, event_type: str = "job.failed", body: bytes = b'{"id":7}') -> AcceptedEvent:
        """Send an event."""
        sent: AcceptedEvent = self.ask(calls.send_event(self.id, event_type, body))
        return sent

    def deliveries(self, hook: int, status: str | None = None) -> list[Delivery]:
        """Return a hook's deliveries."""
        call = calls.list_deliveries(self.id, hook=hook, status=status)
        found: list[Delivery] = self.ask(call).data
        return found

    def console(self, **options: Any) -> ConsoleApp:
        """Return a console of this account, not running yet."""
        return ConsoleApp(ConsoleOptions(account=self.id, **options), environ=self.environ)


def tried_once(client: Client, hook: int) -> bool:
    """Return whether all of a hook's deliveries have failed once, and wait for their next try.

    A try counts as soon as it is begun, before the receiver has answered.
    """
    found = client.deliveries(hook)
    return all((one.status, one.attempts) == ("pending", 1) for one in found)
