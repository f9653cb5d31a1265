"""``hooktui emit``: send one event, or many."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, BinaryIO, cast

from cyclopts import Parameter

from hooktui.cli.context import CommandContext, Context, Text
from hooktui.cli.exit_codes import UsageError
from hooktui.client import calls
from hooktui.client.responses import Problem
from hooktui.client.sync_client import decoded
from hooktui.domain.errors import FieldError, HooktuiError, Refused
from hooktui.domain.text import counted, cut
from hooktui.domain.wire.events import MAX_BODY_BYTES, AcceptedEvent

MAX_LINES, MAX_REQUEST_BYTES = 1000, 8 * 1024 * 1024
"""What the server takes at once; longer input is sent in parts."""


def emit(
    event_type: Annotated[str | None, Parameter(name="TYPE", allow_leading_hyphen=True)] = None,
    file: Annotated[str | None, Parameter(name="FILE", allow_leading_hyphen=True)] = None,
    /,
    *,
    key: Text | None = None,
    many: bool = False,
    context: Context,
) -> None:
    """Send an event with the JSON of FILE or stdin as its exact body; prints its id.

    With --many: FILE or stdin holds a line {"type": …, "data": …, "key"?: …} for each event. Up to
    1,000 lines and 8 MiB are stored all or not at all; more are sent in parts.

    Args:
        event_type: such as job.failed; not with --many.
        file: a file, or - for stdin.
        key: idempotency key; an event with the same key is stored once in 24 hours.
        many: send one event per line.
    """
    for given in (event_type, file):
        if given is not None and given.startswith("-") and given != "-":
            raise UsageError(
                f"unknown option {cut(given, 100)}; a file of that name is ./{cut(given, 100)}"
            )
    if not many:
        if event_type is None:
            raise UsageError("emit needs the TYPE of the event; see: hooktui events types")
        _emit_one(context, event_type, file, key)
        return
    if file is not None or key is not None:
        raise UsageError("emit --many takes one FILE; types and keys are in its lines")
    _emit_many(context, event_type)


def _emit_one(context: CommandContext, event_type: str, file: str | None, key: str | None) -> None:
    with context.open_input(file) as stream, _reading(file):
        body = stream.read(MAX_BODY_BYTES + 1)
    call = calls.send_event(context.account, event_type, body, key=key)
    response, accepted = context.response(call)
    if context.json:
        context.out.json(response)
    else:
        context.out.line(accepted.id)
    if accepted.duplicate:
        context.out.note("this key was seen before: that is the id of the first event")
    elif not accepted.deliveries:
        skipped = f"{accepted.skipped:,} skipped" if accepted.skipped else ""
        why = skipped or "none subscribes to this type"
        context.out.note(f"accepted, and sent to no hook ({why})")


def _emit_many(context: CommandContext, file: str | None) -> None:
    sent = duplicates = 0
    with context.open_input(file) as stream:
        for before, lines in _parts(stream, file):
            context.interrupted = f"interrupted; accepted so far: at least {counted(sent, 'event')}"
            call = calls.send_many(context.account, b"".join(lines))
            try:
                response = context.client.response_json(call)
            except HooktuiError as error:
                if sent:
                    context.out.note(f"{_accepted(sent)}; the next part fails")
                raise _counted_from(error, before) from _problem_of(error)
            events = decoded(call, context.address, response).data
            sent += len(events)
            context.done = _accepted(sent)
            _write_accepted(context, response, events)
            duplicates += sum(event.duplicate for event in events)
            context.out.progress(counted(sent, "event"))
    if not sent:
        raise UsageError("there are no lines to send")
    if duplicates:
        context.out.note(
            f"{counted(duplicates, 'event')} had a key that was seen before: the id is that of the"
            " first event with it"
        )


def _write_accepted(
    context: CommandContext, response: object, events: Sequence[AcceptedEvent]
) -> None:
    """Write a line for each event of a response, which holds them as JSON, before the next part."""
    raws = cast("dict[str, list[object]]", response)["data"]
    for raw, event in zip(raws, events, strict=True):
        if context.json:
            context.out.json_line(raw)
        else:
            context.out.line(event.id)
    context.out.flush()


def _accepted(sent: int) -> str:
    return f"the first {'event was' if sent == 1 else f'{sent:,} events were'} accepted"


def _parts(stream: BinaryIO, file: str | None) -> Iterator[tuple[int, list[bytes]]]:
    """Yield parts that the server accepts in one call: the lines before each, and its lines.

    Blank lines are sent as well, so that the server counts lines as an editor does.
    """
    lines: list[bytes] = []
    before = size = 0
    with _reading(file):
        while line := stream.readline(MAX_REQUEST_BYTES + 1):
            line = line.rstrip(b"\r\n \t") + b"\n"
            if not (lines or line.strip()):
                before += 1
                continue
            if lines and (len(lines) == MAX_LINES or size + len(line) > MAX_REQUEST_BYTES):
                yield before, lines
                before, lines, size = before + len(lines), [], 0
            lines.append(line)
            size += len(line)
    if lines:
        yield before, lines


def _counted_from(error: HooktuiError, before: int) -> HooktuiError:
    """Return an error whose lines are those of the input, after ``before`` lines of other parts."""

    def counted(text: str) -> str:
        # Not in the middle of a text: "line 2 is not JSON: it ends early, line 1 column 34".
        return re.sub(
            r"(^|; )line (\d+)\b", lambda found: f"{found[1]}line {int(found[2]) + before}", text
        )

    error.detail = counted(error.detail)
    error.args = (error.detail,)
    if isinstance(error, Refused):
        error.errors = tuple(
            FieldError(
                re.sub(r"^/(\d+)", lambda found: f"/{int(found[1]) + before}", fault.pointer),
                counted(fault.detail),
            )
            for fault in error.errors
        )
    return error


def _problem_of(error: HooktuiError) -> BaseException | None:
    """Return the cause of an error; a problem object of the server with the lines of the error."""
    cause = error.__cause__
    if not isinstance(cause, Problem):
        return cause
    fields = {**cause.fields, "detail": error.detail}
    if isinstance(error, Refused) and error.errors:
        fields["errors"] = [{"pointer": e.pointer, "detail": e.detail} for e in error.errors]
    return Problem(fields)


@contextmanager
def _reading(file: str | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot read {file or 'stdin'}: {error.strerror}") from error
