"""Objects of the HTTP API, shared by the server and its clients.

Field names and meanings are those of the contract. Times are RFC 3339 UTC with milliseconds; ids of
events and deliveries are their public text, ids of hooks and accounts integers. A server builds
them from rows; a client reads them back with ``msgspec.convert``, which ignores unknown fields, so
that an older console can talk to a newer server.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def fields_of(value: DataclassInstance) -> dict[str, Any]:
    """Return the values of a dataclass by field; objects in them are not converted."""
    return {field.name: getattr(value, field.name) for field in fields(value)}
