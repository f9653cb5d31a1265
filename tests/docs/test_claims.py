"""Names, numbers and examples that pages state in their own words are those of the code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

import pytest

from docs.tools import tables
from docs.tools.generate import DOCS
from hooktui import failpoints
from hooktui.bench.cases import BY_NAME
from hooktui.cli import exit_codes
from hooktui.cli.options import ALLOWED
from hooktui.domain.alerts import AlertState, AlertType, Resolution, event_type_of
from hooktui.domain.catalogue import OPERATOR
from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.failure_causes import ALL_GROUPS
from hooktui.domain.file_budget import least_files, share_files
from hooktui.domain.wire.events import AcceptedEvent
from hooktui.domain.wire.replays import Replay
from hooktui.domain.wire.undelivered import UndeliveredGroup, UndeliveredPage
from hooktui.server.settings import PREFIX, Settings
from tests.support import language

PAGES = {
    str(path.relative_to(DOCS.parent)): path.read_text()
    for path in (
        DOCS.parent / "README.md",
        DOCS.parent / "SECURITY.md",
        *sorted(DOCS.rglob("*.md")),
    )
    if path.parent.name != "decisions"
}
_TABLE = re.compile(r"^\|[-| :]+\|\n((?:\|.*\n)+)", re.MULTILINE)
_NAME = re.compile(r"`([^`]+)`")
_LEFT_OUT = re.compile(r"(?:postgresql://)?…(?:/hooktui\.sock)?")
_METRIC = re.compile(r"hooktui_[a-z_]+(?:\{[^}]*\})?")
_VARIABLE = re.compile(r"\b[A-Z]*HOOKTUI_[A-Z_]+")
_OTHER_VARIABLES = {"HOOKTUI_HOME", "HOOKTUI_SOCKET", "HOOKTUI_TOKEN", "HOOKTUI_KEY",
                    "HOOKTUI_RESTRICTED", "HOOKTUI_DEBUG", "HOOKTUI_TEST_DATABASE_URL",
                    "HOOKTUI_TEST_POSTGRES_PROGRAMS",
                    failpoints.VARIABLE, failpoints.TESTING}  # fmt: skip


def section(page: str, heading: str) -> str:
    """Return the text below a heading, up to the next heading of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    begin = rf"^{re.escape(heading)}$\n(.*?)(?=^#{{1,{level}}} |\Z)"
    (text,) = re.findall(begin, PAGES[f"docs/{page}"], re.MULTILINE | re.DOTALL)
    return text


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables in a text, without the heads."""
    for table in _TABLE.findall(text):
        for line in table.splitlines():
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def names(text: str) -> list[str]:
    return _NAME.findall(text)


def test_the_shares_of_open_files_are_those_of_the_server():
    text = section("operate/configuration.md", "## Open files")
    assert f"With a limit below {least_files()} the server does not start" in text
    for limit, api, lookups, pings, outbound in rows(text):
        found = share_files(_number(limit), connections=Settings().max_connections)
        shown = tuple(_number(cell) for cell in (api, lookups, pings, outbound))
        assert shown == (found.api, found.lookup_threads, found.pings, found.outbound)


def _number(text: str) -> int:
    return int(re.match(r"[\d,]+", text)[0].replace(",", ""))  # type: ignore[index]


def test_restricted_mode_allows_what_the_page_lists():
    text = section("operate/access.md", "## Restricted consoles")
    (listed,) = re.findall(r"Only these commands work: (.*?),\s+and the console", text, re.DOTALL)
    assert {*names(listed), "console"} == ALLOWED


def test_exit_codes_are_listed():
    listed = [cell for row in rows(section("integrate/command-line.md", "## Exit codes"))
              for cell in row[0].split(", ")]  # fmt: skip
    known = {code for code in vars(exit_codes).values() if type(code) is int}
    assert {int(code) for code in listed} == known


def test_error_classes_and_causes_are_listed():
    page = "integrate/command-line.md"
    classes = [name for row in rows(section(page, "## Error classes")) for name in names(row[0])]
    assert sorted(classes) == sorted(ErrorClass)
    causes = [name for row in rows(section(page, "### Causes")) for name in names(row[0])]
    assert set(causes) - set(ErrorClass) == {
        name for name in ALL_GROUPS if name not in {*ErrorClass} and not 400 < _status(name) < 499
    }


def _status(cause: str) -> int:
    return int(cause[5:]) if cause[5:].isdigit() else 0


def test_alerts_and_their_events_are_listed():
    monitored = rows(section("operate/monitoring.md", "## Alerts"))
    assert {name for row in monitored for name in names(row[0])} == set(AlertType)
    page = "integrate/alerts.md"
    events = {
        names(opening)[0]: names(end) for opening, end in rows(section(page, "## Event types"))
    }
    for kind in AlertType:
        opening = event_type_of(kind, AlertState.OPEN)
        ends = {event_type_of(kind, AlertState.RESOLVED, how) for how in Resolution}
        assert set(events[opening]) <= ends
    assert {*events, *(end for some in events.values() for end in some)} == {
        type_.id for type_ in OPERATOR.types
    }
    bodies = section(page, "## Bodies")
    (resolutions,) = (row[1] for row in rows(bodies) if row[0] == "`alert.resolution`")
    assert set(names(resolutions)) == set(Resolution)


@pytest.mark.parametrize("page", PAGES)
def test_metrics_and_variables_exist(page):
    known = {row[0] for row in rows(tables.metrics())}
    known_names = {re.sub(r"[`{].*", "", name.strip("`")) for name in known}
    text = PAGES[page]
    for metric in _METRIC.findall(text):
        name, _, labels = metric.partition("{")
        assert name in known_names, metric
        for label in re.findall(r"(\w+)=", labels):
            assert any(one.startswith(f"`{name}{{") and label in one for one in known), metric
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert set(_VARIABLE.findall(text)) <= settings | _OTHER_VARIABLES


def examples(page: str) -> list[Any]:
    """Return the JSON examples of a page that are whole."""
    blocks = re.findall(r"^```json\n(.*?)^```$", PAGES[f"docs/{page}"], re.MULTILINE | re.DOTALL)
    return [json.loads(block) for block in blocks if "…" not in block and "\n{" not in block]


def shaped(example: Mapping[str, Any], kind: type) -> None:
    """Check that an example has the fields of a wire object, in their order, also inside."""
    assert list(example) == [field.name for field in fields(kind)]
    hints = get_type_hints(kind)
    for name, value in example.items():
        for inner in (hints[name], *get_args(hints[name])):
            for item in value if isinstance(value, list) else [value]:
                if is_dataclass(inner) and isinstance(item, dict):
                    shaped(item, inner)


def test_examples_have_the_fields_of_the_server_in_their_order():
    (accepted,) = (one for one in examples("integrate/send-events.md") if "duplicate" in one)
    shaped(accepted, AcceptedEvent)
    undelivered, replay = examples("integrate/api.md")
    shaped(undelivered, UndeliveredPage)
    for group in undelivered["data"]:
        shaped(group, UndeliveredGroup)
    shaped(replay, Replay)


def test_messages_that_the_troubleshooting_page_quotes_are_written_by_the_program():
    written = "\n".join(text.text for text in language.texts() if text.kind == "text")
    page = PAGES["docs/operate/troubleshooting.md"]
    quoted = [text for row in rows(page) for cell in row for text in re.findall(r'"([^"]+)"', cell)]
    assert len(quoted) > 10
    pieces = [piece.strip() for text in quoted for piece in _LEFT_OUT.split(text)]
    assert [piece for piece in pieces if piece not in written] == []


def test_cases_of_the_benchmark_that_pages_name_exist():
    page = PAGES["docs/understand/performance.md"].partition("## Console")[0]
    named = {*re.findall(r"--case ([\w-]+)", page), *re.findall(r"\(`([a-z][a-z0-9-]+)`", page)}
    assert len(named) > 20
    assert named <= {*BY_NAME}
