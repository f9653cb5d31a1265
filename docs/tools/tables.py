"""The tables of the documents that come from the code, as Markdown."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar, Final, cast

from starlette.requests import Request

from hooktui import failpoints as points
from hooktui.api.access import Caller
from hooktui.api.connection_limiter import ConnectionLimiter
from hooktui.api.limits import Reads
from hooktui.api.response_budget import UnsentResponses
from hooktui.api.routes.metrics import metrics as metrics_route
from hooktui.cli.main import COMMANDS, command_table
from hooktui.console import registry
from hooktui.console.hooks.verification_snippets import snippets as all_snippets
from hooktui.domain.alerts import AlertType
from hooktui.domain.deliveries import Load, Outcome
from hooktui.domain.ids import HookId
from hooktui.domain.roles import Need, Role
from hooktui.domain.wire.alerts import AlertPath
from hooktui.domain.wire.hooks import HookPace
from hooktui.domain.wire.server import Backlog, DatabaseInfo
from hooktui.domain.wire.undelivered import UndeliveredTotals
from hooktui.server.settings import Settings
from hooktui.store import queries

if TYPE_CHECKING:
    from cyclopts import App

_ROLES: Final = {Need.READ: "viewer", Need.OPERATE: "operator", Need.ADMINISTER: "admin"}
_FENCES: Final = {"Node": "javascript", "Shell": "sh"}
_SAMPLE = re.compile(r"^(\w+?)(?:_sum|_count)?\{(.*)\} ", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_HELP = re.compile(r"# HELP (\w+) (.*)")
_TYPE = re.compile(r"# TYPE (\w+) (\w+)")


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(cells)} |\n".replace("|  |", "| |") for cells in lines)


def plain(text: str) -> str:
    """Return a docstring's text as Markdown in one line."""
    return " ".join(text.replace("``", "`").split()).replace("|", "\\|")


# Settings


def settings() -> str:
    """Return the settings of a server: key, default, meaning."""
    texts = _field_docstrings(Settings)
    rows = [
        (f"`{name}`", _default(field.get_default(call_default_factory=True)), plain(texts[name]))
        for name, field in Settings.model_fields.items()
    ]
    return table(("key", "default", "meaning"), rows)


def _field_docstrings(kind: type) -> dict[str, str]:
    """Return the string below each field of a class."""
    tree = ast.parse(dedent(inspect.getsource(kind)))
    body = cast("ast.ClassDef", tree.body[0]).body
    return {
        one.target.id: ast.literal_eval(below.value)
        for one, below in pairwise(body)
        if isinstance(one, ast.AnnAssign)
        and isinstance(one.target, ast.Name)
        and isinstance(below, ast.Expr)
    }


def _default(value: object) -> str:
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"{value:,}"
        case _:
            return ""


# Keys of the console


def keys() -> str:
    """Return the keys of the console: key, name in ``[keys]``, what it does, role."""
    rows = [
        (_key(one.key), f"`{one.name.replace('_', '-')}`", one.help, _role(one.need))
        for one in (*registry.COMMANDS, *registry.MOVES)
    ]
    return table(("key", "name", "what it does", "role"), rows)


def line_commands() -> str:
    """Return what the ``:`` line has beside the keys, with an example of each argument."""
    with_argument = (one for one in registry.COMMANDS if one.argument and one.argument.example)
    rows = [(f"`:{one.usage}`", one.help) for one in (*registry.LINE_COMMANDS, *with_argument)]
    return table(("command", "what it does"), rows)


def _key(shown: str) -> str:
    return " ".join(f"`{one}`" for one in shown.split())


def _role(need: Need) -> str:
    return _ROLES.get(need, "producer")


# Metrics


def metrics() -> str:
    """Return the metrics of ``/metrics``: name with labels, kind, help, values of labels."""
    text = asyncio.run(_exposition())
    kinds = dict(_TYPE.findall(text))
    labels: dict[str, dict[str, list[str]]] = {}
    for name, written in _SAMPLE.findall(text):
        for label, value in _LABEL.findall(written):
            labels.setdefault(name, {}).setdefault(label, []).append(value)
    rows = []
    for name, words in _HELP.findall(text):
        mine = labels.get(name, {})
        shown = f"{name}{{{','.join(mine)}}}" if mine else name
        values = list(dict.fromkeys(f"`{value}`" for some in mine.values() for value in some))
        closed = len(mine) == 1 and "hook" not in mine
        of_labels = f" Values: {', '.join(values)}." if closed else ""
        rows.append((f"`{shown}`", kinds[name], plain(words) + of_labels))
    return table(("metric", "kind", "meaning"), rows)


