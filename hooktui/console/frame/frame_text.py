"""Texts of the frame: the top screens on the right of headings, and the status line."""

from __future__ import annotations

import re
from typing import Final

from hooktui.console.formatting import lag
from hooktui.console.registry import TOP_SCREENS, KeyOf
from hooktui.console.shell.contract import Shell
from hooktui.console.shell.server_connection import ConnectionState
from hooktui.console.widgets.styled import StyledLine, StyledText, StyleName, wrapped
from hooktui.domain.hook_fields import HOOK_SETTINGS
from hooktui.domain.text import counted, visible

_OUT_OF_REACH = (ConnectionState.LOST, ConnectionState.ABSENT, ConnectionState.REFUSED)

LINE: Final = 74
"""Maximum width of a line of text in cells, so that it fits a terminal of 80."""

CHECK_TONES: Final[dict[str, StyleName]] = {"ok": "good", "warn": "warn", "fail": "bad"}
"""Styles of the states of a check; a newer server may have others."""


def top_screens(here: str, *, short: bool = False) -> StyledLine:
    """Return the top screens with their digits (``short``: digits only); ``here`` is emphasized."""
    line: list[StyledText] = []
    for top in TOP_SCREENS:
        style: StyleName = "plain" if top.label.lower() == here.lower() else "quiet"
        if short:
            line.append((f"{top.key} ", style))
        else:
            line += [(f"{top.key} ", "quiet"), (f"{top.label}  ", style)]
    return line


def alert_path(shell: Shell) -> StyledLine:
    """Return that alerts cannot be delivered; empty while they can."""
    status = shell.status.latest
    path = None if status is None else status.alert_path
    if path is None or path.state != "failing":
        return ()
    failing = [hook for hook in path.hooks if hook.state != "ok"]
    which, state = f"{len(failing)} alert hooks", "failing"
    if len(failing) == 1:
        which, state = f"alert hook {failing[0].hook}", failing[0].state
    return (f" ! {which} {state}", "bad"), (f" {shell.glyphs.dot}", "quiet")


def no_match(text: str, rest: str, key: KeyOf) -> tuple[StyledLine, ...]:
    """Return the text of a filter without matches; "back" shows ``rest``, or "" goes back."""
    does = f"shows {rest} again" if rest else "goes back"
    back: StyledLine = ((f"  {key('back')}", "accent"), (f"  {does}", "plain"))
    return ((f"  {text}", "plain"),), back


def introduction(title: str, *lines: str | tuple[str, str]) -> tuple[StyledLine, ...]:
    """Return the text of an empty list: a title, then lines that explain it.

    A line is a text, or a key with what it does; an empty text is a blank line, and a line with an
    empty key is left out.
    """
    text: list[StyledLine] = [((f"  {title}", "strong"),), ()]
    for line in lines:
        if isinstance(line, str):
            text.append(((f"  {line}", "quiet"),) if line else ())
        elif line[0]:
            text.append(((f"  {line[0]}", "accent"), (f"  {line[1]}", "plain")))
    return tuple(text)


def unloaded(shell: Shell, error: str = "") -> tuple[StyledLine, ...]:
    """Return the text of a list without rows: loading, or why not and what loads it.

    ``error`` is that of its last load; empty: there was none.
    """
    connection = shell.connection
    first: StyledLine
    if connection.state in _OUT_OF_REACH:
        first = (("  Not loaded; the data loads once the server is available.", "plain"),)
        error = connection.problem or connection.word
    elif error:
        key: StyledText = (shell.key("reload"), "accent")
        first = (("  Not loaded; ", "plain"), key, (" loads the data again.", "plain"))
    else:
        return (((f"  loading{shell.glyphs.ellipsis}", "quiet"),),)
    lines = wrapped(visible(error), LINE, most=4)
    return (first, *(((f"  {line}", "quiet"),) for line in lines))


