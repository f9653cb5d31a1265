"""The crash proof: a server under load is killed again and again, and every event still arrives."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hooktui.bench.databases import Databases, SqliteDatabases
from hooktui.bench.processes import workplace
from hooktui.bench.server_process import Victim
from hooktui.selftest.checker import Verdict, check
from hooktui.selftest.ledger import MOODY, STEADY, Ledger, running_ledger
from hooktui.selftest.producer import KeyedProducer

SETTLE_S = 120.0
"""Twice a lease: where servers share a database, what a dead one was sending may wait for it."""
IN_FLIGHT = 40
"""What a kill may cut off: ten attempts of each of the two hooks, and as many that were answered
already, whose results are just being written."""
_SCHEDULE_S = (0.2, 0.5, 1.0)
"""For the 500s of the moody path. The steady one has no retries: a counted interruption fails it"""
_SQLITE = SqliteDatabases()
_ALIVE_S = (0.05, 0.6)
"""How long a server is left at work before it is killed."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A finished run: the verdict, how often the server was killed, and what else was seen."""

    verdict: Verdict
    kills: int
    unanswered: int
    refused: tuple[str, ...]
    seconds: float

    @property
    def most_duplicates(self) -> int:
        """How many arrivals a second time the kills explain."""
        return self.kills * IN_FLIGHT

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        few = self.verdict.duplicates <= self.most_duplicates
        return self.verdict.good and few and not self.refused and self.verdict.accepted > 0


@dataclass
class Scene:
    """Who takes part: the server, its producer, and the ledger that both hooks send to."""

    victim: Victim
    ledger: Ledger
    producer: KeyedProducer
    hooks: dict[str, int]

    def make_hooks(self) -> None:
        """Make one hook for each path of the ledger."""
        for path, schedule_s in ((STEADY, ()), (MOODY, _SCHEDULE_S)):
            url = self.ledger.url(path)
            self.hooks[path] = self.victim.create_hook(url, retry_schedule_s=schedule_s)

    def verdict(self, settle_s: float = SETTLE_S) -> Verdict:
        """Stop the producer, let everything arrive, and compare."""
        self.producer.stop()
        self.victim.settle(settle_s)
        return check(
            self.producer.sent, self.ledger.entries(), self.victim.deliveries(), self.hooks
        )


@contextmanager
def scene(
    folder: Path, environ: Mapping[str, str], database_url: str | None = None
) -> Iterator[Scene]:
    """Lay everything out in a folder, nothing started but the ledger; clean up processes after."""
    with running_ledger(folder / "ledger.jsonl") as ledger:
        victim = Victim(folder / "home", environ, database_url)
        one = Scene(victim, ledger, KeyedProducer(victim.address), {})
        try:
            yield one
        finally:
            one.producer.abandon()
            victim.kill()


def prove(
    environ: Mapping[str, str],
    *,
    kills: int,
    seed: int | None = None,
    databases: Databases = _SQLITE,
    progress: Callable[[str], None],
) -> Proof:
    """Run a server in a temporary home under load, kill it so many times, and check all.

    Raises:
        HooktuiError: the server could not be started.
    """
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    begun = time.monotonic()
    with (
        workplace("proof") as folder,
        databases.fresh() as url,
        scene(folder, environ, url) as stage,
    ):
        stage.victim.start()
        stage.make_hooks()
        stage.producer.start()
        for number in range(kills):
            time.sleep(chance.uniform(*_ALIVE_S))
            stage.victim.kill()
            progress(f"killed {number + 1} of {kills}, {len(stage.producer.sent):,} accepted")
            stage.victim.start()
        time.sleep(_ALIVE_S[1])
        progress("waiting for everything to arrive")
        verdict = stage.verdict()
    progress("")
    producer = stage.producer
    return Proof(
        verdict,
        kills,
        producer.unanswered,
        tuple(producer.refused),
        time.monotonic() - begun,
    )