async def _exposition() -> str:
    service = SimpleNamespace(
        store=_Store(),
        engine=SimpleNamespace(working=True, load=_load, paces=_paces),
        started_at="2026-01-01T00:00:00.000Z",
        disk=Path("/"),
        connections=ConnectionLimiter(),
        unsent=UnsentResponses(),
        files_limit=0,
        reads=Reads(),
    )
    app = SimpleNamespace(state=SimpleNamespace(service=service))
    scope = {"type": "http", "app": app, "caller": Caller("", Role.VIEWER)}
    response = await metrics_route(Request(scope))
    return bytes(response.body).decode()


def _load() -> Load:
    return Load(0, 0, 0, 0, 0, dict.fromkeys(Outcome, 0))


async def _paces(_most: int) -> dict[HookId, HookPace]:
    return {HookId(1): HookPace(in_flight=0, in_flight_limit=0)}


class _Store:
    """A store that holds nothing."""

    paused = False
    expired: ClassVar[dict[object, int]] = {}
    heartbeats = (
        SimpleNamespace(name="writer", finished_s=0.0, finished_count=0),
        *(
            SimpleNamespace(name=f"writer of {name}", finished_s=0.0, finished_count=0)
            for name in ("events", "claims", "results", "replays")
        ),
    )

    async def info(self) -> DatabaseInfo:
        return DatabaseInfo(kind="sqlite", version="", location="", size=0, wal_size=0)

    def alert_hooks(self) -> frozenset[int]:
        return frozenset()

    def disk_space(self) -> None:
        return None

    async def read(self, query: object, *_arguments: object) -> object:
        if query is queries.alert_path:
            return AlertPath(state="ok")
        if query is queries.alerts_by_type:
            return dict.fromkeys(AlertType, 0)
        if query is queries.undelivered_totals:
            return UndeliveredTotals()
        if query is queries.count_running:
            return 0
        if query is queries.backlog:
            return Backlog(count=0, held=0, oldest_due_at=None, hooks=())
        return {"active": 0, "disabled": 0, "breaker_open": 0}


# Commands


def commands() -> str:
    """Return the commands: usage, what it does, options."""
    app = command_table()
    return table(("command", "what it does", "options"), _command_rows(app))


def _command_rows(app: App) -> Iterator[tuple[str, str, str]]:
    for name, _, text in COMMANDS:
        command = app[name]
        parts = sorted(one for one in command if not one.startswith("-"))
        for part in parts:
            yield _command_row(f"{name} {part}", command[part], command[part].help)
        if not parts:
            yield _command_row(name, command, text)


def _command_row(name: str, command: App, text: str) -> tuple[str, str, str]:
    places, options = [], []
    for argument in command.assemble_argument_collection():
        if not argument.show:
            continue
        kind = argument.field_info.kind
        if kind is inspect.Parameter.KEYWORD_ONLY:
            option = argument.names[0]
            options.append(f"`{option}`" + (" (required)" if argument.required else ""))
        else:
            place = argument.names[0].removeprefix("--").upper()
            place += "…" if kind is inspect.Parameter.VAR_POSITIONAL else ""
            places.append(place if argument.required else f"[{place}]")
    usage = " ".join((f"hooktui {name}", *places))
    return f"`{usage}`", plain(text.partition("\n\n")[0]), ", ".join(options)


# Failpoints


def failpoints() -> str:
    """Return the failpoints, each with what is true there."""
    groups: tuple[tuple[str, Mapping[str, str]], ...] = (
        ("The delivery of an event, in order:", points.POINTS),
        ("A replay, in order:", points.REPLAY_POINTS),
        ("Alerts, except those that results decide:", points.ALERT_POINTS),
        ("Commands that work on the files of a home:", points.UPKEEP_POINTS),
        ("A rotation of keys, in order:", points.KEY_POINTS),
    )
    return "\n".join(
        f"{title}\n\n"
        + table(("point", "state there"), ((f"`{name}`", text) for name, text in known.items()))
        for title, known in groups
    )


# Code that verifies signatures


def snippets() -> str:
    """Return the code that verifies a request, in each language that the console shows."""
    parts = []
    for language, code in all_snippets("sha256").items():
        fence = _FENCES.get(language, language.lower())
        # Two blank lines, as the formatter wants them in Markdown, too.
        spaced = code.rstrip().replace("\n\ndef ", "\n\n\ndef ")
        parts.append(f"### {language}\n\n```{fence}\n{spaced}\n```\n")
    return "\n".join(parts)


# Decisions


def decisions() -> str:
    """Return the list of decisions: number, title, date."""
    rows = []
    for path in sorted((Path(__file__).parent.parent / "decisions").glob("[0-9]*.md")):
        title, _, rest = path.read_text().partition("\n")
        number, _, name = title.removeprefix("# ").partition(". ")
        date = rest.split("Date: ", 1)[1][:10]
        rows.append((number, f"[{name}]({path.name})", date))
    return table(("number", "decision", "date"), rows)
