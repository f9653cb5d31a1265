"""``hooktui completion``: the script that completes commands and options in a shell."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

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

_FISH = ("-n __fish_use_subcommand ", "-n __fish_hooktui_using_command ")
"""A condition that takes the value of an option for a command, and ours."""


def completion(shell: Literal["bash", "zsh", "fish"], /, *, context: Context) -> None:
    """Print the completion script of a shell, for a file that it reads at the first Tab.

    bash: ~/.local/share/bash-completion/completions/hooktui. zsh: DIR/_hooktui, with DIR in fpath.
    fish: ~/.config/fish/completions/hooktui.fish. Without a file, in a second at each start:
    source <(hooktui completion bash).

    Args:
        shell: bash, zsh or fish.
    """
    from hooktui.cli.main import command_table

    table = command_table()
    table.meta.default(_with_global_options)
    script = table.generate_completion(prog_name="hooktui", shell=shell)
    if shell == "bash":
        script = script.replace(*_BASH)
    elif shell == "zsh":
        script += _ZSH
    else:
        script = script.replace(*_FISH)
    context.out.script(script)


def _with_global_options(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    account: int | None = None,
    connect: str | None = None,
    role: Literal["viewer", "producer", "operator", "admin"] | None = None,
    json: bool = False,
    quiet: bool = False,
    no_color: bool = False,
) -> None:
    """Declare the options of all commands for completion; `split_options` parses them.

    Args:
        account: the number of the account; 1 by default.
        connect: the URL of the server.
        role: act with a lower role.
        json: write JSON.
        quiet: no hints and no progress.
        no_color: no colours.
    """
