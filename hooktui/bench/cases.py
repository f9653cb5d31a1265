"""The measured cases by name, each with its hooks and its way of offering events."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hooktui.bench.sink import (
    CAPACITY_PER_S,
    CAPPED,
    FLAKY,
    HUNG,
    LATE,
    OK,
    POISONED,
    QUICK,
    SOON,
    WORKER,
)

IN_FLIGHT = 64
"""Slots of a hook with a fixed limit."""
BODY_BYTES = 1024
"""Of each event."""

_RETRIES_S = (0.05, 0.1, 0.2, 0.4)
_SLOW_RETRIES_S = (5.0,) * 7
"""The first wait is that of a hook as created; later ones are shorter, so that the run ends."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        name: for ``--case`` and programs.
        title: for people.
        paths: of the sink, one for each counted hook.
        beside: paths of hooks that get the same events and are not counted.
        disabled: number of disabled hooks that subscribe to the events.
        hosts: number of addresses over which the hooks are spread.
        in_flight: slots of each hook; None: as created, with an adaptive limit.
        tls: whether the hooks use https.
        lines: events per request.
        offered: requests in flight at once.
        per_s: an open loop of this many events per second, for latency; None: as fast as possible.
        share: of the requested deliveries; slow cases make fewer, to last as long as the others.
        old_rows: delivered deliveries that are already in the store.
        backlog: deliveries that wait when the clock starts, as a multiple of the requested ones.
        servers: servers that share one database; more than one need PostgreSQL.
        killed: whether the server is killed and restarted once all events are accepted.
        on_file: whether it always uses SQLite.
        hostile: whether a viewer and a producer send the worst allowed requests meanwhile.
        replay_per_s: rate of a replay of events that were delivered before the clock starts.
        only_replay: whether nothing else is sent, and the deliveries of the replay are counted.
        against: the case for comparison, which is measured just before it.
        retry_schedule_s: of the hooks.
        by_default: whether it is measured unless cases are named.
    """

    name: str
    title: str
    paths: tuple[str, ...] = (OK,)
    beside: tuple[str, ...] = ()
    disabled: int = 0
    hosts: int = 1
    in_flight: int | None = IN_FLIGHT
    tls: bool = False
    lines: int = 100
    offered: int = 4
    per_s: float | None = None
    share: float = 1.0
    old_rows: int = 0
    backlog: float = 0.0
    servers: int = 1
    killed: bool = False
    on_file: bool = False
    hostile: bool = False
    replay_per_s: float | None = None
    only_replay: bool = False
    against: str | None = None
    retry_schedule_s: tuple[float, ...] = _RETRIES_S
    by_default: bool = True

    @property
    def capacity_per_s(self) -> float | None:
        """The most deliveries per second that the receiver can take, if it has a limit."""
        return CAPACITY_PER_S.get(self.paths[0])

    def events(self, deliveries: int) -> int:
        """Return how many events make about this many deliveries, in full requests if possible."""
        return self._rounded(deliveries * self.share)

    def waiting_events(self, deliveries: int) -> int:
        """Return how many events wait when the clock starts."""
        return self._rounded(deliveries * self.backlog)

    def _rounded(self, deliveries: float) -> int:
        events = max(round(deliveries) // len(self.paths), 1)
        return events - events % self.lines or events


_HUNDRED = (OK,) * 100
_OPEN = Case("open-1000", "latency at 1,000 events/s", lines=1, offered=64, per_s=1000, share=0.15)
_HEALTHY = Case(
    "healthy-100",
    "latency of 100 hooks, 10 events/s",
    paths=_HUNDRED,
    in_flight=None,
    lines=1,
    offered=16,
    per_s=10,  # for 100 hooks 1,000 deliveries per second
    share=0.3,
)
_SOON = Case(
    "soon-200",
    "latency at 200 events/s, receiver takes 20 ms",
    paths=(SOON,),
    lines=1,
    offered=64,
    per_s=200,
    share=0.1,
    by_default=False,
)
_DURING = "the same during a replay at {}/s"
_REPLAY = Case(
    "replay-rate",
    "only a replay at 500/s, receiver takes 5 ms",
    paths=(QUICK,),
    share=0.5,
    replay_per_s=500,
    only_replay=True,
    by_default=False,
)

CASES = (
    Case("one-hook", "1 hook, 64 slots"),
    Case("one-hook-auto", "1 hook as created", in_flight=None, against="one-hook",
         by_default=False),
    Case("one-hook-sqlite", "1 hook, 64 slots, on SQLite", on_file=True, against="one-hook"),
    Case("old-rows", "1 hook, 64 slots, 1,000,000 old deliveries", old_rows=1_000_000,
         against="one-hook"),
    Case("backlog", "1 hook as created, 100,000 waiting", in_flight=None, backlog=5.0,
         against="one-hook", by_default=False),
    Case("ten-hooks", "10 hooks, 64 slots", paths=(OK,) * 10, by_default=False),
    Case("disabled-hook", "10 hooks, 64 slots, and a disabled one", paths=(OK,) * 10, disabled=1,
         against="ten-hooks", by_default=False),
    Case("fan-out-10", "10 hooks as created", paths=(OK,) * 10, in_flight=None,
         against="ten-hooks"),
    Case("single", "1 hook, 64 slots, one event per request", lines=1, offered=32, share=0.5,
         by_default=False),
    Case("as-installed", "1 hook as created, one event per request", in_flight=None, lines=1,
         offered=32, share=0.5, against="single"),
    Case("tls", "1 hook, 64 slots, https", tls=True, share=0.5),
    Case("far", "1 hook as created, receiver takes 50 ms", paths=(LATE,), in_flight=None,
         against="one-hook"),
    Case("far-tls", "1 hook as created, 50 ms, https", paths=(LATE,), in_flight=None, tls=True,
         against="tls", by_default=False),
    # Long: the limit needs some seconds to find that fewer at once do not help.
    Case("poisoned", "1 hook as created, 50 ms, 503 for 2 %", paths=(POISONED,), in_flight=None,
         share=4.0, against="far", retry_schedule_s=(), by_default=False),
    Case("capped", "1 hook as created, 20 at once, else 503", paths=(CAPPED,), in_flight=None,
         share=1.2, retry_schedule_s=_SLOW_RETRIES_S, by_default=False),
    Case("one-worker", "1 hook as created, one worker of 10 ms", paths=(WORKER,), in_flight=None,
         share=0.3, by_default=False),
    Case("failures", "1 hook, 64 slots, 5 % of the responses are 500", paths=(FLAKY,)),
    Case("hosts", "100 hooks, 64 slots, on 100 hosts", paths=_HUNDRED, hosts=100),
    Case("hung", "100 hooks, 64 slots, one of them hangs", paths=(OK,) * 99, beside=(HUNG,)),
    Case("late", "1 hook, 64 slots, receiver takes 50 ms", paths=(LATE,), share=0.1),
    Case("two-servers", "the same, 2 servers", paths=(LATE,), share=0.2, servers=2, against="late"),
    Case("open-200", "latency at 200 events/s", lines=1, offered=64, per_s=200, share=0.03),
    _OPEN,
    replace(_OPEN, name="hostile-caller", title="the same beside a hostile caller", hostile=True,
            against=_OPEN.name),
    _HEALTHY,
    replace(_HEALTHY, name="hung-100", title="the same beside 100 that hang", beside=(HUNG,) * 100,
            against=_HEALTHY.name),
    _SOON,
    replace(_SOON, name="replay-50", title=_DURING.format(50), replay_per_s=50, against=_SOON.name),
    replace(_SOON, name="replay-500", title=_DURING.format(500), replay_per_s=500,
            against=_SOON.name),
    _REPLAY,
    replace(_REPLAY, name="replay-restart", title="the same, kill -9, restart", killed=True),
    Case("restart", "kill -9 with all accepted, restart", paths=(LATE,), share=0.05, killed=True),
)  # fmt: skip
BY_NAME = {case.name: case for case in CASES}
