"""Returns claimed deliveries that were not sent to the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from hooktui.domain.errors import HooktuiError
from hooktui.store.contract import ClaimedDelivery, Store

_log = logging.getLogger(__name__)

_RETRY_S: Final = (0.05, 0.2, 1.0, 5.0)


class Unsent:
    """Returns deliveries, uncounted and due immediately, many in one transaction.

    Deliveries that cannot be returned are rescued when their leases end.

    Args:
        store: takes them.
        on_returned: called with the deliveries of `add` once they are due again.
    """

    def __init__(
        self, store: Store, on_returned: Callable[[Sequence[ClaimedDelivery]], None]
    ) -> None:
        self._store = store
        self._on_returned = on_returned
        self._waiting: list[ClaimedDelivery] = []
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def add(self, claim: ClaimedDelivery) -> None:
        """Queue a delivery that could not be sent; those of the same turn are returned together."""
        self._waiting.append(claim)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="return unsent")

    async def release(self, claims: Sequence[ClaimedDelivery]) -> None:
        """Return deliveries now.

        If the outcome is unknown, it is not repeated: some may be due again and claimed since.
        """
        for wait_s in (*_RETRY_S, None):
            try:
                await self._store.release(claims)
            except Exception as error:
                unknown = isinstance(error, HooktuiError) and error.outcome_unknown
                if wait_s is None or self._stopping or unknown:
                    break
                _log.warning(
                    "returning %d deliveries failed (%s); again in %g s", len(claims), error, wait_s
                )
                await asyncio.sleep(wait_s)
            else:
                return
        _log.error("%d deliveries were not returned; they wait for their leases", len(claims))

    async def stop(self) -> None:
        """Return the remaining deliveries."""
        self._stopping = True
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        await asyncio.sleep(0)  # collects failures of the same turn
        while self._waiting:
            claims, self._waiting = self._waiting, []
            await self.release(claims)
            self._on_returned(claims)
        self._task = None
