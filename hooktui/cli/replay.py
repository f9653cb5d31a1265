"""``hooktui replay``: plan, start and control replays of past events."""

from __future__ import annotations

import sys
import time
import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal

from cyclopts import App, Parameter

from hooktui.cli.context import CommandContext, Context, DecimalNumber, Number, Text
from hooktui.cli.exit_codes import DONE, FAILED, UsageError, naming_options
from hooktui.cli.listing import FIRST_50, Limit, Listing, show_list, show_one
from hooktui.cli.output import Output, Piece, Styled
from hooktui.cli.time_format import ago, check_moment, clock
from hooktui.client import calls
from hooktui.client.calls import Call
from hooktui.domain.errors import NoServer, Unavailable
from hooktui.domain.replays import add_plans
from hooktui.domain.text import counted, number_text
from hooktui.domain.wire import replays
from hooktui.domain.wire.replays import PlannedSkip, Replay, ReplayPlan, ReplaySelection

app = App(name="replay", help="Plan, run and control replays of past events.")

_POLL_S = 1.0
_AWAY_S = 300
"""How long ``--wait`` waits for a server that is away, such as one that restarts."""
_UNFINISHED = ("running", "paused")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SelectionOptions:
    """The deliveries to replay, and how fast.

    Attributes:
        hook: a hook to send to; may be given more than once.
        all_hooks: all enabled hooks; in mode failed those with undelivered events.
        mode: failed (the default), never-sent, sent or all.
        since: only events accepted since then, such as 24h or 2026-11-25T03:04:05Z.
        until: only events accepted until then; until now by default.
        filter_text: only deliveries or events that match this filter.
        cause: only undelivered events with this cause, such as dns or http_5xx.
        include_ordered: include hooks that send in order.
        rate: deliveries a second, 0.1 to 1000; 50 by default.
    """

    hook: list[Number] = field(default_factory=list)
    all_hooks: bool = False
    mode: Literal["failed", "never-sent", "sent", "all"] = "failed"
    since: str | None = None
    until: str | None = None
    filter_text: Annotated[Text | None, Parameter(name="--filter")] = None
    cause: str | None = None
    include_ordered: bool = False
    rate: DecimalNumber | None = None

    def selection(self) -> ReplaySelection:
        """Return the selection of the API.

        Raises:
            UsageError: hooks are named in no way, or in two, or a time is not one.
        """
        if bool(self.hook) is self.all_hooks:
            raise UsageError("name hooks with --hook ID, or all of them with --all-hooks")
        check_moment("--since", self.since)
        check_moment("--until", self.until)
        return ReplaySelection(
            hooks="all" if self.all_hooks else tuple(self.hook),
            mode=self.mode,
            since=self.since,
            until=self.until,
            filter=self.filter_text,
            cause=self.cause,
            include_ordered=self.include_ordered,
        )


@app.command
def plan(*, options: SelectionOptions | None = None, context: Context) -> None:
    """Count the deliveries that a replay would send; change nothing.

    Args:
        options: the deliveries to replay, and how fast.
    """
    options = options or SelectionOptions()
    planned = _plan(context, options.selection(), options.rate)
    if context.json:
        import msgspec

        context.out.json(msgspec.to_builtins(planned))
    else:
        _write_plan(context.out, planned)


def _plan(context: CommandContext, selection: ReplaySelection, rate: float | None) -> ReplayPlan:
    """Return the whole plan, added up from its parts."""
    call = calls.plan_replay(context.account, selection, rate_per_s=rate)
    with naming_options({"rate_per_s": "--rate"}):
        total = context.client.call(call)
    while total.next is not None:
        context.out.progress(f"counted {total.total:,} so far")
        call = calls.plan_replay(
            context.account, total.selection, rate_per_s=rate, after=total.next
        )
        total = add_plans(total, context.client.call(call))
    context.out.progress("")
    return total


def _write_plan(out: Output, planned: ReplayPlan) -> None:
    oldest, newest = planned.oldest_at, planned.newest_at
    times = "" if oldest is None or newest is None else f", {clock(oldest)} to {clock(newest)}"
    out.line(f"{counted(planned.total, 'delivery')}{times}")
    for hook in planned.hooks:
        parts = [f"  hook {hook.hook} ({hook.name}): {hook.selected:,}"]
        if hook.retrying:
            parts.append(replays.retrying_words(hook.retrying))
        if hook.duplicates:
            parts.append(f"{hook.duplicates:,} were delivered before")
        if hook.waits_for is not None:
            parts.append(f"will wait: {replays.waits_reason(hook.waits_for)}")
        out.line(", ".join(parts))
    for skip in planned.skipped:
        out.line(Styled(f"  {_skip_words(skip)}", "dim"))
    for warning in planned.warnings:
        out.line(Styled(warning, "warn"))
    if planned.total:
        out.line(replays.estimate_words(planned))
    else:
        out.line("there is nothing to send")


