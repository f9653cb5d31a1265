"""``hooktui completion``: the script that completes commands and options in a shell."""

from __future__ import annotations

from typing import Literal

from hooktui.cli.context import Context

_BASH = ("complete -F ", "complete -o bashdefault -o default -F ")
"""Cyclopts' registration, and ours: where there is nothing of ours, file names are completed."""
_ZSH = """
if [[ $funcstack[1] == _hooktui ]]; then  # a file of $fpath, at the first Tab
  _cyclopts_hooktui "$@" || _default
else
  _hooktui() { _cyclopts_hooktui "$@" || _default }
  compdef _hooktui hooktui
fi
"""
"""Cyclopts only defines a function; this registers it, from a file of the fpath or sourced."""


def completion(shell: Literal["bash", "zsh", "fish"], /, *, context: Context) -> None:
    """Print the completion script of a shell, as in: source <(hooktui completion bash).

    For zsh: hooktui completion zsh > DIR/_hooktui, with DIR in fpath, or sourced after compinit.

    Args:
        shell: bash, zsh or fish.
    """
    from hooktui.cli.main import command_table

    script = command_table().generate_completion(prog_name="hooktui", shell=shell)
    if shell == "bash":
        script = script.replace(*_BASH)
    elif shell == "zsh":
        script += _ZSH
    context.out.script(script)
