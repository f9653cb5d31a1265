"""One attempt: sign the stored bytes, send them, read the response, decide on a retry."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from hooktui import failpoints
from hooktui.channels import web
from hooktui.delivery import redaction
from hooktui.delivery.shortage import MachineShort
from hooktui.delivery.transport import Transport
from hooktui.domain.clock import now_ms
from hooktui.domain.deliveries import (
    DeliveryStatus,
    ErrorClass,
    Exchange,
    Outcome,
    RetryDecision,
    after_exchange,
    after_interruption,
)
from hooktui.domain.ids import HookId
from hooktui.domain.live_hook import LiveHook, LiveSecret
from hooktui.domain.machine import condition_of
from hooktui.domain.observation import shows_overload
from hooktui.domain.replays import HOOK_DELETED
from hooktui.domain.schedule import parse_retry_after_s
from hooktui.slices import in_slices
from hooktui.store.contract import AttemptResult, ClaimedDelivery

_log = logging.getLogger(__name__)

MASKING_S: Final = 20.0
"""With the longest timeout still shorter than a lease, whose end would send the delivery again."""


@dataclass(frozen=True, slots=True)
class _HookParts:
    """The parts that all requests of one version of a hook share."""

    version: int
    secrets: tuple[LiveSecret, ...]
    prefix: bytes = field(repr=False)
    own_secrets: redaction.SecretForms = field(repr=False)


class Sender:
    """Makes attempts.

    Args:
        transport: sends the requests.
        clock: milliseconds since the epoch.
        chance: random numbers in 0..1, for the jitter of the schedule.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Callable[[], int] = now_ms,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._chance = chance
        self._parts: dict[HookId, _HookParts] = {}

    async def attempt(
        self,
        hook: LiveHook | None,
        claim: ClaimedDelivery,
        started_at_ms: int,
        *,
        may_lower: bool = False,
    ) -> AttemptResult:
        """Send a claimed delivery to its hook, and decide on a retry.

        ``hook`` is None if it was deleted. ``may_lower``: the hook's limit can be lowered, so an
        overload does not concern its breaker.

        Raises:
            MachineShort: this machine lacks a resource for it; nothing was sent.
        """
        if hook is None:
            return self._deleted(claim)
        requested = False
        try:
            secrets = hook.secrets_at(started_at_ms)
            lines = web.attempt_lines(
                hook,
                event_type=claim.event_type,
                delivery=claim.delivery,
                event=claim.event,
                timestamp_s=started_at_ms // 1000,
                body=claim.body,
                secrets=secrets,
            )
            parts = self._parts_of(hook)
            failpoints.hit("before_send")
            requested = True
            if hook.refusal is None:
                exchange = await self._transport.send(
                    hook.id,
                    hook.target,
                    web.request_head(parts.prefix, lines),
                    claim.body,
                    verify_tls=hook.settings.verify_tls,
                    timeout_s=hook.settings.timeout_s,
                    account=hook.account,
                )
            else:  # its URL and its credentials were not saved together
                exchange = Exchange(error=ErrorClass.ADDRESS_REFUSED, error_detail=hook.refusal)
            failpoints.hit("after_send_before_record")
            if redaction.may_echo(exchange, parts.own_secrets):
                exchange = await _masked(exchange, parts.own_secrets, hook)
            return self._decided(hook, claim, exchange, secrets, started_at_ms, may_lower=may_lower)
        except MachineShort:
            raise
        except Exception as error:
            missing = None if requested else condition_of(error)
            if missing is not None:
                raise MachineShort(missing) from None
            _log.exception("attempt of delivery %d failed inside", claim.delivery)
            detail = f"internal error: {type(error).__name__}"
            return self.interrupted(claim, started_at_ms, detail)  # does not count as a retry

    def _decided(
        self,
        hook: LiveHook,
        claim: ClaimedDelivery,
        exchange: Exchange,
        secrets: Sequence[LiveSecret],
        started_at_ms: int,
        *,
        may_lower: bool,
    ) -> AttemptResult:
        """Return the result of an exchange, with the decision on a retry."""
        retry_after_s = None
        if exchange.retry_after is not None:
            retry_after_s = parse_retry_after_s(exchange.retry_after, self._clock())
        decision = after_exchange(
            claim.retry_state,
            exchange,
            hook.settings.retry_schedule_s,
            self._chance(),
            retry_after_s,
        )
        return AttemptResult(
            claim=claim,
            exchange=exchange,
            decision=decision,
            started_at_ms=started_at_ms,
            finished_at_ms=max(self._clock(), started_at_ms),
            retry_after_s=retry_after_s,
            secret_ids=tuple([secret.id for secret in secrets]),
            concerns_breaker=not (may_lower and exchange.error and shows_overload(exchange)),
            url=hook.settings.url,
        )

    def interrupted(self, claim: ClaimedDelivery, started_at_ms: int, detail: str) -> AttemptResult:
        """Return the result of an attempt that was cut off before its response."""
        decision = after_interruption(claim.retry_state)
        return self._without_response(claim, decision, started_at_ms, detail)

    def _deleted(self, claim: ClaimedDelivery) -> AttemptResult:
        """Return the result of a claimed delivery whose hook was deleted before the attempt."""
        decision = RetryDecision(
            Outcome.INTERRUPTED,
            DeliveryStatus.CANCELLED,
            claim.tries,
            claim.interruptions,
            HOOK_DELETED,
        )
        return self._without_response(claim, decision, self._clock(), "the hook was deleted")

    def forget(self, hook: HookId) -> None:
        """Drop the cached parts and connections of a hook that was edited or deleted."""
        self._parts.pop(hook, None)
        self._transport.forget(hook)

    def _without_response(
        self, claim: ClaimedDelivery, decision: RetryDecision, started_at_ms: int, detail: str
    ) -> AttemptResult:
        now = max(self._clock(), started_at_ms)
        return AttemptResult(
            claim=claim,
            exchange=Exchange(error=ErrorClass.INTERRUPTED, error_detail=detail),
            decision=decision,
            started_at_ms=started_at_ms,
            finished_at_ms=now,
        )

    def _parts_of(self, hook: LiveHook) -> _HookParts:
        known = self._parts.get(hook.id)
        if known is None or known.version != hook.version or known.secrets != hook.secrets:
            own_secrets = redaction.own_secrets(hook)
            known = _HookParts(hook.version, hook.secrets, web.head_prefix(hook), own_secrets)
            self._parts[hook.id] = known
        return known


async def _masked(exchange: Exchange, secrets: redaction.SecretForms, hook: LiveHook) -> Exchange:
    """Return an exchange with the secrets masked; without a response if that takes too long."""
    steps = redaction.mask_steps(exchange, secrets)
    try:
        async with asyncio.timeout(MASKING_S):
            return await in_slices(steps, ("hook", hook.id), ("account", hook.account))
    except TimeoutError:
        return redaction.all_masked(exchange)
