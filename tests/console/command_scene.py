"""Things for commands to act on: a hook, its deliveries, and how to open each screen about them."""

from __future__ import annotations

import itertools
import os
import pwd
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from hooktui.client import calls
from hooktui.console.access.accounts_screen import AccountsScreen
from hooktui.console.access.audit_screen import AuditEntryScreen, AuditScreen
from hooktui.console.access.token_form import NewTokenScreen, TokenForm
from hooktui.console.access.tokens_screen import TokensScreen
from hooktui.console.alerts.alerts_screen import AlertsScreen, ResolvedAlertsScreen
from hooktui.console.app import ConsoleApp
from hooktui.console.deliveries.deliveries_screen import DeliveriesScreen
from hooktui.console.deliveries.delivery_screen import DeliveryScreen
from hooktui.console.deliveries.undelivered_screen import UndeliveredScreen
from hooktui.console.engine.doctor_screen import DoctorScreen
from hooktui.console.engine.engine_screen import EngineScreen
from hooktui.console.events.emit_screen import EmitScreen
from hooktui.console.events.event_screen import EventScreen
from hooktui.console.events.events_screen import EventsScreen
from hooktui.console.frame.screen import ConsoleScreen, front_screen
from hooktui.console.hooks.diagnosis_screen import DiagnosisScreen
from hooktui.console.hooks.form_screen import HookForm, HookTypes
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.hooks.secret_screen import SecretScreen
from hooktui.console.log.log_screen import LiveLogScreen
from hooktui.console.navigation import screen_class
from hooktui.console.registry import TOP_SCREENS
from hooktui.console.replays.replay_form import ReplayForm
from hooktui.console.replays.replay_screen import ReplayScreen
from hooktui.console.replays.replays_screen import ReplaysScreen
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.console.widgets.chrome import StatusLine
from hooktui.domain.paths import paths_of
from hooktui.domain.wire.alerts import Alert
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.replays import Replay, ReplaySelection
from hooktui.domain.wire.undelivered import UndeliveredGroup
from tests.console.client import Client
from tests.console.conftest import Console
from tests.console.gate import Gate
from tests.console.screen_text import notice_of
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.console.command_table import Asking

HOUR_S = 3600
SINCE = "2020-01-01T00:00:00Z"
"""Before every event of a test."""
USER = pwd.getpwuid(os.geteuid()).pw_name
"""Who the console is to the server."""
_words = itertools.count(1)


