"""The command table, and how a command is found, run and ended.

Each command lies in a module that is imported only when it is used.
"""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import BoundArguments
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from hooktui import __version__
from hooktui.cli.exit_codes import (
    BROKEN_PIPE,
    DONE,
    FAILED,
    INTERRUPTED,
    Failed,
    UsageError,
    report,
)
from hooktui.cli.options import HELP, GlobalOptions, restrict, split_options
from hooktui.domain.errors import HooktuiError
from hooktui.domain.roles import restricted
from hooktui.domain.text import cut, visible

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from cyclopts import App, CycloptsError

COMMANDS = (
    ("demo", "demo:demo", "Run a temporary account with sample jobs and an unreliable receiver."),
    ("serve", "server:serve", "Run the server."),
    ("stop", "server:stop", "Stop the server."),
    ("status", "server:status", "Show server status."),
    ("pause", "operations:pause", "Stop sending; events are still accepted and queued."),
    ("resume", "operations:resume", "Resume sending."),
    ("emit", "emit:emit", "Send an event, or many."),
    ("hooks", "hooks:app", "List, show, create, edit and test hooks."),
    ("events", "events:app", "List and show events and event types."),
    ("deliveries", "deliveries:app", "List, show, resend and cancel deliveries."),
    ("undelivered", "undelivered:app", "List, acknowledge, snooze and give up undelivered events."),
    ("replay", "replay:app", "Plan, run and control replays of past events."),
    ("alerts", "alerts:app", "List, show, acknowledge and snooze operator alerts."),
    ("log", "log:log", "Show delivery attempts; -f follows new ones."),
    ("listen", "listen:listen", "Run a receiver that shows requests and checks signatures."),
    ("verify", "listen:verify", "Verify a signature."),
    ("accounts", "access:accounts", "List and create accounts."),
    ("tokens", "access:tokens", "List, create and revoke tokens."),
    ("audit", "audit:app", "Show and verify the audit trail."),
    ("keys", "keys:app", "List and rotate the keys that encrypt secrets."),
    ("bench", "bench:bench", "Measure delivery throughput on this machine."),
    ("selftest", "selftest:selftest", "Verify that no event is lost, under load and at kills."),
    ("purge", "operations:purge", "Delete old events and their deliveries."),
    ("backup", "operations:backup", "Back up the database while the server is running."),
    ("restore", "operations:restore", "Restore the database from a backup."),
    ("move", "operations:move", "Migrate all data to PostgreSQL."),
    ("doctor", "doctor:doctor", "Check the installation and suggest fixes."),
    ("completion", "completion:completion", "Print the completion script of a shell."),
)
"""Name, where it is, and what it does, in the order of the help."""


_OUTPUT_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a write to standard output fails with when the disk behind it is full."""

_CONSOLE = "console"
_HELP = (
    "Sends webhooks. Without a command: the console, with --theme NAME, --ascii"
    " (ASCII characters only) and --no-mouse. `hooktui --version` prints the versions."
)
_HELP_FLAGS = ("--help", "-h")

_NUMBERS = ((int, "a whole number"), (float, "a number"))
_NARROWEST, _WIDEST = 20, 1000
"""Columns of a help text."""

_SHOWN = 60
"""Characters of a wrong argument that its error shows."""

_NEAR = re.compile(r'Did you mean "?([^"?\s]+)"?\?')


def command_table(wanted: str | None = None) -> App:
    """Return the commands, none of them imported.

    Args:
        wanted: the command that is run: its help is that of its function, which says more.
    """
    from cyclopts import App, Parameter

    app = App(
        name="hooktui",
        help=_HELP,
        help_epilogue=HELP,
        help_format="markdown",
        default_parameter=Parameter(show_default=False, negative=()),
        help_flags=_HELP_FLAGS,
        version_flags=[],
    )
    for index, (name, target, text) in enumerate(COMMANDS):
        given = {} if name == wanted else {"help": text}
        app.command(f"hooktui.cli.{target}", name=name, sort_key=index, **given)
    app.command("hooktui.cli.console:console", name=_CONSOLE, show=False)
    return app


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run a command line and return its exit code; nothing escapes as a traceback."""
    arguments = sys.argv[1:] if arguments is None else arguments
    environ = os.environ if environ is None else environ
    _prepare_streams()
    try:
        code = _run(arguments, environ)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:  # of the last output
        return _report_os_error(error, environ, as_json="--json" in arguments)
    return code


