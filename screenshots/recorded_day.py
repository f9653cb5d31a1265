"""The day that the pictures show: the demo's story and moods, put into a store by its contract.

Nothing is sent. Events are accepted at their moment of a clock that only moves when told, attempts
are claimed and recorded with the answer that the demo's receiver would give, and retries come when
they are due. So the same day is in the store each time.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate

import msgspec
from still_clock import StillClock

from hooktui.domain.deliveries import (
    ErrorClass,
    Exchange,
    RetryState,
    after_exchange,
    error_of_status,
)
from hooktui.domain.ids import AccountId, HookId
from hooktui.demo.runner import DemoHook
from hooktui.demo.receiver import Behaviour, Reply, reply
from hooktui.demo.scenario import scenario_events
from hooktui.store.base import Store
from hooktui.store.contract import AttemptResult, ClaimedDelivery, NewEvent

ACCOUNT = AccountId(1)
SEED = 8
PACE = 0.3
"""Slower than life: some hundred events in a day are enough to look at."""

KEPT_OPEN_MS = 30_000
"""How long the transport keeps an idle connection."""

NO_ANSWER_S = 15
"""How long the transport waits for the first byte of an answer."""

URLS = {
    "Data warehouse": "https://loader.warehouse.example/hooks/etl",
    "Ops pager": "https://events.pager.example/v2/enqueue",
    "Slack relay": "https://relay.chat.example/services/T024BE7LD/B05R2V",
    "Billing (slow)": "https://billing.internal.example/api/usage",
    "ERP bridge": "https://erp-bridge.internal.example:8443/notify",
    "Retired CI": "https://ci.old.example/generic-webhook",
    "Staging copy": "https://loader.staging.example/hooks/etl",
    "Finance audit": "https://audit.finance.example/inbox",
}


@dataclass(frozen=True, slots=True)
class _Due:
    """A hook may have something to try again."""

    hook: HookId


class RecordedDay:
    """Fills a store.

    Args:
        store: an open one that has the hooks.
        clock: the one that the store goes by.
        hooks: the demo's hooks by their ids.
    """

    def __init__(self, store: Store, clock: StillClock, hooks: Mapping[HookId, DemoHook]) -> None:
        self._store = store
        self._clock = clock
        self._hooks = hooks
        self._order = itertools.count()
        self._coming: list[tuple[int, int, AttemptResult | _Due]] = []
        self._asked: Counter[HookId] = Counter()
        self._connected_at: dict[HookId, int] = {}
        self.deliveries = 0

    async def record(self, until_ms: int) -> None:
        """Live through everything from the clock's moment to another."""
        start_ms = self._clock()
        for scene in scenario_events(SEED, start_ms, PACE):
            at_ms = start_ms + round(scene.at_s * 1000)
            await self._catch_up(min(at_ms, until_ms))
            if at_ms > until_ms:
                return
            self._clock.go_to(at_ms)
            offer = NewEvent(ACCOUNT, scene.event_type, scene.body)
            _, jobs = await self._store.accept([offer], reserve=lambda _hook: True)
            self.deliveries += len(jobs)
            self._try(jobs)

    def answer_ping(self, job: ClaimedDelivery) -> AttemptResult:
        """Return how a ping goes now; its receiver tells the time."""
        result = self._attempt(job)
        date = formatdate(self._clock() / 1000, usegmt=True)
        headers = (*result.exchange.headers, ("Date", date))
        exchange = msgspec.structs.replace(result.exchange, headers=headers)
        return msgspec.structs.replace(result, exchange=exchange)

    async def _catch_up(self, until_ms: int) -> None:
        while self._coming and self._coming[0][0] <= until_ms:
            at_ms, _, what = heapq.heappop(self._coming)
            self._clock.go_to(at_ms)
            if isinstance(what, AttemptResult):
                await self._store.record([what])
                wait_s = what.decision.wait_s
                if wait_s is not None:
                    self._plan(at_ms + round(wait_s * 1000) + 1, _Due(what.claim.hook))
            else:
                self._try(await self._store.claim(what.hook, 100))

    def _plan(self, at_ms: int, what: AttemptResult | _Due) -> None:
        heapq.heappush(self._coming, (at_ms, next(self._order), what))

    def _try(self, jobs: list[ClaimedDelivery]) -> None:
        for job in jobs:
            result = self._attempt(job)
            self._plan(result.finished_at_ms, result)

    def _attempt(self, job: ClaimedDelivery) -> AttemptResult:
        """Return how an attempt goes that begins now."""
        self._asked[job.hook] += 1
        number, demo_hook = self._asked[job.hook], self._hooks[job.hook]
        hook = self._store.hooks()[job.hook]
        said = reply(demo_hook.behaviour, SEED, f"/{demo_hook.behaviour}", number)
        silent = demo_hook.behaviour is Behaviour.DOWN and number % 3 == 0
        retry_after_s = None if silent else _retry_after_s(said)
        error = ErrorClass.TIMEOUT if silent else error_of_status(said.status)
        dice = random.Random(f"{job.hook} {number}")
        chance = dice.random()
        now_ms = self._clock()
        reused = now_ms - self._connected_at.get(job.hook, 0) < KEPT_OPEN_MS
        dns, connect, tls = (
            (None, None, None)
            if reused
            else (dice.uniform(0.6, 6), dice.uniform(4, 22), dice.uniform(18, 45))
        )
        first_byte_ms = (NO_ANSWER_S if silent else said.delay_s) * 1000
        total_ms = sum((dns or 0, connect or 0, tls or 0)) + first_byte_ms + dice.uniform(0.1, 0.9)
        self._connected_at[job.hook] = 0 if silent else now_ms
        exchange = Exchange(
            status_code=None if silent else said.status,
            error=error,
            error_detail=f"no answer within {NO_ANSWER_S} s" if silent else None,
            dns_ms=dns,
            connect_ms=connect,
            tls_ms=tls,
            first_byte_ms=None if silent else first_byte_ms,
            total_ms=total_ms,
            reused_connection=reused,
            address=f"192.0.2.{10 + job.hook}:{hook.target.port}",
            headers=() if silent else (*said.headers, ("Content-Length", str(len(said.body)))),
            body=b"" if silent else said.body,
            size=0 if silent else len(said.body),
        )
        state = RetryState(job.trigger, job.tries, job.interruptions)
        schedule_s = hook.settings.retry_schedule_s
        return AttemptResult(
            claim=job,
            exchange=exchange,
            decision=after_exchange(state, exchange, schedule_s, chance, retry_after_s),
            started_at_ms=now_ms,
            finished_at_ms=now_ms + round(total_ms),
            retry_after_s=retry_after_s,
            secret_ids=tuple(secret.id for secret in hook.secrets),
        )


def settings_of(demo_hook: DemoHook) -> dict[str, object]:
    """Return what makes a hook of the pictures: the demo's, at a believable address."""
    settings = demo_hook.settings(URLS[demo_hook.name])
    del settings["retry_schedule_s"]  # the usual schedule: something waits for its next attempt
    # Drawn masked; made from the name, so that it is the same each time.
    key = base64.b64encode(random.Random(demo_hook.name).randbytes(32)).decode()
    return {**settings, "secret": f"whsec_{key}"}


def _retry_after_s(said: Reply) -> int | None:
    value = dict(said.headers).get("Retry-After")
    return None if value is None else int(value)
