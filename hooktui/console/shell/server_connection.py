"""The connection to the server, which all calls use: connects to a server, or starts one."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.domain.errors import HooktuiError, NoServer, NotAllowed, Unauthenticated
from hooktui.domain.roles import restricted

if TYPE_CHECKING:
    from hooktui.client.address import ServerAddress
    from hooktui.client.async_client import AsyncClient
    from hooktui.client.calls import Call

T = TypeVar("T")

RESPONDS_WITHIN_S = 10.0
"""A server that takes longer is stopped or hangs, and its last changes must not pass for new."""
AGAIN_S = 2.0
"""Wait between two attempts to connect to a server that does not respond."""


class ConnectionState(Enum):
    """The state of the connection, with its text for the status line."""

    CONNECTING = "connecting…"
    STARTING = "starting the server…"
    CONNECTED = "connected"
    ABSENT = "not connected, trying again…"
    LOST = "connection lost, reconnecting…"
    REFUSED = "access denied, trying again…"
    DENIED = "not allowed"


class ServerConnection:
    """A connection to one server, which is located once and reconnected as often as needed.

    Attributes:
        state: the state of the connection.
        where: the address of the server, for display.
        problem: why it cannot be used; empty while it can, or after a server has ended.
        started: whether this console started the server.
        is_service: whether it is the system service, which systemd starts and no console does.
        bound_to: the only account that the token can access; None for all accounts.
        read_to_ms: the time of the last change read, while later ones are left; None: none is left.
    """

    def __init__(
        self,
        options: ConsoleOptions,
        environ: Mapping[str, str],
        on_change: Callable[[ConnectionState, HooktuiError | None], None],
    ) -> None:
        self.state = ConnectionState.CONNECTING
        self.where = options.connect or "local server"
        self.problem = ""
        self.started = False
        self.is_service = False
        self.bound_to: int | None = None
        self.read_to_ms: int | None = None
        self._options = options
        self._environ = environ
        self._on_change = on_change
        self._client: AsyncClient  # set by `open`, before the server is reached
        self._reached = asyncio.Event()
        self._listens = False  # a server that cannot be used may hang, or respond with an error

    @property
    def word(self) -> str:
        """The text of the state, for the status line."""
        away = self.state in (ConnectionState.ABSENT, ConnectionState.LOST)
        if away and self._listens:
            return "the server is not available, trying again…"
        if away and self.is_service:
            return "the hooktui service is not running, reconnecting…"
        return self.state.value

    async def reached(self) -> None:
        """Wait until the server has been reached for the first time."""
        await self._reached.wait()

    async def send(self, call: Call[T]) -> T:
        """Send a call and return its response, once the server has been reached the first time.

        Raises:
            HooktuiError: the server refused the call, or cannot be reached.
        """
        await self._reached.wait()
        try:
            return await self._client.call(call)
        except HooktuiError as error:
            _name_screen(error)
            raise

    async def follow(self, call: Call[T]) -> AsyncGenerator[T]:
        """Send a call like `send` and yield the lines of its streamed response as they arrive.

        Raises:
            HooktuiError: as `send`.
        """
        await self._reached.wait()
        try:
            async with aclosing(self._client.lines(call)) as lines:
                async for line in lines:
                    yield line
        except HooktuiError as error:
            _name_screen(error)
            raise

    async def open(self) -> None:
        """Connect to the server; start a local one if none is running.

        Return once it responds; keep trying until then.
        """
        # Imported here because httpx takes 100 ms to import, and the first paint does not need it.
        # If click is installed, httpx also imports its own command with lexers, which takes 40 ms.
        sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
        from hooktui.client.address import find_server
        from hooktui.client.async_client import AsyncClient

        address = find_server(self._environ, self._options.connect)
        self.where = str(address)
        self.is_service = address.is_service
        client = self._client = AsyncClient(address, self._options.role)
        may_start = self._options.connect is None and not restricted(self._environ)
        not_started: HooktuiError | None = None
        while (problem := await self._problem(client)) is not None:
            if may_start and not self.is_service and isinstance(problem, NoServer):
                may_start = False
                not_started = await self._start(address)
            else:
                self.set_state(ConnectionState.ABSENT, not_started or problem)
                await asyncio.sleep(AGAIN_S)
        self.set_state(ConnectionState.CONNECTED)
        self._reached.set()

    async def _problem(self, client: AsyncClient) -> HooktuiError | None:
        """Return the error if no server responds, else None."""
        from hooktui.client.calls import server_status

        try:
            status = await client.call(replace(server_status(), timeout_s=RESPONDS_WITHIN_S))
            self.bound_to = status.bound_to
        except (NotAllowed, Unauthenticated) as error:
            self.set_state(ConnectionState.DENIED, error)
            # The app ends now; never try again, and never start a second server beside this one.
            await asyncio.Event().wait()
        except HooktuiError as error:
            return error
        return None

    async def _start(self, address: ServerAddress) -> NoServer | None:
        """Start a server, unless only a service may; return why it did not start, or None."""
        from hooktui.client.start import start_server
        from hooktui.installation import find_paths

        where = find_paths(self._environ)
        if address.socket is None or where.service:
            return None
        self.set_state(ConnectionState.STARTING)
        try:
            await asyncio.to_thread(start_server, where, self._environ)
        except NoServer as error:
            return error
        self.started = True
        return None

    def set_state(self, state: ConnectionState, problem: HooktuiError | None = None) -> None:
        """Set the state and report a change of it or of its cause, the error."""
        responds = not isinstance(problem, NoServer) or problem.listens
        self._listens = problem is not None and responds
        ended = state is ConnectionState.LOST and not self._listens
        words = "" if problem is None or ended else str(problem)
        if state is not self.state or words != self.problem:
            self.state, self.problem = state, words
            self._on_change(state, problem)


_SEE = re.compile(r"; see: hooktui (\w+) list$")
"""Advice of the server in its errors: the command that lists what there is."""
_SCREENS = {"replay": "replays"}
"""The words of the ``:`` line that differ from the name of the command."""


def _name_screen(error: HooktuiError) -> None:
    """Let an error that names a command of the shell name the screen of the console instead."""
    see = _SEE.search(error.detail)
    if see is not None:
        error.detail = f"{error.detail[: see.start()]}; see :{_SCREENS.get(see[1], see[1])}"
        error.args = (error.detail,)