class _Messages(io.FileIO):
    """Standard error: a message that cannot be written must not fail what it is about."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:  # such as a full disk, or a program that reads no more
            return memoryview(data).nbytes


def _prepare_streams() -> None:
    """Replace closed streams by /dev/null; have a terminal without UTF-8 show escapes.

    With ``PYTHONUNBUFFERED``, which images of containers often set, Python writes a text once and
    loses what the system did not take, as when a signal comes. A buffer writes the rest.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
        elif mode == "w" and hasattr(stream, "reconfigure"):
            own = stream is getattr(sys, f"__{name}__")  # not one that catches output for a test
            lossy = own and name == "stderr" and not stream.isatty()
            if lossy or (own and isinstance(stream.buffer, io.RawIOBase)):
                raw = (_Messages if lossy else io.FileIO)(stream.fileno(), "wb", closefd=False)
                buffer = io.BufferedWriter(raw)
                stream = io.TextIOWrapper(buffer, stream.encoding, line_buffering=True)
                setattr(sys, name, stream)
                setattr(sys, f"__{name}__", stream)
            stream.reconfigure(errors="backslashreplace")


def _run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    as_json = "--json" in arguments
    try:
        options, rest = split_options(arguments)
        if rest[:1] == ["serve"]:
            # Before the server's own handler: a lost terminal must not end a server that starts.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if rest[:1] == ["--version"]:
            return _show_version()
        if not rest or (rest[0].startswith("-") and rest[0] not in _HELP_FLAGS):
            rest = [_CONSOLE, *rest]
        if restricted(environ):
            restrict(options, rest)
        if rest == [_CONSOLE]:
            # Nothing is left to parse, and what parses takes 60 ms of the time to the first paint.
            from hooktui.cli.open_console import open_console

            return open_console(options)
        return _run_command(options, environ, rest)
    except HooktuiError as error:
        return report(error, as_json=as_json)
    except BrokenPipeError:
        raise
    except OSError as error:
        return _report_os_error(error, environ, as_json=as_json)
    except Exception as error:
        return _report_bug(error, environ, as_json=as_json)


