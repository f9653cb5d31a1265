"""A real server for the console's tests, a receiver for it to call, and the console on it."""

import itertools
import os
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from textual import _wait
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from hooktui.client.start import start_server
from hooktui.console.app import ConsoleApp
from hooktui.console.frame.chosen_rows import ChosenRows
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.registry import BY_NAME
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.domain.paths import paths_of
from tests.console.client import Client
from tests.console.screen_text import seen, until
from tests.support.receivers import Receiver, receiving

_numbers = itertools.count(2)
ROOT = Path(__file__).parents[2]


# The pilot waits until the console is idle, after each key: look whether it is more often.
_wait.SLEEP_GRANULARITY, _wait.SLEEP_IDLE = 0.01, 0.0005

_parse = Stylesheet._parse_rules
_parsed: dict[Hashable, list[RuleSet]] = {}


def _parse_once(self: Stylesheet, *source: Hashable, **more: Hashable) -> list[RuleSet]:
    """Parse a style sheet, unless an earlier console of this process had it in the same theme."""
    key = (tuple(self._variables.items()), source, tuple(more.items()))
    if key not in _parsed:
        _parsed[key] = _parse(self, *source, **more)  # type: ignore[arg-type]
    return _parsed[key]


Stylesheet._parse_rules = _parse_once  # type: ignore[method-assign,assignment]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Run one server for all tests; return the environment that leads to it."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOOKTUI_HOME": str(tmp_path_factory.mktemp("home")),
        "HOOKTUI_ALLOW_NETWORKS": "127.0.0.0/8",
        "TERM": "xterm-256color",
    }
    process = start_server(paths_of(environ), environ)
    yield environ
    process.terminate()
    process.wait(20)


@pytest.fixture
def api(served: dict[str, str]) -> Iterator[httpx.Client]:
    """The HTTP API on the server's socket, past the console."""
    transport = httpx.HTTPTransport(uds=str(paths_of(served).socket), verify=False)
    with httpx.Client(transport=transport, base_url="http://localhost", timeout=30) as client:
        yield client


@pytest.fixture
def account(api: httpx.Client) -> int:
    """The number of an account of its own, so that tests do not see one another's hooks."""
    answer = api.post("/v1/accounts", json={"name": f"account {next(_numbers)}"})
    assert answer.status_code == 201, answer.text
    number: int = answer.json()["id"]
    return number


@pytest.fixture
def make_hook(api: httpx.Client, account: int, receiver: Receiver) -> Callable[..., dict[str, Any]]:
    """Make a hook that sends to the receiver, unless told otherwise; return the API's object."""

    def make(**fields: object) -> dict[str, Any]:
        body = {"url": receiver.url, "events": ["job"], **fields}
        answer = api.post(f"/v1/hooks?account={account}", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    return make


SOON = ("is not loaded yet", "still loading", "still being drawn")
"""Words of the reasons for which a command is refused until an answer has come."""


class Console:
    """A running console as an admin sees it: keys in, text out."""

    def __init__(self, app: ConsoleApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def lines(self) -> list[str]:
        """What the terminal shows."""
        return seen(self.pilot).split("\n")

    @property
    def text(self) -> str:
        """What the terminal shows, in one piece."""
        return seen(self.pilot)

    async def press(self, *keys: str) -> None:
        """Press keys; as a person does, each when what it acts on has been read and drawn.

        `pilot.press` is for those that are to come too soon.
        """
        for key in keys:
            await self.until(partial(self._is_ready_for, key))
            await self.pilot.press(key)

    def _is_ready_for(self, key: str) -> bool:
        screen = self.app.screen
        if not isinstance(screen, ConsoleScreen):
            return True
        if not screen.is_mounted:
            return False
        if isinstance(screen.focused, Input | TextArea):
            return True
        for listing in [part.listing for part in screen.parts if isinstance(part, ChosenRows)]:
            shown = all(node.display for node in listing.ancestors_with_self)  # not another tab
            if shown and (listing.undrawn or listing.choice.awaited):
                return False
        for name in screen.commands_here():
            if key in BY_NAME[name].keys.split(","):
                reason = screen.disabled_reason(name) or screen.not_ready_reason(name) or ""
                return not any(words in reason for words in SOON)
        return True

    async def open_hook(self, hook: int) -> None:
        """Open a hook and wait until it is read: its deliveries may be there before, and keys that
        act on the hook say until then that it is not loaded yet.
        """
        self.app.navigation.open_hook(hook)
        await self.until(lambda: getattr(self.app.screen, "hook", None) is not None)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        await until(self.pilot, condition)

    async def shows(self, *texts: str) -> None:
        """Wait until all of these stand on the screen."""
        await until(self.pilot, lambda: all(text in self.text for text in texts))

    async def hides(self, *texts: str) -> None:
        """Wait until none of these stands on the screen."""
        await until(self.pilot, lambda: not any(text in self.text for text in texts))


@pytest.fixture
def open_console(
    served: dict[str, str], account: int
) -> Callable[..., AbstractAsyncContextManager[Console]]:
    """Run a console of the test's account; options are those of `ConsoleOptions`."""

    @asynccontextmanager
    async def opened(size: tuple[int, int] = (140, 36), **options: Any) -> AsyncIterator[Console]:
        app = ConsoleApp(ConsoleOptions(**{"account": account, **options}), environ=served)
        async with app.run_test(size=size) as pilot:
            yield Console(app, pilot)

    return opened


@pytest.fixture
def client(served: dict[str, str], account: int) -> Iterator[Client]:
    """A client of the account of the test, past the console."""
    one = Client(served, account)
    yield one
    one.close()
