"""What the dialog that sends an event knows without a server: its types, and what is wrong in JSON.

Places of errors count lines and columns from 1, as editors do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, NoReturn

from hooktui.console.keys import KeyOf
from hooktui.console.times import size
from hooktui.console.widgets.columns import Column
from hooktui.console.widgets.painted import Pieces
from hooktui.domain.wire.events import Catalogue

MOST_BYTES: Final = 256 * 1024
"""What the server takes of one event."""


@dataclass(frozen=True, slots=True)
class TypeRow:
    """An event type in the list; ``group`` is empty where the row above is of the same group."""

    id: str
    name: str
    description: str
    group: str


def type_rows(catalogue: Catalogue, words: str) -> list[TypeRow]:
    """Return the types that hold each of some words in their id, name or description."""
    wanted = words.casefold().split()
    rows: list[TypeRow] = []
    for group in catalogue.groups:
        heading = group.name
        for kind in group.types:
            text = f"{kind.id} {kind.name} {kind.description}".casefold()
            if all(word in text for word in wanted):
                rows.append(TypeRow(kind.id, kind.name, kind.description, heading))
                heading = ""
    return rows


TYPE_COLUMNS: Final = (
    Column[TypeRow](name="group", title="group", cell=lambda r: ((r.group, "strong"),), width=10,
                    grow=1, most=24, priority=1),
    Column[TypeRow](name="id", title="type", cell=lambda r: r.id, width=20, grow=2, most=40,
                    priority=0),
    Column[TypeRow](name="what", title="what it is", cell=lambda r: ((r.description, "quiet"),),
                    width=20, grow=5, priority=2),
)  # fmt: skip


def wrong_json(text: str) -> str | None:
    """Return what keeps a text from being an event's body, with its place; None: nothing."""
    if not text.strip():
        return "an event has a body; {} is the least"
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        return f"{_place(text, error.start)}: half of a character; type it again"
    if len(encoded) > MOST_BYTES:
        return f"{size(len(encoded))}: an event has at most {size(MOST_BYTES)}"
    try:
        json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: {_plain(error.msg)}"
    except RecursionError:
        return "it is nested too deeply"
    except ValueError as error:
        return str(error)
    return None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON; null stands for a number that is not there")


def _place(text: str, at: int) -> str:
    before = text[:at]
    return f"line {before.count(chr(10)) + 1}, column {at - before.rfind(chr(10))}"


def _plain(message: str) -> str:
    """Return Python's words for an error, such as ``expecting ',' delimiter``."""
    return message[:1].lower() + message[1:]


def fine_json(text: str, key: KeyOf) -> Pieces:
    """Return what is said of a body that can be sent."""
    return ((f"JSON, {size(len(text.encode()))}", "good"), (f"  {key('save')} sends it", "quiet"))
