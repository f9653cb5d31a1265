"""The life of a delivery as operations on PostgreSQL: accept, claim, ping, give back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from hooktui import failpoints
from hooktui.domain.catalogue import PING
from hooktui.domain.deliveries import Status, Trigger
from hooktui.domain.errors import HooktuiError, NotFound, Unavailable
from hooktui.domain.ids import AccountId, DeliveryId, EventId, HookId
from hooktui.store.accepting import KEY_KEPT_MS, KnownKey, Plan, plan_accept
from hooktui.store.contract import Accepted, Job, Offer, Reserve
from hooktui.store.feed_items import DeliveryState, delivery_item, event_item
from hooktui.store.postgres import locks, sql
from hooktui.store.postgres.operations import Operation, columns
from hooktui.store.postgres.work import Work
from hooktui.store.recording import HOOK_DELETED

_Name = tuple[AccountId, str]

_TRIGGERS = {trigger.value: trigger for trigger in Trigger}


class Accept(Operation[tuple[list[Accepted], list[Job]]]):
    """Store events with their deliveries and idempotency keys."""

    turn = 0

    def __init__(self, offers: Sequence[Offer], reserve: Reserve | None) -> None:
        super().__init__(2 * len(offers), sum(len(offer.body) for offer in offers))
        self._offers = offers
        self._reserve = reserve
        self._plan: Plan | None = None
        self._planned_with: tuple[object, ...] | None = None

    @classmethod
    async def run_all(cls, work: Work, some: Sequence[Self]) -> None:
        """Match all, then insert all."""
        names = sorted({name for operation in some for name in operation.names()})
        known = await _take_keys(work, names) if names else {}
        lines = await _join_lines(work, {hook for one in some for hook in one.ordered(work)})
        plans = [
            plan
            for operation in some
            if (plan := operation.planned(work, known, lines)) is not None
        ]
        rows = [row for plan in plans for row in plan.events]
        if rows:
            await work.raw.execute(
                sql.INSERT_ACCEPTED,
                *columns(rows, 9),
                *columns([row for plan in plans for row in plan.pending], 7),
                *columns([row for plan in plans for row in plan.leased], 8),
            )
        if names:
            await _keep_keys(work, names, known, [row for plan in plans for row in plan.keys])
        for plan in plans:
            work.notes.take(plan.notes)
            for hook, count in plan.waiting.items():
                work.count_waiting(hook, count)
        failpoints.hit("before_accept_commit")

    def names(self) -> list[_Name]:
        """Return the idempotency keys of all offers."""
        return [(offer.account, offer.key) for offer in self._offers if offer.key is not None]

    def ordered(self, work: Work) -> set[HookId]:
        """Return the ordered hooks that may get a delivery."""
        kinds = {(offer.account, offer.type) for offer in self._offers}
        return {
            hook.id
            for account, event_type in kinds
            for hook in work.live.subscribers(account, event_type)
            if hook.settings.ordered
        }

    def planned(
        self, work: Work, known: Mapping[_Name, KnownKey], lines: Mapping[HookId, int]
    ) -> Plan | None:
        """Match, and ask which deliveries may be handed over: once; None when it is refused."""
        mine = {name: known[name] for name in self.names() if name in known}
        planned_with = (work.shared.live_version, mine, lines)
        if self._planned_with not in (None, planned_with):
            # Slots were taken for what is not true any more; whoever asked gives them back.
            self.error = Unavailable("hooks or keys were changed at this moment; send it again")
            return None
        if self._plan is None:
            try:
                self._plan = plan_accept(
                    self._offers,
                    {**mine, **work.new_keys} if work.new_keys else mine,
                    subscribers=work.live.subscribers,
                    reserve=self._reserve,
                    ids=work.shared.ids,
                    lease=work.lease,
                    now_ms=work.now_ms,
                )
            except HooktuiError as error:  # a refusal of this one alone: it wrote nothing
                self.error = error
                return None
            self._planned_with = planned_with
        work.new_keys |= self._plan.new_keys
        self.result = self._plan.accepted, self._plan.jobs
        return self._plan

    def undo(self) -> Operation[None] | None:
        """Give back what was handed over; the events stay accepted."""
        return Release(self._plan.jobs) if self._plan is not None and self._plan.jobs else None


async def _join_lines(work: Work, hooks: set[HookId]) -> dict[HookId, int]:
    """Wait for our turn behind what other servers accept for ordered hooks; return their ends.

    Until our commit nobody else joins, and all our ids are greater: the order of commits is the
    order of ids, whatever the clocks of the servers say.
    """
    ends: dict[HookId, int] = {}
    for hook in sorted(hooks):
        await work.raw.execute(sql.LOCK_ORDER, locks.order_of(hook))
        ends[hook] = await work.raw.fetchval(sql.LAST_IN_LINE, hook) or 0
        work.shared.ids.go_beyond(ends[hook])
    return ends


async def _take_keys(work: Work, names: Sequence[_Name]) -> dict[_Name, KnownKey]:
    """Take the keys that nobody used, and return what the others were used for.

    Whoever comes with the same key at the same time, at any server, waits here for our commit.
    """
    accounts, keys = columns(names, 2)
    oldest = work.now_ms - KEY_KEPT_MS
    await work.raw.execute(sql.RESERVE_KEYS, accounts, keys, work.now_ms, oldest)
    rows = await work.raw.fetch(sql.FIND_KEYS, accounts, keys)
    return {(AccountId(row[0]), row[1]): KnownKey(EventId(row[2]), *row[3:]) for row in rows}


async def _keep_keys(
    work: Work,
    names: Sequence[_Name],
    known: Mapping[_Name, KnownKey],
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Store what the keys were used for; those of refused offers are free again."""
    if rows:
        await work.raw.execute(sql.INSERT_KEYS, *columns(rows, 8))
    used = {(row[0], row[1]) for row in rows}
    free = [name for name in names if name not in used and name not in known]
    if free:
        await work.raw.execute(sql.FREE_KEYS, *columns(free, 2))


