"""The table of commands: what each asks of the server, and how an admin sees that it is done.

``ASKING`` holds the commands that need the server, ``QUIET`` those that do not. Together they are
every command of every screen; `test_commands_table.py` holds that nothing is missing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from hooktui.client import calls
from hooktui.console.access.accounts_screen import AccountsScreen
from hooktui.console.access.audit_screen import AuditEntryScreen, AuditScreen
from hooktui.console.access.token_form import NewTokenScreen, TokenForm
from hooktui.console.access.tokens_screen import TokensScreen
from hooktui.console.alerts.alerts_screen import AlertsScreen, ResolvedAlertsScreen
from hooktui.console.deliveries.deliveries_screen import DeliveriesScreen
from hooktui.console.deliveries.delivery_screen import DeliveryScreen
from hooktui.console.deliveries.undelivered_screen import UndeliveredScreen
from hooktui.console.engine.doctor_screen import DoctorScreen
from hooktui.console.engine.engine_screen import EngineScreen
from hooktui.console.events.emit_screen import EmitScreen
from hooktui.console.events.event_screen import EventScreen
from hooktui.console.events.events_screen import EventsScreen
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.hooks.diagnosis_screen import DiagnosisScreen
from hooktui.console.hooks.form_screen import HookForm, HookTypes
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.hooks.secret_screen import SecretScreen
from hooktui.console.log.log_screen import LiveLogScreen
from hooktui.console.registry import BY_NAME, EVERYWHERE
from hooktui.console.replays.replay_form import ReplayForm
from hooktui.console.replays.replay_screen import ReplayScreen
from hooktui.console.replays.replays_screen import ReplaysScreen
from tests.console.command_scene import HOUR_S, Scene

Screen = type[ConsoleScreen]


@dataclass(frozen=True)
class Asking:
    """A command on a screen that asks the server for something.

    Attributes:
        screen: where; `command_scene.OPENERS` leads there.
        command: its name in the table of keys.
        call: what it must ask, as a pattern; ``{hook}`` and the like are filled in.
        shows: what stands on the screen once it is done.
        then: keys behind the command's own, such as the answer to its question.
        before: keys that lead to where the command is possible.
        working: what stands there while the answer is on its way; with a writing command only.
        late: what is told when its screen was left before the answer; otherwise ``working``.
        done: whether the server has done it; None where it only reads.
        again: keys that ask again after it could not be read; None: ctrl+r does.
        way: leads there, where not the usual way does.
        setup: what has to be so at the server before.
        typed: whether the screen has a field that takes letters, so that ``?`` is one.
        name: tells two cases of one command apart.
    """

    screen: Screen
    command: str
    call: str
    shows: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    working: str = ""
    late: str = ""
    done: Callable[[Scene], object] | None = None
    setup: Callable[[Scene], object] | None = None
    again: tuple[str, ...] | None = None
    way: Callable[[Scene], Awaitable[object]] | None = None
    typed: bool = False
    name: str = ""

    @property
    def writes(self) -> bool:
        """Whether it changes something at the server."""
        return self.done is not None

    @property
    def key(self) -> str:
        """The command's key."""
        return BY_NAME[self.command].keys.partition(",")[0]

    def keys(self, scene: Scene) -> list[str]:
        """The command's key and what follows it."""
        return [self.key, *self.answers(scene)]

    def answers(self, scene: Scene) -> list[str]:
        """What follows the command's key."""
        found: list[str] = []
        for one in self.then:
            found += scene.word if one == "{word}" else [one]
        return found

    def shown(self, scene: Scene) -> list[str]:
        """What stands on the screen once it is done."""
        return [text.format(word=scene.word) for text in self.shows]

    def pattern(self, scene: Scene) -> str:
        """The call as a pattern, with the ids of a scene."""
        return self.call.format(
            hook=scene.hook.id, delivered=scene.delivered.id, waiting=scene.waiting.id,
            event=scene.delivered.event,
        )  # fmt: skip

    def __str__(self) -> str:
        return f"{self.screen.__name__}-{self.command}{self.name and '-' + self.name}"


@dataclass(frozen=True)
class Quiet:
    """A command on a screen that needs no server.

    Attributes:
        before: keys that lead to where it is possible.
        opens: the screen that it opens, if it does; otherwise something on this screen changes, or
            something is copied.
        twice: whether the scene's waiting delivery needs a second attempt for it.
    """

    screen: Screen
    command: str
    before: tuple[str, ...] = ()
    opens: str = ""
    twice: bool = False

    @property
    def key(self) -> str:
        """The command's key."""
        return BY_NAME[self.command].keys.partition(",")[0]


