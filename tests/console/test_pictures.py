"""The pictures in ``screenshots/`` are what the console draws: whole screens, byte for byte."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

SCREENSHOTS = Path(__file__).parents[2] / "screenshots"


@pytest.mark.slow
def test_the_pictures_are_what_the_console_draws():
    for line in (SCREENSHOTS / "drawn-with.txt").read_text().splitlines():
        name, drawn_with = line.split()
        if version(name) != drawn_with:
            pytest.skip(f"drawn with {name} {drawn_with}; {version(name)} draws otherwise")
    result = subprocess.run(
        [sys.executable, str(SCREENSHOTS / "make.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert result.returncode == 0, result.stdout + result.stderr
