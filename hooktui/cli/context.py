"""The context of a command: global options, streams and the client."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, TypeVar

from cyclopts import Parameter, Token

from hooktui.cli.exit_codes import UsageError
from hooktui.cli.options import GlobalOptions
from hooktui.cli.output import Output
from hooktui.client.address import ServerAddress, find_server
from hooktui.client.responses import reason
from hooktui.client.sync_client import PlainClient, decoded
from hooktui.domain.errors import HooktuiError
from hooktui.domain.paths import with_absolute_paths
from hooktui.domain.roles import not_here, restricted
from hooktui.domain.setting import decimal_number, whole_number
from hooktui.domain.text import counted, visible

if TYPE_CHECKING:
    from hooktui.client.calls import Call

T = TypeVar("T")

_MAX_VALUE_BYTES = 64 * 1024


class CommandContext:
    """One run of a command.

    Args:
        options: the global ones.
        environ: such as ``os.environ``.

    Attributes:
        environ: the same with absolute paths: some commands change the working folder.
        interrupted: the note that ctrl+c leaves: what was done, and what continues at the server.
        unfinished: the note that an error leaves: what was done before it; empty if nothing was.
        done: the note that lost output leaves: how much of the input the server has; empty: all.
    """

    def __init__(self, options: GlobalOptions, environ: Mapping[str, str]) -> None:
        self.options = options
        self.environ = with_absolute_paths(environ)
        dumb = environ.get("TERM") == "dumb"
        color = not (dumb or options.no_color or environ.get("NO_COLOR")) and sys.stdout.isatty()
        self.out = Output(sys.stdout, sys.stderr, color=color, quiet=options.quiet, dumb=dumb)
        self.interrupted = self.unfinished = self.done = ""
        self._stdin_taken = False

    @property
    def account(self) -> int | None:
        """The account given with ``--account``; None: the server chooses."""
        return self.options.account

    @property
    def json(self) -> bool:
        """Whether to write JSON."""
        return self.options.json

    @cached_property
    def address(self) -> ServerAddress:
        """The address of the server.

        Raises:
            UsageError: ``--connect`` or ``HOOKTUI_TOKEN`` is wrong.
        """
        try:
            return find_server(self.environ, self.options.connect)
        except ValueError as error:
            raise UsageError(str(error)) from error

    @cached_property
    def client(self) -> PlainClient:
        """The client; its first call connects."""
        return PlainClient(self.address, self.options.role)

    @property
    def changed(self) -> bool:
        """Whether the server has made a change for this command."""
        return "client" in self.__dict__ and self.client.changed

    def ask(self, call: Call[T]) -> T | None:
        """Send a call and return its value; with ``--json`` write the response and return None.

        Raises:
            HooktuiError: the server refused the call, or does not respond.
        """
        response = self.client.response_json(call)
        if self.json:
            self.out.json(response)
            return None
        return decoded(call, self.address, response)

    def response(self, call: Call[T]) -> tuple[object, T]:
        """Send a call and return its response, as JSON and as a value.

        Raises:
            HooktuiError: as `ask`.
        """
        response = self.client.response_json(call)
        return response, decoded(call, self.address, response)

    def in_parts(self, count: int, noun: str) -> None:
        """Before each part of long work at the server: have ctrl+c and errors report what is done.

        ``count`` things, by their singular noun, were changed by the parts before.
        """
        done = counted(count, noun)
        self.interrupted = (
            f"interrupted after {done}; the server finishes the part in progress; run the command"
            " again for the rest"
        )
        if count:
            self.unfinished = f"the command failed after {done}; run it again for the rest"

    def close(self) -> None:
        """End the progress line, and close the client, if there is one."""
        self.out.end_progress()
        if "client" in self.__dict__:
            self.client.close()

    def open_input(self, name: str | None) -> BinaryIO:
        """Open a FILE argument; ``-`` and None are stdin, which only one value may be read from.

        Raises:
            UsageError: it cannot be read.
            NotAllowed: it is a file, and the mode is restricted.
        """
        if name is None or name == "-":
            if self._stdin_taken:
                raise UsageError("only one value can be read from stdin (-)")
            self._stdin_taken = True
            if sys.stdin.isatty():
                self.out.note("reading from the terminal; ctrl+d ends it")
            return sys.stdin.buffer
        if restricted(self.environ):
            raise not_here("reading a file")
        try:
            return file_path(name).open("rb")
        except (OSError, ValueError) as error:
            hint = "; to send JSON itself, write it to stdin" if "{" in name or "[" in name else ""
            raise UsageError(f"cannot read {name}: {reason(error)}{hint}") from error

    def secret_value(self, option: str, text: str) -> str:
        """Return a value that may be given as ``@FILE`` or ``-`` (stdin); one line break is cut.

        Raises:
            UsageError: it cannot be read, or is empty.
            NotAllowed: it is a file, and the mode is restricted.
        """
        if text != "-" and not text.startswith("@"):
            return text
        with self.open_input(text if text == "-" else text[1:]) as stream:
            try:
                content = stream.read(_MAX_VALUE_BYTES + 1)
                if len(content) > _MAX_VALUE_BYTES:
                    raise UsageError(f"{option}: {text} is over 64 KiB")
                value = content.decode("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"{option}: cannot read {text}: {reason(error)}") from error
        value = value.removesuffix("\n").removesuffix("\r")
        if not value:  # such as the output of a command that failed: it must not remove a header
            source = "stdin" if text == "-" else text
            raise UsageError(f"{option}: {source} is empty; it must hold the value")
        return value

    @property
    def can_ask(self) -> bool:
        """Whether stdin is a terminal, so that a question can be answered."""
        return sys.stdin.isatty()

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before an action that cannot be undone.

        Raises:
            UsageError: stdin is not a terminal, and ``--yes`` was not given.
            Declined: the user did not answer yes.
        """
        if yes:
            return
        if not self.can_ask:
            raise UsageError(f"{question} Confirm with --yes")
        sys.stderr.write(f"{visible(question)} [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Declined("nothing was done")


def file_path(name: str) -> Path:
    """Return the absolute path of a FILE argument; the working folder may change later.

    Raises:
        UsageError: it is empty, which `Path` takes for the working folder.
    """
    if not name:
        raise UsageError("the name of the file is empty; give a file")
    return Path(name).absolute()


class Declined(HooktuiError):
    """The user declined."""

    title = "Declined"


Context = Annotated[CommandContext, Parameter(parse=False)]
"""Annotates the parameter of a command that is not on the command line."""


def _whole_number(_kind: object, tokens: Sequence[Token]) -> int:
    """Return a number of digits; cyclopts rounds ``1.6`` to 2 and reads ``0x10``."""
    text = tokens[0].value
    number = whole_number(text.removeprefix("-"))
    return -number if text.startswith("-") else number


def _decimal_number(_kind: object, tokens: Sequence[Token]) -> float:
    """Return a finite number; JSON has no other."""
    return decimal_number(tokens[0].value)


Number = Annotated[int, Parameter(converter=_whole_number)]
"""Annotates a whole number, such as the id of a hook."""

DecimalNumber = Annotated[float, Parameter(converter=_decimal_number)]
"""Annotates a number that may have decimals."""

Text = Annotated[str, Parameter(allow_leading_hyphen=True)]
"""Annotates a value that may begin with a hyphen, or be one: ``-`` stands for stdin."""
