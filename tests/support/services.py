"""Services of the API for tests of a part of it: what is not given is None."""

from dataclasses import MISSING, fields
from typing import Any

from hooktui.api.service import Service


def service_with(**given: Any) -> Service:
    required = [
        field.name
        for field in fields(Service)
        if field.init and field.default is field.default_factory is MISSING
    ]
    return Service(**dict.fromkeys(required) | given)
