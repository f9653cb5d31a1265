"""What pyproject.toml declares: everything that is imported, and bounds for what may break us."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED: list[str] = PROJECT["dependencies"]
FOR_TESTS: list[str] = PROJECT["optional-dependencies"]["test"]

NEWEST = {"certifi", "cryptography"}
"""Trust roots and ciphers: only public functions are used, and a fix must not wait for a bound."""


def _imported() -> set[str]:
    found = set()
    for path in (ROOT / "hooktui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
    # The type checker brings _typeshed; it is imported for types alone.
    return found - set(sys.stdlib_module_names) - {"hooktui", "_typeshed"}


def _name(requirement: str) -> str:
    """Return the name of a requirement or distribution, normalised."""
    name = re.split(r"[^\w.-]", requirement)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


# Red when a package is used that only another one brings along, as rich was by textual.
def test_everything_that_is_imported_is_declared():
    distributions = importlib.metadata.packages_distributions()
    declared = {_name(one) for one in NEEDED}
    missing = {
        module
        for module in _imported()
        if not {_name(one) for one in distributions.get(module, [])} & declared
    }
    assert not missing


# Red when a bound is left out: the next major version would be installed on the day it appears.
def test_every_dependency_has_an_upper_bound():
    open_ended = {_name(one) for one in NEEDED + FOR_TESTS if "<" not in one}
    assert open_ended == NEWEST
