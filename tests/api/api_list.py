"""Writes ``docs/api.md``: every call of the API, from its OpenAPI document and the table of roles.

python -m tests.api.api_list > docs/api.md
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from hooktui.api.access import RULES, Rule
from hooktui.domain.roles import Role, allows
from tests.api.test_openapi import the_document

HEAD = """\
# The API

Everything that console and commands do, they do by these calls; a script may, too. They are
answered on the Unix socket, where the kernel says who calls, and over TCP to whoever shows a token
(`Authorization: Bearer hkt_…`, or as the user of HTTP Basic). `/openapi.json` describes every field
and every error of each call; errors are problem objects (RFC 9457) whose `detail` says what to do.
In Python: `from hooktui.client import PlainClient, calls, find_server`.

* `account` names the account. Left out, hooks, events, deliveries and the feed are those of account
  1, audit trail and tokens those of all, and a thing that is named by its id is found in any. A
  token that is bound to an account sees that one alone, and need not name it.
* **A list** takes `limit` (1 to 500), `sort`, `order`, `from_end`, and a `cursor`: the `next` or
  `prev` of a page before. `total` is exact up to 10,000; `total_is_estimate` says when it is not.
* `q` is a filter, the one of the console and of `hooktui log`:
  `status:failed hook:12 -event:job.* data.id:7 disk`.
* An unknown parameter or field is refused, and so is a body over 256 KiB (many events: 8 MiB, at
  most 10,000 blank lines). A JSON object has at most 2,000 values; an event's body any number.
* A search that takes over 2 s ends its page early; go on with `next`. A caller has one search at a
  time (`q`, dry runs, decisions), the others wait, and 10 long polls of the feed, a further one
  gets 429. A page of the feed ends at 1 MiB. A body that is purged fits no `data.` term.
* The role that a call asks for: *viewer* looks, *operator* also acts on deliveries and hooks,
  *admin* does all, *producer* sends events and does nothing else; *all accounts* means that a bound
  token may not.

This page is made from the code (`python -m tests.api.api_list > docs/api.md`), and a test holds it.
"""

TITLES = {
    "events": "Events", "event-types": "Events", "hooks": "Hooks", "deliveries": "Deliveries",
    "feed": "The change feed", "accounts": "Accounts and tokens", "tokens": "Accounts and tokens",
    "audit": "The audit trail", "status": "The server", "engine": "The server",
    "purge": "The server", "backup": "The server", "doctor": "The server", "keys": "The server",
}  # fmt: skip
ELSE = "Without a version"
OF_LISTS = ["limit", "cursor", "sort", "order", "from_end"]


def written() -> str:
    """Return the page."""
    rows = sorted(_rows(), key=lambda row: row[0])
    parts = [HEAD]
    for (_, title), group in groupby(rows, key=lambda row: row[0][:2]):
        lines = [f"## {title}\n", "| call | role | what it does | takes |", "|---|---|---|---|"]
        parts.append("\n".join([*lines, *(row[1] for row in group)]) + "\n")
    return "\n".join(parts)


def _rows() -> Iterator[tuple[tuple[int, str, int], str]]:
    document = the_document()
    order = list(dict.fromkeys([*TITLES.values(), ELSE]))
    for number, rule in enumerate(RULES):
        if rule.path == "/docs":
            continue
        part = rule.path.removeprefix("/v1/").partition("/")[0]
        title = TITLES.get(part, ELSE) if rule.path.startswith("/v1/") else ELSE
        yield (order.index(title), title, number), _row(rule, document)


def _row(rule: Rule, document: Mapping[str, Any]) -> str:
    operation = document["paths"].get(rule.path, {}).get(rule.method.lower(), {})
    said = operation.get("description", "This description, for programs.")
    if operation.get("summary", "").startswith("Send "):
        said = f"{operation['summary']}. {said}"
    words = " ".join(re.sub("``", "`", said).split()).replace("|", "\\|")
    takes = [f"`{one}`" for one in _parameters(operation)]
    if set(OF_LISTS) <= {one["name"] for one in operation.get("parameters", ())}:
        takes.append("a list")
    takes += _body(operation, document)
    return f"| `{rule.method} {rule.path}` | {_role(rule)} | {words} | {', '.join(takes)} |"


def _parameters(operation: Mapping[str, Any]) -> list[str]:
    given = [one["name"] for one in operation.get("parameters", ()) if one["in"] != "path"]
    return [name for name in given if not (set(OF_LISTS) <= set(given) and name in OF_LISTS)]


def _body(operation: Mapping[str, Any], document: Mapping[str, Any]) -> list[str]:
    """Return the fields of a body in one phrase; none: it takes no object that is known."""
    content = operation.get("requestBody", {}).get("content", {})
    schemas = [one["schema"] for one in content.values()]
    schemas += [one for schema in schemas for one in schema.get("anyOf", ())]
    names = [one["$ref"].rpartition("/")[2] for one in schemas if "$ref" in one]
    fields = [
        name for one in names for name in document["components"]["schemas"][one]["properties"]
    ]
    return ["body: " + ", ".join(f"`{name}`" for name in fields)] if fields else []


def _role(rule: Rule) -> str:
    if rule.need is None:
        return "anybody"
    least_first = (Role.VIEWER, Role.PRODUCER, Role.OPERATOR, Role.ADMIN)
    least = next(role for role in least_first if allows(role, rule.need))
    return f"{least.value}, all accounts" if rule.all_accounts else least.value


if __name__ == "__main__":
    sys.stdout.write(written())