def _active(active: bool) -> Callable[[Scene], bool]:
    return lambda scene: scene.ask(calls.get_hook(scene.hook.id)).active is active


def _gone(scene: Scene) -> bool:
    return scene.hook.id not in {hook.id for hook in scene.hooks()}


def _pinged(scene: Scene) -> bool:
    return any(one.headers["X-Hook-Event"] == "ping" for one in scene.receiver.requests)


def _resent(scene: Scene) -> bool:
    return any(one.trigger == "resend" for one in scene.deliveries())


def _tried_again(scene: Scene) -> bool:
    return scene.status_of(scene.waiting) == "delivered"


def _cancelled(scene: Scene) -> bool:
    return scene.status_of(scene.waiting) == "cancelled"


def _paused(scene: Scene) -> bool:
    return scene.ask(calls.server_status()).paused is not None


def _pause(scene: Scene) -> None:
    scene.ask(calls.pause())


def _rotate(scene: Scene) -> None:
    scene.ask(calls.rotate_secret(scene.hook.id, overlap_s=HOUR_S))


def _emitted(scene: Scene) -> bool:
    found = scene.ask(calls.list_events(scene.client.id, order="desc", limit=1)).data
    return bool(scene.ask(calls.get_event(found[0].id)).body == '{"id":9}')


async def _new_form(scene: Scene) -> None:
    scene.app.push_screen(HookForm(None))
    form = await scene.on(HookForm)
    await scene.console.until(lambda: form.focused is not None)


def _named(name: str) -> Callable[[Scene], bool]:
    return lambda scene: name in [hook.name for hook in scene.hooks()]


def _ping(screen: Screen, **more: Any) -> Asking:
    return Asking(screen, "ping", "POST /v1/hooks/{hook}/ping", ("(billing) delivered: 200",),
                  working="pinging hook", late="(billing) delivered: 200", done=_pinged,
                  **more)  # fmt: skip


def _turn(screen: Screen) -> tuple[Asking, ...]:
    patch = "PATCH /v1/hooks/{hook}"
    return (
        Asking(screen, "activate", patch, ("disabled; its new events are skipped",),
               working="disabling hook", done=_active(False)),
        Asking(screen, "undo", patch, ("undone: 1 hook enabled again",), before=("a",),
               working="enabling hook", done=_active(True)),
        Asking(screen, "delete", "DELETE /v1/hooks/{hook}", ("deleted",), then=("y",),
               working="deleting hook", done=_gone),
    )  # fmt: skip


def _group(scene: Scene, state: str) -> bool:
    return [group.state for group in scene.groups()] == [state]


def _alert(state: str) -> Callable[[Scene], bool]:
    return lambda scene: [alert.state for alert in scene.alerts()] == [state]


def _snooze(scene: Scene) -> None:
    scene.ask(calls.snooze_undelivered(scene.hook.id, "http_5xx", HOUR_S))


def _replay_is(state: str) -> Callable[[Scene], bool]:
    return lambda scene: scene.replays()[0].state == state


def _pause_replay(scene: Scene) -> None:
    scene.ask(calls.pause_replay(scene.unfinished().id))


def _replay_runs(scene: Scene) -> None:
    replay = scene.unfinished()
    if replay.state == "paused":
        scene.ask(calls.resume_replay(replay.id))


def _rate(rate: float) -> Callable[[Scene], bool]:
    return lambda scene: scene.replays()[0].rate_per_s == rate


def _replaying(screen: Screen) -> tuple[Asking, ...]:
    one = "/v1/replays/rpl_[^/]+"
    return (
        Asking(screen, "activate", f"POST {one}/pause", (": paused; deliveries already sent",),
               working="pausing rpl_", done=_replay_is("paused"), name="pause"),
        Asking(screen, "activate", f"POST {one}/resume", (": resumed",), setup=_pause_replay,
               working="resuming rpl_", done=_replay_is("running"), name="resume"),
        Asking(screen, "delete", f"POST {one}/abort", (": aborted",), then=("y",),
               working="aborting rpl_", done=_replay_is("aborted")),
        Asking(screen, "larger", f"PATCH {one}", (": at most 20/s now",),
               working="changing the rate of rpl_", done=_rate(20)),
        Asking(screen, "smaller", f"PATCH {one}", (": at most 5/s now",),
               working="changing the rate of rpl_", done=_rate(5)),
    )  # fmt: skip


