"""Real processes: an installation in its own folder, its server, a receiver; and its commands.

Where only the result of a command counts, it runs in the process of the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.receivers import Receiver, receiving
from tests.support.stores import lay_new_database


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def idle_home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """An installation whose server is not running; of the class that a module names."""
    kind: type[Installation] = getattr(request.module, "INSTALLATION", Installation)
    installation = kind(tmp_path / "home")
    installation.home.mkdir(mode=0o700)
    yield installation
    installation.stop()


@pytest.fixture
def home(idle_home: Installation) -> Installation:
    """An installation whose server runs; the server has not made the database."""
    lay_new_database(idle_home.home)
    idle_home.start()
    return idle_home