class Scene:
    """One account's things, a console that looks at them through a gate, and who receives.

    Attributes:
        gate: what stands between console and server.
        console: the console.
        hook: the only hook, fresh for each command.
        delivered: a delivery that arrived.
        waiting: one that failed once and is tried again in an hour.
        stale: whether something was done to them, so that the next command needs others.
        word: a name that nothing has yet.
        copied: what the console sent to the clipboard.
    """

    def __init__(self, client: Client, receiver: Receiver, gate: Gate, console: Console) -> None:
        self.client, self.receiver, self.gate, self.console = client, receiver, gate, console
        self.copied: list[str] = []
        self.word = ""
        self.stale = True
        console.app.copy_to_clipboard = self.copied.append
        self.hook: Hook
        self.delivered: Delivery
        self.waiting: Delivery

    @property
    def app(self) -> ConsoleApp:
        """The console's app."""
        return self.console.app

    @property
    def notice(self) -> str:
        """The answer in the status line of the screen in front."""
        front = front_screen(self.app)
        lines = [] if front is None else list(front.query(StatusLine))
        return notice_of(lines[0]) if lines else ""

    def fresh(self) -> None:
        """Take every hook away, and make one to which something came."""
        for old in self.hooks():
            self.client.ask(calls.delete_hook(old.id))
        self.client.ask(calls.resume())
        self.hook = self.client.hook(
            self.receiver.url, name="billing", retry_schedule_s=[HOUR_S, HOUR_S]
        )
        self.receiver.status = 500
        self.receiver.requests.clear()
        self.client.emit("job.failed", b'{"id":7,"name":"seven"}')
        self.receiver.wait_for(1)
        self.waiting = wait_for(lambda: self._latest(lambda one: one.next_attempt_at))
        self.receiver.status = 200
        self.client.emit("job.failed", b'{"id":8,"name":"eight"}')
        self.receiver.wait_for(2)
        self.delivered = wait_for(lambda: self._latest(lambda one: one.status == "delivered"))
        self.receiver.requests.clear()

    def try_again(self) -> None:
        """Give the waiting delivery a second attempt."""
        self.ask(calls.resend_delivery(self.waiting.id))
        wait_for(lambda: self.ask(calls.get_delivery(self.waiting.id)).attempts[1:])

    def _latest(self, is_so: Callable[[Delivery], object]) -> Delivery | None:
        newest = self.deliveries()[0]
        return newest if newest.attempts and is_so(newest) else None

    # -- how things stand at the server, past console and gate

    def ask(self, call: calls.Call[Any]) -> Any:
        """Send a call as the admin."""
        return self.client.ask(call)

    def hooks(self) -> list[Hook]:
        """The hooks of the account."""
        return list(self.ask(calls.list_hooks(self.client.id)).data)

    def deliveries(self) -> list[Delivery]:
        """What goes to the hook, the newest first."""
        newest = calls.list_deliveries(self.client.id, hook=self.hook.id, order="desc")
        return list(self.ask(newest).data)

    def status_of(self, delivery: Delivery) -> str:
        """How a delivery stands."""
        return str(self.ask(calls.get_delivery(delivery.id)).status)

    def secrets(self) -> int:
        """How many secrets of the hook are live."""
        return len(self.ask(calls.hook_secrets(self.hook.id)).secrets)

    def tokens(self) -> list[str]:
        """The names of the account's tokens."""
        return [one.name for one in self.ask(calls.list_tokens(self.client.id)).data]

    def events(self) -> list[str]:
        """The ids of what came in."""
        return [one.id for one in self.ask(calls.list_events(self.client.id)).data]

    def accounts(self) -> list[str]:
        """The names of all accounts."""
        return [one.name for one in self.ask(calls.list_accounts(limit=500)).data]

    def groups(self) -> list[UndeliveredGroup]:
        """The groups of undelivered events of the hook."""
        return list(self.ask(calls.list_undelivered(self.client.id, hooks=[self.hook.id])).data)

    def replays(self) -> list[Replay]:
        """The replays of the hook, the newest first."""
        newest = calls.list_replays(self.client.id, hook=self.hook.id, order="desc")
        return list(self.ask(newest).data)

    def unfinished(self) -> Replay:
        """The replay of the hook that has not ended; one that waits, as delivery is paused."""
        for replay in self.replays():
            if replay.state in ("running", "paused"):
                return replay
        self.ask(calls.pause())
        made: Replay = self.ask(calls.create_replay(self.client.id, self.selection, rate_per_s=10))
        return made

    @property
    def selection(self) -> ReplaySelection:
        """Both deliveries of the hook."""
        return ReplaySelection(hooks=(self.hook.id,), mode="sent", since=SINCE)

    def alerts(self, state: str | None = None) -> list[Alert]:
        """The alerts about the hook; without a state those that have not ended."""
        newest = calls.list_alerts(self.client.id, state=state, hook=self.hook.id, order="desc")
        return list(self.ask(newest).data)

    # -- on the screen

    @property
    def screen(self) -> Any:
        """The screen in front, dialogs included."""
        return self.app.screen

    async def on(self, kind: type[ConsoleScreen]) -> Any:
        """Wait until a screen of a kind is in front."""
        await self.console.until(lambda: isinstance(self.screen, kind) and self.screen.is_mounted)
        return self.screen

    async def on_dialog(self, kind: type[Screen[Any]]) -> None:
        """Wait until a dialog of a kind is in front."""
        await self.console.until(lambda: isinstance(self.screen, kind) and self.screen.is_mounted)

    def leave(self) -> None:
        """Leave whatever screen is in front; home has nothing behind it, the log covers it."""
        log = TOP_SCREENS[1]
        if type(self.screen) is screen_class(log):
            self.app.navigation.go(TOP_SCREENS[0])
        else:
            self.app.navigation.go(log)

    async def open(
        self,
        kind: type[ConsoleScreen],
        way: Callable[[Scene], Awaitable[object]] | None = None,
    ) -> Any:
        """Go to a screen from home, and wait until it shows what it is about."""
        self.app.navigation.go(TOP_SCREENS[0])
        await self.on(HooksScreen)
        await (way or OPENERS[kind])(self)
        return await self.on(kind)


async def begin(scene: Scene, case: Asking) -> None:
    """Stand where a command can be done, with things of its own and a server that is well."""
    scene.gate.mend()
    scene.word = f"acme{next(_words)}"
    if scene.stale:
        scene.fresh()
    scene.stale = case.writes
    if case.setup is not None:
        case.setup(scene)
    await scene.open(case.screen, case.way)
    if case.before:
        await scene.console.press(*case.before)
    await possible(scene, case.command)
    scene.screen.notices.clear()
    scene.gate.asked.clear()


async def possible(scene: Scene, command: str) -> None:
    """Wait until a command is possible: not while what it acts on is read, sorted or drawn, and not
    before its last answer has come.
    """
    screen = scene.screen
    await scene.console.until(
        lambda: (
            screen.disabled_reason(command) is None
            and screen.not_ready_reason(command) is None
            and (command, screen.subject(command)) not in screen._running_commands
        )
    )


