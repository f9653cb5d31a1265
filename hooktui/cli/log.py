"""``hooktui log``: the latest attempts and changes, live with ``-f``."""

from __future__ import annotations

import math
import time
from typing import Annotated

from cyclopts import Parameter

from hooktui.cli.context import CommandContext, Context
from hooktui.cli.deliveries import status
from hooktui.cli.listing import DeliveryTerms, filter_text
from hooktui.cli.output import Piece, Styled
from hooktui.cli.time_format import clock, took
from hooktui.client import calls
from hooktui.domain.errors import NoServer, Refused, Unavailable
from hooktui.domain.wire.feed import AttemptLine, FeedLine, FeedPage
from hooktui.domain.wire.pages import MAX_LIMIT

LAST_LINES = 50
KINDS = frozenset({"attempt", "hook", "engine", "alert"})
"""Kinds of changes that are printed."""

_TYPE_WIDTH = 20
_WAIT_S = 30
_SEARCH_S = 4
"""With ``-f`` the search ends then: a large feed takes minutes, in which no new line is shown."""

_AGAIN_S = 0.5

Follow = Annotated[bool, Parameter(name=["--follow", "-f"])]


def log(*terms: DeliveryTerms, follow: Follow = False, context: Context) -> None:
    """Show the last 50 attempts; -f follows new ones.

    Args:
        terms: a filter, such as status:failed hook:12.
        follow: search old lines for a few seconds only, then show new ones until ctrl+c; no line
            is lost when the server restarts.
    """
    q = filter_text(terms)
    last = _LastLines(context, q)
    try:
        last.search(_SEARCH_S if follow else math.inf)
    finally:
        room = _write_all(context, last.lines, _TYPE_WIDTH)
        if last.searched_to is not None:
            context.out.note(
                f"searched back to {last.searched_to} only; run the command again"
                f"{' without -f' if follow else ''} to search older lines"
            )
    if follow:
        _follow(context, last.end, q, room)
    elif not last.lines:
        context.out.note(f"{'nothing yet' if q is None else f'no match for {q}'}; -f waits for it")


class _LastLines:
    """The last lines that match, searched page by page from the end of the feed.

    Attributes:
        lines: those found so far, oldest first; at most `LAST_LINES`.
        end: position after the newest change.
        searched_to: time of the oldest change searched while the search is incomplete, else None.
    """

    def __init__(self, context: CommandContext, q: str | None) -> None:
        self._context = context
        self._q = q
        self.lines: list[FeedLine] = []
        self.end = ""
        self.searched_to: str | None = None

    def search(self, within_s: float) -> None:
        """Search until there are enough lines, no older change, or no time for another page."""
        account, before = self._context.account, None
        end = time.monotonic() + within_s
        while True:
            page = self._context.client.call(
                calls.follow_feed(account, limit=MAX_LIMIT, q=self._q, from_end=True, before=before)
            )
            self.end = self.end or page.next
            found = [line for line in page.data if line.kind in KINDS]
            self.lines = [*found, *self.lines][-LAST_LINES:]
            if page.reset:
                return  # the server has another database now
            before = page.before
            if before is None or len(self.lines) == LAST_LINES:
                self.searched_to = None
                return
            self.searched_to = page.searched_to
            if time.monotonic() > end:
                return
            self._context.out.progress(
                f"searched back to {self.searched_to}; {len(self.lines)} of {LAST_LINES} lines"
            )


def _follow(context: CommandContext, position: str, q: str | None, room: int) -> None:
    while True:
        page = _next_page(context, position, q)
        if page.reset:
            context.out.note("some lines are missing: the server no longer stores them")
        room = _write_all(context, [line for line in page.data if line.kind in KINDS], room)
        position = page.next


def _next_page(context: CommandContext, position: str, q: str | None) -> FeedPage:
    """Wait for changes, and for the server while it is away."""
    call = calls.follow_feed(context.account, after=position, wait_s=_WAIT_S, limit=MAX_LIMIT, q=q)
    context.out.flush()
    away: set[str] = set()  # the reasons shown
    while True:
        try:
            page = context.client.call(call)
        except (NoServer, Unavailable) as error:
            if error.detail not in away:
                context.out.note(f"{error.detail}; reconnecting")
            away.add(error.detail)
            time.sleep(_AGAIN_S)
            continue
        except Refused:
            if not away:
                raise
            # The server has another database now: all of its lines are new.
            context.out.note("the server's database was replaced; following the new one")
            call = calls.follow_feed(context.account, limit=MAX_LIMIT, q=q, from_end=True)
            continue
        if away:
            context.out.note("connected again")
        return page


def _write_all(context: CommandContext, lines: list[FeedLine], room: int) -> int:
    """Write lines; return the cells of the longest event type so far, for those that follow."""
    types = (line.read(AttemptLine).event_type for line in lines if line.kind == "attempt")
    room = max([room, *map(len, types)])
    for line in lines:
        _write(context, line, room)
    return room


def _write(context: CommandContext, line: FeedLine, room: int) -> None:
    if context.json:
        context.out.json_line(line.fields)
    elif line.kind == "attempt":
        context.out.line(*_attempt(line.read(AttemptLine), room))
    elif line.kind == "hook":
        context.out.line(_time(line.at), f"  hook {line.fields.get('id', '?')}  ", _hook(line))
    elif line.kind == "alert":
        change, summary = line.fields.get("change", "?"), line.fields.get("summary", "")
        context.out.line(_time(line.at), f"  alert {change}  {summary}")
    else:
        context.out.line(_time(line.at), f"  {line.kind}  {_engine(line)}")


def _attempt(attempt: AttemptLine, room: int) -> list[Piece]:
    error = attempt.error if attempt.error not in (None, "status") else None
    detail = f" {attempt.error_detail}" if attempt.error_detail else ""
    answered = str(attempt.status_code or "---")
    outcome = status("retried" if attempt.status == "pending" else attempt.status)
    return [
        _time(attempt.started_at),
        f"  hook {attempt.hook:<4} {attempt.event_type:<{room}} #{attempt.number:<3} {answered:<4}",
        f"{took(attempt.phases_ms.total):>7}  ",
        outcome,
        f"  {error}{detail}" if error else "",
    ]


def _hook(line: FeedLine) -> str:
    change = line.fields.get("change")
    if isinstance(change, str):
        detail = line.fields.get("reason") or line.fields.get("name")
        return f"{change}: {detail}" if detail else change
    if line.fields.get("deleted") or "active" not in line.fields:
        return "deleted"
    if line.fields["active"]:
        return f"changed: {line.fields.get('name', '')}"
    return f"disabled: {line.fields.get('disabled_reason') or 'by hand'}"


def _engine(line: FeedLine) -> str:
    paused = line.fields.get("paused")
    if paused is None:
        return "resumed"
    return f"paused by {paused.get('by', '?')}" if isinstance(paused, dict) else "paused"


def _time(at: str) -> Styled:
    return Styled(clock(at), "dim")
