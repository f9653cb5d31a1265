"""The table of a measurement: measured values, the floor, and the goals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One measured value; less is better.

    Attributes:
        what: the description.
        unit: of all values.
        reached: the measured value.
        floor: that of an empty Textual app in the same run, or of a short list (see ``what``).
        must: the upper bound.
        aim: the desired upper bound.
    """

    what: str
    unit: str
    reached: float
    floor: float | None = None
    must: float | None = None
    aim: float | None = None

    @property
    def ratio(self) -> float | None:
        """The measured value divided by the floor; None without a floor, or if it is 0."""
        return self.reached / self.floor if self.floor else None

    @property
    def met(self) -> bool | None:
        """Whether the upper bound is met; None: there is none."""
        return None if self.must is None else self.reached <= self.must

    @property
    def aim_met(self) -> bool | None:
        """Whether the desired bound is met; None: there is none."""
        return None if self.aim is None else self.reached <= self.aim

    @property
    def verdict(self) -> str:
        """The word of the column ``reached``."""
        if self.met is None:
            return ""
        return "NO" if not self.met else "aim" if self.aim_met else "yes"

    def fields(self) -> dict[str, object]:
        """Return all values for JSON."""
        return asdict(self) | {"ratio": self.ratio, "met": self.met, "aim_met": self.aim_met}

    def cells(self) -> tuple[str, ...]:
        """Return the columns of the table."""
        goal = " / ".join(_number(one) for one in (self.must, self.aim) if one is not None)
        ratio = "" if self.ratio is None else f"{self.ratio:.1f}"
        what = f"{self.what}, {self.unit}" if self.unit else self.what
        return (what, _number(self.reached), _number(self.floor), ratio, goal, self.verdict)


HEADING = ("what", "hooktui", "floor", "ratio", "must / aim", "reached")


def as_text(rows: Sequence[Row]) -> str:
    """Return the table for a terminal."""
    lines = [HEADING, *(row.cells() for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEADING))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the table for docs/understand/performance.md."""
    lines = [HEADING, ("---", *["---:"] * 4, "---"), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if value and abs(value) < 10:
        return f"{value:.2f}".rstrip("0").rstrip(".")
    if abs(value) < 100:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:,.0f}"
