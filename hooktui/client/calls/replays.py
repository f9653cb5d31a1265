"""Calls that plan, start and control replays."""

from __future__ import annotations

from typing import Unpack

from hooktui.client.calls.call import Call, Window, get, given, send, with_key
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.replays import Replay, ReplayPlan, ReplaySelection


def plan_replay(
    account: int | None,
    selection: ReplaySelection,
    *,
    rate_per_s: float | None = None,
    after: str | None = None,
) -> Call[ReplayPlan]:
    """Count what a replay would send; repeat with ``after`` until it is complete."""
    fields = given(selection=selection, rate_per_s=rate_per_s, after=after)
    return send("POST", ReplayPlan, "replays", "plan", fields=fields, account=account)


def create_replay(
    account: int | None,
    selection: ReplaySelection,
    *,
    rate_per_s: float | None = None,
    max_deliveries: int | None = None,
    key: str | None = None,
) -> Call[Replay]:
    """Start a replay; ``key`` makes a repeated call return the same one."""
    fields = given(selection=selection, rate_per_s=rate_per_s, max_deliveries=max_deliveries)
    return send("POST", Replay, "replays", fields=fields, headers=with_key(key), account=account)


def list_replays(
    account: int | None,
    *,
    state: str | None = None,
    hook: int | None = None,
    **window: Unpack[Window],
) -> Call[Page[Replay]]:
    """List replays, newest first."""
    return get(Page[Replay], "replays", account=account, state=state, hook=hook, **window)


def get_replay(replay: str, *, account: int | None = None) -> Call[Replay]:
    """Read one replay."""
    return get(Replay, "replays", replay, account=account)


def change_replay_rate(
    replay: str, rate_per_s: float, *, account: int | None = None
) -> Call[Replay]:
    """Change the rate of an unfinished replay."""
    fields = {"rate_per_s": rate_per_s}
    return send("PATCH", Replay, "replays", replay, fields=fields, account=account)


def pause_replay(replay: str, *, account: int | None = None) -> Call[Replay]:
    """Pause a running replay."""
    return send("POST", Replay, "replays", replay, "pause", account=account)


def resume_replay(replay: str, *, account: int | None = None) -> Call[Replay]:
    """Resume a paused replay."""
    return send("POST", Replay, "replays", replay, "resume", account=account)


def abort_replay(
    replay: str, *, cancel_waiting: bool = False, account: int | None = None
) -> Call[Replay]:
    """Abort an unfinished replay; ``cancel_waiting`` also cancels its pending deliveries."""
    fields = {"cancel_waiting": cancel_waiting}
    parts = ("replays", replay, "abort")
    return send("POST", Replay, *parts, fields=fields, account=account)