def _report_os_error(error: OSError, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Report an error of the system: that the output cannot be written, or a bug."""
    full = error.errno in _OUTPUT_FULL and error.filename is None
    if not full and _is_writable():
        return _report_bug(error, environ, as_json=as_json)
    _silence_stdout()  # else Python tries to write the rest at its end, and prints a traceback
    notes = getattr(error, "__notes__", ())
    text = "; ".join([f"cannot write the output: {error.strerror}", *notes])
    return report(Failed(text), as_json=as_json)


def _is_writable() -> bool:
    """Return whether the rest of the output can be written to standard output."""
    try:
        sys.stdout.flush()
    except OSError:
        return False
    return True


def _report_bug(error: Exception, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Report an unexpected error; its text is not trusted."""
    if environ.get("HOOKTUI_DEBUG") and not restricted(environ):
        import traceback

        trace = "".join(traceback.format_exception(error))
        sys.stderr.write(visible(trace, lines=True))
        return FAILED
    text = visible(f"{type(error).__name__}: {error}", limit=500)
    bug = Failed(f"internal error: {text}; HOOKTUI_DEBUG=1 shows where")
    return report(bug, as_json=as_json)


def _run_command(options: GlobalOptions, environ: Mapping[str, str], arguments: list[str]) -> int:
    columns = os.environ.get("COLUMNS")
    command, bound, injected = _parse(arguments)
    if "context" not in injected:  # cyclopts' own: help
        try:
            command(*bound.args, **bound.kwargs)
        except SystemExit as error:  # Rich ends the process with 1 when the pipe is closed
            raise BrokenPipeError from error
        return DONE
    _set_columns(columns)  # a console follows its terminal, which may change its size
    from hooktui.cli.context import CommandContext

    context = CommandContext(options, environ)
    try:
        code = command(*bound.args, **bound.kwargs, context=context)
        context.out.flush()
    except UnicodeEncodeError as error:
        raise UsageError("an argument holds bytes that are not UTF-8") from error
    except KeyboardInterrupt:
        if context.interrupted:
            context.out.note(context.interrupted)
        raise
    except HooktuiError:
        if context.unfinished:
            context.out.note(context.unfinished)
        raise
    except OSError as error:
        if context.changed:
            error.add_note(context.done or "the server has carried out the request")
        if context.done and isinstance(error, BrokenPipeError):  # which is not reported itself
            context.out.note(context.done)
        raise
    finally:
        context.close()
    return DONE if code is None else int(code)


def _limit_width() -> None:
    """Have Rich, which writes the help, take a width that it can write.

    In fewer than 3 columns it divides a table endlessly, and it fills each line to the last column.
    """
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if re.fullmatch("[0-9]{1,9}", columns) else 0
    # 0: not known. Rich takes the width of the first stream that is a terminal.
    width = width or next((os.get_terminal_size(s).columns for s in range(3) if os.isatty(s)), 0)
    _set_columns(str(min(max(width, _NARROWEST), _WIDEST)) if width else None)


def _set_columns(columns: str | None) -> None:
    if columns is None:
        os.environ.pop("COLUMNS", None)
    else:
        os.environ["COLUMNS"] = columns


def _parse(arguments: list[str]) -> tuple[Callable[..., Any], BoundArguments, dict[str, Any]]:
    from cyclopts import CycloptsError

    _limit_width()
    try:
        table = command_table(arguments[0])
        return table.parse_args(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise UsageError(_explained(error, arguments)) from error


def _explained(error: CycloptsError, arguments: Sequence[str]) -> str:
    """Return what is wrong with a command line, and what to do, in plain words."""
    from cyclopts import (
        CoercionError,
        MissingArgumentError,
        RepeatArgumentError,
        UnknownCommandError,
        UnknownOptionError,
        UnusedCliTokensError,
    )

    if isinstance(error, UnusedCliTokensError):
        unused = cut(" ".join(error.unused_tokens or ()), _SHOWN)
        return f"unexpected argument: {unused}; see --help"
    if isinstance(error, UnknownOptionError):
        return _unknown(f"option {cut(error.token.keyword or error.token.value, _SHOWN)}", error)
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        return _unknown(f"command {cut(error.unused_tokens[0], _SHOWN)!r}", error)
    name = _name(error, arguments)
    if isinstance(error, MissingArgumentError) and name:
        if name in arguments:
            value = "".join(arguments[arguments.index(name) + 1 :][:1])
            if value.startswith("-") and not value.startswith("--"):
                return (
                    f"{name} needs a value; write one with a hyphen as {name}={cut(value, _SHOWN)}"
                )
            return f"{name} needs a value; see --help"
        return f"{' '.join(error.command_chain or ())} needs {name}; see --help"
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword} repeats or contradicts an earlier option; see --help"
    if isinstance(error, CoercionError) and error.token is not None and name:
        if error.target_type is bool:
            return f"{name} takes no value"
        return f"{name}: {cut(error.token.value, _SHOWN)!r} is not {_expected(error.target_type)}"
    return " ".join(str(error).split())


def _unknown(what: str, error: CycloptsError) -> str:
    near = _NEAR.search(" ".join(str(error).split()))
    return f"unknown {what}; " + (f"did you mean {near[1]}?" if near else "see --help")


def _name(error: CycloptsError, arguments: Sequence[str]) -> str:
    """Return the name of the argument or option as the usage has it."""
    argument = error.argument
    if argument is None:
        return ""
    given = [name for name in argument.names if name in arguments]
    if given:
        return given[0]
    return argument.name.removeprefix("--").upper() if argument.index is not None else argument.name


def _expected(kind: object) -> str:
    kinds = (kind, *get_args(kind))
    for part in kinds:
        if get_origin(part) is Literal:
            return f"one of {', '.join(map(str, get_args(part)))}"
    return next((text for number, text in _NUMBERS if number in kinds), "valid")


def _show_version() -> int:
    from sqlite3 import sqlite_version, sqlite_version_info

    from hooktui.doctor.rules import affected

    python = ".".join(str(number) for number in sys.version_info[:3])
    bug = "free of the WAL-reset bug"
    if affected(sqlite_version_info):
        bug = "has the WAL-reset bug, which a single writer does not trigger"
    words = f"hooktui {__version__} (Python {python}, SQLite {sqlite_version}: {bug})"
    sys.stdout.write(visible(words) + "\n")
    return DONE


def _silence_stdout() -> None:
    """Keep the interpreter's own flush at exit from failing once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
