"""Replays: plan, start, list, show, change the rate, pause, resume, abort."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Concatenate, Literal

from fastapi import Header, Query
from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import caller_of
from hooktui.api.limits import go_first
from hooktui.api.parameters import (
    KEY_BOUNDS,
    MAX_ID,
    MAX_TEXT,
    AccountParameter,
    HookQuery,
    ReplayParameter,
    RequestBody,
    Window,
    make_router,
    read_idempotency_key,
)
from hooktui.api.responses import describe_value, respond
from hooktui.api.service import Service, check_account, read, read_in, service_of, write_in
from hooktui.domain.clock import DAY_MS, to_rfc3339
from hooktui.domain.errors import NotFound, Refused
from hooktui.domain.hook_failures import waits_for
from hooktui.domain.ids import AccountId, HookId, time_of
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.replays import (
    DEFAULT_RATE,
    EXPLANATIONS,
    MAX_RATE,
    MIN_RATE,
    PairSelection,
    ReplayMode,
    ReplayState,
    check_rate,
    check_selection,
    fastest_rate,
    holds_line,
    wire_selection,
    with_estimate,
    with_hooks,
)
from hooktui.domain.roles import Actor
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.replays import (
    PlannedHook,
    PlannedSkip,
    Replay,
    ReplayPlan,
    ReplaySelection,
)
from hooktui.store import changes, queries
from hooktui.store.queries.replay_plans import (
    CountedHook,
    PlanPosition,
    count_pairs,
    first_position,
    median_durations,
    read_position,
    write_position,
)
from hooktui.store.queries.replays import hooks_to_replay, no_start_reason, replay_of_request
from hooktui.store.tx import Tx

_MAX_DELIVERIES = 10**12

_Id = Annotated[int, Field(ge=1, le=MAX_ID)]
_Ids = Annotated[list[_Id], Field(json_schema_extra={"minItems": 1})]
_Rate = Annotated[float, Field(json_schema_extra={"minimum": MIN_RATE, "maximum": MAX_RATE})]


def _check_hooks(given: object) -> object:
    """Refuse other values in our words; pydantic describes each member of a union."""
    values = given if isinstance(given, list) else [] if given == "all" else [given]
    for value in values:
        if type(value) is not int or not 1 <= value <= MAX_ID:
            raise ValueError(f'must be hook numbers or "all", not {describe_value(value)}')
    return given


class SelectionBody(RequestBody):
    """The pairs of an event and a hook that a replay sends; see `ReplaySelection`."""

    hooks: Annotated[_Ids | Literal["all"], BeforeValidator(_check_hooks)]
    mode: str = Field(default="failed", json_schema_extra={"enum": list(ReplayMode)})
    since: str | None = Field(default=None, max_length=100)
    until: str | None = Field(default=None, max_length=100)
    filter: str | None = Field(default=None, max_length=MAX_TEXT)
    cause: str | None = Field(default=None, max_length=100)
    include_ordered: bool = False

    def checked(self, now_ms: int) -> PairSelection:
        """Return the checked selection, which has no later events than those of now.

        Raises:
            Refused: names each bad field.
        """
        fields = self.model_dump()
        hooks = "all" if isinstance(self.hooks, str) else tuple(self.hooks)
        selected = check_selection(ReplaySelection(**fields | {"hooks": hooks}), now_ms)
        if selected.since_ms is not None and selected.since_ms > now_ms:
            raise Refused.field("/selection/since", "since is in the future")
        return replace(selected, until_ms=min(selected.until_ms, now_ms))


class PlanBody(RequestBody):
    """The replay to plan; ``after`` is the ``next`` of the previous part."""

    selection: SelectionBody
    rate_per_s: _Rate = DEFAULT_RATE
    after: str | None = Field(default=None, max_length=MAX_TEXT)


class ReplayBody(RequestBody):
    """The replay to start; it finishes after ``max_deliveries``."""

    selection: SelectionBody
    rate_per_s: _Rate = DEFAULT_RATE
    max_deliveries: Annotated[int, Field(ge=1, le=_MAX_DELIVERIES)] | None = None


class RateBody(RequestBody):
    """The new rate, in deliveries a second."""

    rate_per_s: _Rate


class AbortBody(RequestBody):
    """Whether the pending deliveries that the replay created are cancelled as well."""

    cancel_waiting: bool = False


router = make_router("deliveries")


@router.post("/v1/replays/plan", response_model=ReplayPlan)
async def plan_replay(
    request: Request, body: PlanBody, account: AccountParameter = None
) -> Response:
    """Count the deliveries that a replay would send; nothing is sent or saved.

    One call counts for 2 seconds; repeat with ``after`` set to ``next`` until that is null, and add
    the parts up.
    """
    service, caller = service_of(request), caller_of(request)
    owner = caller.account(account)
    now_ms = service.store.clock()
    selection, rate = body.selection.checked(now_ms), check_rate(body.rate_per_s)
    position = None if body.after is None else read_position(body.after)
    await check_account(service, owner)
    plan = _plan(request, owner, selection, rate, position)
    return respond(await service.searches.plan(caller, plan))


async def _plan(
    request: Request,
    owner: AccountId,
    selection: PairSelection,
    rate: float,
    position: PlanPosition | None,
) -> ReplayPlan:
    go_first(request)
    service = service_of(request)
    store = service.store
    if position is None:
        position = await read(request, first_position, store.clock())
    selection = await _resolved(request, owner, selection)
    hooks = [_live_hook(service, owner, hook) for hook in selection.hooks or ()]
    counted = await read(
        request, count_pairs, selection, hooks, position, lambda: store.is_accepting
    )
    medians = await read(request, median_durations, [hook.id for hook in hooks], store.clock())
    hooks = [hook for hook in hooks if hook.id in counted.hooks]
    planned = [
        _planned(service, hook, counted.hooks[hook.id], _pace(service, hook, rate, medians))
        for hook in hooks
    ]
    skipped = (
        PlannedSkip(hook=hook.id, reason=name, count=count, explanation=EXPLANATIONS[name])
        for hook in hooks
        for name, count in counted.hooks[hook.id].skipped.items()
    )
    no_start = await read(request, no_start_reason, owner, selection.hooks or ())
    warnings = [] if no_start is None else [f"cannot be run now: {no_start}"]
    warnings += [
        f"hook {hook.id} sends in order: a delivery that fails holds those behind it"
        for hook in hooks
        if holds_line(hook, selection)
    ]
    return with_estimate(
        ReplayPlan(
            selection=wire_selection(selection),
            rate_per_s=rate,
            total=sum(hook.selected for hook in planned),
            retrying=sum(hook.retrying for hook in planned),
            duplicates=sum(hook.duplicates for hook in planned),
            oldest_at=min((hook.oldest_at for hook in planned if hook.oldest_at), default=None),
            newest_at=max((hook.newest_at for hook in planned if hook.newest_at), default=None),
            estimate_s=0,
            hooks=tuple(planned),
            skipped=tuple(skipped),
            warnings=tuple(warnings),
            complete=counted.next is None,
            next=write_position(counted.next),
            kept_s=_kept_s(service, counted.hooks.values()),
        )
    )


def _live_hook(service: Service, owner: AccountId, hook: HookId) -> LiveHook:
    live = service.store.hooks().get(hook)
    if live is None or live.account != owner:
        raise NotFound(f"there is no hook {hook} in this account; see: hooktui hooks list")
    return live


def _planned(service: Service, hook: LiveHook, sums: CountedHook, rate: float) -> PlannedHook:
    waits = waits_for(
        active=hook.active,
        breaker_until_ms=hook.breaker_until_ms,
        paused=service.store.paused,
        now_ms=service.store.clock(),
    )
    return PlannedHook(
        hook=hook.id,
        name=hook.settings.name,
        selected=sums.selected,
        retrying=sums.retrying,
        duplicates=sums.duplicates,
        oldest_at=None if sums.first is None else to_rfc3339(time_of(sums.first)),
        newest_at=None if sums.last is None else to_rfc3339(time_of(sums.last)),
        waits_for=waits,
        rate_per_s=rate,
    )


def _pace(service: Service, hook: LiveHook, rate: float, medians: Mapping[HookId, int]) -> float:
    """Return how many deliveries a hook takes a second: by the rate, its own rate, or its slots."""
    pace = service.engine.pace_of(hook.id)
    slots = 1 if pace is None else pace.in_flight_limit
    return fastest_rate(hook, rate, slots, medians.get(hook.id))


def _kept_s(service: Service, counted: Iterable[CountedHook]) -> float | None:
    """Return the seconds until retention deletes the oldest of some events; None: never."""
    oldest = min((sums.first for sums in counted if sums.first is not None), default=None)
    days = service.store.keep.days
    if oldest is None or not days:
        return None
    return (time_of(oldest) + days * DAY_MS - service.store.clock()) / 1000


@router.post(
    "/v1/replays",
    response_model=Replay,
    status_code=201,
    responses={200: {"model": Replay, "description": "The replay of the same request before."}},
)
async def create_replay(
    request: Request,
    body: ReplayBody,
    account: AccountParameter = None,
    idempotency_key: Annotated[
        str | None, Header(alias="Idempotency-Key", json_schema_extra=KEY_BOUNDS)
    ] = None,
) -> Response:
    """Start a replay.

    The same request with the same ``Idempotency-Key`` returns the same replay.
    """
    service, caller = service_of(request), caller_of(request)
    owner = caller.account(account)
    key = None if idempotency_key is None else read_idempotency_key(request.scope)
    body_sha256 = hashlib.sha256(body.model_dump_json().encode()).digest()
    # First, because the hooks and the clock may have changed since the request succeeded.
    known = await read(request, replay_of_request, owner, key, body_sha256)
    if known is not None:
        return respond(await read(request, queries.get_replay, owner, known))
    selection = await _resolved(request, owner, body.selection.checked(service.store.clock()))
    identity, created = await service.store.write(
        changes.create_replay,
        caller.actor,
        owner,
        selection,
        check_rate(body.rate_per_s),
        body.max_deliveries,
        key=key,
        body_sha256=body_sha256,
    )
    service.replays.wake()
    replay = await read(request, queries.get_replay, owner, identity)
    return respond(replay, 201 if created else 200)


async def _resolved(request: Request, owner: AccountId, selection: PairSelection) -> PairSelection:
    """Return a selection with the hooks that "all" stands for now."""
    if selection.hooks is not None:
        return selection
    wanted = (selection.mode, selection.cause)
    return with_hooks(selection, await read(request, hooks_to_replay, owner, *wanted))


@router.get("/v1/replays", response_model=Page[Replay])
async def list_replays(
    request: Request,
    window: Window,
    account: AccountParameter = None,
    state: Annotated[ReplayState | None, Query()] = None,
    hook: HookQuery = None,
) -> Response:
    """List replays, newest first."""
    service = service_of(request)
    owner = caller_of(request).account(account)
    narrow = (None if state is None else state.value, hook)
    page = await read_in(request, owner, queries.list_replays, window, *narrow)
    return respond(replace(page, data=[_with_waits(service, replay) for replay in page.data]))


@router.get("/v1/replays/{replay}", response_model=Replay)
async def get_replay(
    request: Request, replay: ReplayParameter, account: AccountParameter = None
) -> Response:
    """Show one replay."""
    service = service_of(request)
    owner = caller_of(request).account_or_any(account)
    return respond(_with_waits(service, await read(request, queries.get_replay, owner, replay)))


def _with_waits(service: Service, replay: Replay) -> Replay:
    """Add what the runner of this server knows about the hooks."""
    hooks = tuple(
        hook
        if hook.waits_for is not None or replay.state != ReplayState.RUNNING
        else replace(hook, waits_for=service.replays.waits_for(HookId(hook.hook)))
        for hook in replay.hooks
    )
    return replace(replay, hooks=hooks)


@router.patch("/v1/replays/{replay}", response_model=Replay)
async def change_replay_rate(
    request: Request, replay: ReplayParameter, body: RateBody, account: AccountParameter = None
) -> Response:
    """Change the rate of an unfinished replay."""
    rate = check_rate(body.rate_per_s)
    return await _change(request, account, changes.change_rate, replay, rate)


@router.post("/v1/replays/{replay}/pause", response_model=Replay)
async def pause_replay(
    request: Request, replay: ReplayParameter, account: AccountParameter = None
) -> Response:
    """Pause a running replay; deliveries that it created are still sent."""
    return await _change(request, account, changes.pause_replay, replay)


@router.post("/v1/replays/{replay}/resume", response_model=Replay)
async def resume_replay(
    request: Request, replay: ReplayParameter, account: AccountParameter = None
) -> Response:
    """Resume a paused replay, including the hooks that it set aside."""
    return await _change(request, account, changes.resume_replay, replay)


@router.post("/v1/replays/{replay}/abort", response_model=Replay)
async def abort_replay(
    request: Request,
    replay: ReplayParameter,
    body: AbortBody | None = None,
    account: AccountParameter = None,
) -> Response:
    """Abort an unfinished replay.

    Deliveries that it created stay. ``cancel_waiting`` cancels the pending ones; events that were
    not delivered stay undelivered.
    """
    cancels = body is not None and body.cancel_waiting
    abort = partial(changes.abort_replay, cancel_waiting=cancels)
    return await _change(request, account, abort, replay)


async def _change(
    request: Request,
    account: int | None,
    change: Callable[Concatenate[Tx, Actor, AccountId | None, int, ...], None],
    replay: int,
    *values: float,
) -> Response:
    """Change a replay of an account, and wake the runner of the replays."""
    await write_in(request, account, change, replay, *values)
    service_of(request).replays.wake()
    owner = caller_of(request).account_or_any(account)
    return respond(await read(request, queries.get_replay, owner, replay))
