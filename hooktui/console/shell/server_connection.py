"""The connection to the server: attach to one, or start one; every call uses it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
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

AGAIN_S = 2.0
"""Between two looks for a server that is not there."""


class ConnectionState(Enum):
    """The state of the connection, with its words in the status line."""

    CONNECTING = "connecting…"
    STARTING = "starting the server…"
    CONNECTED = "connected"
    ABSENT = "no server yet, looking again…"
    LOST = "server lost, reconnecting…"
    REFUSED = "the server refuses us, asking again…"
    BARRED = "not allowed"


class ServerConnection:
    """One server, found once and reached again as often as needed.

    Attributes:
        state: the state of the connection.
        where: the address of the server, for people.
        started: whether we started it.
        is_service: whether it is the system service, which systemd starts and no console does.
        bound_to: the one account that our token may touch; None: all.
    """

    def __init__(
        self,
        options: ConsoleOptions,
        environ: Mapping[str, str],
        on_change: Callable[[ConnectionState, HooktuiError | None], None],
    ) -> None:
        self.state = ConnectionState.CONNECTING
        self.where = options.connect or "local server"
        self.started = False
        self.is_service = False
        self.bound_to: int | None = None
        self._options = options
        self._environ = environ
        self._on_change = on_change
        self._client: AsyncClient | None = None
        self._reached = asyncio.Event()

    @property
    def word(self) -> str:
        """The state in words."""
        if self.is_service and self.state in (ConnectionState.ABSENT, ConnectionState.LOST):
            return "the hooktui service is not running, reconnecting…"
        return self.state.value

    async def reached(self) -> None:
        """Wait until the server was reached the first time."""
        await self._reached.wait()

    async def send(self, call: Call[T]) -> T:
        """Wait until the server was reached the first time; send a call, return its response.

        Raises:
            HooktuiError: the server refused, or cannot be reached.
        """
        await self._reached.wait()
        if self._client is None:
            raise NoServer("the console is closing")
        return await self._client.call(call)

    async def follow(self, call: Call[T]) -> AsyncGenerator[T]:
        """Do the same for a call whose response comes in lines; yield each as it comes.

        Raises:
            HooktuiError: as `send`.
        """
        await self._reached.wait()
        if self._client is None:
            raise NoServer("the console is closing")
        async with aclosing(self._client.lines(call)) as lines:
            async for line in lines:
                yield line

    async def open(self) -> None:
        """Reach the server; start one where there should be a local one and is none.

        Returns once it responds; it keeps trying until then.
        """
        # Here, not above: httpx takes 100 ms to import, and the first paint does not need it.
        # Where click is installed httpx brings a command of its own, with lexers: 40 ms of those.
        sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
        from hooktui.client.address import find_server
        from hooktui.client.async_client import AsyncClient

        address = find_server(self._environ, self._options.connect)
        self.where = str(address)
        self.is_service = address.is_service
        client = self._client = AsyncClient(address, self._options.role)
        may_start = self._options.connect is None and not restricted(self._environ)
        while (problem := await self._problem(client)) is not None:
            if may_start and not self.is_service:
                may_start = False
                await self._start(address)
            else:
                self.set_state(ConnectionState.ABSENT, problem)
                await asyncio.sleep(AGAIN_S)
        self.set_state(ConnectionState.CONNECTED)
        self._reached.set()

    async def _problem(self, client: AsyncClient) -> HooktuiError | None:
        """Return why no server responds; None: one does."""
        from hooktui.client.calls import server_status

        try:
            self.bound_to = (await client.call(server_status())).bound_to
        except (NotAllowed, Unauthenticated) as error:
            self.set_state(ConnectionState.BARRED, error)
            # The app ends now; never look on, and never start a second server beside this one.
            await asyncio.Event().wait()
        except HooktuiError as error:
            return error
        return None

    async def _start(self, address: ServerAddress) -> None:
        from hooktui.client.start import start_server
        from hooktui.installation import find_places

        where = find_places(self._environ)
        if address.socket is None or where.service:
            return
        self.set_state(ConnectionState.STARTING)
        try:
            await asyncio.to_thread(start_server, where, self._environ)
        except NoServer as error:
            self.set_state(ConnectionState.ABSENT, error)
        else:
            self.started = True

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.close()

    def set_state(self, state: ConnectionState, problem: HooktuiError | None = None) -> None:
        """Note a state, and why it is one; a change of it is reported."""
        if state is not self.state:
            self.state = state
            self._on_change(state, problem)
