"""Pages of lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MAX_LIMIT: Final = 500
"""The largest ``limit`` of a page of a list or of the change feed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list; ``next`` and ``prev`` are opaque cursors."""

    data: list[T] = field(default_factory=list)
    next: str | None = None
    prev: str | None = None
    total: int = 0
    total_is_estimate: bool = False
