"""How many deliveries an engine sends at once: claimed ahead, given back, adapted to a receiver."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from hooktui.delivery import engine as engine_module
from hooktui.delivery.hook_queue import _LastSecond
from hooktui.domain.adaptive_limit import FIRST_LIMIT, AdaptiveLimit
from hooktui.domain.observation import Observation
from hooktui.loop_watch import LoopWatch
from hooktui.store import changes
from hooktui.store.changes.hooks import change_hook, delete_hook
from hooktui.store.queries import get_hook
from tests.delivery.receivers import Receivers, read_request
from tests.delivery.running_engine import ACTOR, OK, RunningEngine, url_of
from tests.support.waiting import until

UNAVAILABLE = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
TOO_MANY = b"HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n\r\n"

Change = Callable[[RunningEngine, int], Awaitable[None]]


@dataclass
class Gate:
    """A receiver that responds while it is open."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    bodies: Counter[bytes] = field(default_factory=Counter)
    at_once: int = 0
    most: int = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            self.bodies[request.partition(b"\r\n\r\n")[2]] += 1
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            await self.open.wait()
            self.at_once -= 1
            writer.write(OK)


async def leased(running: RunningEngine) -> int:
    return len(await running.deliveries(status="sending"))


class ManyFinished(_LastSecond):
    """Forty attempts in the last second, however long that second is on a busy machine."""

    def count(self, now_ms: int) -> int:
        return 40


async def claimed_ahead(running: RunningEngine, receivers: Receivers, gate: Gate) -> int:
    """Leave 4 deliveries at a receiver that does not respond, and some that wait for their slots;
    return the hook."""
    gate.open.set()
    hook = await running.hook(url_of(await receivers.behaving(gate)), max_in_flight=4)
    await running.emit(40)
    await running.all_are("delivered", 40)
    gate.open.clear()
    queue = running.engine._queues.queue(hook)
    assert queue is not None
    queue.finished = ManyFinished()
    await running.emit(20)

    async def some_wait() -> bool:
        return gate.at_once == 4 and await leased(running) > 4

    await until(some_wait)
    queue.finished = _LastSecond()
    return hook


async def pause(running: RunningEngine, hook: int) -> None:
    await running.store.write(changes.pause, ACTOR)


async def disable(running: RunningEngine, hook: int) -> None:
    await edit(running, hook, active=False)


async def delete(running: RunningEngine, hook: int) -> None:
    await running.store.write(delete_hook, ACTOR, 1, hook)


async def edit(running: RunningEngine, hook: int, **values: object) -> None:
    await running.store.write(
        change_hook, ACTOR, 1, hook, lambda settings: replace(settings, **values), None
    )


# Red when nothing is claimed ahead: never more than 4 are leased.
async def test_deliveries_that_wait_for_a_slot_are_leased_and_sent_once(running, receivers):
    gate = Gate()
    await claimed_ahead(running, receivers, gate)
    gate.open.set()
    await running.all_are("delivered", 60)
    assert gate.most == 4
    assert set(gate.bodies.values()) == {1, 2}, "40 events and 20 of the same numbers"
    assert sum(gate.bodies.values()) == 60
    assert {delivery.attempts for delivery in await running.deliveries()} == {1}


# Red when only what has begun is looked at: they stay leased until their slots are free.
@pytest.mark.parametrize("change", [pause, disable, delete])
async def test_what_was_claimed_ahead_goes_back_when_the_hook_may_not_send(
    running: RunningEngine,
    receivers: Receivers,
    change: Callable[[RunningEngine, int], Awaitable[None]],
):
    gate = Gate()
    hook = await claimed_ahead(running, receivers, gate)
    await change(running, hook)

    async def only_the_four_are_leased() -> bool:
        return await leased(running) == 4

    await until(only_the_four_are_leased)
    assert gate.at_once == 4
    gate.open.set()
    await running.all_are("delivered", 44)
    assert sum(gate.bodies.values()) == 44


# Red when the settings of the claim are used: the 2 s until it is given back would be too late.
async def test_an_edited_hook_sends_all_of_it_again_once(
    running: RunningEngine, receivers: Receivers
):
    gate = Gate()
    hook = await claimed_ahead(running, receivers, gate)
    await edit(running, hook, max_in_flight=2)
    gate.open.set()
    await running.all_are("delivered", 60)
    assert sum(gate.bodies.values()) == 60


# Red without `withdraw_late`: a lease of 60 s is held for a slot that may never be free.
async def test_what_waits_for_two_seconds_goes_back(running: RunningEngine, receivers: Receivers):
    gate = Gate()
    await claimed_ahead(running, receivers, gate)

    async def only_the_four_are_leased() -> bool:
        return await leased(running) == 4

    await until(only_the_four_are_leased)
    assert {delivery.attempts for delivery in await running.deliveries(status="pending")} == {0}
    gate.open.set()
    await running.all_are("delivered", 60)
    assert sum(gate.bodies.values()) == 60


