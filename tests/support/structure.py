"""Measures the structure of ``hooktui/``: modules, import cycles, ancestry, and the two stores.

    python -m tests.support.structure

prints the figures that `tests.test_structure` holds.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETTINGS = ("signature_hash", "max_in_flight", "verify_tls", "ordered")
"""Not ``timeout_s`` and ``rate_per_s``: calls of the client and replays have one of their own."""
PASSING_ON = ("api", "cli", "client", "console")
"""Packages that read, write and show hook settings through their declaration."""


@dataclass(frozen=True)
class Module:
    """A module of ours, as it is written."""

    path: Path
    tree: ast.Module
    lines: int

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


@cache
def modules() -> dict[str, Module]:
    """Return all modules by their dotted names, packages included."""
    found = {}
    for path in sorted((ROOT / "hooktui").rglob("*.py")):
        text = path.read_text()
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = Module(path, ast.parse(text), text.count("\n"))
    return found


@cache
def imports_of(module: str) -> set[str]:
    """Return the modules that a module imports: at the top, lazily, or for its types alone."""
    known, found = modules(), set()
    for node in ast.walk(known[module].tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known else node.module)
    return {name for name in found if name in known and name != module}


def cycles() -> list[list[str]]:
    """Return a group of modules that import each other, however indirectly, if there is one."""
    try:
        TopologicalSorter({module: imports_of(module) for module in modules()}).prepare()
    except CycleError as error:
        return [sorted(set(error.args[1]))]
    return []


def ancestry() -> list[set[str]]:
    """Return each class with the classes of ours that it stands on."""
    bases: dict[str, list[str]] = {}
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                plain = [b.value if isinstance(b, ast.Subscript) else b for b in node.bases]
                names = [getattr(b, "id", getattr(b, "attr", "")) for b in plain]
                bases.setdefault(node.name, names)

    def above(name: str) -> set[str]:
        return {name}.union(*(above(b) for b in bases[name] if b in bases and b != name))

    return [above(name) for name in bases]


def mirrored() -> set[str]:
    """Return the names of the modules that both stores have."""
    here, there = (
        {path.stem for path in (ROOT / "hooktui/store" / name).glob("*.py")}
        for name in ("sqlite", "postgres")
    )
    return (here & there) - {"__init__"}


def named_in(setting: str) -> list[str]:
    """Return the modules of api, cli, client and console that name a hook setting."""
    return [
        name
        for name, module in modules().items()
        if name.count(".") and name.split(".")[1] in PASSING_ON and setting in _names(module.tree)
    ]


def untyped_rows() -> list[str]:
    """Return the modules of the store that read columns by name, and so without their types.

    The packages of the two databases read the rows of their drivers, migrations earlier schemas.
    """
    return [
        name
        for name, module in modules().items()
        if name.startswith("hooktui.store.")
        and name.split(".")[2] not in ("sqlite", "postgres", "migrations")
        and any(_reads_by_name(node) for node in ast.walk(module.tree))
    ]


def _reads_by_name(node: ast.AST) -> bool:
    match node:
        case ast.Name(id="RowMapping") | ast.Attribute(attr="mappings" | "_mapping"):
            return True
        case ast.Subscript(value=ast.Name(id="row"), slice=ast.Constant(value=str())):
            return True
    return False


def _names(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        for kind in ("id", "attr", "arg", "name"):
            found.add(str(getattr(node, kind, "")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


@cache
def twins() -> dict[str, list[str]]:
    """Return the public classes whose name is given more than once, with their modules."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, module in modules().items():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(name)
    return {name: places for name, places in found.items() if len(places) > 1}


@cache
def figures() -> dict[str, int]:
    """Return all that is held, by name."""
    return {
        "modules": sum(not module.is_package for module in modules().values()),
        "lines": sum(module.lines for module in modules().values()),
        "modules in import cycles": sum(map(len, cycles())),
        "deepest ancestry of a widget": max(
            len(classes) for classes in ancestry() if "LineWidget" in classes
        ),
        "deepest ancestry of another class": max(
            len(classes) for classes in ancestry() if "LineWidget" not in classes
        ),
        "modules that only one store has": _unmirrored(),
        "modules that name a hook setting": max(len(named_in(one)) for one in SETTINGS),
        "class names given more than once": len(twins()),
        "store modules with untyped rows": len(untyped_rows()),
    }


def _unmirrored() -> int:
    """Return how many of the ten tasks that both stores have are named differently."""
    return max(10 - len(mirrored()), 0)


if __name__ == "__main__":
    for what, count in figures().items():
        print(f"{what:34} {count:7,}")