class Claim(Operation[list[Job]]):
    """Lease due deliveries of one hook; see the contract for which go first."""

    def __init__(self, hook: HookId, most: int, *, by_age: bool = False) -> None:
        super().__init__(most)
        self._hook = hook
        self._most = most
        self._by_age = by_age

    @classmethod
    async def run_all(cls, work: Work, some: Sequence[Self]) -> None:
        """Lease for all hooks; an ordered hook only gets the first in line."""
        left = sorted(some, key=lambda one: one._hook)
        while left:
            # A second claim for a hook must not find what the first has just locked.
            now = list({one._hook: one for one in reversed(left)}.values())
            left = [one for one in left if one not in now]
            await cls._lease(work, now)
        failpoints.hit("before_claim_commit")

    @classmethod
    async def _lease(cls, work: Work, some: Sequence[Self]) -> None:
        found: list[tuple[Self, list[Any]]] = []
        many: list[Self] = []
        for one in some:
            live = work.live.view.get(one._hook)
            if live is None or not live.active or one._most < 1:
                one.result = []
            elif live.settings.ordered:
                found.append((one, await one._first_in_line(work)))
            else:
                many.append(one)
        if many:
            found += zip(many, await _find_due(work, many), strict=True)
        ids = [row[0] for _, rows in found for row in rows]
        if ids:
            await work.raw.execute(sql.LEASE, ids, work.lease.token, work.lease.until_ms)
        for one, rows in found:
            one.result = [job_of(row, row[6] + 1, row[9]) for row in rows]
            for job in one.result:
                state = DeliveryState(Status.SENDING.value, job.number)
                work.notes.feed.append(delivery_item(job.account, job.hook, job.delivery, state))

    async def _first_in_line(self, work: Work) -> list[Any]:
        await work.raw.execute(sql.LOCK_ORDER, locks.order_of(self._hook))
        return list(await work.raw.fetch(sql.FIND_FIRST_IN_LINE, self._hook, work.now_ms))

    def room_after(self, first_tries: int) -> int:
        """Return how many retries it may get."""
        return self._most if self._by_age else self._most - first_tries

    def want(self) -> tuple[HookId, int]:
        """Return which hook's deliveries it wants, and how many."""
        return self._hook, self._most

    def choose(self, rows: list[Any]) -> list[Any]:
        """Return what it gets of the first tries and retries that were found."""
        if self._by_age:
            rows.sort(key=lambda row: (row[10], row[0]))
        return rows[: self._most]

    def undo(self) -> Operation[None] | None:
        """Give back what was leased."""
        return Release(self.result) if self.result else None


