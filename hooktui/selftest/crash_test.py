"""The crash test: a server under load is killed repeatedly, and every event must still arrive."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hooktui.bench.databases import Databases
from hooktui.bench.processes import temp_workspace
from hooktui.bench.server_process import ServerProcess
from hooktui.selftest.checker import Verdict, check
from hooktui.selftest.ledger import STEADY, UNRELIABLE, RecordingReceiver, recording_receiver
from hooktui.selftest.producer import KeyedProducer

SETTLE_S = 120.0
"""Twice a lease: with a shared database, deliveries of a killed server may have to wait for it."""
_SCHEDULE_S = (0.2, 0.5, 1.0)
"""Waits after the 500s of the unreliable path. The steady one has none: an interruption must not
count."""
_ALIVE_S = (0.05, 0.6)
"""How long a server runs before it is killed, in seconds."""


@dataclass(frozen=True, slots=True)
class CrashTestReport:
    """A finished run: the verdict, the number of kills, and further observations."""

    verdict: Verdict
    kills: int
    unanswered: int
    refused: tuple[str, ...]
    seconds: float

    @property
    def good(self) -> bool:
        """Whether every guarantee was kept."""
        explained = self.kills > 0 or not self.verdict.duplicates
        return self.verdict.good and explained and not self.refused and self.verdict.accepted > 0


@dataclass
class Scenario:
    """The participants: the server, its producer, and the receiver of both hooks."""

    server: ServerProcess
    receiver: RecordingReceiver
    producer: KeyedProducer
    hooks: dict[str, int] = field(default_factory=dict)

    def make_hooks(self) -> None:
        """Create one hook for each path of the receiver."""
        for path, schedule_s in ((STEADY, ()), (UNRELIABLE, _SCHEDULE_S)):
            url = self.receiver.url(path)
            self.hooks[path] = self.server.create_hook(url, retry_schedule_s=schedule_s)

    def verdict(self) -> Verdict:
        """Stop the producer, wait until everything has arrived, and compare."""
        self.producer.stop()
        self.server.settle(SETTLE_S)
        return check(
            self.producer.sent, self.receiver.entries(), self.server.deliveries(), self.hooks
        )


@contextmanager
def prepared(folder: Path, environ: Mapping[str, str], url: str | None) -> Iterator[Scenario]:
    """Prepare all parts in a folder and start the receiver; stop all processes at the end."""
    with recording_receiver(folder / "ledger.jsonl") as receiver:
        server = ServerProcess(folder / "home", environ, url)
        producer = KeyedProducer(server.address)
        try:
            yield Scenario(server, receiver, producer)
        finally:
            producer.abandon()
            server.kill()


def run_crash_test(
    environ: Mapping[str, str],
    *,
    kills: int,
    databases: Databases,
    progress: Callable[[str], None],
) -> CrashTestReport:
    """Run a server in a temporary home under load, kill it repeatedly, and check all events.

    Raises:
        HooktuiError: the server could not be started.
    """
    begun = time.monotonic()
    with (
        temp_workspace("selftest") as folder,
        databases.fresh() as url,
        prepared(folder, environ, url) as scenario,
    ):
        scenario.server.start()
        scenario.make_hooks()
        scenario.producer.start()
        for number in range(kills):
            time.sleep(random.uniform(*_ALIVE_S))  # noqa: S311 - times, not secrets
            scenario.server.kill()
            progress(f"killed {number + 1} of {kills}, {len(scenario.producer.sent):,} accepted")
            scenario.server.start()
        time.sleep(_ALIVE_S[1])
        progress("waiting for everything to arrive")
        verdict = scenario.verdict()
    progress("")
    producer = scenario.producer
    return CrashTestReport(
        verdict, kills, producer.unanswered, tuple(producer.refused), time.monotonic() - begun
    )
