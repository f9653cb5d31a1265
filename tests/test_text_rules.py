"""Text of others is shown in few ways, all of them safe: checked in the sources.

`tests/system/test_hostile_text.py` tries what screens and commands show; these rules also find a
widget or a write that it does not try.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "hooktui"

LITERAL_WIDGETS = {"Input", "TextArea", "ContentSwitcher"}
"""Of the library's widgets those that take text as it is (measured), or none; `Static` does when
told to."""
TITLES = {"border_title", "border_subtitle", "tooltip"}
"""Attributes that read markup, on any widget."""
SAFE = {"visible", "dumps"}
"""What makes text safe to write: `visible`, and JSON, which is ASCII."""


def name_of(node: ast.AST) -> str:
    """Return the last name of what is called or read, such as "notify" of ``self.app.notify``."""
    return getattr(node, "attr", None) or getattr(node, "id", "")


def is_literal(node: ast.AST | None) -> bool:
    """Whether a value cannot be markup of others: ours, or `Content` made from text."""
    if isinstance(node, ast.Call):
        return name_of(node.func) == "Content"
    return node is None or isinstance(node, ast.Constant)


def markup_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and reason of each place where text may be read as markup."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            taken = {alias.name for alias in node.names}
            if node.module == "textual.widgets" and taken - LITERAL_WIDGETS - {"Static"}:
                yield node.lineno, f"{sorted(taken)}: measure whether they read markup"
            if node.module in {"rich.text", "rich.markup", "textual.markup"}:
                yield node.lineno, f"{node.module}: text is Content here"
        elif isinstance(node, ast.Attribute) and node.attr == "from_markup":
            yield node.lineno, "from_markup"
        elif isinstance(node, ast.FunctionDef) and node.name == "render":
            if not (node.returns and ast.unparse(node.returns) in {"Content", "Strip"}):
                yield node.lineno, "a str that `render` returns is markup; return Content"
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(name_of(target) in TITLES for target in targets) and not is_literal(node.value):
                yield node.lineno, "a title or tooltip that is neither ours nor Content"
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, reason) for reason in _markup_of_call(node))


def _markup_of_call(call: ast.Call) -> Iterator[str]:
    name = name_of(call.func)
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    told = named.get("markup")
    if name in {"Static", "notify"} and not (
        isinstance(told, ast.Constant) and told.value is False
    ):
        yield f"{name} without markup=False"
    if name in {"Hit", "DiscoveryHit"}:
        shown = call.args[1 if name == "Hit" else 0]
        # Labels of commands and themes are our own; the library can only mark those it parses.
        if not (
            is_literal(shown)
            or (isinstance(shown, ast.Call) and name_of(shown.func) == "highlight")
        ):
            yield f"{name} shows a str"
    if any(arg in TITLES and not is_literal(value) for arg, value in named.items()):
        yield "a title or tooltip that is neither ours nor Content"


def is_safe(node: ast.AST) -> bool:
    """Whether what is written holds nothing but our words and what was made safe."""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.BinOp):
        return is_safe(node.left) and is_safe(node.right)
    if isinstance(node, ast.JoinedStr):
        return all(is_safe(piece) for piece in node.values)
    if isinstance(node, ast.FormattedValue):
        return is_safe(node.value)
    return isinstance(node, ast.Call) and name_of(node.func) in SAFE


def writes_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and reason of each write past `Output` that is not seen to be safe."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if name_of(node.func) in {"print", "print_exc", "print_exception", "echo"}:
            yield node.lineno, "write through Output"
        stream = name_of(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        if (
            name_of(node.func) in {"write", "writelines"}
            and stream.lstrip("_") in {"stdout", "stderr", "stream", "__stdout__", "__stderr__"}
            and not all(is_safe(argument) for argument in node.args)
        ):
            yield node.lineno, "write through Output, or each value through visible"


def sources(*packages: str) -> list[Path]:
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def test_no_text_in_the_console_can_become_markup():
    # Red when text of others is given to a widget that reads markup, on any screen.
    found = [
        f"{path.relative_to(ROOT)}:{line}: {reason}"
        for path in sources("console")
        for line, reason in markup_in(ast.parse(path.read_text()))
    ]
    assert found == []


def test_no_command_writes_past_its_output():
    # Red when a command writes a text that did not go through `visible`.
    found = [
        f"{path.relative_to(ROOT)}:{line}: {reason}"
        for path in sources("cli", "client", "console", "demo", "offline")
        if path != ROOT / "cli" / "output.py"
        for line, reason in writes_in(ast.parse(path.read_text()))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "Static(name)",
        "Static(name, markup=True)",
        "self.notify(f'saved {name}')",
        "self.app.notify(name, title='x')",
        "self.border_title = name",
        "self.query_one(Input).tooltip = f'{name}'",
        "Input(tooltip=name)",
        "Content.from_markup(name)",
        "Text.from_markup('[b]' + name)",
        "from textual.widgets import DataTable",
        "from textual.widgets import Input, Select",
        "from rich.text import Text",
        "Hit(0.5, name, run)",
        "DiscoveryHit(entry.text, run)",
        "def render(self) -> str: return name",
        "def render(self): return name",
    ],
)
def test_the_rule_sees_what_reads_markup(source):
    assert [*markup_in(ast.parse(source))]


@pytest.mark.parametrize(
    "source",
    [
        "print(name)",
        "sys.stdout.write(name)",
        "sys.stderr.write(f'hooktui: {error}\\n')",
        "self._stderr.write('a' + name)",
        "traceback.print_exc()",
        "stream.writelines(lines)",
    ],
)
def test_the_rule_sees_what_is_written_past_output(source):
    assert [*writes_in(ast.parse(source))]