async def _find_due(work: Work, claims: Sequence[Claim]) -> list[list[Any]]:
    """Return the rows that each claim gets, locked."""
    found: list[list[Any]] = [[] for _ in claims]
    wanted = dict(enumerate(claim.want() for claim in claims))
    await _look(work, sql.FIND_FIRST_TRIES, wanted, found)
    room = {
        place: (claim.want()[0], more)
        for place, claim in enumerate(claims)
        if (more := claim.room_after(len(found[place])))
    }
    if room:
        await _look(work, sql.FIND_RETRIES, room, found)
    return [claim.choose(rows) for claim, rows in zip(claims, found, strict=True)]


async def _look(
    work: Work,
    statement: str,
    wanted: Mapping[int, tuple[HookId, int]],
    found: list[list[Any]],
) -> None:
    places = list(wanted)
    hooks, most = columns(list(wanted.values()), 2)
    for row in await work.raw.fetch(statement, hooks, most, work.now_ms):
        found[places[row[11] - 1]].append(row)


class ClaimPing(Operation[Job]):
    """Store a ping with its delivery, leased from the start."""

    def __init__(self, hook: HookId, body: bytes) -> None:
        super().__init__(2, len(body))
        self._hook = hook
        self._body = body

    @classmethod
    async def run_all(cls, work: Work, some: Sequence[Self]) -> None:
        """Insert them; each hook must be there."""
        for one in some:
            if one._hook in work.live.view:
                one.result = await one.run(work)
            else:
                one.error = NotFound(f"there is no hook {one._hook}; see: hooktui hooks list")

    async def run(self, work: Work) -> Job:
        """Insert both."""
        hook = work.live.view[self._hook]
        ids, now, lease, account = work.shared.ids, work.now_ms, work.lease, hook.account
        event, delivery = EventId(ids.next()), DeliveryId(ids.next())
        row = (event, account, PING, now, len(self._body), 1, 0, None, self._body)
        leased = (delivery, account, hook.id, event, PING, now, lease.token, lease.until_ms)
        await work.raw.execute(sql.INSERT_PING, *columns([row], 9), *columns([leased], 8))
        work.count_waiting(hook.id, 1)
        state = DeliveryState(Status.SENDING.value, 1)
        work.notes.feed.append(event_item(account, event))
        work.notes.feed.append(delivery_item(account, hook.id, delivery, state))
        return Job(delivery, event, PING, hook.id, account, Trigger.PING, 1, 0, 0, self._body)

    def undo(self) -> Operation[None] | None:
        """Cancel the ping that nobody waits for."""
        return Release([self.result]) if self.result else None


class Release(Operation[None]):
    """Give unsent jobs back, uncounted."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        super().__init__(len(jobs))
        self._jobs = jobs

    async def run(self, work: Work) -> None:
        """Make them due at once; what cannot wait (a ping, a deleted hook's) is cancelled."""
        back = [(job, _given_back(job, work)) for job in self._jobs]
        rows = [
            (job.delivery, job.number, work.lease.token, s.status, s.next_attempt_at, s.finished_at,
             s.reason)
            for job, s in back
        ]  # fmt: skip
        held = {tuple(row) for row in await work.raw.fetch(sql.GIVE_BACK, *columns(rows, 7))}
        for job, state in back:
            if (job.delivery, job.number) not in held:
                continue
            held.discard((job.delivery, job.number))  # one job may be named twice
            if state.finished_at is None:
                work.notes.note_due(job.hook, work.now_ms)
            else:
                work.count_waiting(job.hook, -1)
            work.notes.feed.append(delivery_item(job.account, job.hook, job.delivery, state))
        failpoints.hit("before_give_back_commit")


def _given_back(job: Job, work: Work) -> DeliveryState:
    if job.hook not in work.live.view:
        reason = HOOK_DELETED
    elif job.trigger is Trigger.PING:
        reason = "the ping was not sent"
    else:
        return DeliveryState(Status.PENDING.value, job.number - 1, work.now_ms)
    return DeliveryState(Status.CANCELLED.value, job.number - 1, None, work.now_ms, None, reason)


def job_of(row: Sequence[Any], number: int, body: bytes | None) -> Job:
    """Return a job from the columns that every search for jobs selects."""
    return Job(
        DeliveryId(row[0]), EventId(row[1]), row[2], HookId(row[3]), AccountId(row[4]),
        _TRIGGERS[row[5]], number, row[7], row[8], body or b"",
    )  # fmt: skip
