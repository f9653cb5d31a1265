"""``hooktui completion``: the script that completes commands and options in a shell."""

from __future__ import annotations

from typing import Literal

from hooktui.cli.context import Context


def completion(shell: Literal["bash", "zsh", "fish"], /, *, context: Context) -> None:
    """Print the completion script of a shell, as in: source <(hooktui completion bash).

    Args:
        shell: bash, zsh or fish.
        context: the run.
    """
    from hooktui.cli.main import command_table

    context.out.script(command_table().generate_completion(prog_name="hooktui", shell=shell))
