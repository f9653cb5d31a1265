"""The change feed: lines of several kinds, and the position after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from hooktui.domain.errors import NoServer
from hooktui.domain.wire.deliveries import Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedAnswer:
    """Changes in their order, and the position to continue from.

    Each line has ``kind`` (delivery, attempt, event, hook, replay, alert, engine), ``at``, and the
    fields of the object; an attempt also has ``hook, account, event, event_type, trigger, replay``
    of its delivery, its ``status`` afterwards, and its current ``held`` and ``cause``. A hook is in
    its current state, and ``change`` (created, changed, enabled, disabled, deleted, …) with
    ``reason`` says what happened. An alert is in its current state, too; its ``change`` is the
    state that it got. ``reset`` is present, and true, if some changes were deleted.

    ``searched_to`` is present if the page ended before the last change: the time of the change at
    which it ended. With ``from_end`` the last one is the oldest, and ``before`` is where to
    continue.
    """

    data: list[dict[str, Any]]
    next: str
    reset: bool = False
    before: str | None = None
    searched_to: str | None = None


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLine(Attempt):
    """An attempt in the feed, with the fields of its delivery that a log line shows.

    ``status`` is the delivery's after this attempt; ``held`` and ``cause`` are the current ones.
    """

    hook: int
    account: int
    event: str
    event_type: str
    trigger: str
    status: str
    held: bool = False
    cause: str | None = None
    replay: str | None = None


@dataclass(frozen=True, slots=True)
class FeedLine:
    """One change: its kind, the time of its commit (RFC 3339), and the object as received.

    Kinds are ``delivery``, ``attempt``, ``event``, ``hook``, ``replay``, ``alert`` and
    ``engine``; a client ignores unknown kinds. ``fields`` holds the whole line, ``kind`` and ``at``
    included.
    """

    kind: str
    at: str
    fields: Mapping[str, object]

    def read(self, kind: type[T]) -> T:
        """Return the object of a line of this kind; of a hook, unless it was deleted.

        Raises:
            NoServer: this version cannot read it.
        """
        try:
            return msgspec.convert(self.fields, kind)
        except msgspec.ValidationError as error:
            raise NoServer(
                f"the server sent a change that this version cannot read: {error}"
            ) from error


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Changes after a position. ``reset``: the position was deleted; read everything again.

    ``searched_to`` is the time of the last change searched (RFC 3339), if some are left to search.
    ``before``, of a page from the end, is the position before which to continue.
    """

    data: tuple[FeedLine, ...]
    next: str
    reset: bool = False
    before: str | None = None
    searched_to: str | None = None


def decode_page(response: object) -> FeedPage:
    """Decode the response of ``GET /v1/feed``.

    Raises:
        msgspec.ValidationError: it is not a page of the feed.
    """
    page = msgspec.convert(response, FeedAnswer)
    lines = (
        FeedLine(str(fields.get("kind", "")), str(fields.get("at", "")), fields)
        for fields in page.data
    )
    return FeedPage(tuple(lines), page.next, page.reset, page.before, page.searched_to)
