#!/usr/bin/env python3
"""Make the pictures of the console: ``python screenshots/make.py [--check]``.

The real console, driven by keys, on the real API and a real store in a temporary folder, with one
clock that stands still: the same bytes each time. ``--check`` writes nothing and ends with 1 when a
picture would change.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).parent
DRAWN_WITH = HERE / "drawn-with.txt"
sys.path[:0] = [str(HERE.parent), str(HERE)]

# Before anything of ours or of Textual is imported, for these are read then.
for _name in [name for name in os.environ if name.startswith(("HOOKTUI_", "TEXTUAL_"))]:
    del os.environ[_name]
for _name in ("NO_COLOR", "TMUX"):
    os.environ.pop(_name, None)
os.environ |= {"TZ": "UTC", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
os.environ |= {"TEXTUAL_ANIMATIONS": "none"}
time.tzset()

from still_clock import StillClock, install

from hooktui.domain.clock import from_rfc3339, to_rfc3339

DAY_MS = 24 * 3600 * 1000
NOW_MS = from_rfc3339("2026-11-24T09:41:17Z")
CLOCK = StillClock(NOW_MS - 9 * DAY_MS)
install(CLOCK)

from recorded_day import ACCOUNT, RecordedDay, settings_of
from textual.pilot import Pilot

from hooktui.api import access, identity, status
from hooktui.api.app import make_app
from hooktui.api.crowd import Crowd
from hooktui.api.http import Listener
from hooktui.api.peers import Names
from hooktui.api.service import Service
from hooktui.client import AsyncClient, ServerAddress, calls
from hooktui.console.app import HooktuiApp
from hooktui.console.options import ConsoleOptions
from hooktui.domain.catalogue import ETL, type_ids
from hooktui.domain.deliveries import Load
from hooktui.domain.errors import Unavailable
from hooktui.domain.ids import DeliveryId, HookId
from hooktui.domain.objects import DatabaseInfo
from hooktui.sockets import bind
from hooktui.sources.demo_hooks import DEMO_HOOKS
from hooktui.store.contract import Accepted, Offer
from hooktui.store.sqlite import SqliteStore

MONOSPACE = "Fira Code, DejaVu Sans Mono, Menlo, Consolas, monospace"
WIDE, NARROW = (120, 36), (80, 24)
PID = 4711
SETTLED_S, PATIENCE_S = 0.5, 20.0


class StillEngine:
    """Stands where the engine would, and sends nothing."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def accept(self, offers: Sequence[Offer]) -> list[Accepted]:
        """Store events; nobody sends them."""
        accepted, _ = await self._store.accept(offers)
        return accepted

    async def ping(self, hook: HookId, body: bytes) -> DeliveryId:
        """Send nothing."""
        raise Unavailable("the pictures are taken without sending anything")

    def load(self) -> Load:
        """Return what a calm morning looks like."""
        return Load(
            in_flight=1,
            accepted_per_s=0.4,
            delivered_per_s=1.7,
            failed_per_s=0.2,
            accepted=0,
            outcomes={},
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """One file: the size of the terminal, the way there, and what must be on it in the end."""

    name: str
    size: tuple[int, int]
    go: Callable[[Guide], Awaitable[None]]
    shows: str


class Guide:
    """A console and the hands on its keyboard."""

    def __init__(self, app: HooktuiApp, pilot: Pilot[None], client: AsyncClient) -> None:
        self.app = app
        self.pilot = pilot
        self.client = client

    async def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Press the keys of a text."""
        names = {" ": "space", "/": "slash", ":": "colon", ".": "full_stop", "-": "minus"}
        await self.pilot.press(*(names.get(letter, letter) for letter in text))

    async def listed(self) -> None:
        """Wait until the home screen is complete."""
        await self.sees("Retired CI")
        await self.sees("job.")
        await self.settled()

    async def sees(self, text: str) -> None:
        """Wait until a text is on the screen."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.screen():
            if time.monotonic() > deadline:
                raise SystemExit(f"{text!r} did not appear; this did:\n{self.screen()}")
            await self.pilot.pause(0.05)

    async def settled(self) -> None:
        """Wait until the screen has not changed for a moment."""
        before, since = "", time.monotonic()
        while time.monotonic() - since < SETTLED_S:
            now = self.app.export_screenshot()
            if now != before:
                before, since = now, time.monotonic()
            await self.pilot.pause(0.05)

    def screen(self) -> str:
        """Return what is on the screen, as text."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text for strip in strips)


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
    guide.app.open_delivery(most.id)


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
    guide.app.open_event(next(one for one in page.data if one.skipped).id)


async def engine(guide: Guide) -> None:
    await guide.listed()
    await guide.press("4")


async def audit(guide: Guide) -> None:
    await guide.listed()
    await guide.press("5")


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
    Picture("secret", WIDE, secret, "Data warehouse"),
    Picture("hook", WIDE, hook, "ERP bridge"),
    Picture("hook-health", WIDE, health, "p95"),
    Picture("hook-history", WIDE, history, "Hook made"),
    Picture("delivery", WIDE, delivery, "503"),
    Picture("events", WIDE, events, "job."),
    Picture("event", WIDE, event, "disabled"),
    Picture("engine", WIDE, engine, "breaker"),
    Picture("audit", WIDE, audit, "hook.create"),
    Picture("tokens", WIDE, tokens, "grafana"),
    Picture("accounts", WIDE, accounts, "staging"),
    Picture("help", WIDE, keys, "Enter runs one"),
)


@asynccontextmanager
async def recorded_server(folder: Path) -> AsyncIterator[ServerAddress]:
    """Run the API over a store that holds the recorded day."""
    # The picture names an admin and a place, not whoever makes it, nor where.
    identity.names_of = lambda _peer: Names("dana", frozenset())
    access.origin_of = lambda _peer: f"unix pid={PID} uid=1000"
    status.os = SimpleNamespace(getpid=lambda: PID)
    store = await SqliteStore.open(folder / "hooktui.db", key_file=folder / "hooktui.key")
    store.info = partial(told, store.info)
    service = Service(
        store=store,
        engine=StillEngine(store),
        catalogue=ETL,
        event_types=frozenset(type_ids(ETL)),
        judge_url=nothing_to_say,
        version="0.1.0",
        started_at=to_rfc3339(CLOCK()),
        name="etl-01",
    )
    address = ServerAddress(socket=folder / "hooktui.sock")
    crowd = Crowd(service.limits.connections)
    listener = Listener(make_app(service), bind(address.socket, 0o600), crowd)
    await listener.start()
    try:
        async with AsyncClient(address) as client:
            hooks = {}
            for demo_hook in DEMO_HOOKS:
                made = await client.call(calls.create_hook(ACCOUNT, settings_of(demo_hook)))
                hooks[made.id] = demo_hook
        CLOCK.go_to(NOW_MS - DAY_MS)
        await RecordedDay(store, CLOCK, hooks).record(NOW_MS)
        CLOCK.go_to(NOW_MS)
        yield address
    finally:
        service.stopping.set()
        await listener.stop()
        await store.close()


async def told(info: Callable[[], Awaitable[DatabaseInfo]]) -> DatabaseInfo:
    """Return what a server says of its database, with the place and size of one that stands."""
    return replace(
        await info(), location="/var/lib/hooktui/hooktui.db", size=2_650_112, wal_size=411_032
    )


async def nothing_to_say(_url: str) -> None:
    """Judge URLs without looking up names: the addresses of the pictures do not exist."""


async def draw(picture: Picture, address: ServerAddress) -> str:
    """Return a picture as SVG."""
    app = HooktuiApp(ConsoleOptions(connect=str(address.socket)), environ=dict(os.environ))
    async with app.run_test(size=picture.size) as pilot, AsyncClient(address) as client:
        guide = Guide(app, pilot, client)
        await picture.go(guide)
        await guide.sees(picture.shows)
        # Not the temporary folder, which has another name each time.
        app.link.where = "local server"
        for screen in app.house_screens():
            screen.refresh_frame()
        await guide.settled()
        return self_contained(app.export_screenshot(title="hooktui"))


def self_contained(svg: str) -> str:
    """Return a picture that loads no font from elsewhere; any monospace one will do."""
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace(
        "Fira Code, monospace", MONOSPACE
    )


async def draw_all() -> dict[str, str]:
    """Return all pictures by name."""
    with tempfile.TemporaryDirectory(prefix="hooktui-pictures-") as folder:
        async with recorded_server(Path(folder)) as address:
            return {picture.name: await draw(picture, address) for picture in PICTURES}


def versions() -> str:
    """Return what the pictures depend on besides ourselves: other versions draw otherwise."""
    return "".join(f"{name} {version(name)}\n" for name in ("textual", "rich"))


def main() -> int:
    """Write the pictures, or compare them with those that are there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if one would change")
    check = parser.parse_args().check
    changed = []
    for name, svg in asyncio.run(draw_all()).items():
        path = HERE / f"{name}.svg"
        if not path.exists() or path.read_text(encoding="utf-8") != svg:
            changed.append(path.name)
            if not check:
                path.write_text(svg, encoding="utf-8")
    if not check:
        DRAWN_WITH.write_text(versions(), encoding="utf-8")
    print(f"{'would change' if check else 'written'}: {', '.join(changed) or 'nothing'}")
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