async def _hooks(scene: Scene) -> None:
    screen = await scene.on(HooksScreen)
    screen.listing.clear_marks()
    screen.listing.focus()
    await _row(scene, screen, lambda: scene.hook.id)


async def _row(scene: Scene, screen: Any, wanted: Callable[[], object]) -> None:
    """Wait for a list, and put the cursor on a line of it, so that commands act on that."""
    listing = screen.listing

    def there() -> bool:
        drawn = listing.loaded and not listing.undrawn
        at_it = drawn and listing.put_cursor_on(wanted())
        return bool(at_it and listing.stale_reason in (None, "hidden"))  # hidden: the log is zoomed

    await scene.console.until(there)


def _at(number: int) -> Callable[[Scene], Awaitable[Any]]:
    async def way(scene: Scene) -> Any:
        scene.app.navigation.go(TOP_SCREENS[number])
        return await scene.on(screen_class(TOP_SCREENS[number]))

    return way


async def _hook(scene: Scene) -> None:
    scene.app.navigation.open_hook(scene.hook.id)
    screen = await scene.on(HookScreen)
    await scene.console.until(lambda: screen.hook is not None)
    await _row(scene, screen, lambda: scene.delivered.id)


async def _delivery(scene: Scene) -> None:
    scene.app.navigation.open_delivery(scene.waiting.id)
    screen = await scene.on(DeliveryScreen)
    await scene.console.until(lambda: screen.delivery is not None and screen.timeline.loaded)
    await scene.console.shows("Response to attempt")


async def _event(scene: Scene) -> None:
    scene.app.navigation.open_event(scene.delivered.event)
    screen = await scene.on(EventScreen)
    await scene.console.until(lambda: screen.event is not None)
    await _row(scene, screen, lambda: scene.hook.id)
    await scene.console.shows("Body", f"Hook {scene.hook.id}:")


async def _events(scene: Scene) -> None:
    screen = await _at(2)(scene)
    await _row(scene, screen, lambda: scene.delivered.event)


async def _live_log(scene: Scene) -> None:
    screen = await _at(1)(scene)

    def there() -> bool:
        line = screen.log_lines.cursor_line
        return line is not None and line.delivery == scene.delivered.id

    await scene.console.until(there)


async def _engine(scene: Scene) -> None:
    screen = await _at(3)(scene)
    await scene.app.status.read()
    await scene.console.until(lambda: screen._listing.put_cursor_on(scene.hook.id))


async def _audit(scene: Scene) -> None:
    screen = await _at(4)(scene)
    await scene.console.until(lambda: screen.listing.cursor_row is not None)


async def _audit_entry(scene: Scene) -> None:
    await _audit(scene)
    scene.app.push_screen(AuditEntryScreen(scene.screen.listing.cursor_row))
    await scene.on(AuditEntryScreen)
    await scene.console.shows("Audit entry")


async def _tokens(scene: Scene) -> None:
    fields = {"name": "nightly", "role": "viewer", "account": scene.client.id}
    for old in scene.ask(calls.list_tokens(scene.client.id)).data:
        scene.ask(calls.revoke_token(old.id))
    made = scene.ask(calls.create_token(fields))
    screen = await _at(5)(scene)
    await _row(scene, screen, lambda: made.id)


async def _token_form(scene: Scene) -> None:
    scene.app.push_screen(TokenForm())
    await scene.on(TokenForm)


async def _new_token(scene: Scene) -> None:
    fields = {"name": "shown", "role": "viewer", "account": scene.client.id}
    scene.app.push_screen(NewTokenScreen(scene.ask(calls.create_token(fields))))
    await scene.on(NewTokenScreen)
    await scene.console.shows("hkt_")


async def _accounts(scene: Scene) -> None:
    screen = await _at(6)(scene)
    screen.listing.action_move("last")  # other tests' accounts fill the first pages
    await _row(scene, screen, lambda: scene.client.id)


async def _secret(scene: Scene) -> None:
    scene.app.navigation.open_secret(scene.hook)
    await scene.on(SecretScreen)
    await scene.console.shows("masked")


async def _diagnosis(scene: Scene) -> None:
    scene.app.navigation.open_diagnosis(scene.hook)
    screen = await scene.on(DiagnosisScreen)
    await scene.console.until(lambda: not screen.running)


async def _form(scene: Scene) -> None:
    scene.app.push_screen(HookForm(scene.hook))
    screen = await scene.on(HookForm)
    await scene.console.until(lambda: screen.focused is not None)


async def _types(scene: Scene) -> None:
    scene.app.navigation.open_form(None)
    await scene.on(HookTypes)
    await scene.console.shows("Webhook")


