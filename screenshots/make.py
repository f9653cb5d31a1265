#!/usr/bin/env python3
"""Make the pictures of the console: ``python screenshots/make.py [--check]``.

The real console, driven by keys, on the real API and a real store in a temporary folder, with one
clock that stands still: the same bytes each time. ``--check`` writes nothing and ends with 1 when a
picture would change.

To look at other themes and sizes, with some place for what is drawn then:
``make.py --into FOLDER --theme hooktui-light --size 80x24 --ascii hooks delivery``.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import gc
import html
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
DRAWN_WITH = HERE / "drawn-with.txt"
sys.path[:0] = [str(HERE.parent), str(HERE)]

# Before anything of ours or of Textual is imported, for these are read then.
for _name in [name for name in os.environ if name.startswith(("HOOKTUI_", "TEXTUAL_"))]:
    del os.environ[_name]
NO_COLOUR = os.environ.pop("NO_COLOR", None) is not None and "--into" in sys.argv
if NO_COLOUR:
    os.environ["NO_COLOR"] = "1"
os.environ.pop("TMUX", None)
os.environ |= {"TZ": "UTC", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
os.environ |= {"TEXTUAL_ANIMATIONS": "none"}
time.tzset()

from still_clock import StillClock, install

from hooktui.domain.clock import from_rfc3339

DAY_MS = 24 * 3600 * 1000
NOW_MS = from_rfc3339("2026-11-24T09:41:17Z")
CLOCK = StillClock(NOW_MS - 9 * DAY_MS)
install(CLOCK)

from guide import Guide
from pictures import PICTURES, Picture
from recorded_server import recorded_server

from hooktui.client import AsyncClient, ServerAddress
from hooktui.console.frame import notices
from hooktui.console.app import ConsoleApp
from hooktui.console.frame.screen import full_screens
from hooktui.console.shell.preferences import ConsoleOptions

# With the usual threshold, collecting garbage was a quarter of the time.
gc.freeze()
gc.set_threshold(5000)

# A notice stays until it is drawn, however slow the machine is.
notices.NOTICE_S = dict.fromkeys(notices.NOTICE_S, 3600.0)

MONOSPACE = "Fira Code, DejaVu Sans Mono, Menlo, Consolas, monospace"


async def draw(picture: Picture, address: ServerAddress, look: argparse.Namespace) -> str:
    """Return a picture as SVG."""
    options = ConsoleOptions(connect=str(address.socket), theme=look.theme, ascii=look.ascii)
    app = ConsoleApp(options, environ=dict(os.environ))
    size = look.size or picture.size
    async with app.run_test(size=size) as pilot, AsyncClient(address) as client:
        guide = Guide(app, pilot, client)
        await picture.go(guide)
        await guide.sees(picture.shows)
        # Not the temporary folder, which has another name each time.
        app.connection.where = "local server"
        for screen in full_screens(app):
            screen.refresh_frame()
        await guide.settled()
        if look.text:
            return guide.screen()
        return self_contained(app.export_screenshot(title="hooktui"))


def self_contained(svg: str) -> str:
    """Return a picture that loads no font from elsewhere; any monospace one will do."""
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace(
        "Fira Code, monospace", MONOSPACE
    )


async def draw_all(look: argparse.Namespace) -> AsyncIterator[tuple[str, str]]:
    """Yield names and pictures: those that are asked for, or all."""
    with tempfile.TemporaryDirectory(prefix="hooktui-pictures-") as folder:
        async with recorded_server(Path(folder), CLOCK, NOW_MS) as address:
            for picture in PICTURES:
                if not look.names or picture.name in look.names:
                    yield picture.name, await draw(picture, address, look)


def versions() -> str:
    """Return what the pictures depend on besides ourselves: other versions draw otherwise."""
    return "".join(f"{name} {version(name)}\n" for name in ("textual", "rich"))


def size(text: str) -> tuple[int, int]:
    """Return columns and lines of a size such as 80x24."""
    columns, _, lines = text.partition("x")
    return int(columns), int(lines)


def arguments() -> argparse.Namespace:
    """Return what was asked for; only pictures in a folder of their own may look otherwise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if one would change")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="write there")
    parser.add_argument("--theme", help="draw in another theme")
    parser.add_argument("--size", type=size, metavar="80x24", help="draw at another size")
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII signs")
    parser.add_argument("--text", action="store_true", help="write the text of the screens")
    parser.add_argument("names", nargs="*", metavar="PICTURE", help="only these")
    look = parser.parse_args()
    changes_look = look.theme or look.size or look.ascii or look.text
    if look.into is None and (changes_look or (look.names and not look.check)):
        parser.error("the pictures beside this program have their looks; say --into FOLDER")
    return look


async def write(look: argparse.Namespace) -> list[str]:
    """Write the pictures, unless they are only to be compared; return the names that changed."""
    folder, ending = look.into or HERE, "txt" if look.text else "svg"
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    async for name, picture in draw_all(look):
        path = folder / f"{name}.{ending}"
        if not path.exists() or path.read_text(encoding="utf-8") != picture:
            changed.append(path.name)
            if not look.check:
                path.write_text(picture, encoding="utf-8")
    return changed


FEW = 3


def drawn_again(names: list[str]) -> list[str]:
    """Return which pictures differ also when drawn alone: a busy machine may cut one short."""
    with tempfile.TemporaryDirectory() as folder:
        stems = [Path(name).stem for name in names]
        command = [sys.executable, __file__, "--into", folder, *stems]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        pairs = {name: (HERE / name, Path(folder) / name) for name in names}
        changed = [
            name for name, (old, new) in pairs.items() if old.read_bytes() != new.read_bytes()
        ]
        for name in changed:
            lines = (words_in(file) for file in pairs[name])
            print(*difflib.unified_diff(*lines, "there", "drawn", n=0, lineterm=""), sep="\n")
        return changed


def words_in(picture: Path) -> list[str]:
    """Return the texts of a picture, to say in which of them two differ."""
    texts = re.findall(">([^<]+)</text>", picture.read_text(encoding="utf-8"))
    return [html.unescape(text).replace("\xa0", " ") for text in texts]


def main() -> int:
    """Write the pictures, or compare them with those that are there."""
    look = arguments()
    changed = asyncio.run(write(look))
    if look.check and changed and len(changed) <= FEW and look.into is None:
        changed = drawn_again(changed)
    if look.into is None and not look.check:
        DRAWN_WITH.write_text(versions(), encoding="utf-8")
    print(f"{'would change' if look.check else 'written'}: {', '.join(changed) or 'nothing'}")
    return 1 if look.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
