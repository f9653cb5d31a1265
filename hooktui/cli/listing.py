"""Lists: fetch pages until the limit, write them as a table or as a JSON array."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, Generic, TypeVar, cast
from urllib.parse import parse_qsl, urlsplit

from cyclopts import Parameter

from hooktui.cli.context import CommandContext, Number
from hooktui.cli.exit_codes import UsageError, report
from hooktui.cli.output import Output, Piece, text_columns
from hooktui.client.calls import Call, Window
from hooktui.client.sync_client import decoded
from hooktui.domain.errors import HooktuiError
from hooktui.domain.wire.pages import MAX_LIMIT, Page

T = TypeVar("T")

DEFAULT: Final = 50
"""Objects that a list shows without ``--limit``."""


def filter_terms(example: str) -> Parameter:
    """Return the annotation of ``*terms``, in which a leading ``-`` negates a term."""
    return Parameter(allow_leading_hyphen=True, help=f"a filter, such as {example}")


DeliveryTerms = Annotated[str, filter_terms("status:failed hook:12 since:10m -event:job.*")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Limit:
    """The options of a list: how many objects it shows."""

    count: Annotated[
        Number | None, Parameter(name="--limit", help=f"at most this many; {DEFAULT} by default.")
    ] = None
    everything: Annotated[bool, Parameter(name="--all", help="show all.")] = False

    def most(self) -> int | None:
        """Return the most objects to show; None: all.

        Raises:
            UsageError: the limit is below 1, or is given together with ``--all``.
        """
        if self.count is not None and self.everything:
            raise UsageError("--all shows all, --limit N at most N; give one of them")
        most = DEFAULT if self.count is None else self.count
        if most < 1:
            raise UsageError(f"--limit must be at least 1, not {most}")
        return None if self.everything else most


FIRST_50: Final = Limit()


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """How objects of a kind are listed: the table, and the notes for an empty list.

    ``columns`` is for `text_columns`, ``row`` makes the cells of an object, and ``unfiltered``
    names the objects of a list without a filter.
    """

    columns: str
    row: Callable[[T], Sequence[Piece]]
    empty: str
    unfiltered: str = "all"

    def write(self, out: Output, items: Iterable[T]) -> None:
        """Write a table of objects."""
        out.table(text_columns(self.columns), map(self.row, items))


def show_one(
    context: CommandContext, call: Call[T], write: Callable[[CommandContext, T], None]
) -> None:
    """Show the response of a call: for people with ``write``, or as the server's JSON."""
    value = context.ask(call)
    if value is not None:
        write(context, value)


def filter_text(terms: Sequence[str]) -> str | None:
    """Return filter terms as one filter, None when there are none.

    Raises:
        UsageError: one of them is an option that the command does not have.
    """
    for term in terms:
        if term.startswith("--"):
            raise UsageError(f"unknown option {term}; see --help")
    return " ".join(terms) or None


def show_list(
    context: CommandContext,
    call: Callable[..., Call[Page[T]]],
    listing: Listing[T],
    limit: Limit,
    remark: Callable[[Page[T]], str | None] = lambda _page: None,
) -> None:
    """Write a list.

    ``call`` makes the call of a page from the fields of a `Window`; ``remark`` returns a note about
    the last page.
    """
    pages = pages_of(context, call, limit.most())
    if context.json:
        context.out.json_array(raw for raws, _ in pages for raw in raws)
        return
    items: list[T] = []
    total, about, note = 0, "", None
    for _, page in pages:
        items += page.data
        total, about = page.total, "about " if page.total_is_estimate else ""
        note = remark(page)
        context.out.progress(f"{len(items)} of {about}{total:,}" if page.next else "")
    if note is not None:
        context.out.note(note)
    if not items:
        context.out.note(_none(listing, call().path, context.account))
        return
    listing.write(context.out, items)
    if len(items) < total:
        context.out.note(f"{len(items)} of {about}{total:,}; --all shows the rest, --limit N more")


def show_matches(
    context: CommandContext,
    call: Callable[..., Call[Page[T]]],
    terms: Sequence[str],
    listing: Listing[T],
    limit: Limit,
) -> None:
    """Write the objects of a list that match filter terms."""
    show_list(context, partial(call, context.account, q=filter_text(terms)), listing, limit)


def _none(listing: Listing[T], path: str, account: int | None) -> str:
    """Return the note for an empty list: only one that nothing narrows has no objects."""
    where = "" if account is None else f" in account {account}"
    narrowed = [
        value if name == "q" else f"--{name} {value or repr(value)}"
        for name, value in parse_qsl(urlsplit(path).query, keep_blank_values=True)
        if name != "account"
    ]
    if narrowed:
        found = f"no match for {' '.join(narrowed)}{where}"
        return f"{found}; omit the filter to list {listing.unfiltered}"
    head, semicolon, hint = listing.empty.partition(";")
    if account is not None:
        hint = hint.replace(": hooktui ", f": hooktui --account {account} ")
    return f"{head}{where}{semicolon}{hint}"


def pages_of(
    context: CommandContext, call: Callable[..., Call[Page[T]]], limit: int | None = None
) -> Iterator[tuple[list[object], Page[T]]]:
    """Yield pages as raw JSON and as values, up to ``limit`` objects (None: all)."""
    left, cursor = limit, None
    while True:
        size = MAX_LIMIT if left is None else min(left, MAX_LIMIT)
        response, page = context.response(call(**Window(limit=size, cursor=cursor)))
        raws = cast("dict[str, list[object]]", response)["data"]
        yield raws, page
        if left is not None:
            left -= len(raws)
        cursor = page.next
        # A search may return an empty page before the last one.
        if cursor is None or (left is not None and left <= 0):
            return


def for_each(
    context: CommandContext,
    ids: Sequence[Any],
    call: Callable[..., Call[T]],
    show: Callable[[Any], None],
    *,
    also_as_json: bool = False,
) -> int:
    """Call something for each of several ids; one that fails does not stop the others.

    An id that is given twice counts once. As JSON, one id gives its object, several an array.

    Args:
        ids: the ids.
        call: makes the call of an id and an account.
        show: writes a result as text; a deletion has none, and this gets the id.
        also_as_json: call it as well where results are written as JSON.

    Returns:
        The exit code: that of the first error, else 0.
    """
    code = 0
    raws: list[object] = []
    ids = list(dict.fromkeys(ids))
    for identity in ids:
        request = call(identity, account=context.account)
        try:
            response = context.client.response_json(request)
        except HooktuiError as error:
            error_code = report(error, as_json=context.json)
            code = code or error_code
            continue
        raws.append({"id": identity} if response is None else response)
        if also_as_json or not context.json:
            none = response is None
            show(identity if none else decoded(request, context.address, response))
    if context.json and raws:
        context.out.json(raws[0] if len(ids) == 1 else raws)
    return code
