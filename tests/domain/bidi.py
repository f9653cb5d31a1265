"""The Unicode bidirectional algorithm (UAX #9) for one line without explicit formatting.

Left out: brackets (N0) and mirroring, which change no order of separated parts.
"""

from __future__ import annotations

import unicodedata
from itertools import groupby

_STRONG = ("L", "R", "AL")
_NEUTRAL = ("B", "S", "WS", "ON", "BN")


def display_order(line: str, base: int = 0) -> list[int]:
    """Return the indexes of a line's characters as they are drawn, from left to right."""
    kinds = _weak([unicodedata.bidirectional(c) or "L" for c in line], "RL"[base == 0])
    kinds = _neutral(kinds, "RL"[base == 0])
    levels = [_level(kind, base) for kind in kinds]
    for at in range(len(line) - 1, -1, -1):  # L1: blanks at the end
        if unicodedata.bidirectional(line[at]) not in ("WS", "S"):
            break
        levels[at] = base
    order = list(range(len(line)))
    for level in range(max(levels, default=0), 0, -1):  # L2
        at = 0
        while at < len(order):
            end = at
            while end < len(order) and levels[order[end]] >= level:
                end += 1
            order[at:end] = reversed(order[at:end])
            at = max(end, at + 1)
    return order


def _weak(kinds: list[str], start: str) -> list[str]:
    kinds = list(kinds)
    before = start
    for at, kind in enumerate(kinds):  # W1
        kinds[at] = before if kind == "NSM" else kind
        before = kinds[at]
    strong = start
    for at, kind in enumerate(kinds):  # W2
        strong = kind if kind in _STRONG else strong
        kinds[at] = "AN" if kind == "EN" and strong == "AL" else kind
    kinds = ["R" if kind == "AL" else kind for kind in kinds]  # W3
    for at in range(1, len(kinds) - 1):  # W4
        left, kind, right = kinds[at - 1 : at + 2]
        if left == right and (
            (kind in ("ES", "CS") and left == "EN") or (kind, left) == ("CS", "AN")
        ):
            kinds[at] = left
    at = 0
    for kind, run in groupby(list(kinds)):  # W5
        end = at + len(list(run))
        beside = (kinds[at - 1] if at else "", kinds[end] if end < len(kinds) else "")
        if kind == "ET" and "EN" in beside:
            kinds[at:end] = ["EN"] * (end - at)
        at = end
    kinds = ["ON" if kind in ("ES", "ET", "CS") else kind for kind in kinds]  # W6
    strong = start
    for at, kind in enumerate(kinds):  # W7
        strong = kind if kind in ("L", "R") else strong
        kinds[at] = "L" if kind == "EN" and strong == "L" else kind
    return kinds


def _neutral(kinds: list[str], start: str) -> list[str]:
    def side(at: int) -> str:
        kind = kinds[at] if 0 <= at < len(kinds) else start
        return "R" if kind in ("EN", "AN") else kind

    resolved, at = list(kinds), 0
    for neutral, run in groupby(kinds, lambda kind: kind in _NEUTRAL):  # N1, N2
        end = at + len(list(run))
        if neutral:
            both = side(at - 1) == side(end)
            resolved[at:end] = [side(end) if both else start] * (end - at)
        at = end
    return resolved


def _level(kind: str, base: int) -> int:
    if base == 0:
        return {"L": 0, "R": 1}.get(kind, 2)
    return {"R": 1}.get(kind, 2)
