"""The pictures in ``screenshots/`` are what the console draws: whole screens, byte for byte."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
MAKE = SCREENSHOTS / "make.py"
DRAWN = re.findall(r'Picture\("([a-z0-9-]+)"', (SCREENSHOTS / "pictures.py").read_text())
HALVES = (DRAWN[::2], DRAWN[1::2])
"""For two workers: together they take longest of all tests."""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("names", HALVES, ids=["even", "odd"])
def test_the_pictures_are_what_the_console_draws(names: list[str]):
    for line in (SCREENSHOTS / "drawn-with.txt").read_text().splitlines():
        name, drawn_with = line.split()
        if version(name) != drawn_with:
            pytest.skip(f"drawn with {name} {drawn_with}; {version(name)} draws otherwise")
    result = subprocess.run(
        [sys.executable, str(MAKE), "--check", *names],
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


def test_there_is_no_picture_that_nobody_draws():
    assert len(DRAWN) > 20
    assert sorted(path.stem for path in SCREENSHOTS.glob("*.svg")) == sorted(DRAWN)


def test_only_pictures_in_a_folder_of_their_own_may_look_otherwise():
    """Red when a look in another theme writes over the pictures of the README."""
    result = subprocess.run(
        [sys.executable, str(MAKE), "--theme", "nord", "hooks"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 2
    assert "--into" in result.stderr
