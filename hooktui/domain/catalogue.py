"""The event catalogue: event types, their groups, and the types that a subscription covers.

The ETL catalogue (names and descriptions as in the Service Hooks documentation) is built in; other
products can provide their own as a TOML file. The group of operator alerts is always added.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hooktui.domain.errors import MAX_ERRORS, FieldError, Refused
from hooktui.domain.wire.events import Catalogue, EventGroup, EventType

PING = "ping"
"""The type of a test delivery; outside of the catalogue, and hooks cannot subscribe to it."""

OPERATOR_GROUP = "hooktui"
"""The group of the events that the server itself sends, beside any catalogue."""

MAX_HINTS = 3
"""Unknown types of one call for which similar ones are proposed: each search takes up to 5 ms."""

MAX_NEAR_NAMES, MAX_NEAR_LETTERS = 50, 40

_MAX_GROUPS = 10
"""Groups that a refusal names."""

_NAME = re.compile(r"[a-z0-9_-]{1,64}(\.[a-z0-9_-]{1,64}){0,3}")


def _group(identity: str, name: str, *types: tuple[str, str, str]) -> EventGroup:
    return EventGroup(
        id=identity,
        name=name,
        types=tuple(EventType(id=i, name=n, description=d) for i, n, d in types),
    )


def _etl_group(identity: str, *types: tuple[str, str]) -> EventGroup:
    """Return a group with names made of its ids: ``Job Failed`` of ``job.failed``."""
    named = ((i, i.replace(".", " ").title(), description) for i, description in types)
    return _group(identity, identity.title(), *named)


ETL = Catalogue(
    groups=(
        _etl_group(
            "job",
            ("job.submitted", "Job was submitted by user or schedule for execution."),
            ("job.started", "Job execution started."),
            ("job.stopped", "Job stopped by user."),
            ("job.completed", "Job completed successfully."),
            ("job.failed", "Job completed with failure."),
        ),
        _etl_group(
            "cluster",
            ("cluster.requested", "Cluster creation requested by user or schedule."),
            ("cluster.available", "Cluster is available and jobs can be run on it."),
            ("cluster.terminated", "Cluster is terminated."),
            ("cluster.idled", "No activity on the cluster for a specified interval."),
            ("cluster.error", "Cluster error occurred and jobs can't be executed on it."),
        ),
    )
)


OPERATOR = _group(
    OPERATOR_GROUP,
    "hooktui",
    ("hooktui.hook.failing", "Hook Failing", "Several attempts of a hook in a row failed."),
    ("hooktui.hook.recovered", "Hook Recovered", "A failing hook delivers again."),
    ("hooktui.hook.disabled", "Hook Disabled", "The server disabled a hook."),
    ("hooktui.hook.enabled", "Hook Enabled", "A hook that the server disabled is enabled again."),
    (
        "hooktui.delivery.gave_up",
        "Deliveries Given Up",
        "Deliveries of a hook failed for good, or retention will delete them soon.",
    ),
    (
        "hooktui.delivery.cleared",
        "Deliveries Cleared",
        "No failed delivery of a hook with this cause is left.",
    ),
    ("hooktui.queue.behind", "Queue Behind", "Due deliveries have waited for over five minutes."),
    ("hooktui.queue.caught_up", "Queue Caught Up", "Due deliveries are sent in time again."),
    ("hooktui.disk.low", "Disk Low", "The disk of the database is nearly full."),
    ("hooktui.disk.recovered", "Disk Recovered", "The disk of the database has space again."),
    ("hooktui.replay.paused", "Replay Paused", "A replay paused because its deliveries failed."),
    ("hooktui.replay.finished", "Replay Finished", "A replay has sent all of its deliveries."),
    ("hooktui.alert.closed", "Alert Closed", "An alert ended without a recovery."),
)
"""The built-in group of operator alerts."""


def with_operator_group(catalogue: Catalogue) -> Catalogue:
    """Return a catalogue with the built-in group of operator alerts at its end."""
    return Catalogue(groups=(*catalogue.groups, OPERATOR))


def type_ids(catalogue: Catalogue) -> tuple[str, ...]:
    """Return all event types in the catalogue's order."""
    return tuple(t.id for group in catalogue.groups for t in group.types)


def accepted_types(catalogue: Catalogue) -> frozenset[str]:
    """Return the event types that producers may send: not those of the server itself."""
    return frozenset(t for t in type_ids(catalogue) if group_of(t) != OPERATOR_GROUP)


def group_of(event_type: str) -> str:
    """Return the group of an event type: the part before its first dot."""
    return event_type.partition(".")[0]


def subscribes(events: Collection[str], event_type: str) -> bool:
    """Return whether a subscription (types and bare group names) covers an event type."""
    return event_type in events or group_of(event_type) in events


def near(known: Sequence[str], name: str) -> list[str]:
    """Return up to three known names that are similar to an unknown one.

    Only the start of a long name is compared, first with names of its group and its length: a
    comparison takes up to 0.1 ms, and the caller chooses the name.
    """
    name = name[:MAX_NEAR_LETTERS].lower()
    if len(known) > MAX_NEAR_NAMES:
        group = group_of(name)
        by_distance = sorted(known, key=lambda t: (group_of(t) != group, abs(len(t) - len(name))))
        nearest = set(by_distance[:MAX_NEAR_NAMES])
        known = [t for t in known if t in nearest]
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return close or [t for t in known if t.startswith(name[:3])][:3]