def _skip_words(skip: PlannedSkip) -> str:
    return f"hook {skip.hook} skips {skip.count:,}: {skip.explanation}"


@app.command
def run(
    *,
    options: SelectionOptions | None = None,
    wait: bool = False,
    yes: bool = False,
    context: Context,
) -> int:
    """Plan a replay, ask for confirmation, start it, and print its id.

    Args:
        options: the deliveries to replay, and how fast.
        wait: wait until it ends; exit with 1 if deliveries failed, or it paused or was aborted.
        yes: do not ask.
    """
    options = options or SelectionOptions()
    selection = options.selection()
    if not yes and not context.can_ask:
        raise UsageError("there is no terminal to ask; start the replay with --yes")
    planned = _plan(context, selection, options.rate)
    if not planned.total:
        for skip in planned.skipped:
            context.out.note(_skip_words(skip))
        context.out.note("there is nothing to send")
        return DONE
    if not yes:
        _write_plan(Output(sys.stderr, sys.stderr, color=False, quiet=True), planned)
        context.confirm(f"Send {counted(planned.total, 'delivery')}?", yes=False)
    context.interrupted = "the replay may have started; see: hooktui replay list"
    call = calls.create_replay(
        context.account,
        planned.selection,
        rate_per_s=options.rate,
        max_deliveries=planned.total,
        key=str(uuid.uuid4()),
    )
    started, replay = context.response(call)
    if context.json and not wait:
        context.out.json(started)
    elif not context.json:
        context.out.line(replay.id)
        context.out.flush()
    return _wait(context, replay.id) if wait else DONE


def _wait(context: CommandContext, replay: str) -> int:
    """Wait until a replay ends or pauses, with progress on stderr; return the exit code."""
    context.interrupted = (
        f"the replay continues at the server; watch it: hooktui replay show {replay}; pause it:"
        f" hooktui replay pause {replay}; abort it: hooktui replay abort {replay}"
    )
    call = calls.get_replay(replay, account=context.account)
    while True:
        response, now = _current(context, call)
        if now.state not in _UNFINISHED or (now.state == "paused" and now.state_reason):
            break
        context.out.progress(_progress(now))
        time.sleep(_POLL_S)
    if context.json:
        context.out.json(response)
    context.out.note(_progress(now))
    return DONE if now.state == "finished" and not now.progress.failed else FAILED


def _current(context: CommandContext, call: Call[Replay]) -> tuple[object, Replay]:
    """Return a replay, as JSON and as a value; wait for the server while it is away."""
    end: float | None = None
    while True:
        try:
            response = context.response(call)
        except (NoServer, Unavailable) as error:
            if end is None:
                context.out.note(f"{error.detail}; reconnecting")
                end = time.monotonic() + _AWAY_S
            elif time.monotonic() > end:
                raise
            time.sleep(_POLL_S)
            continue
        if end is not None:
            context.out.note("connected again")
        return response


def _progress(replay: Replay) -> str:
    progress = replay.progress
    done = progress.sent + progress.retried
    of_total = "" if progress.total is None else f" of {progress.total:,}"
    parts = [f"{replay.state}: sent {done:,}{of_total}", f"{progress.failed:,} failed"]
    left = replays.time_left(replay)
    if left and left != "waits":
        parts.append(f"about {left} left")
    parts.append(replay.state_reason or replays.waits_words(replay) or replays.unsent_words(replay))
    return ", ".join(filter(None, parts))


@app.command(name="list")
def list_replays(
    *,
    state: Literal["running", "paused", "finished", "aborted"] | None = None,
    hook: Number | None = None,
    limit: Limit = FIRST_50,
    context: Context,
) -> None:
    """List replays, newest first.

    Args:
        state: only those in this state.
        hook: only those of a hook.
    """
    call = partial(calls.list_replays, context.account, state=state, hook=hook)
    show_list(context, call, _REPLAYS, limit)


