"""What the store keeps of how a hook is doing: its breaker, and the 5-day rule."""

from __future__ import annotations

from dataclasses import replace

from hooktui.domain.deliveries import DisabledReason, ErrorClass
from hooktui.domain.ids import HookId
from hooktui.domain.wire.hooks import Hook
from hooktui.store import changes
from hooktui.store.base import Store
from tests.support.clocks import Clock
from tests.support.stores import (
    ADA,
    DEFAULT,
    Heard,
    Opened,
    deliveries,
    emit,
    make_hook,
    result_of,
    the_hook,
)


async def attempts(store: Store, clock: Clock, hook: Hook, *codes: int | None) -> None:
    """Have a hook's deliveries answered with these codes (None: a timeout), in one batch."""
    await emit(store, len(codes))
    claims = await store.claim(HookId(hook.id), len(codes))
    assert len(claims) == len(codes)
    results = [
        result_of(claim, clock, code, None if code else ErrorClass.TIMEOUT, (86_400 * 7,))
        for claim, code in zip(claims, codes, strict=True)
    ]
    await store.record(results)


def until_ms(store: Store, hook: Hook) -> int | None:
    return store.hooks()[HookId(hook.id)].breaker_until_ms


async def test_ten_failures_in_a_row_open_the_breaker_over_several_batches(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await attempts(opened.store, opened.clock, hook, 500, 500, 200, *[503] * 5)
    await attempts(opened.store, opened.clock, hook, None, 429, 500, 502)
    assert until_ms(opened.store, hook) is None
    heard, before = Heard(opened.store), opened.store.feed_end()
    await attempts(opened.store, opened.clock, hook, 500)
    assert until_ms(opened.store, hook) == opened.clock.ms + 30_000
    assert heard.changed == {hook.id}
    items = (await opened.store.feed(before, 100)).items
    assert [i.object.stats.breaker for i in items if i.kind == "hook"] == ["open"]


async def test_an_answer_of_another_kind_ends_the_row(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await attempts(opened.store, opened.clock, hook, *[500] * 9, 404, *[500] * 9)
    assert until_ms(opened.store, hook) is None


async def test_a_failed_probe_doubles_the_wait_and_a_success_closes(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await attempts(opened.store, opened.clock, hook, *[500] * 10)
    opened.clock.advance(31)
    await attempts(opened.store, opened.clock, hook, 500)
    assert until_ms(opened.store, hook) == opened.clock.ms + 60_000
    opened.clock.advance(61)
    before = opened.store.feed_end()
    await attempts(opened.store, opened.clock, hook, 200)
    assert until_ms(opened.store, hook) is None
    items = (await opened.store.feed(before, 100)).items
    assert [i.object.stats.breaker for i in items if i.kind == "hook"] == ["closed"]


async def test_a_breaker_outlives_a_restart(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await attempts(opened.store, opened.clock, hook, *[500] * 10)
    until = until_ms(opened.store, hook)
    assert until is not None
    assert until_ms(await opened.again(), hook) == until


async def test_pings_move_no_breaker(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    for _ in range(12):
        claim = await opened.store.claim_ping(HookId(hook.id), b"{}")
        await opened.store.record([result_of(claim, opened.clock, 500)])
    assert until_ms(opened.store, hook) is None
    await attempts(opened.store, opened.clock, hook, *[500] * 10)
    claim = await opened.store.claim_ping(HookId(hook.id), b"{}")
    await opened.store.record([result_of(claim, opened.clock, 200)])
    assert until_ms(opened.store, hook) is not None


async def test_a_hook_that_is_enabled_or_moved_begins_with_a_closed_breaker(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    store, identity = opened.store, HookId(hook.id)

    async def change(**what: object) -> None:
        edit = lambda settings: replace(settings, **what)  # noqa: E731
        await store.write(changes.change_hook, ADA, DEFAULT, identity, edit, None)

    await attempts(store, opened.clock, hook, *[500] * 10)
    await change(name="another")
    assert until_ms(store, hook) is not None
    await change(url="http://127.0.0.3:9/in")
    assert until_ms(store, hook) is None
    await attempts(store, opened.clock, hook, *[500] * 10)
    await change(active=False)
    await change(active=True)
    assert until_ms(store, hook) is None


async def test_a_breaker_whose_probe_may_go_is_shown_as_half_open(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await attempts(opened.store, opened.clock, hook, *[500] * 10)
    assert (await the_hook(opened.store, hook)).stats.breaker == "open"
    opened.clock.advance(3600)
    assert (await the_hook(opened.store, hook)).stats.breaker == "half_open"


DAY_S = 86_400


async def failing_days(opened: Opened, hook: Hook, *failures: int) -> None:
    """Let a hook fail so many times on each of some days in a row, and end just after the last."""
    for count in failures:
        if count:
            await attempts(opened.store, opened.clock, hook, *[500] * count)
        opened.clock.advance(DAY_S)
    opened.clock.advance(1)


async def active(opened: Opened, hook: Hook) -> bool:
    return (await the_hook(opened.store, hook)).active


async def test_five_days_of_failures_disable_a_hook(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await failing_days(opened, hook, 2, 2, 2, 2, 2)
    assert await active(opened, hook)
    heard, before = Heard(opened.store), opened.store.feed_end()
    await attempts(opened.store, opened.clock, hook, 404, 404)
    shown = await the_hook(opened.store, hook)
    assert (shown.active, shown.disabled_reason) == (False, DisabledReason.FAILING.value)
    assert (shown.stats.waiting, shown.stats.held) == (0, 12)
    assert all(delivery.held for delivery in await deliveries(opened.store))
    assert not opened.store.hooks()[HookId(hook.id)].active
    assert heard.changed == {hook.id}
    items = (await opened.store.feed(before, 100)).items
    assert [i.object.active for i in items if i.kind == "hook"] == [False]


async def test_a_burst_of_failures_and_one_more_after_days_disable_nothing(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await failing_days(opened, hook, 40, 0, 0, 0, 0)
    await attempts(opened.store, opened.clock, hook, *[500] * 40)
    assert await active(opened, hook)


async def test_few_failures_in_five_days_disable_nothing(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await failing_days(opened, hook, 2, 2, 2, 1, 1)
    await attempts(opened.store, opened.clock, hook, 500)
    assert await active(opened, hook)


async def test_one_success_restarts_the_five_days(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await failing_days(opened, hook, 9, 9, 9)
    await attempts(opened.store, opened.clock, hook, 500, 200, 500)
    await failing_days(opened, hook, 9, 9, 9)
    assert await active(opened, hook)


async def test_an_enabled_hook_gets_its_five_days_again(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await failing_days(opened, hook, 5, 5, 5, 5, 5)
    await attempts(opened.store, opened.clock, hook, 500)
    assert not await active(opened, hook)
    edit = lambda settings: replace(settings, active=True)  # noqa: E731
    await opened.store.write(changes.change_hook, ADA, DEFAULT, HookId(hook.id), edit, None)
    await failing_days(opened, hook, 5, 5)
    assert await active(opened, hook)


async def test_pings_disable_nothing_however_long_they_fail(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    for _ in range(7):
        for _ in range(3):
            claim = await opened.store.claim_ping(HookId(hook.id), b"{}")
            await opened.store.record([result_of(claim, opened.clock, 500)])
        opened.clock.advance(DAY_S)
    assert await active(opened, hook)