_IN_CONSOLE: Final = (
    (r"hooktui hooks enable (\d+)", r":hook \1, then {activate}"),
    (r"hooktui hooks delete (\d+)", r":hook \1, then {delete}"),
    (r"hooktui hooks edit (\d+) --verify-tls", r":hook \1, then {edit}; tick TLS"),
    (r"hooktui hooks edit (\d+) --no-verify-tls", r":hook \1, then {edit}; untick TLS"),
    (r"hooktui hooks diagnose HOOK", "{diagnose} on a hook"),
    (r"hooktui hooks create --url \S+ --events hooktui", "{go_hooks}, then {new}; tick hooktui"),
    (r"hooktui resume", "{go_engine}, then {activate}"),
    (r"hooktui status names", "the screen Engine ({go_engine}) names"),
    (r"hooktui audit verify names", "the screen Audit ({go_audit}, then {diagnose}) names"),
    (r"hooktui tokens create NAME --role ROLE --expires 90d", "{go_tokens}, then {new}"),
    *(
        (rf"--{setting.option.removesuffix('s')}s?(?![\w-])", setting.label.capitalize())
        for setting in HOOK_SETTINGS.values()
        if not setting.label.isupper()
    ),
)
"""Commands and options of the shell in the server's advice, and what does the same here."""


def advice_here(advice: str, key: KeyOf) -> str:
    """Return an advice of the server with the keys of the console instead of shell commands."""
    for command, here in _IN_CONSOLE:
        here = re.sub(r"\{(\w+)\}", lambda name: key(name[1]).replace("\\", r"\\"), here)
        advice = re.sub(command, here, advice)
    return advice


def end_reason(name: str, position: int, count: int, noun: str) -> str | None:
    """Return why "previous" or "next" is not possible at a position, or None."""
    end = {"previous": 0, "next": count - 1}.get(name)
    if end is None or (position != end and count > 1):
        return None
    if count < 2:
        return f"there is no other {noun}"
    return f"this is the {'last' if end else 'first'} {noun}"


def status_line(shell: Shell) -> tuple[StyledLine, StyledLine]:
    """Return account, user and server for the left side, backlog and rate for the right side."""
    dot = f" {shell.glyphs.dot} "
    connection, status, account = shell.connection, shell.status.latest, shell.account
    where: StyledText = (connection.where, "quiet")
    left: list[StyledText] = [(" ", "plain")]
    if connection.state is ConnectionState.CONNECTED and status is not None:
        left += [
            (account.name or f"account {account.number}", "plain"),
            (f"{dot}{status.user} ({status.role}){dot}", "quiet"),
            where,
        ]
    else:
        style: StyleName = "bad" if connection.state in _OUT_OF_REACH else "warn"
        why: StyledText = (connection.problem, "plain")
        left += [(f"{connection.word}{dot}", style), why if connection.problem else where]
    return left, _backlog(shell, dot)


def _backlog(shell: Shell, dot: str) -> StyledLine:
    status = shell.status.latest
    if status is None:
        return ()
    right: list[StyledText] = []
    behind = lag(shell.connection.read_to_ms, shell.clock())
    if behind:
        right.append((f"log {behind}{dot}", "warn"))
    alerts = status.alerts
    if alerts is not None and alerts.open:
        right.append((f"! {counted(alerts.open, 'alert')}{dot}", "bad"))
    if status.paused is not None:
        right.append((f"delivery is paused{dot}", "warn"))
    backlog, rates = status.backlog, status.rates
    right.append((f"{backlog.count:,} waiting", "plain" if backlog.count else "quiet"))
    if backlog.held:
        right.append((f"{dot}{backlog.held:,} held", "warn"))
    # A token of one account gets no rates, because they are those of all accounts.
    connected = shell.connection.state is ConnectionState.CONNECTED
    right.append(
        (" " if rates is None or not connected else f"{dot}{rates.delivered_per_s:.1f}/s ", "quiet")
    )
    return right
