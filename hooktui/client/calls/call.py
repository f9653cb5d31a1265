"""One request as a value, and the functions that make it of a path and fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Literal, TypedDict, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from hooktui.domain.errors import NotFound, Refused

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

USUAL_TIMEOUT_S = 30.0

JSON = {"Content-Type": "application/json"}

Method = Literal["GET", "POST", "PATCH", "DELETE"]
Parameter = str | int | bool | Sequence[int] | None


@dataclass(frozen=True, slots=True)
class Call(Generic[T_co]):
    """One request, and the function that decodes its JSON response to a value.

    ``path`` is escaped and includes the query. ``body`` is sent unchanged, ``headers`` in Latin-1.
    """

    method: Method
    path: str
    decode: Callable[[object], T_co]
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = USUAL_TIMEOUT_S

    @property
    def changes(self) -> bool:
        """Whether it changes the state of the server."""
        looks = ("/dry-run", "/diagnose", "/replays/plan")
        only_looks = self.path.partition("?")[0].endswith(looks)
        return self.method != "GET" and not only_looks


class Window(TypedDict, total=False):
    """The page of a list: all fields are optional; ``order`` is ``asc`` or ``desc``."""

    limit: int | None
    cursor: str | None
    sort: str | None
    order: str | None
    from_end: bool


_NOT_IN_NAMES = re.compile(r"[/\\\x00-\x1f\x7f]")
"""Characters that the server accepts in no path."""


def path_of(*parts: str | int, **query: Parameter) -> str:
    """Return the escaped path of a call with its query.

    Raises:
        NotFound: a part cannot be a name or an id.
    """
    for part in map(str, parts):
        if part in ("", ".", "..") or _NOT_IN_NAMES.search(part):
            raise NotFound(f"{part[:100]!r} is not an id or name")
    path = "/v1/" + "/".join(quote(str(part), safe="") for part in parts)
    query = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in query.items()
        if value is not None and value is not False and value != ()
    }
    return f"{path}?{urlencode(query, doseq=True)}" if query else path


def get(kind: type[T], *parts: str | int, **query: Parameter) -> Call[T]:
    """Return a call that reads an object of a kind."""
    return Call("GET", path_of(*parts, **query), partial(msgspec.convert, type=kind))


def send(
    method: Method,
    kind: type[T] | None,
    *parts: str | int,
    fields: Mapping[str, object] | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = USUAL_TIMEOUT_S,
    **query: Parameter,
) -> Call[T]:
    """Return a call with the response of a kind (None: nothing); ``fields`` are sent as JSON."""
    decode: Callable[[object], Any] = (
        nothing if kind is None else partial(msgspec.convert, type=kind)
    )
    headers = headers or {}
    if fields is not None:
        body, headers = msgspec.json.encode(fields), {**JSON, **headers}
    return Call(method, path_of(*parts, **query), decode, body, headers, timeout_s)


def nothing(_response: object) -> None:
    """Ignore a response."""


def given(**fields: object) -> dict[str, object]:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def with_key(key: str | None) -> dict[str, str]:
    """Return the header of an idempotency key.

    Raises:
        Refused: the key cannot be a header value.
    """
    if key is None:
        return {}
    if not key.isprintable():
        raise Refused.field("/key", "key contains control characters; use printable ones")
    return {"Idempotency-Key": key.encode("utf-8", "replace").decode("latin-1")}
