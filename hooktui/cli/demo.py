"""``hooktui demo``: a temporary account with its own server, in the console or as a log."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Annotated

from cyclopts import Parameter

from hooktui.cli.context import CommandContext, Context, Number
from hooktui.cli.deliveries import status
from hooktui.cli.exit_codes import DONE, FAILED, UsageError, leaving_orderly
from hooktui.cli.open_console import check_terminal
from hooktui.cli.output import Styled
from hooktui.cli.time_format import clock, duration_s, took
from hooktui.client import calls
from hooktui.client.sync_client import PlainClient
from hooktui.demo.session import Demo, running_demo
from hooktui.demo.summary import Summary
from hooktui.domain.clock import format_duration
from hooktui.domain.text import counted, cut
from hooktui.domain.wire.events import Event
from hooktui.domain.wire.feed import AttemptLine, FeedLine
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.pages import MAX_LIMIT

ACCOUNT = 1
MAX_SEED = 2**63 - 1
_WAIT_S = 1
SHOWS_ALL_S = 20
"""So long a run takes to show a delivered, a retried and a failed delivery."""


def demo(
    *,
    headless: bool = False,
    for_: Annotated[str | None, Parameter(name="--for")] = None,
    seed: Number = 1,
    context: Context,
) -> int:
    """Run a temporary account with sample jobs and an unreliable receiver.

    All files are in a temporary folder that is deleted at the end; your hooks are not touched.

    Args:
        headless: print the log and a summary instead of opening the console.
        for_: how long, such as 20s; without it until you quit.
        seed: the same seed gives the same events and responses; 1 by default.
    """
    if context.options.connect is not None or context.options.account not in (None, ACCOUNT):
        raise UsageError("the demo brings its own server and account: no --connect, no --account")
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"--seed: a number from 0 to {MAX_SEED}, not {cut(str(seed), 40)}")
    for_s = None if for_ is None else duration_s("--for", for_)
    if not headless:
        check_terminal("hooktui demo --headless --for 20s")
    with leaving_orderly():
        context.out.note("starting a temporary server, receiver and account…")
        with running_demo(seed, context.environ) as running:
            if headless:
                return _print_log(context, running, for_s)
            return _open_console(context, running, for_s)


def _open_console(context: CommandContext, running: Demo, for_s: float | None) -> int:
    from hooktui.console.run import run
    from hooktui.console.shell.preferences import ConsoleOptions

    # The console and the processes that it starts read the environment of this process.
    mine = dict(os.environ)
    os.environ.clear()
    os.environ.update(running.environ)
    over = threading.Event()

    def end() -> None:
        over.set()
        os.kill(os.getpid(), signal.SIGTERM)  # the console quits at it

    timer = threading.Timer(for_s or 0, end)
    timer.daemon = True
    options = ConsoleOptions(account=ACCOUNT, role=context.options.role)
    try:
        code = run(options, None if for_s is None else timer.start)
    finally:
        timer.cancel()
        os.environ.clear()
        os.environ.update(mine)
    return DONE if over.is_set() else code


def _print_log(context: CommandContext, running: Demo, for_s: float | None) -> int:
    summary, log = Summary(), _Log(context)
    begun = time.monotonic()
    with PlainClient(running.address, context.options.role) as client:
        try:
            for line in _follow(client, None if for_s is None else begun + for_s):
                summary.add(line)
                log.write(line)
        except KeyboardInterrupt:
            context.out.note("")
    # A new connection: the interrupt may have cut a response in two.
    with PlainClient(running.address, context.options.role) as client:
        hooks = client.call(calls.list_hooks(ACCOUNT, sort="id", order="asc", limit=MAX_LIMIT)).data
    ran_s = time.monotonic() - begun
    _summarise(context, summary, [hook for hook in hooks if not hook.active], ran_s)
    missing = [name for name in ("delivered", "retried", "failed") if not summary.counts()[name]]
    if missing:
        context.out.note(
            f"no {' or '.join(missing)} deliveries in {format_duration(ran_s)};"
            f" a run of {SHOWS_ALL_S}s shows all three"
        )
    return FAILED if missing and ran_s >= SHOWS_ALL_S else DONE


def _follow(client: PlainClient, until: float | None) -> Iterator[FeedLine]:
    """Yield all changes until a time of the monotonic clock."""
    after: str | None = None
    while until is None or time.monotonic() < until:
        page = client.call(calls.follow_feed(ACCOUNT, after=after, wait_s=_WAIT_S, limit=MAX_LIMIT))
        after = page.next
        yield from page.data


class _Log:
    """Writes one line for each event, attempt and change of a hook."""

    def __init__(self, context: CommandContext) -> None:
        self._context = context
        self._hooks: dict[int, Hook] = {}

    def write(self, line: FeedLine) -> None:
        """Write a line of the feed, if it is one to show."""
        out = self._context.out
        if self._context.json:
            out.json_line(dict(line.fields))
            return
        at = Styled(clock(line.at), "dim")
        if line.kind == "event":
            event = line.read(Event)
            hooks = f"to {counted(event.deliveries, 'hook')}"
            skipped = f", {event.skipped} skipped" if event.skipped else ""
            out.line(at, f"  event  {event.type:<20}  {event.id}  ", hooks + skipped)
        elif line.kind == "attempt":
            self._attempt(at, line.read(AttemptLine))
        elif line.kind == "hook" and "active" in line.fields:
            self._hook(at, line.read(Hook))
        out.flush()

    def _attempt(self, at: Styled, attempt: AttemptLine) -> None:
        hook = self._hooks.get(attempt.hook)
        name = hook.name if hook else f"hook {attempt.hook}"
        answered = str(attempt.status_code or attempt.error or "")
        retry_after_s = attempt.retry_after_s
        self._context.out.line(
            at,
            f"  sent   {attempt.event_type:<20}  {name:<22.22}  #{attempt.number} {answered:<4}"
            f"{took(attempt.phases_ms.total):>7}  ",
            status("retried" if attempt.status == "pending" else attempt.status),
            "" if retry_after_s is None else f"  asked to wait {retry_after_s} s",
        )

    def _hook(self, at: Styled, hook: Hook) -> None:
        before = self._hooks.get(hook.id)
        self._hooks[hook.id] = hook
        if before is not None and before.active == hook.active:
            return
        state = "active" if hook.active else f"disabled: {hook.disabled_reason}"
        self._context.out.line(at, f"  hook   {hook.name:<22.22}  ", state)


def _summarise(
    context: CommandContext, summary: Summary, disabled: list[Hook], ran_s: float
) -> None:
    out = context.out
    if context.json:
        names = {hook.name: hook.disabled_reason for hook in disabled}
        out.json_line({"kind": "summary", **summary.counts(), "disabled_hooks": names})
        return
    out.line("")
    out.line(Styled(f"summary of {format_duration(ran_s)}", "bold"))
    counts = {**summary.counts(), "disabled": len(disabled)}
    for name, meaning in (
        ("events", "accepted"),
        ("delivered", "deliveries that arrived"),
        ("retried", "deliveries that took more than one attempt"),
        ("failed", "deliveries that were given up"),
        ("waiting", "deliveries still to be sent or tried again"),
        ("skipped", "times a hook was skipped: disabled, or by its filter"),
        ("disabled", ", ".join(f"{h.name} ({h.disabled_reason})" for h in disabled)),
    ):
        out.line(f"  {name:<10}{counts[name]:>6}  ", Styled(meaning, "dim"))
