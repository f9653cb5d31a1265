"""Every store against a model: random calls in random order, and after each all must agree.

Hypothesis makes the calls in a thread; the store lives in the test's own event loop. Each example
works in an account of its own, so that all of them share one opened store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hooktui.domain.deliveries import DeliveryStatus, Trigger, after_interruption
from hooktui.domain.errors import Conflict, NotFound, Refused
from hooktui.domain.ids import AccountId, DeliveryId, HookId, decode
from hooktui.domain.replays import check_selection
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.replays import ReplaySelection
from hooktui.store import changes, queries
from hooktui.store.base import Store
from hooktui.store.contract import Acceptance, AttemptResult, ClaimedDelivery, NewEvent
from hooktui.store.queries.pages import PageRequest
from tests.contract.model import Model, ModelDelivery, ModelEvent, ModelHook, ModelKey
from tests.contract.observed import Known, all_of, deliveries_of, shown
from tests.contract.replay_steps import next_step
from tests.support.stores import ADA, SECRET, Opened, result_of, settings

R = TypeVar("R")
T = TypeVar("T")

_MAX_HOOKS = 4
_LONGEST_MS = 4 * 86_400_000  # below the 5-day rule, which has tests of its own
_names = count(1)

places = st.integers(0, 1000)
types = st.sampled_from(["job.failed", "job.failed", "job.started", "cluster.error"])
offers = st.lists(
    st.tuples(types, st.integers(1, 2), st.sampled_from([None, None, None, "k1", "k2"])),
    min_size=1,
    max_size=4,
)
answers = st.sampled_from([200, 200, 204, 404, 500, 500, 500, 503, None, None, 410])


def pick(among: Sequence[T], place: int) -> T:
    return among[place % len(among)]


class Machine(RuleBasedStateMachine):
    """The calls of a store, and what they have to do."""

    known: Known  # of the opened store, which the examples share

    def __init__(self, opened: Opened, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.opened, self.loop, self.clock = opened, loop, opened.clock
        self.model = Model()
        self.workers: list[ClaimedDelivery] = []
        self.recorded: list[AttemptResult] = []
        self.began_ms = self.clock.ms
        self.seen: dict[str, Delivery] = {}
        self.attempts_seen: list[tuple[str, int]] = []
        self.secrets = count(1)

    @property
    def store(self) -> Store:
        return self.opened.store

    def run(self, call: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(call, self.loop).result(30)

    @initialize()
    def begin(self) -> None:
        name = f"machine {next(_names)}"
        self.account = AccountId(self.run(self.store.write(changes.create_account, ADA, name)).id)
        self.feed_at = self.store.feed_end()
        for ordered in (False, True):
            self.make_hook("job", ordered, None)

    # Hooks

    @precondition(lambda self: len(self.model.hooks) < _MAX_HOOKS)
    @rule(
        group=st.sampled_from(["job", "cluster"]),
        ordered=st.booleans(),
        only=st.sampled_from([None, 1]),
    )
    def make_hook(self, group: str, ordered: bool, only: int | None) -> None:
        draft = settings(
            events=(group,), ordered=ordered, filter=None if only is None else f"data.a:{only}"
        )
        made = self.run(self.store.write(changes.create_hook, ADA, self.account, draft, SECRET))
        self.model.hooks[made.id] = ModelHook(made.id, group, ordered, only, [(SECRET, None)])

    @precondition(lambda self: self.model.hooks)
    @rule(
        place=places,
        active=st.sampled_from([None, True, True, True, False]),
        ordered=st.sampled_from([None, None, None, True, False]),
    )
    def change_hook(self, place: int, active: bool | None, ordered: bool | None) -> None:
        hook = pick(list(self.model.hooks.values()), place)
        changed = {"active": active, "ordered": ordered}
        changed = {name: value for name, value in changed.items() if value is not None}
        call = self.store.write(
            changes.change_hook, ADA, self.account, HookId(hook.id),
            lambda before: replace(before, **changed),
        )  # fmt: skip
        if not self.fails_with(NotFound if hook.deleted else None, call):
            for name, value in changed.items():
                setattr(hook, name, value)

    @precondition(lambda self: self.model.hooks)
    @rule(place=places, overlap_s=st.sampled_from([0, 60, 3600]))
    def rotate(self, place: int, overlap_s: int) -> None:
        hook, secret = (
            pick(list(self.model.hooks.values()), place),
            "s" * 16 + str(next(self.secrets)),
        )
        call = self.store.write(
            changes.rotate_secret, ADA, self.account, HookId(hook.id), secret, overlap_s
        )
        if not self.fails_with(NotFound if hook.deleted else None, call):
            until = self.clock.ms + overlap_s * 1000
            before = [(value, min(end or until, until)) for value, end in hook.secrets]
            hook.secrets = [(secret, None), *before]

    @precondition(lambda self: self.model.hooks)
    @rule(place=places)
    def finish_rotation(self, place: int) -> None:
        hook, now = pick(list(self.model.hooks.values()), place), self.clock.ms
        error: type[Exception] | None = NotFound if hook.deleted else None
        if error is None and len(hook.live_secrets(now)) == 1:
            error = Conflict
        call = self.store.write(changes.finish_rotation, ADA, self.account, HookId(hook.id))
        if not self.fails_with(error, call):
            hook.secrets = [
                hook.secrets[0],
                *((value, min(end or now, now)) for value, end in hook.secrets[1:]),
            ]

    @precondition(lambda self: len(self.model.hooks) > 2)
    @rule(place=places)
    def delete_hook(self, place: int) -> None:
        hook = pick(list(self.model.hooks.values()), place)
        call = self.store.write(changes.delete_hook, ADA, self.account, HookId(hook.id))
        if not self.fails_with(NotFound if hook.deleted else None, call):
            self.model.delete(hook, self.clock.ms)

    # Events

    @rule(drawn=offers, hand_over=st.booleans())
    def accept(self, drawn: list[tuple[str, int, str | None]], hand_over: bool) -> None:
        made = [NewEvent(self.account, t, b'{"a":%d}' % a, key) for t, a, key in drawn]
        call = self.store.accept(made, lambda _: hand_over)
        if self.model.refuses(made, self.clock.ms):
            assert self.fails_with(Refused, call)
            return
        accepted, claims = self.run(call)
        rows = self.run(self.store.read(deliveries_of, [one.id for one in accepted]))
        for offer, answer in zip(made, accepted, strict=True):
            self._accepted(offer, answer, rows, hand_over)
        self._takes(claims)
        leased = {i for i, one in self.model.deliveries.items() if one.number == 1 and one.open}
        assert {claim.delivery for claim in claims} <= leased

    def _accepted(
        self, offer: NewEvent, answer: Acceptance, rows: dict[tuple[int, int], int], hand_over: bool
    ) -> None:
        now, before = self.clock.ms, self.model.key(offer.key, self.clock.ms)
        if before is not None:
            assert (answer.duplicate, answer.id) == (True, before.event)
            assert (answer.deliveries, answer.skipped) == (before.deliveries, before.skipped)
            return
        hooks = self.model.subscribers(offer)
        takers = [hook for hook in hooks if hook.takes(offer)]
        for hook in hooks:
            hook.skipped += not hook.active
        told = (answer.duplicate, answer.deliveries, answer.skipped)
        assert told == (False, len(takers), len(hooks) - len(takers))
        assert {hook for event, hook in rows if event == answer.id} == {one.id for one in takers}
        self.model.events[answer.id] = ModelEvent(answer.id, offer.body, len(takers))
        for hook in takers:
            one = ModelDelivery(
                rows[answer.id, hook.id], answer.id, hook.id, Trigger.EVENT, self.clock.ms
            )
            self.model.deliveries[one.id] = one
            if hand_over and not hook.ordered:
                self.model.lease(one, now)
        if offer.key is not None:
            self.model.keys[offer.key] = ModelKey(answer.id, offer.type, offer.body, *told[1:], now)

    # Deliveries

    @precondition(lambda self: self.model.hooks)
    @rule(place=places, most=st.integers(1, 4), by_age=st.booleans())
    def claim(self, place: int, most: int, by_age: bool) -> None:
        hook = pick(list(self.model.hooks), place)
        expected = self.model.claimable(hook, most, by_age, self.clock.ms)
        self.known.due.pop(HookId(hook), None)
        claims = self.run(self.store.claim(HookId(hook), most, by_age=by_age))
        assert [claim.delivery for claim in claims] == expected
        for claim in claims:
            self.model.lease(self.model.deliveries[claim.delivery], self.clock.ms)
        self._takes(claims)
        if len(claims) == most:
            self.known.hint({HookId(hook): self.clock.ms})
        else:
            self.known.hint(self.run(self.store.next_due([HookId(hook)])))

    @precondition(lambda self: self.model.hooks)
    @rule(place=places)
    def ping(self, place: int) -> None:
        hook = pick(list(self.model.hooks.values()), place)
        call = self.store.claim_ping(HookId(hook.id), b'{"a":0}')
        if hook.deleted:
            assert self.fails_with(NotFound, call)
            return
        claim = self.run(call)
        self.model.events[claim.event] = ModelEvent(claim.event, claim.body, 1)
        one = ModelDelivery(claim.delivery, claim.event, hook.id, Trigger.PING, None)
        self.model.deliveries[one.id] = one
        self.model.lease(one, self.clock.ms)
        self._takes([claim])

    @precondition(lambda self: self.workers)
    @rule(chosen=st.lists(st.tuples(places, answers), min_size=1, max_size=6))
    def record(self, chosen: list[tuple[int, int | None]]) -> None:
        by_job = {
            (claim.delivery, claim.number): self._result(claim, code)
            for claim, code in ((pick(self.workers[-8:], place), code) for place, code in chosen)
        }
        results = list(by_job.values())
        held = self.run(self.store.record(results))
        assert held == [self.model.record(result, self.clock.ms) for result in results]
        self.recorded += results

    @precondition(lambda self: self.recorded)
    @rule(place=places)
    def record_once_more(self, place: int) -> None:
        result = pick(self.recorded, place)
        assert self.run(self.store.record([result])) == [self.model.record(result, self.clock.ms)]

    @precondition(lambda self: self.workers)
    @rule(chosen=st.lists(places, min_size=1, max_size=3))
    def release(self, chosen: list[int]) -> None:
        let_go = [pick(self.workers[-8:], place) for place in chosen]
        self.run(self.store.release(let_go))
        for claim in let_go:
            self.model.release(claim, self.clock.ms)

    @precondition(lambda self: self.model.deliveries)
    @rule(place=places)
    def cancel(self, place: int) -> None:
        waiting = [
            one for one in self.model.deliveries.values() if one.status is DeliveryStatus.PENDING
        ]
        among = waiting if waiting and place % 4 else list(self.model.deliveries.values())
        one = pick(among, place)
        call = self.store.write(changes.cancel, ADA, self.account, DeliveryId(one.id))
        if not self.fails_with(None if one.status is DeliveryStatus.PENDING else Conflict, call):
            self.model.end(one, DeliveryStatus.CANCELLED, "cancelled by ada", self.clock.ms)

    @precondition(lambda self: self.model.deliveries)
    @rule(place=places)
    def resend(self, place: int) -> None:
        one = pick(list(self.model.deliveries.values()), place)
        call = self.store.write(changes.resend, ADA, self.account, DeliveryId(one.id))
        if one.status is DeliveryStatus.SENDING or self.model.hooks[one.hook].deleted:
            assert self.fails_with(Conflict, call)
            return
        shown, is_new = self.run(call)
        assert is_new == one.status.final
        if not is_new:
            one.next_ms = self.clock.ms
            return
        made = decode("dlv", shown.id)
        again = ModelDelivery(made, one.event, one.hook, Trigger.RESEND, self.clock.ms)
        for older in self.model.of_hook(one.hook):
            if older.event == one.event:
                older.cause = None
        self.model.deliveries[made] = again
        self.model.events[one.event].deliveries += 1

    @precondition(lambda self: self.model.groups())
    @rule(place=places)
    def give_up(self, place: int) -> None:
        hook, cause = pick(sorted(self.model.groups()), place)
        args = (HookId(hook), cause, self.clock.ms)
        done = self.run(self.store.write(changes.give_up, ADA, self.account, *args))
        expected = self.model.give_up(hook, cause, "given up by ada", self.clock.ms)
        assert (done.given_up, done.cancelled, done.after) == (*expected, None)

    # What an admin does after a receiver was down.
    @precondition(lambda self: self.model.replayable())
    @rule(
        place=places,
        schedule_s=st.sampled_from([(), (5, 300)]),
        most=st.integers(1, 3),
        aborted=st.booleans(),
    )
    def replay(self, place: int, schedule_s: tuple[int, ...], most: int, aborted: bool) -> None:
        hook = pick(self.model.replayable(), place)
        self._fail(hook, schedule_s)
        selected = self.model.undelivered(hook.id)
        given = ReplaySelection(hooks=(hook.id,), mode="failed")
        selection, token = check_selection(given, self.clock.ms), self.store.token
        args = (self.account, selection, 50, None)
        number, _ = self.run(self.store.write(changes.create_replay, ADA, *args))
        replay = self.run(self.store.read(queries.get_replay, None, number))
        self.run(self.store.write(changes.take_replays, token, "0"))
        claims: list[ClaimedDelivery] = []
        walked = False
        while not walked and not (claims and aborted):
            planned = self.run(next_step(self.opened, replay, hook, most))
            result = self.run(self.store.replay(planned))
            claims, walked = [*claims, *result.claims], result.walked
        if aborted:
            self.run(self.store.write(changes.abort_replay, ADA, None, number))
            selected = selected[: len(claims)]
        else:
            assert self.run(self.store.write(changes.finish_replay, token, number))
        by_event = {claim.event: claim for claim in claims}
        assert sorted(by_event) == sorted(one.event for one in selected)
        for one in selected:
            self.model.replay(one, by_event[one.event].delivery, self.clock.ms)
        self._takes(claims)

    def _fail(self, hook: ModelHook, schedule_s: tuple[int, ...]) -> None:
        """Accept two events for a hook and fail what is due there: for good without a schedule."""
        self.accept([(f"{hook.group}.failed", 1, None)] * 2, False)
        before = len(self.workers)
        self.claim(list(self.model.hooks).index(hook.id), 4, False)
        results = [
            result_of(claim, self.clock, 500, schedule_s=schedule_s)
            for claim in self.workers[before:]
        ]
        assert self.run(self.store.record(results)) == [True] * len(results)
        assert all(self.model.record(result, self.clock.ms) for result in results)

    # Time, ends and beginnings

    @rule(seconds=st.sampled_from([0.5, 6, 6, 61, 310, 310, 3600, 86_400]))
    def time_passes(self, seconds: float) -> None:
        if self.clock.ms + seconds * 1000 - self.began_ms < _LONGEST_MS:
            self.clock.advance(seconds)

    @rule()
    def rescue(self) -> None:
        expected = self.model.interrupt(self.model.expired(self.clock.ms), self.clock.ms)
        assert self.run(self.store.rescue()) == expected

    @rule()
    def restart(self) -> None:
        self.run(self.opened.again())
        Machine.known = Known(self.store)
        self.known.hint(self.run(self.store.next_due()))
        # The lock of the home proves that the server before is dead: its leases need not run out.
        self.model.interrupt(self.model.deliveries.values(), self.clock.ms)

    # What an engine does all day.
    @precondition(lambda self: self.model.hooks)
    @rule(place=places, answer=answers | st.just(0))
    def claim_and_end(self, place: int, answer: int | None) -> None:
        before = len(self.workers)
        self.claim(place, 4, False)
        claims = self.workers[before:]
        if answer == 0:
            self.run(self.store.release(claims))
            for claim in claims:
                self.model.release(claim, self.clock.ms)
            return
        results = [self._result(claim, answer) for claim in claims]
        assert self.run(self.store.record(results)) == [True] * len(claims)
        assert all(self.model.record(result, self.clock.ms) for result in results)

    # What a stopped process does: it comes back after its leases are gone and somebody has them.
    @precondition(lambda self: self.workers)
    @rule(place=places, answer=answers)
    def hang_for_longer_than_the_lease(self, place: int, answer: int | None) -> None:
        claim = pick(self.workers[-8:], place)
        result = self._result(claim, answer)
        self.clock.advance(61)
        self.rescue()
        self.claim(list(self.model.hooks).index(claim.hook), 4, False)
        assert self.run(self.store.record([result])) == [self.model.record(result, self.clock.ms)]

    @rule(age_s=st.sampled_from([0, 61, 3600, 86_400]))
    def purge(self, age_s: int) -> None:
        before_ms = self.clock.ms - age_s * 1000
        expected = self.model.purge(before_ms)
        gone = self.run(self.store.purge(before_ms, within_s=60, account=self.account))
        assert (gone.events, gone.after) == (expected, None)

    # What holds at any time

    @invariant()
    def nothing_is_lost_and_each_is_in_one_state(self) -> None:
        events, rows, attempts, waiting = self.run(self.store.read(all_of, self.account))
        assert rows == {one.id: one.row() for one in self.model.deliveries.values()}
        assert events == {e.id: (e.body, e.deliveries) for e in self.model.events.values()}
        for one in self.model.deliveries.values():
            stored = attempts.get(one.id, [])
            assert stored == one.attempts
            ended = one.number - (one.status is DeliveryStatus.SENDING)
            assert [number for number, *_ in stored] == list(range(1, ended + 1))
        assert waiting == {
            hook: sum(one.open for one in self.model.of_hook(hook)) for hook in self.model.hooks
        }

    @invariant()
    def groups_equal_a_recount(self) -> None:
        page = self.run(
            self.store.read(
                queries.list_undelivered,
                self.account,
                PageRequest(limit=500),
                queries.UndeliveredQuery(),
                now_ms=self.clock.ms,
            )
        )
        counted = {(one.hook, one.cause): (one.count, one.gave_up) for one in page.data}
        groups = self.model.groups()
        for hook, cause in groups.keys() - counted.keys():
            # Nothing of it waits: all that is held is being sent, or is an older delivery.
            assert cause == "held"
            assert not any(
                one.status is DeliveryStatus.PENDING and one.tries == 0 and one.cause is None
                for one in self.model.of_hook(hook)
            )
        assert counted.items() <= groups.items()

    @invariant()
    def the_engine_is_told_what_is_due(self) -> None:
        asked = [HookId(hook) for hook in self.model.hooks]
        due = self.run(self.store.next_due(asked))
        assert due == self.model.next_due()
        changed, self.known.changed = self.known.changed, set()
        self.known.hint({hook: due[hook] for hook in changed if hook in due})
        for hook, due_ms in due.items():  # or it would never come for it
            assert self.known.due[hook] <= max(due_ms, self.clock.ms)

    @invariant()
    def hooks_in_memory_are_the_stored_ones(self) -> None:
        live = {i: hook for i, hook in self.store.hooks().items() if hook.account == self.account}
        there = {i: hook for i, hook in self.model.hooks.items() if not hook.deleted}
        assert live.keys() == there.keys()
        for hook, one in there.items():
            assert live[hook].active == one.active
            now = self.clock.ms
            assert [s.value for s in live[hook].secrets_at(now)] == one.live_secrets(now)

    @invariant()
    def who_follows_the_feed_knows_what_the_lists_say(self) -> None:
        while self.feed_at != self.store.feed_end():
            page = self.run(self.store.feed(self.feed_at, 100, self.account))
            assert not page.reset
            self.feed_at = page.next
            for item in page.items:
                if item.kind == "delivery":
                    assert isinstance(item.object, Delivery)
                    self.seen[item.object.id] = item.object
                elif item.kind == "attempt":
                    self.attempts_seen.append((item.object.delivery, item.object.number))
        everything = PageRequest(limit=500)
        query = queries.DeliveryQuery()
        page = self.run(self.store.read(queries.list_deliveries, self.account, everything, query))
        for listed in page.data:
            assert shown(self.seen[listed.id]) == shown(listed)
        assert len(self.attempts_seen) == len(set(self.attempts_seen))
        stored = {(one.id, a[0]) for one in self.model.deliveries.values() for a in one.attempts}
        told = {(decode("dlv", one), number) for one, number in self.attempts_seen}
        assert stored <= told

    def teardown(self) -> None:
        """Leave nothing that the next example would see."""
        for hook in self.model.hooks.values():
            if not hook.deleted:
                self.run(self.store.write(changes.delete_hook, ADA, self.account, HookId(hook.id)))
        self.clock.advance(61)
        self.run(self.store.rescue())

    def fails_with(self, error: type[Exception] | None, call: Coroutine[Any, Any, object]) -> bool:
        """Make a call that has to fail in a way, or (None) has to succeed; True when it failed."""
        if error is None:
            self.run(call)
            return False
        with pytest.raises(error):
            self.run(call)
        return True

    def _takes(self, claims: Sequence[ClaimedDelivery]) -> None:
        for claim in claims:
            one = self.model.deliveries[claim.delivery]
            assert (claim.number, claim.tries) == (one.number, one.tries)
            assert (claim.interruptions, claim.trigger) == (one.interruptions, one.trigger)
            assert claim.body == self.model.events[one.event].body
            self.workers.append(claim)

    def _result(self, claim: ClaimedDelivery, code: int | None) -> AttemptResult:
        cut_off = after_interruption(claim.retry_state)
        decision = cut_off if code is None else None
        return result_of(claim, self.clock, code or 500, schedule_s=(5, 300), decision=decision)


async def _walk(opened: Opened, examples: int, steps: int, phases: Sequence[Phase]) -> None:
    loop = asyncio.get_running_loop()
    Machine.known = Known(opened.store)
    bounded = hypothesis_settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=phases,
        print_blob=True,
    )
    await asyncio.to_thread(
        run_state_machine_as_test, lambda: Machine(opened, loop), settings=bounded
    )


# Red without the attempt's number in the fence, without priority of first tries, when a release or
# a cancellation is not counted or not told, when all leases are rescued, when no engine is told of
# a retry or of the next of an ordered hook. Shrinking takes minutes: for the long test below.
@pytest.mark.timeout(600)  # hundreds of steps, each a transaction or more
async def test_a_store_does_what_the_model_does(opened: Opened) -> None:
    await _walk(opened, 3, 40, [Phase.reuse, Phase.generate])


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_a_store_does_what_the_model_does_for_long(opened: Opened) -> None:
    await _walk(opened, 1000, 100, [Phase.reuse, Phase.generate, Phase.shrink])