def _listed(screen: Screen, call: str, *commands: str) -> tuple[Asking, ...]:
    return tuple(Asking(screen, command, call, ("sorted by",)) for command in commands)


_HOOKS, _SENT = "GET /v1/hooks", "GET /v1/deliveries"
_GROUP = "/v1/undelivered/{hook}/http_5xx"
_HEALTH = "GET /v1/hooks/{hook}/health"
_SECRET = "/v1/hooks/{hook}/secret"

ASKING: tuple[Asking, ...] = (
    Asking(HooksScreen, "open", "GET /v1/hooks/{hook}", ("Deliveries", "Health", "127.0.0.1")),
    _ping(HooksScreen),
    Asking(HooksScreen, "diagnose", "POST /v1/hooks/{hook}/diagnose", ("no problems",),
           again=("x",)),
    *_turn(HooksScreen),
    *_listed(HooksScreen, _HOOKS, "sort", "order"),
    Asking(HooksScreen, "filter", _HOOKS, ("filter: bill",), then=tuple("bill")),
    Asking(HookScreen, "open", "GET /v1/deliveries/{delivered}", ("Response to attempt 1",)),
    _ping(HookScreen),
    Asking(HookScreen, "diagnose", "POST /v1/hooks/{hook}/diagnose", ("no problems",),
           again=("x",)),
    *_turn(HookScreen),
    Asking(HookScreen, "resend", "POST /v1/deliveries/{delivered}/resend", ("sent again as dlv_",),
           working="again", done=_resent),
    Asking(HookScreen, "cancel", "POST /v1/deliveries/{waiting}/cancel", ("cancelled; r sends it",),
           before=("end",), working="cancelling dlv_", done=_cancelled),
    Asking(HookScreen, "previous", _SENT, ("8",), before=("right_square_bracket",)),
    Asking(HookScreen, "next", _HEALTH, ("in the backlog", "[24 h]")),
    Asking(HookScreen, "larger", _HEALTH, ("[7 d]",), before=("right_square_bracket",),
           again=("plus",)),
    Asking(HookScreen, "smaller", _HEALTH, ("[1 h]",), before=("right_square_bracket",),
           again=("minus",)),
    *_listed(HookScreen, _SENT, "sort", "order"),
    Asking(HookScreen, "filter", _SENT, ("filter: status:failed", "No delivery matches"),
           then=tuple("status:failed")),
    Asking(DeliveriesScreen, "open", "GET /v1/deliveries/{delivered}",
           ("Response to attempt 1",)),
    Asking(DeliveriesScreen, "resend", "POST /v1/deliveries/{delivered}/resend",
           ("sent again as dlv_",), working="again", done=_resent),
    Asking(DeliveriesScreen, "cancel", "POST /v1/deliveries/{waiting}/cancel",
           ("cancelled; r sends it",), before=("down",), working="cancelling dlv_",
           done=_cancelled),
    *_listed(DeliveriesScreen, _SENT, "order"),
    Asking(DeliveriesScreen, "filter", _SENT, ("filter: code:418", "No delivery matches"),
           then=tuple("code:418")),
    Asking(UndeliveredScreen, "open", _SENT, ("filter: hook:",)),
    Asking(UndeliveredScreen, "acknowledge", f"POST {_GROUP}/acknowledge", ("is acknowledged",),
           working="acknowledging hook", done=lambda scene: _group(scene, "acknowledged")),
    Asking(UndeliveredScreen, "snooze", f"POST {_GROUP}/snooze", ("is snoozed for 4h",),
           then=("4",), working="snoozing hook", done=lambda scene: _group(scene, "snoozed")),
    Asking(UndeliveredScreen, "delete", f"POST {_GROUP}/give-up", ("1 delivery cancelled",),
           then=("y",), working="giving up hook", done=lambda scene: not scene.groups()),
    Asking(UndeliveredScreen, "diagnose", "POST /v1/hooks/{hook}/diagnose", ("no problems",),
           again=("x",)),
    *_listed(UndeliveredScreen, "GET /v1/undelivered", "sort", "order"),
    Asking(ReplaysScreen, "open", "GET /v1/replays/rpl_[^/]+", ("waits: delivery is paused",)),
    *_replaying(ReplaysScreen),
    *_listed(ReplaysScreen, "GET /v1/replays", "order"),
    Asking(ReplayScreen, "open", "GET /v1/hooks/{hook}", ("Deliveries", "Health")),
    Asking(ReplayScreen, "filter", _SENT, ("filter: replay:rpl_",)),
    *_replaying(ReplayScreen),
    Asking(ReplayForm, "save", "POST /v1/replays", ("rpl_",), working="starting the replay",
           late="started", done=lambda scene: bool(scene.replays()), typed=True),
    Asking(AlertsScreen, "open", _SENT, ("filter: hook:",)),
    Asking(AlertsScreen, "acknowledge", "POST /v1/alerts/alr_[^/]+/acknowledge",
           ("is acknowledged",), setup=_snooze, working="acknowledging hook ",
           done=_alert("acknowledged")),
    Asking(AlertsScreen, "snooze", "POST /v1/alerts/alr_[^/]+/snooze", ("is snoozed for 4h",),
           then=("4",), working="snoozing hook ", done=_alert("snoozed")),
    Asking(AlertsScreen, "replay", "GET /v1/undelivered", ("Cause",), again=("R",)),
    *_listed(AlertsScreen, "GET /v1/alerts", "order"),
    Asking(ResolvedAlertsScreen, "open", "GET /v1/replays/rpl_[^/]+", ("finished, created by",)),
    Asking(ResolvedAlertsScreen, "replay", "GET /v1/replays/rpl_[^/]+", ("Cause",), again=("R",)),
    *_listed(ResolvedAlertsScreen, "GET /v1/alerts", "order"),
    Asking(DeliveryScreen, "resend", "POST /v1/deliveries/{waiting}/resend", ("attempt due now",),
           working="again", done=_tried_again),
    Asking(DeliveryScreen, "cancel", "POST /v1/deliveries/{waiting}/cancel",
           ("cancelled; r sends it",), working="cancelling dlv_", done=_cancelled),
    Asking(EventScreen, "open", "GET /v1/deliveries/{delivered}", ("Response to attempt 1",)),
    Asking(EventsScreen, "open", "GET /v1/events/{event}", ("Body", "eight")),
    *_listed(EventsScreen, "GET /v1/events", "order"),
    Asking(EventsScreen, "filter", "GET /v1/events", ("event:cluster.*", "No event matches"),
           then=tuple("event:cluster.*")),
    Asking(LiveLogScreen, "open", "GET /v1/deliveries/{delivered}", ("Response to attempt 1",),
           before=("end",)),
    Asking(EmitScreen, "save", "POST /v1/events/job.failed", ("job.failed accepted.",),
           working="sending job.failed", late="job.failed accepted as evt_", done=_emitted,
           typed=True),
    Asking(EngineScreen, "open", "GET /v1/hooks/{hook}", ("Deliveries", "Health")),
    Asking(EngineScreen, "activate", "POST /v1/engine/pause", ("delivery paused; a resumes",),
           then=("y",), working="pausing", done=_paused, name="pause"),
    Asking(EngineScreen, "activate", "POST /v1/engine/resume", ("delivery resumed; sending due",),
           working="resuming", done=lambda scene: not _paused(scene), setup=_pause, name="resume"),
    Asking(EngineScreen, "diagnose", "GET /v1/doctor", ("integrity",), again=("x",)),
    Asking(DoctorScreen, "diagnose", "GET /v1/doctor", ("integrity",), again=("x",)),
    Asking(AuditScreen, "filter", "GET /v1/audit", ("filter: action:no", "No entry matches"),
           then=tuple("action:no")),
    Asking(AuditScreen, "diagnose", "GET /v1/audit/verify", ("entries are intact",),
           again=("x",)),
    *_listed(AuditScreen, "GET /v1/audit", "order"),
    Asking(TokensScreen, "delete", "DELETE /v1/tokens/[0-9]+", ("revoked",), then=("y",),
           working="revoking token", done=lambda scene: "nightly" not in scene.tokens()),
    *_listed(TokensScreen, "GET /v1/tokens", "sort", "order"),
    Asking(TokenForm, "save", "POST /v1/tokens", ("hkt_", "hidden again in"), before=tuple("robot"),
           working="creating the token", late="was never shown",
           done=lambda scene: "robot" in scene.tokens(), typed=True),
    Asking(AccountsScreen, "open", "GET /v1/status", ("switched to account",), before=("home",),
           again=("enter",)),
    Asking(AccountsScreen, "new", "POST /v1/accounts", ("({word}) created",),
           then=("{word}", "enter"), working="creating account",
           done=lambda scene: scene.word in scene.accounts()),
    *_listed(AccountsScreen, "GET /v1/accounts", "sort", "order"),
    Asking(DiagnosisScreen, "diagnose", "POST /v1/hooks/{hook}/diagnose", ("no problems",),
           again=("x",)),
    Asking(SecretScreen, "reveal", f"GET {_SECRET}", ("whsec_", "hidden again in"),
           again=("v",)),
    Asking(SecretScreen, "copy", f"GET {_SECRET}", ("the secret of hook",), again=("y",)),
    Asking(SecretScreen, "rotate", f"POST {_SECRET}/rotate", ("a new secret is valid; the old",),
           then=("d",), working="rotating the secret", done=lambda scene: scene.secrets() == 2,
           name="new"),
    Asking(SecretScreen, "rotate", f"POST {_SECRET}/finish", ("only the newest secret is valid",),
           then=("f",), setup=_rotate, working="finishing the rotation",
           done=lambda scene: scene.secrets() == 1, name="finish"),
    _ping(SecretScreen),
    Asking(HookForm, "save", "POST /v1/hooks", ("whsec_", "created. Give this secret"),
           before=(*"http://127.0.0.1:9/in", "tab", *"second", "tab", "tab", "space"),
           way=_new_form, working="creating the hook", late="created; s shows its secret",
           done=_named("second"), typed=True, name="new"),
    Asking(HookForm, "save", "PATCH /v1/hooks/{hook}", ("saved",), before=("tab", *"renamed"),
           working="saving hook", late="saved", done=_named("renamed"), typed=True, name="edit"),
)  # fmt: skip