def unknown(catalogue: Catalogue, name: str, *, hint: bool = True) -> str:
    """Return the message for an event type that is refused; with a hint it names similar types."""
    if group_of(name) == OPERATOR_GROUP:
        return f"{name[:100]!r} is sent by hooktui itself; producers cannot send it"
    return _unknown(type_ids(catalogue), name, "", hint=hint)


def _unknown(known: Sequence[str], name: str, groups: str, *, hint: bool) -> str:
    close = near(known, name) if hint else []
    advice = f"{groups}see: hooktui events types"
    if close:
        advice = f"did you mean {' or '.join(close)}?"
    return f"unknown event type {name[:100]!r}; {advice}"


def normalise(catalogue: Catalogue, events: Sequence[str]) -> tuple[str, ...]:
    """Return a subscription in catalogue order, without duplicates or types that a group covers.

    Raises:
        Refused: it is empty, or names an unknown type or group.
    """
    selection = set(events)
    if not selection:
        raise Refused.field("/events", "choose at least one event, such as job or cluster.error")
    known = [*type_ids(catalogue), *(group.id for group in catalogue.groups)]
    there = set(known)
    wrong = [(index, name) for index, name in enumerate(events) if name not in there]
    if wrong:
        some = [group.id for group in catalogue.groups[:_MAX_GROUPS]]
        more = ", …" if len(catalogue.groups) > len(some) else ""
        groups = f"groups: {', '.join(some)}{more}; "
        raise Refused.fields(
            [
                FieldError(
                    f"/events/{index}", _unknown(known, name, groups, hint=count < MAX_HINTS)
                )
                for count, (index, name) in enumerate(wrong[: MAX_ERRORS + 1])
            ]
        )
    result: list[str] = []
    for group in catalogue.groups:
        if group.id in selection:
            result.append(group.id)
        else:
            result += [t.id for t in group.types if t.id in selection]
    return tuple(result)


def summary(catalogue: Catalogue, events: Iterable[str]) -> str:
    """Return a summary of a subscription: ``all job · 2 cluster``."""
    selection = set(events)
    parts = []
    for group in catalogue.groups:
        count = sum(t.id in selection for t in group.types)
        if group.id in selection:
            parts.append(f"all {group.id}")
        elif count:
            parts.append(f"{count} {group.id}")
    known = {group.id for group in catalogue.groups} | set(type_ids(catalogue))
    parts += sorted(selection - known)
    return " · ".join(parts)


def load(path: Path) -> Catalogue:
    """Read a catalogue from TOML: ``[[group]]`` with ``id``, ``name`` and ``[[group.type]]``.

    Raises:
        Refused: the file is not a catalogue; names the position.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        groups = tuple(
            _group(g["id"], g["name"], *((t["id"], t["name"], t["description"]) for t in g["type"]))
            for g in data["group"]
        )
    except (OSError, ValueError, RecursionError) as error:  # tomllib raises all three
        why = error.strerror if isinstance(error, OSError) else error
        raise Refused(f"cannot read the event catalogue {path}: {why}") from error
    except (KeyError, TypeError) as error:
        missing = isinstance(error, KeyError)
        what = f"{error} is missing" if missing else "something else is in the place of a table"
        raise Refused(
            f"event catalogue {path}: each [[group]] needs id, name and [[group.type]] tables with "
            f"id, name and description ({what})"
        ) from error
    wrong = _unknown_key(data) or _flaw(groups)
    if wrong:
        raise Refused(f"event catalogue {path}: {wrong}")
    return Catalogue(groups=groups)


def _unknown_key(data: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the first unknown key of a complete file, or None."""
    types = [one for group in data["group"] for one in group["type"]]
    for tables, known in (
        ([data], ("group",)),
        (data["group"], ("id", "name", "type")),
        (types, ("id", "name", "description")),
    ):
        unknown = next((name for table in tables for name in table if name not in known), None)
        if unknown is not None:
            return f"unknown key {unknown[:40]!r}; known: {', '.join(known)}"
    return None


def _flaw(groups: Iterable[EventGroup]) -> str | None:
    """Return what is wrong with the groups and types of a file, or None."""
    seen: set[str] = set()
    for group in groups:
        if isinstance(group.id, str) and "." in group.id:
            return f"the id of group {group.id!r} has a dot"
        for name in (group.id, *(t.id for t in group.types)):
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                return f"{name!r} is not of the form group.type (a-z, 0-9, _ and -)"
            if name in seen:
                return f"{name!r} is a duplicate"
            if name == PING or group_of(name) == OPERATOR_GROUP:
                return f"{name!r} is reserved"
            if group_of(name) != group.id:
                return f"{name!r} does not start with its group's id and a dot"
            seen.add(name)
        for text in (
            group.name,
            *(t.name for t in group.types),
            *(t.description for t in group.types),
        ):
            if not isinstance(text, str) or not text.strip():
                return f"a name or description of group {group.id!r} is {text!r}; write a text"
        if not group.types:
            return f"group {group.id!r} has no types"
    return None