# Red when bodies are not counted, or not counted back.
async def test_with_too_many_bodies_in_memory_nothing_is_claimed_ahead(
    running: RunningEngine, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine_module, "MAX_BODIES_BYTES", 10)
    gate = Gate()
    gate.open.set()
    await running.hook(url_of(await receivers.behaving(gate)), max_in_flight=4)
    await running.emit(40)
    await running.all_are("delivered", 40)
    gate.open.clear()
    await running.emit(4)

    async def all_arrived() -> bool:
        return gate.at_once == 4

    await until(all_arrived)
    await running.emit(20)
    assert await leased(running) == 4
    gate.open.set()
    await running.all_are("delivered", 64)

    async def none_is_held() -> bool:
        return running.engine.body_bytes == 0

    await until(none_is_held)


# Red when a full budget refuses slots: hooks that hang with large bodies stopped all others.
async def test_bodies_that_hang_stop_no_other_hook(
    running: RunningEngine, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine_module, "MAX_BODIES_BYTES", 10)
    hung, healthy = Gate(), Gate()
    healthy.open.set()
    await running.hook(url_of(await receivers.behaving(hung)), max_in_flight=4)
    await running.hook(url_of(await receivers.behaving(healthy)), max_in_flight=4)
    await running.emit(20)

    async def healthy_has_all() -> bool:
        return sum(healthy.bodies.values()) == 20

    await until(healthy_has_all)
    assert hung.at_once == 4
    hung.open.set()
    await running.all_are("delivered", 40)


async def test_a_hook_as_created_finds_what_its_receiver_takes(
    running: RunningEngine, receivers: Receivers
):
    at_once = most = taken = refused = 0

    async def takes_20(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most, taken, refused
        while True:
            await read_request(reader)
            at_once += 1
            most = max(most, at_once)
            accepted = at_once <= 20
            await asyncio.sleep(0.05)
            at_once -= 1
            taken += accepted
            refused += not accepted
            writer.write(OK if accepted else UNAVAILABLE)

    receiver = await receivers.behaving(takes_20)
    hook = await running.hook(url_of(receiver), retry_schedule_s=(0.5,) * 10)
    await running.emit(450)
    await running.all_are("delivered", 450)
    assert most > FIRST_LIMIT
    assert taken == 450
    shown = await running.store.read(get_hook, 1, hook)
    assert shown.stats.breaker == "closed", "what a lower limit helps against opens no breaker"


# Red when attempts follow each other without a wait: ten fail within milliseconds, and the breaker
# opens for 30 s.
async def test_a_receiver_that_restarts_opens_no_breaker(
    running: RunningEngine, receivers: Receivers
):
    loop = asyncio.get_running_loop()
    seen: list[bytes] = []
    down_until_s = 0.0

    async def restarts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal down_until_s
        while True:
            seen.append(await read_request(reader))
            if len(seen) == 20:
                down_until_s = loop.time() + 1.0
            writer.write(UNAVAILABLE if loop.time() < down_until_s else OK)

    url = url_of(await receivers.behaving(restarts))
    hook = await running.hook(url, retry_schedule_s=(0.5,) * 10)
    await running.emit(200)
    breakers: set[str] = set()

    async def all_are_delivered() -> bool:
        breakers.add((await running.store.read(get_hook, 1, hook)).stats.breaker)
        return len(await running.deliveries(status="delivered")) == 200

    await until(all_are_delivered)
    assert breakers == {"closed"}


# Red when 429 is overload: the limit falls to 1, and one at a time is as fast as before.
async def test_a_receiver_that_responds_429_is_sent_its_rate(
    running: RunningEngine, receivers: Receivers
):
    tokens, refused = 5.0, 0
    filled_s = asyncio.get_running_loop().time()

    async def ten_a_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tokens, refused, filled_s
        while True:
            await read_request(reader)
            now_s = asyncio.get_running_loop().time()
            tokens = min(5.0, tokens + (now_s - filled_s) * 10)
            filled_s = now_s
            accepted = tokens >= 1
            tokens -= accepted
            refused += not accepted
            writer.write(OK if accepted else TOO_MANY)

    hook = await running.hook(url_of(await receivers.behaving(ten_a_second)))
    await running.emit(40)
    await running.all_are("delivered", 40)
    queue = running.engine._queues.queue(hook)
    assert queue is not None
    assert queue.slots >= FIRST_LIMIT
    assert refused < 30


# Red when the engine does not tell the limit that its own loop was blocked.
async def test_a_response_that_the_event_loop_delayed_says_for_how_long(
    running, receivers, monkeypatch
):
    watch = LoopWatch()
    monkeypatch.setattr(engine_module, "WATCH", watch)
    observed: list[Observation] = []
    monkeypatch.setattr(AdaptiveLimit, "ended", lambda _, one, **__: observed.append(one))
    gate = Gate()
    await running.hook(url_of(await receivers.behaving(gate)), max_in_flight=None)
    await running.emit(1)
    await until(lambda: gate.at_once == 1)
    watch.note(0.001, "too short to be noted")
    await asyncio.sleep(0.05)
    watch.note(0.04, "GET /v1/events")
    gate.open.set()
    await running.all_are("delivered", 1)
    assert [one.held_s for one in observed] == [pytest.approx(0.04)]