QUIET: tuple[Quiet, ...] = (
    *(Quiet(HooksScreen, command) for command in ("mark_all", "mark", "larger", "follow")),
    Quiet(HooksScreen, "smaller", before=("plus",)),
    Quiet(HooksScreen, "new", opens="HookTypes"),
    Quiet(HooksScreen, "edit", opens="HookForm"),
    Quiet(HooksScreen, "secret", opens="SecretScreen"),
    Quiet(HooksScreen, "replay", opens="ReplayForm"),
    Quiet(HookScreen, "replay", opens="ReplayForm"),
    *(Quiet(HooksScreen, command) for command in ("zoom", "log_pane")),
    Quiet(HookScreen, "edit", opens="HookForm"),
    Quiet(HookScreen, "secret", opens="SecretScreen"),
    *(Quiet(HookScreen, command) for command in ("mark", "mark_all", "copy")),
    *(Quiet(DeliveriesScreen, command) for command in ("mark", "mark_all", "copy")),
    Quiet(DeliveriesScreen, "replay", opens="ReplayForm"),
    Quiet(DeliveriesScreen, "emit", opens="EmitScreen"),
    Quiet(DeliveriesScreen, "next", opens="UndeliveredScreen"),
    Quiet(UndeliveredScreen, "replay", opens="ReplayForm"),
    Quiet(UndeliveredScreen, "previous", opens="DeliveriesScreen"),
    Quiet(UndeliveredScreen, "next", opens="ReplaysScreen"),
    Quiet(ReplaysScreen, "replay", opens="ReplayForm"),
    Quiet(ReplaysScreen, "copy"),
    Quiet(ReplaysScreen, "previous", opens="UndeliveredScreen"),
    Quiet(ReplayScreen, "copy"),
    Quiet(AlertsScreen, "copy"),
    Quiet(AlertsScreen, "next", opens="ResolvedAlertsScreen"),
    Quiet(ResolvedAlertsScreen, "copy"),
    Quiet(ResolvedAlertsScreen, "previous", opens="AlertsScreen"),
    *(Quiet(DeliveryScreen, command) for command in ("raw", "copy", "mark", "wrap", "search")),
    Quiet(DeliveryScreen, "open", before=("enter",)),
    Quiet(DeliveryScreen, "replay", opens="ReplayForm"),
    Quiet(DeliveryScreen, "copy_as", opens="Question"),
    Quiet(DeliveryScreen, "compare", twice=True),
    Quiet(DeliveryScreen, "previous", twice=True),
    Quiet(DeliveryScreen, "next", before=("home",), twice=True),
    Quiet(DeliveryScreen, "match_before", before=("ctrl+f", *"content", "enter")),
    *(Quiet(EventScreen, command) for command in ("search", "copy", "wrap", "raw")),
    Quiet(EventScreen, "emit", opens="EmitScreen"),
    Quiet(EventScreen, "replay", opens="ReplayForm"),
    Quiet(EventScreen, "copy_as", opens="Question"),
    Quiet(EventScreen, "match_before", before=("ctrl+f", *"e", "enter")),
    Quiet(EventsScreen, "emit", opens="EmitScreen"),
    Quiet(EventsScreen, "replay", opens="ReplayForm"),
    Quiet(EventsScreen, "copy"),
    *(Quiet(LiveLogScreen, command) for command in ("follow", "filter", "search", "mark", "copy")),
    Quiet(LiveLogScreen, "wrap"),
    Quiet(LiveLogScreen, "replay", opens="ReplayForm"),
    Quiet(LiveLogScreen, "match_before", before=("ctrl+f", *"billing", "enter")),
    Quiet(EmitScreen, "back", before=("x",), opens="Question"),
    Quiet(AuditScreen, "open", opens="AuditEntryScreen"),
    Quiet(AuditScreen, "copy"),
    Quiet(AuditEntryScreen, "copy"),
    Quiet(TokensScreen, "new", opens="TokenForm"),
    Quiet(NewTokenScreen, "reveal"),
    Quiet(NewTokenScreen, "copy"),
    *(Quiet(DiagnosisScreen, command) for command in ("copy", "wrap", "open")),
    Quiet(DiagnosisScreen, "copy_as", opens="Question"),
    Quiet(DiagnosisScreen, "edit", opens="HookForm"),
    Quiet(DiagnosisScreen, "secret", opens="SecretScreen"),
    *(Quiet(SecretScreen, command) for command in ("next", "wrap")),
    Quiet(SecretScreen, "previous", before=("right_square_bracket",)),
    Quiet(SecretScreen, "edit", opens="HookForm"),
    Quiet(HookForm, "mark"),
    Quiet(HookTypes, "open", opens="HookForm"),
)  # fmt: skip


