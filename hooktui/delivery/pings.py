"""Pings: test deliveries that a person sends and waits for.

They share few slots, and each holds one until its receiver has responded. So a hook has at most
`PINGS_OF_HOOK` pings in flight, and an account half of the slots; the others wait in turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from contextlib import AsyncExitStack
from typing import Final
from weakref import WeakValueDictionary

from hooktui.delivery.recorder import Recorder, Unsent
from hooktui.delivery.sender import Sender
from hooktui.delivery.shortage import MachineShort, Shortages
from hooktui.domain.errors import Unavailable
from hooktui.domain.ids import DeliveryId, HookId
from hooktui.store.base import Store
from hooktui.store.contract import ClaimedDelivery

DEFAULT_PINGS: Final = 64
PINGS_OF_HOOK: Final = 2
"""Pings of a hook in flight."""
_PING_TURN_S: Final = 30.0
"""How long a ping waits for a slot before it is stored."""


class Pings:
    """Sends pings, in addition to the deliveries of the engine.

    Args:
        store: stores each ping before it is sent.
        sender: makes the attempts.
        recorder: stores their results.
        unsent: takes pings that this machine could not send.
        shortages: notes why.
        attempts: tasks of attempts in progress, for which a stop waits.
        held: deliveries that this server holds until their results are stored.
        clock: milliseconds since the epoch.
        limit: maximum number of pings in flight.

    Attributes:
        stopping: whether no further ping starts.
    """

    def __init__(
        self,
        store: Store,
        sender: Sender,
        recorder: Recorder,
        unsent: Unsent,
        shortages: Shortages,
        attempts: set[asyncio.Task[None]],
        held: set[DeliveryId],
        clock: Callable[[], int],
        limit: int,
    ) -> None:
        self._store = store
        self._sender = sender
        self._recorder = recorder
        self._unsent = unsent
        self._shortages = shortages
        self._attempts = attempts
        self._held = held
        self._clock = clock
        self._of_account = max(limit // 2, 1)
        self._slots = asyncio.Semaphore(limit)
        self._shares: WeakValueDictionary[Hashable, asyncio.Semaphore] = WeakValueDictionary()
        self.stopping = False

    async def ping(self, hook: HookId, body: bytes) -> DeliveryId:
        """Send a test delivery now, also to an inactive hook; return when its result is stored.

        Raises:
            NotFound: there is no such hook.
            Unavailable: the server stopped before the receiver responded, this machine lacks a
                resource, or too many pings are in flight.
        """
        live = self._store.hooks().get(hook)
        account = None if live is None else live.account
        async with AsyncExitStack() as turns:
            try:
                async with asyncio.timeout(_PING_TURN_S):
                    # In this order, a ping that waits for its own hook holds no slot of others.
                    await turns.enter_async_context(self._share(("hook", hook), PINGS_OF_HOOK))
                    await turns.enter_async_context(
                        self._share(("account", account), self._of_account)
                    )
                    await turns.enter_async_context(self._slots)
            except TimeoutError:
                raise Unavailable(
                    f"too many pings of hook {hook}, of its account or in total are in progress;"
                    " try again in a moment"
                ) from None
            return await self._ping(hook, body)

    def _share(self, of: Hashable, limit: int) -> asyncio.Semaphore:
        """Return the slots of a hook or an account; they exist while pings use or await them."""
        return self._shares.setdefault(of, asyncio.Semaphore(limit))

    async def _ping(self, hook: HookId, body: bytes) -> DeliveryId:
        self._check_running()
        claim = await self._store.claim_ping(hook, body)
        try:
            self._check_running()
        except Unavailable:  # the stop began meanwhile, and knows nothing of this attempt
            await self._unsent.release([claim])
            raise
        self._held.add(claim.delivery)
        # A separate task, so that a stop waits for it as for other attempts, and its result is
        # recorded even if the caller is gone.
        attempt = asyncio.create_task(self._send_ping(claim), name=f"ping {claim.delivery}")
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)
        try:
            await asyncio.shield(attempt)
        except asyncio.CancelledError:
            if attempt.cancelled():
                raise Unavailable("the server is stopping; the ping was cut off") from None
            raise
        return claim.delivery

    def _check_running(self) -> None:
        """Check that pings may start.

        Raises:
            Unavailable: the server is stopping.
        """
        if self.stopping:
            raise Unavailable("the server is stopping; it sends no more pings")

    async def _send_ping(self, claim: ClaimedDelivery) -> None:
        live = self._store.hooks().get(claim.hook)
        started_at_ms = self._clock()
        try:
            result = await self._sender.attempt(live, claim, started_at_ms)
        except asyncio.CancelledError:
            self._recorder.add(self._sender.interrupted(claim, started_at_ms, "cut off"))
            raise
        except MachineShort as missing:
            self._shortages.note(missing.condition, "a ping")
            self._held.discard(claim.delivery)
            await self._unsent.release([claim])
            raise Unavailable(f"{missing}; the ping was not sent") from None
        await self._recorder.add_and_wait(result)
