"""The generated parts of the documents are what the code says now."""

from __future__ import annotations

import pytest

from docs.tools import generate, tables
from hooktui.api.access import RULES
from hooktui.cli.main import COMMANDS
from hooktui.server.settings import Settings

TEXTS = {path.relative_to(generate.DOCS): path.read_text() for path in generate.DOCS.rglob("*.md")}


def test_documents_hold_what_the_code_says():
    """Red when the code changed: run ``python -m docs.tools.generate``."""
    assert [str(path) for path, _ in generate.outdated()] == []


def test_each_part_is_in_one_document():
    found = [part for text in TEXTS.values() for part in generate.parts_of(text)]
    assert sorted(found) == sorted(generate.PARTS)


def test_every_call_is_listed():
    listed = generate.PARTS["api"]()
    missing = [f"{rule.method} {rule.path}" for rule in RULES if rule.path not in listed]
    assert missing == ["GET /docs"]


def test_every_setting_command_and_metric_is_listed():
    assert all(f"`{name}`" in tables.settings() for name in Settings.model_fields)
    assert all(f"`hooktui {name}" in tables.commands() for name, *_ in COMMANDS)
    assert "`hooktui_attempts_total{outcome}`" in tables.metrics()
    assert "`hooktui_commit_seconds{writer}`" in tables.metrics()


def test_a_part_that_does_not_exist_is_refused():
    with pytest.raises(KeyError, match="nothing"):
        generate.generated("<!-- generated: nothing -->\n<!-- end of nothing -->")
