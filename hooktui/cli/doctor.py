"""``hooktui doctor``: tells how an installation is, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Final

from hooktui.cli.context import Context
from hooktui.cli.failure import DONE, FAILED
from hooktui.cli.output import Output, Style, Styled
from hooktui.domain.wire.diagnosis import Check, Checkup

STYLES: Final[dict[str, Style]] = {"ok": "good", "warn": "warn", "fail": "bad"}
_NAME_WIDTH = 14


def doctor(*, context: Context) -> int:
    """Look at server, database, disk, clock and files; with a server or without. 1: it is not well.

    Args:
        context: the run.
    """
    from hooktui.offline.doctor import examine

    context.out.progress("looking; a large database takes a while")
    here = context.options.connect is None
    checkup = examine(context.environ, context.client, here=here)
    context.out.progress("")
    if context.json:
        context.out.json(asdict(checkup))
    else:
        _write(context.out, checkup)
    return FAILED if checkup.state == "fail" else DONE


def write_checks(out: Output, checks: Iterable[Check]) -> None:
    """Write a line for each check, and below it what to do."""
    for check in checks:
        state = Styled(f"{check.state:<4}", STYLES.get(check.state, "warn"))
        out.line(state, f"  {check.name:<{_NAME_WIDTH}}", check.value)
        if check.advice:
            out.line(" " * (_NAME_WIDTH + 6), Styled(check.advice, "dim"))


def _write(out: Output, checkup: Checkup) -> None:
    write_checks(out, checkup.checks)
    counts = Counter(check.state for check in checkup.checks)
    if checkup.state == "ok":
        out.line(Styled("all is well", "good"))
    else:
        said = [f"{counts['fail']} to mend", f"{counts['warn']} to know of"]
        shown = [part for part in said if not part.startswith("0 ")]
        out.line(Styled(", ".join(shown), STYLES.get(checkup.state, "warn")))
