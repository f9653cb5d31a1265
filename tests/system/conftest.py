"""Real processes only: an installation in its own folder, its server, its commands, a receiver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.receivers import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def idle_home(tmp_path: Path) -> Iterator[Installation]:
    """An installation whose server is not running."""
    installation = Installation(tmp_path / "home")
    installation.home.mkdir(mode=0o700)
    yield installation
    installation.stop()


@pytest.fixture
def home(idle_home: Installation) -> Installation:
    """An installation whose server runs."""
    idle_home.start()
    return idle_home
