"""The crash test of replays: a server is killed while it replays, and every pair is accounted for.

A hook fails to get a quarter of the events, then its receiver heals, and a replay of the dead
letters runs while its server is killed again and again. Each dead letter must get exactly one
delivery of the replay, nothing else may get one, and the receiver must have every event.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from hooktui.bench.databases import Databases
from hooktui.bench.processes import temp_workspace
from hooktui.bench.server_process import ServerProcess
from hooktui.client.calls import create_replay, edit_hook, get_replay, plan_replay, send_many
from hooktui.client.sync_client import PlainClient
from hooktui.domain.errors import HooktuiError
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.replays import Replay, ReplaySelection
from hooktui.selftest.ledger import (
    REFUSING,
    STEADY,
    ReceivedRequest,
    RecordingReceiver,
    recording_receiver,
)

EVENTS = 8_000
RATE_PER_S = 200.0
ENDS_WITHIN_S = 180.0
SLOTS = 20
"""Deliveries that a kill may repeat: as many attempts in flight, and as many with a response whose
results are just being written."""
_LINES = 500
_POLL_S = 0.05
_ALIVE_S = (0.2, 1.0)


@dataclass(frozen=True, slots=True)
class ReplayVerdict:
    """The comparison of dead letters, the replay's deliveries and the receiver's requests.

    Attributes:
        selected: the dead letters that the plan counted.
        sent: deliveries of the replay.
        duplicates: repeated arrivals of them; allowed for attempts in flight at a kill.
        missing: dead letters without exactly one delivery of the replay.
        unexpected: deliveries of the replay that belong to no dead letter.
        lost: events that the receiver never took.
        phantoms: delivered deliveries of the replay that never arrived.
        state: of the replay at the end.
    """

    selected: int
    sent: int
    duplicates: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    lost: tuple[str, ...]
    phantoms: tuple[str, ...]
    state: str

    def good(self, kills: int) -> bool:
        """Whether the promises of a replay were kept, with a number of kills."""
        broken = self.missing or self.unexpected or self.lost or self.phantoms
        few = self.duplicates <= kills * SLOTS
        return not broken and few and self.state == "finished" and self.sent > 0


def check_replay(
    events: Sequence[str],
    entries: Sequence[ReceivedRequest],
    stored: Sequence[Delivery],
    replay: Replay,
) -> ReplayVerdict:
    """Compare the accepted events, by id, with the recorded requests and all stored deliveries.

    ``replay`` is the replay of the dead letters, at its end.
    """
    dead = {row.event for row in stored if row.replay is None and row.status == "failed"}
    again = [row for row in stored if row.replay == replay.id]
    counts = Counter(row.event for row in again)
    arrivals = Counter(entry.delivery for entry in entries if entry.accepted)
    taken = {entry.event for entry in entries if entry.accepted}
    return ReplayVerdict(
        selected=replay.progress.total or 0,
        sent=len(again),
        duplicates=sum(max(arrivals[row.id] - 1, 0) for row in again),
        missing=tuple(event for event in dead if counts[event] != 1),
        unexpected=tuple(event for event in counts if event not in dead),
        lost=tuple(event for event in events if event not in taken),
        phantoms=tuple(
            row.id for row in again if row.status == "delivered" and not arrivals[row.id]
        ),
        state=replay.state,
    )


class ReplayScenario:
    """A server with dead letters whose receiver has healed, and the replay of them.

    The server must be running.
    """

    def __init__(self, server: ServerProcess, receiver: RecordingReceiver) -> None:
        self.server = server
        self.receiver = receiver
        self.events: list[str] = []
        self.replay = ""

    def prepare(self, events: int) -> None:
        """Send events of which a quarter become dead letters, then heal the receiver."""
        hook = self.server.create_hook(self.receiver.url(REFUSING), retry_schedule_s=())
        with PlainClient(self.server.address) as client:
            for start in range(0, events, _LINES):
                lines = [
                    msgspec.json.encode({"type": "job.failed", "data": {"n": number}})
                    for number in range(start, min(start + _LINES, events))
                ]
                accepted = client.call(send_many(1, b"\n".join(lines)))
                self.events += [event.id for event in accepted.data]
            self.server.settle(ENDS_WITHIN_S)
            client.call(edit_hook(hook, {"url": self.receiver.url(STEADY)}))

    def start(self, rate_per_s: float) -> None:
        """Plan the replay and run it."""
        with PlainClient(self.server.address) as client:
            plan = client.call(plan_replay(1, ReplaySelection(hooks="all")))
            call = create_replay(
                1, plan.selection, rate_per_s=rate_per_s, max_deliveries=plan.total
            )
            self.replay = client.call(call).id

    def _wait(self) -> Replay:
        """Return the replay once it has ended and nothing of it waits, or after a time."""
        give_up_s = time.monotonic() + ENDS_WITHIN_S
        while True:
            with PlainClient(self.server.address) as client:
                try:
                    replay = client.call(get_replay(self.replay))
                except HooktuiError:
                    if time.monotonic() > give_up_s:
                        raise
                else:
                    if replay.ended_at is not None or time.monotonic() > give_up_s:
                        self.server.settle(ENDS_WITHIN_S)
                        return client.call(get_replay(self.replay))
            time.sleep(_POLL_S)

    def verdict(self) -> ReplayVerdict:
        """Wait for the end, and compare."""
        replay = self._wait()
        return check_replay(self.events, self.receiver.entries(), self.server.deliveries(), replay)


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """A finished run: the verdict, and how often the server was killed."""

    verdict: ReplayVerdict
    kills: int
    seconds: float

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return self.verdict.good(self.kills)


def run_replay_test(
    environ: Mapping[str, str],
    *,
    kills: int,
    events: int = EVENTS,
    rate_per_s: float = RATE_PER_S,
    databases: Databases,
    progress: Callable[[str], None],
) -> ReplayReport:
    """Kill a server repeatedly while it replays, and check all dead letters.

    Raises:
        HooktuiError: the server could not be started.
    """
    begun = time.monotonic()
    with (
        temp_workspace("replay") as folder,
        databases.fresh() as url,
        recording_receiver(folder / "ledger.jsonl") as receiver,
    ):
        server = ServerProcess(folder / "home", environ, url)
        try:
            server.start()
            scenario = ReplayScenario(server, receiver)
            scenario.prepare(events)
            scenario.start(rate_per_s)
            for number in range(kills):
                time.sleep(random.uniform(*_ALIVE_S))  # noqa: S311 - times, not secrets
                server.kill()
                progress(f"killed {number + 1} of {kills} while it replays")
                server.start()
            verdict = scenario.verdict()
        finally:
            server.kill()
    progress("")
    return ReplayReport(verdict, kills, time.monotonic() - begun)
