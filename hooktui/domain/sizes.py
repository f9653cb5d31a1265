"""Sizes as people read them."""

from __future__ import annotations


def in_bytes(count: int) -> str:
    """Return a size as people read it, such as 3.1 MB."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
