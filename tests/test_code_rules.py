"""Rules of the code: style, types, imports, file sizes, and nothing of a machine in a commit."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "hooktui").rglob("*.py"))
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=360)


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")])
def test_ruff_finds_nothing(arguments):
    result = run(sys.executable, "-m", "ruff", *arguments, ".")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.timeout(400)  # a minute on two idle cores
def test_the_strict_type_checker_is_clean():
    result = run(sys.executable, "-m", "mypy")
    assert result.returncode == 0, result.stdout + result.stderr


def test_import_contracts_hold():
    result = run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_import_contract_names_every_package():
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    named = set(re.findall(r"hooktui\.(\w+)", " ".join(map(str, layers["contracts"]))))
    packages = {p.stem for p in (ROOT / "hooktui").iterdir() if p.suffix == ".py" or p.is_dir()}
    packages -= {"__init__", "__main__", "__pycache__", "py"}
    assert packages - named == set(), "packages that no import contract names"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_states_its_purpose_and_is_short(path):
    text = path.read_text()
    assert text.startswith('"""'), "a file begins with a docstring that states its purpose"
    assert text.count("\n") <= 700, "one task per file: split it"
    assert path.stem not in VAGUE, f"{path.stem} says nothing"


def _coroutines_of_exclusive_workers(source: str) -> list[str]:
    """Return the coroutines that are passed to a worker which a later one replaces."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        ast.unparse(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "run_worker"
        and any(keyword.arg == "exclusive" for keyword in call.keywords)
        and isinstance(call.args[0], ast.Call)
    ]


def test_a_worker_that_is_replaced_gets_a_function():
    # Red when it gets a coroutine: one that is replaced before it begins is never awaited, and
    # Python says so on the terminal of the user.
    assert _coroutines_of_exclusive_workers("run.run_worker(read(), exclusive=True)") == ["read()"]
    found = {
        str(path.relative_to(ROOT)): coroutines
        for path in SOURCES
        if (coroutines := _coroutines_of_exclusive_workers(path.read_text()))
    }
    assert found == {}


def test_nothing_of_a_machine_or_a_registry_is_committed():
    tracked = run("git", "ls-files", "-z").stdout.split("\0") if shutil.which("git") else [""]
    if tracked == [""]:
        pytest.skip("no git, or not a git checkout")
    forbidden = re.compile(
        r"(/home/|/Users/|/root/)\w|index-url\s*=|//[\w.-]*(?:pythonhosted|pypi\.org)"
    )
    guilty = []
    for name in filter(None, tracked):
        path = ROOT / name
        if path.suffix in {".png", ".svg"} or path == Path(__file__) or not path.is_file():
            continue
        if forbidden.search(path.read_text(errors="replace")):
            guilty.append(name)
    assert guilty == []