def own_commands(screen: Screen) -> set[str]:
    """Return the commands of a screen besides those that every screen has."""
    return {name for name in screen.COMMAND_NAMES if name not in EVERYWHERE}


WRITING = tuple(case for case in ASKING if case.writes)
"""The commands that change something at the server."""


def by_screen(cases: tuple[Asking, ...]) -> dict[Screen, list[Asking]]:
    """Return cases by their screens."""
    found: dict[Screen, list[Asking]] = {}
    for case in cases:
        found.setdefault(case.screen, []).append(case)
    return found


ALIKE = (
    TokensScreen, AccountsScreen, AuditEntryScreen, DoctorScreen, NewTokenScreen, ReplaysScreen,
    AlertsScreen, ResolvedAlertsScreen, UndeliveredScreen, TokenForm,
)  # fmt: skip
"""Screens that change nothing of what all do: tried with ``-m soak`` where all do the same."""


def each_kind(screens: Iterable[Screen]) -> list[Any]:
    """Return a screen of each kind, and with ``-m soak`` all of them."""
    return [
        pytest.param(screen, marks=[pytest.mark.soak] * (screen in ALIKE), id=screen.__name__)
        for screen in screens
    ]


def halves(cases: tuple[Asking, ...], half: int) -> list[Any]:
    """Return a screen and its cases per test: half of the cases, and with ``-m soak`` the others.

    A command that changes something is tried in four situations: its response is late, or comes
    after its screen was left, or is lost, or refuses. By default each command is in two of them:
    tests of the first two take one half, those of the last two the other.
    """
    found = []
    for screen, all_of_it in by_screen(cases).items():
        for default in (True, False):
            part = [case for case in all_of_it if (cases.index(case) % 2 == half) is default]
            if part:
                marks = () if default else pytest.mark.soak
                label = screen.__name__ if default else f"{screen.__name__}-others"
                found.append(pytest.param(part, id=label, marks=marks))
    return found
