"""The pictures: the way to each, by keys where a person would use keys.

Those whose way changes something in the store come last, so that the others show the day alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from guide import Guide
from recorded_day import ACCOUNT

from hooktui.client import calls
from hooktui.console.frame.screen import front_screen

WIDE, NARROW = (120, 36), (80, 24)


@dataclass(frozen=True, slots=True)
class Picture:
    """One file: the size of the terminal, the way there, and what must be on it in the end."""

    name: str
    size: tuple[int, int]
    go: Callable[[Guide], Awaitable[None]]
    shows: str


async def home(guide: Guide) -> None:
    await guide.listed()


async def live_log(guide: Guide) -> None:
    await guide.listed()
    await guide.press("2")


async def new_hook(guide: Guide) -> None:
    await guide.listed()
    await guide.press("n", "enter")
    await guide.sees("URL")
    await guide.type("https://hooks.ops.example/etl")
    await guide.press("tab")
    await guide.type("Incident bot")
    await guide.press("tab", "tab", "space", "end", "space")


async def secret(guide: Guide) -> None:
    await guide.listed()
    await guide.press("s")


async def hook(guide: Guide) -> None:
    await guide.listed()
    await guide.press("down", "down", "down", "down", "enter")


async def delivery(guide: Guide) -> None:
    """Open the delivery with most attempts among those that still wait."""
    await guide.listed()
    waiting = await guide.client.call(calls.list_deliveries(ACCOUNT, status="pending", limit=100))
    most = max(waiting.data, key=lambda one: (one.attempts, one.id))
    guide.app.navigation.open_delivery(most.id)


async def health(guide: Guide) -> None:
    await hook(guide)
    await guide.sees("Deliveries")
    await guide.press("right_square_bracket")


async def history(guide: Guide) -> None:
    await hook(guide)
    await guide.sees("Deliveries")
    await guide.press(*["right_square_bracket"] * 4)


async def events(guide: Guide) -> None:
    await guide.listed()
    await guide.press("3")


async def event(guide: Guide) -> None:
    """Open the newest event that a hook was skipped for."""
    await guide.listed()
    page = await guide.client.call(calls.list_events(ACCOUNT, limit=100))
    guide.app.navigation.open_event(next(one for one in page.data if one.skipped).id)


async def undelivered(guide: Guide) -> None:
    await guide.listed()
    await guide.type("8")
    await guide.sees("[All]")
    await guide.settled()
    await guide.press("right_square_bracket")


async def replay(guide: Guide) -> None:
    """Plan a replay of what a receiver responded 5xx to, from the list of groups."""
    await undelivered(guide)
    await guide.sees("http_5xx")
    await guide.settled()
    await guide.press("down", "down", "down", "R")


async def alerts(guide: Guide) -> None:
    await guide.listed()
    await guide.press("9")


async def engine(guide: Guide) -> None:
    await guide.listed()
    await guide.press("4")


async def audit(guide: Guide) -> None:
    await guide.listed()
    await guide.press("5")


async def audit_entry(guide: Guide) -> None:
    """Open the newest entry: the hook whose receiver is gone."""
    await audit(guide)
    await guide.sees("hook.create")
    await guide.press("enter")


async def emit(guide: Guide) -> None:
    await events(guide)
    await guide.sees("received")
    await guide.press("E")
    await guide.sees("Job")
    await guide.type("failed")


async def compare(guide: Guide) -> None:
    """Compare the last two attempts of the delivery that has most."""
    await delivery(guide)
    await guide.sees("503")
    await guide.settled()
    await guide.press("D")


async def edit(guide: Guide) -> None:
    """Tick one type more, and see which events that would have meant."""
    await guide.listed()
    await guide.press("end", "e")
    await guide.sees("Would have received")
    await guide.settled()
    await guide.press(*["tab"] * 3, *["down"] * 3, "space")
    await guide.settled()
    await guide.press("tab", "tab", "enter")


async def delete(guide: Guide) -> None:
    await guide.listed()
    await guide.press("down", "down", "down", "down", "d")


async def palette(guide: Guide) -> None:
    """Type what fits commands and a hook; the palette is complete once nothing is asked any more."""
    await guide.listed()
    await guide.press("ctrl+p")
    await guide.settled()
    await guide.type("pa")


async def command(guide: Guide) -> None:
    """Let Tab tell how a filter goes on."""
    await guide.listed()
    await guide.type(":log st")
    await guide.press("tab", "tab")


async def rotated(guide: Guide) -> None:
    """Rotate the secret: for a day both are valid."""
    await guide.listed()
    await guide.press("down", "down", "s")
    await guide.sees("Slack relay")
    await guide.settled()
    await guide.press("t")
    await guide.sees("24 hours")
    await guide.press("d")
    await guide.sees("a new secret is valid")
    front_screen(guide.app).notices.clear()


async def diagnosis(guide: Guide) -> None:
    await guide.listed()
    await guide.press("down", "down", "down", "down", "x")
    await guide.sees("To do:")
    await guide.sees("Certificate 2")


async def tokens(guide: Guide) -> None:
    await guide.listed()
    for name, role in (("ci", "producer"), ("grafana", "viewer"), ("on call", "operator")):
        await guide.client.call(calls.create_token({"name": name, "role": role}))
    await guide.press("6")


async def accounts(guide: Guide) -> None:
    await guide.listed()
    await guide.client.call(calls.create_account("staging"))
    await guide.press("7")


async def keys(guide: Guide) -> None:
    await guide.listed()
    await guide.press("question_mark")


PICTURES = (
    Picture("hooks", WIDE, home, "Ops pager"),
    Picture("hooks-80x24", NARROW, home, "Ops pager"),
    Picture("live-log", WIDE, live_log, "job.completed"),
    Picture("new-hook", WIDE, new_hook, "hooks.ops.example"),
    Picture("edit-hook", WIDE, edit, "Finance audit"),
    Picture("delete-hook", WIDE, delete, "Cancel"),
    Picture("secret", WIDE, secret, "Data warehouse"),
    Picture("hook", WIDE, hook, "ERP bridge"),
    Picture("hook-health", WIDE, health, "p95"),
    Picture("hook-history", WIDE, history, "Hook created"),
    Picture("delivery", WIDE, delivery, "503"),
    Picture("delivery-compare", WIDE, compare, "503"),
    Picture("events", WIDE, events, "job."),
    Picture("event", WIDE, event, "disabled"),
    Picture("emit", WIDE, emit, "JSON"),
    Picture("undelivered", WIDE, undelivered, "http_5xx"),
    Picture("replay", WIDE, replay, "pending retries"),
    Picture("alerts", WIDE, alerts, "is failing"),
    Picture("engine", WIDE, engine, "breaker"),
    Picture("audit", WIDE, audit, "hook.create"),
    Picture("audit-entry", WIDE, audit_entry, "410 Gone"),
    Picture("help", WIDE, keys, "Enter runs one"),
    Picture("palette", WIDE, palette, "pager"),
    Picture("command", WIDE, command, "cancelled"),
    Picture("diagnosis", WIDE, diagnosis, "✗ fail"),
    Picture("secret-rotated", WIDE, rotated, "Slack relay"),
    Picture("tokens", WIDE, tokens, "grafana"),
    Picture("accounts", WIDE, accounts, "staging"),
)
