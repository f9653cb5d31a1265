"""Completion in real shells: what Tab does in a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import select
import shlex
import shutil
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from hooktui.cli.access import create_token
from hooktui.cli.completion import _with_global_options
from hooktui.cli.main import main
from hooktui.cli.replay import SelectionOptions
from hooktui.domain.replays import ReplayMode
from hooktui.domain.roles import Role

WITHIN_S = 20.0

BASH = ["bash", "--norc", "--noprofile", "-i"]
ZSH = ["zsh", "-f", "-i"]
LAZY = Path("/usr/share/bash-completion/bash_completion")
COMPLETIONS = ".local/share/bash-completion/completions"
INIT = "autoload -Uz compinit; compinit -u -D"
SHELLS = [
    pytest.param(BASH, "source ./script", id="bash"),
    pytest.param(
        BASH,
        f"mkdir -p {COMPLETIONS}; cp script {COMPLETIONS}/hooktui; . {LAZY}",
        id="bash file",
        marks=pytest.mark.skipif(not LAZY.exists(), reason="no package bash-completion here"),
    ),
    pytest.param(ZSH, f"{INIT}; source ./script", id="zsh sourced"),
    pytest.param(ZSH, f"fpath=($PWD $fpath); {INIT}", id="zsh fpath"),
]

CASES = [
    ("hooktui deliveries res\t", "resend"),
    ("hooktui emit job.failed body-o\t", "body-of-a-job.json"),
    ("hooktui replay plan --mode ne\t", "never-sent"),
    ("hooktui tokens create ci --role op\t", "operator"),
    ("hooktui --role viewer --account 2 --json hooks disa\t", "disable"),
    ("hooktui hooks list --acc\t", "account"),
    ("hooktui --role prod\t", "producer"),
    ("hooktui --account 2 compl\t", "completion"),
]


@cache
def script_of(shell: str) -> str:
    """Return the script of a shell, which takes a second to write."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        main(["completion", shell], {"PATH": os.environ["PATH"]})
    return printed.getvalue()


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return a folder with the script of a shell, under both of its names, and a file."""
    shell = request.getfixturevalue("shell")[0]
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    for name in ("script", "_hooktui"):
        (tmp_path / name).write_text(script_of(shell))
    (tmp_path / "body-of-a-job.json").write_text("{}")
    return tmp_path


def completed(shell: list[str], folder: Path, first: str, line: str, wanted: str) -> str:
    """Type a line, wait for what Tab makes of it, and return what the terminal showed."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        shell, cwd=folder, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "PS1": "", "PS2": ""},
    )  # fmt: skip
    os.close(slave)
    shown = ""
    try:
        os.write(master, f"{first}; echo rea''dy\n".encode())
        for typed, awaited in (("", "ready"), (line, wanted)):
            os.write(master, typed.encode())
            end = time.monotonic() + WITHIN_S
            shown = ""
            while awaited not in shown and time.monotonic() < end:
                if select.select([master], [], [], 0.1)[0]:
                    shown += os.read(master, 65536).decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(master)
    return shown


# Red where the script defines a function that nobody is told to call (zsh), and where it takes the
# names of files away. Values of options: red where their type is any text, and where
# the options of all commands are unknown.
@pytest.mark.parametrize(("shell", "first"), SHELLS)
@pytest.mark.parametrize(("line", "wanted"), CASES)
def test_tab_completes_commands_values_and_files(folder, shell, first, line, wanted):
    assert wanted in completed(shell, folder, first, line, wanted)


@pytest.mark.parametrize("shell", [["fish"]])
@pytest.mark.parametrize(("line", "wanted"), CASES)
def test_fish_completes_the_same(folder, shell, line, wanted):
    asked = f"source ./script; complete --do-complete {shlex.quote(line.rstrip())}"
    found = subprocess.run(
        [*shell, "--no-config", "-c", asked], cwd=folder, capture_output=True, text=True, check=True
    )
    assert wanted in found.stdout
    assert found.stderr == ""


@pytest.mark.parametrize(
    ("declared", "name", "values"),
    [
        (_with_global_options, "role", Role),
        (create_token, "role", Role),
        (SelectionOptions, "mode", ReplayMode),
    ],
)
def test_the_values_of_an_option_are_those_of_the_domain(declared, name, values):
    hint = get_type_hints(declared)[name]
    found = {*get_args(hint), *(value for kind in get_args(hint) for value in get_args(kind))}
    assert {value for value in found if isinstance(value, str)} == set(values)
