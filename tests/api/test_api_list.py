"""The page that lists the calls is the one that the code would write."""

from pathlib import Path

from hooktui.api.access import RULES
from tests.api.api_list import written

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_the_page_of_the_api_is_what_the_code_says():
    """Red when a call, its role or its parameters changed: write the page anew (see api_list)."""
    assert (DOCS / "integrate/api.md").read_text() == written()


def test_every_call_is_on_the_page():
    page = (DOCS / "integrate/api.md").read_text()
    missing = [
        f"{rule.method} {rule.path}"
        for rule in RULES
        if rule.path != "/docs" and f"`{rule.method} {rule.path}`" not in page
    ]
    assert missing == []
    assert "docs/integrate/api.md" in (DOCS.parent / "README.md").read_text()
