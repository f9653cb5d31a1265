"""What importing the client costs."""

import subprocess
import sys

HEAVY = ("httpx", "textual", "sqlalchemy", "sqlmodel", "fastapi", "pydantic", "asyncio")


def test_the_plain_client_imports_nothing_heavy():
    code = (
        "import sys; from hooktui.client import PlainClient, calls, find_server;"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert printed.strip() == "[]"
