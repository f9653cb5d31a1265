"""The measured cases by name, each with its hooks and its way of offering events."""

from __future__ import annotations

from dataclasses import dataclass, field

from hooktui.bench.sink import FLAKY, HUNG, LATE, OK

IN_FLIGHT = 64
"""Slots of a measured hook; as many as idle connections are kept for one."""
DEFAULT_IN_FLIGHT = 10
"""Default slots of a hook, with which 200 hooks at once are measured."""

_RETRIES_S = (0.05, 0.1, 0.2, 0.4)


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        name: for ``--case`` and programs.
        title: for people.
        paths: of the sink, one for each counted hook.
        beside: paths of hooks that get the same events and are not counted.
        hosts: number of addresses over which the hooks are spread.
        in_flight: slots of each hook.
        tls: whether the hooks use https.
        lines: events per request.
        offered: requests in flight at once.
        per_s: an open loop of this many events per second, for latency; None: as fast as possible.
        share: of the requested deliveries; slow cases make fewer, to last as long as the others.
        old_rows: deliveries that are already in the store.
        servers: servers that share one database; more than one need PostgreSQL.
        killed: whether the server is killed and restarted once all events are accepted.
        on_file: whether it always uses SQLite.
        hostile: whether a viewer and a producer send the worst allowed requests meanwhile.
        against: the case for comparison, which is measured just before it.
        retry_schedule_s: of the hooks.
    """

    name: str
    title: str
    paths: tuple[str, ...] = (OK,)
    beside: tuple[str, ...] = ()
    hosts: int = 1
    in_flight: int = IN_FLIGHT
    tls: bool = False
    lines: int = 100
    offered: int = 4
    per_s: float | None = None
    share: float = 1.0
    old_rows: int = 0
    servers: int = 1
    killed: bool = False
    on_file: bool = False
    hostile: bool = False
    against: str | None = None
    retry_schedule_s: tuple[float, ...] = field(default=_RETRIES_S)

    def events(self, deliveries: int) -> int:
        """Return how many events make about this many deliveries, at least one full request."""
        events = max(round(deliveries * self.share) // len(self.paths), 1)
        return max(events - events % self.lines, self.lines)


_HUNDRED = (OK,) * 100
_LOOP_PER_S, _LOOP_SHARE = 10, 0.3
"""10 events per second for 100 hooks are 1,000 deliveries per second."""

CASES = (
    Case("one-hook", "1 hook"),
    Case("one-hook-sqlite", "1 hook, on SQLite", on_file=True, against="one-hook"),
    Case("old-rows", "1 hook, 1,000,000 old deliveries", old_rows=1_000_000, against="one-hook"),
    Case("ten-hooks", "10 hooks", paths=(OK,) * 10),
    Case("single", "1 hook, one event per request", lines=1, offered=32, share=0.5),
    Case("tls", "1 hook, https", tls=True, share=0.5),
    Case("failures", "1 hook, 5 % of the responses are 500", paths=(FLAKY,)),
    Case("hosts", "100 hooks on 100 hosts", paths=_HUNDRED, hosts=100),
    Case("hung", "100 hooks, one of them hangs", paths=(OK,) * 99, beside=(HUNG,)),
    Case("late", "1 hook whose receiver takes 50 ms", paths=(LATE,), share=0.1),
    Case("two-servers", "the same, 2 servers", paths=(LATE,), share=0.2, servers=2, against="late"),
    Case("open-200", "latency at 200 events/s", lines=1, offered=64, per_s=200, share=0.03),
    Case("open-1000", "latency at 1,000 events/s", lines=1, offered=64, per_s=1000, share=0.15),
    Case(
        "hostile-caller",
        "the same beside a hostile caller",
        lines=1,
        offered=64,
        per_s=1000,
        share=0.15,
        hostile=True,
        against="open-1000",
    ),
    Case(
        "healthy-100",
        "latency of 100 hooks, 10 events/s",
        paths=_HUNDRED,
        in_flight=DEFAULT_IN_FLIGHT,
        lines=1,
        offered=16,
        per_s=_LOOP_PER_S,
        share=_LOOP_SHARE,
    ),
    Case(
        "hung-100",
        "the same beside 100 that hang",
        paths=_HUNDRED,
        beside=(HUNG,) * 100,
        in_flight=DEFAULT_IN_FLIGHT,
        lines=1,
        offered=16,
        per_s=_LOOP_PER_S,
        share=_LOOP_SHARE,
        against="healthy-100",
    ),
    Case("restart", "kill -9 with all accepted, restart", paths=(LATE,), share=0.05, killed=True),
)
BY_NAME = {case.name: case for case in CASES}
