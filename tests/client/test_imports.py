"""What importing the client costs, and that each call can be imported."""

import pkgutil
import subprocess
import sys
from importlib import import_module
from inspect import getmembers, isfunction

from hooktui.client import calls

HEAVY = ("httpx", "textual", "sqlalchemy", "sqlmodel", "fastapi", "pydantic", "asyncio")


def test_the_plain_client_imports_nothing_heavy():
    code = (
        "import sys; from hooktui.client import PlainClient, calls, find_server;"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert printed.strip() == "[]"


# Red when a name can be imported from the package but is no attribute of it.
def test_each_name_of_the_package_is_an_attribute():
    code = (
        "import sys; import hooktui.client as c; assert 'hooktui.client.calls' not in sys.modules;"
        "print([name for name in c.__all__ if not hasattr(c, name)])"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert printed.strip() == "[]"


def test_the_package_of_calls_has_every_call():
    for module in pkgutil.iter_modules(calls.__path__, f"{calls.__name__}."):
        if module.name.endswith(".call"):
            continue
        for name, call in getmembers(import_module(module.name), isfunction):
            if call.__module__ == module.name and not name.startswith("_"):
                assert getattr(calls, name) is call


def test_sending_an_event_imports_no_objects_of_hooks():
    code = (
        "import sys; from hooktui.client import calls; calls.send_event(1, 'job.failed', b'{}');"
        "print([m for m in sys.modules if m.startswith('hooktui.domain.wire.')])"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert "hooktui.domain.wire.events" in printed
    assert "hooktui.domain.wire.hooks" not in printed
