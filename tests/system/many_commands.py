"""Many commands in one process, in a pseudo-terminal or with --json, and what they must not write.

An import for each of them would take longer than all of them together.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.installation import Installation
from tests.system.sequences import foreign
from tests.system.terminal import open_terminal

RUN_ALL = """
import json, os, sys
from hooktui.cli.main import main
todo = json.load(open(sys.argv[1]))
os.chdir(os.path.dirname(sys.argv[1]))  # a home that is no whole path is made here
for number, arguments in enumerate(todo):
    arguments = [a.encode("latin-1").decode("utf-8", "surrogateescape") for a in arguments]
    code = main(arguments)
    sys.stdout.flush()
    sys.stderr.write(f"\\n<{number}:{code}>\\n")
"""
OURS = {
    "\n", "\r", "\t", *(f"\x1b[{code}m" for code in ("0", "1", "2", "31", "32", "33")), "\x1b[K",
}  # fmt: skip
"""Line ends, tabs of bodies, the styles of `Output`, and the line that progress is written over."""

ENDED = re.compile(r"^<(\d+):(\d+)>\r?$", re.MULTILINE)


def in_terminal(
    home: Installation,
    folder: Path,
    commands: Sequence[Sequence[str]],
    *,
    typed: str = "",
    **environ: str,
) -> list[int]:
    """Run commands in a pseudo-terminal; hold that only our own sequences came; return codes."""
    todo = folder / "commands.json"
    todo.write_text(json.dumps([[_as_bytes(a) for a in command] for command in commands]))
    whole = {name: value for name, value in home.environ.items() if name != "NO_COLOR"} | environ
    terminal = open_terminal(
        [sys.executable, "-c", RUN_ALL, str(todo)], whole, columns=120, lines=40
    )
    terminal.press(typed + "\x04" * 3)  # who reads from the terminal gets its end
    try:
        assert terminal.status(100) == 0, terminal.text()
    finally:
        terminal.end()
    written = terminal.raw.decode("utf-8", "surrogateescape")
    codes = [int(code) for _, code in ENDED.findall(written)]
    assert len(codes) == len(commands), written[-2000:]
    pieces = re.split(r"<\d+:\d+>\r\n", written)
    wrong = {}
    for piece, command, code in zip(pieces, commands, codes, strict=False):
        odd = foreign(piece.encode("utf-8", "surrogateescape"), OURS)
        odd += re.findall("Traceback|internal error.*", piece)
        if odd:
            wrong[ascii(command)[:200]] = (code, odd[:5], piece[-200:])
    assert not wrong, wrong
    return codes


def as_json(
    home: Installation, folder: Path, commands: Sequence[Sequence[str]], **environ: str
) -> None:
    """Run commands with --json; hold that all they write is ASCII, and JSON."""
    todo = folder / "commands.json"
    todo.write_text(
        json.dumps([[_as_bytes(a) for a in ("--json", *command)] for command in commands])
    )
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL.replace("sys.stderr.write", "print"), str(todo)],
        env=home.environ | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.fullmatch(rb"[ -~\n]*", done.stdout), _odd(done.stdout)
    assert re.fullmatch(rb"[ -~\n]*", done.stderr), _odd(done.stderr)
    pieces = re.split(r"\n<\d+:\d+>\n\n", done.stdout.decode())
    for piece, command in zip(pieces, commands, strict=False):
        ndjson = piece if command[0] == "log" else ""
        for document in ndjson.splitlines() or filter(None, [piece.strip()]):
            json.loads(document)


def _odd(written: bytes) -> bytes:
    found = re.search(rb"[^ -~\n]", written)
    assert found
    return written[max(found.start() - 100, 0) : found.end() + 20]


def _as_bytes(argument: str) -> str:
    """Return an argument as Latin-1 of its bytes, so that it comes in as from a shell."""
    return argument.replace("\0", "").encode("utf-8", "surrogatepass").decode("latin-1")