def _row(replay: Replay) -> list[Piece]:
    progress = replay.progress
    return [
        replay.id,
        _state(replay.state),
        replay.selection.mode,
        str(len(replay.hooks)),
        f"{progress.sent + progress.retried:,}",
        "" if progress.total is None else f"{progress.total:,}",
        f"{progress.failed:,}",
        number_text(replay.rate_per_s),
        ago(replay.created_at),
        replay.state_reason or replays.waits_words(replay),
    ]


_REPLAYS = Listing(
    "ID, STATE, MODE, HOOKS>, SENT>, TOTAL>, FAILED>, RATE>, CREATED, REASON",
    _row,
    "no replays; start one with: hooktui replay run --all-hooks",
)


def _state(state: str) -> Styled:
    return Styled(state, "good" if state == "finished" else "warn")


@app.command
def show(replay: str, /, *, context: Context) -> None:
    """Show one replay: its selection, progress and hooks.

    Args:
        replay: its id, rpl_….
    """
    show_one(context, calls.get_replay(replay, account=context.account), _write)


def _write(context: CommandContext, replay: Replay) -> None:
    out, selection, progress = context.out, replay.selection, replay.progress
    out.line(Styled(f"replay {replay.id}", "bold"), "  ", _state(replay.state))
    changed = f"{clock(replay.changed_at)} by {replay.changed_by}"
    has_changed = replay.ended_at is not None or replay.changed_at != replay.created_at
    facts = [
        ("reason", replay.state_reason or ""),
        ("mode", selection.mode),
        ("since", selection.since or ""),
        ("until", selection.until or ""),
        ("filter", selection.filter or ""),
        ("cause", selection.cause or ""),
        ("rate", f"{number_text(replay.rate_per_s)} a second"),
        ("created", f"{clock(replay.created_at)} by {replay.created_by}"),
        ("changed" if replay.ended_at is None else "ended", changed if has_changed else ""),
        ("server", replay.server or ""),
        ("sent", f"{progress.sent:,}"),
        ("retried", f"{progress.retried:,}"),
        ("delivered", f"{progress.delivered:,}"),
        ("failed", f"{progress.failed:,}"),
        ("waiting", f"{progress.waiting:,}"),
        ("cancelled", f"{progress.cancelled:,}" if progress.cancelled else ""),
        ("skipped", ", ".join(f"{count:,} {name}" for name, count in progress.skipped.items())),
        ("not sent", replays.unsent_words(replay)),
    ]
    out.facts(facts)
    for hook in replay.hooks:
        state = replays.hook_state(replay, hook)
        if hook.reason is not None:
            state += f" ({hook.reason})"
        elif hook.waits_for is not None:
            state = f"waits: {replays.waits_reason(hook.waits_for)}"
        retried = f", retried {hook.retried:,}" if hook.retried else ""
        out.line(f"  hook {hook.hook} ({hook.name}): {state}, sent {hook.sent:,}{retried}")


@app.command
def pause(replay: str, /, *, context: Context) -> None:
    """Pause a running replay; deliveries that it created are still sent.

    Args:
        replay: its id, rpl_….
    """
    _steer(context, calls.pause_replay(replay, account=context.account))


@app.command
def resume(replay: str, /, *, context: Context) -> None:
    """Resume a paused replay, including hooks set aside because too many attempts failed.

    Args:
        replay: its id, rpl_….
    """
    _steer(context, calls.resume_replay(replay, account=context.account))


@app.command
def rate(replay: str, per_s: DecimalNumber, /, *, context: Context) -> None:
    """Change the rate of a replay.

    Args:
        replay: its id, rpl_….
        per_s: deliveries a second.
    """
    with naming_options({"rate_per_s": "PER_S"}):
        _steer(context, calls.change_replay_rate(replay, per_s, account=context.account))


@app.command
def abort(
    replay: str, /, *, cancel_waiting: bool = False, yes: bool = False, context: Context
) -> None:
    """Abort a replay; deliveries that it created stay.

    Args:
        replay: its id, rpl_….
        cancel_waiting: also cancel its pending deliveries; their events stay undelivered.
        yes: do not ask.
    """
    cancels = ", and cancel its pending deliveries" if cancel_waiting else ""
    context.confirm(f"Abort {replay}{cancels}?", yes=yes)
    call = calls.abort_replay(replay, cancel_waiting=cancel_waiting, account=context.account)
    _steer(context, call)


def _steer(context: CommandContext, call: calls.Call[Replay]) -> None:
    replay = context.ask(call)
    if replay is not None:
        context.out.note(
            f"{replay.id} is {replay.state}, {number_text(replay.rate_per_s)} a second"
        )