async def _emit(scene: Scene) -> None:
    scene.app.navigation.open_emit("job.failed", '{"id":9}')
    screen = await scene.on(EmitScreen)
    await scene.console.until(lambda: '{"id":9}' in screen.body.text)


async def _doctor(scene: Scene) -> None:
    scene.app.push_screen(DoctorScreen())
    await scene.on(DoctorScreen)
    await scene.console.shows("integrity")


async def _deliveries(scene: Scene) -> None:
    screen = await _at(7)(scene)
    await _row(scene, screen, lambda: scene.delivered.id)


async def _undelivered(scene: Scene) -> None:
    await _at(7)(scene)
    front_screen(scene.app).tabs.show(1)
    screen = await scene.on(UndeliveredScreen)
    await _row(scene, screen, lambda: (scene.hook.id, "http_5xx"))


async def _replays(scene: Scene) -> None:
    replay = scene.unfinished()
    await _at(7)(scene)
    front_screen(scene.app).tabs.show(2)
    screen = await scene.on(ReplaysScreen)
    await _row(scene, screen, lambda: replay.id)


async def _replay(scene: Scene) -> None:
    scene.app.navigation.open_replay(scene.unfinished().id)
    screen = await scene.on(ReplayScreen)
    await scene.console.until(lambda: screen.replay is not None)
    await scene.console.until(lambda: screen._hooks.put_cursor_on(scene.hook.id))


async def _replay_form(scene: Scene) -> None:
    scene.app.navigation.open_replay_form(scene.selection)
    screen = await scene.on(ReplayForm)
    await scene.console.until(lambda: screen.disabled_reason("save") is None)


async def _alerts(scene: Scene) -> None:
    group = scene.groups()[0]
    if group.alert is None:
        scene.ask(calls.acknowledge_undelivered(group.hook, group.cause))
    alert = scene.alerts()[0]
    screen = await _at(8)(scene)
    await _row(scene, screen, lambda: alert.id)


async def _resolved_alerts(scene: Scene) -> None:
    """A replay that finished leaves an alert that has ended."""
    finished = [one for one in scene.alerts("resolved") if one.type == "replay.finished"]
    if not finished:
        scene.ask(calls.resume())
        for replay in scene.replays():
            if replay.state in ("running", "paused"):
                scene.ask(calls.abort_replay(replay.id))
        scene.ask(calls.create_replay(scene.client.id, scene.selection))
    all_of_account = calls.list_alerts(scene.client.id, state="resolved", kind="replay.finished")
    await scene.console.until(lambda: scene.ask(all_of_account).data)
    await _at(8)(scene)
    front_screen(scene.app).tabs.show(1)
    screen = await scene.on(ResolvedAlertsScreen)
    await scene.console.until(lambda: screen.listing.cursor_row is not None)


OPENERS: dict[type[ConsoleScreen], Callable[[Scene], Awaitable[Any]]] = {
    HooksScreen: _hooks,
    LiveLogScreen: _live_log,
    EventsScreen: _events,
    EngineScreen: _engine,
    AuditScreen: _audit,
    TokensScreen: _tokens,
    AccountsScreen: _accounts,
    DeliveriesScreen: _deliveries,
    AlertsScreen: _alerts,
    UndeliveredScreen: _undelivered,
    ReplaysScreen: _replays,
    ReplayScreen: _replay,
    ReplayForm: _replay_form,
    ResolvedAlertsScreen: _resolved_alerts,
    HookScreen: _hook,
    DeliveryScreen: _delivery,
    EventScreen: _event,
    EmitScreen: _emit,
    DoctorScreen: _doctor,
    AuditEntryScreen: _audit_entry,
    TokenForm: _token_form,
    NewTokenScreen: _new_token,
    SecretScreen: _secret,
    DiagnosisScreen: _diagnosis,
    HookForm: _form,
    HookTypes: _types,
}
"""The way to every full screen of the console."""


@asynccontextmanager
async def staged(
    client: Client, receiver: Receiver, size: tuple[int, int] = (110, 24), **options: Any
) -> AsyncIterator[Scene]:
    """Run a console on a scene, with a gate between it and the server."""
    with tempfile.TemporaryDirectory(prefix="gate") as folder:
        gate = Gate(paths_of(client.environ).socket, Path(folder) / "s")
        await gate.open()
        given = ConsoleOptions(account=client.id, connect=str(gate.socket), **options)
        app = ConsoleApp(given, environ=client.environ)
        try:
            async with app.run_test(size=size) as pilot:
                scene = Scene(client, receiver, gate, Console(app, pilot))
                scene.fresh()
                scene.stale = False
                await scene.console.until(lambda: app.status.latest is not None)
                await scene.console.shows("billing")
                yield scene
        finally:
            await gate.end()
            client.ask(calls.resume())
