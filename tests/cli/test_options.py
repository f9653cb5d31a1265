"""The options that every command takes."""

import pytest

from hooktui.cli.exit_codes import UsageError
from hooktui.cli.options import GlobalOptions, split_options


@pytest.mark.parametrize(
    ("arguments", "options", "rest"),
    [
        ([], GlobalOptions(), []),
        (["hooks", "list", "--json"], GlobalOptions(json=True), ["hooks", "list"]),
        (["--account", "3", "log"], GlobalOptions(account=3), ["log"]),
        (["log", "--account=3", "-f"], GlobalOptions(account=3), ["log", "-f"]),
        (
            ["--connect", "https://x", "--role", "viewer", "--quiet", "--no-color"],
            GlobalOptions(connect="https://x", role="viewer", quiet=True, no_color=True),
            [],
        ),
        (["log", "--", "--json"], GlobalOptions(), ["log", "--", "--json"]),
        (
            ["--role", "admin", "tokens", "create", "ci", "--role", "viewer"],
            GlobalOptions(role="admin"),
            ["tokens", "create", "ci", "--role", "viewer"],
        ),
        (
            ["--json", "tokens", "create", "--role=viewer", "ci"],
            GlobalOptions(json=True),
            ["tokens", "create", "--role=viewer", "ci"],
        ),
    ],
)
def test_global_options_are_found_wherever_they_stand(arguments, options, rest):
    assert split_options(arguments) == (options, rest)


@pytest.mark.parametrize(
    "arguments",
    [["--account"], ["--account", "0"], ["--account", "-1"], ["--account=x"], ["--role", "root"]],
)
def test_wrong_values_are_usage_errors(arguments):
    with pytest.raises(UsageError):
        split_options(arguments)
