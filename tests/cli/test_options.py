"""The options that every command takes."""

import inspect

import pytest

from hooktui.cli.exit_codes import UsageError
from hooktui.cli.main import COMMANDS, command_table
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
    [
        ["--account"],
        ["--account", "0"],
        ["--account", "-1"],
        ["--account=x"],
        ["--role", "root"],
        ["--account", "9" * 5000],
        ["--connect", ""],
        ["--connect="],
    ],
)
def test_wrong_values_are_usage_errors(arguments):
    with pytest.raises(UsageError):
        split_options(arguments)


# Red when the words of the list of commands replace what the function of a command says.
def test_the_help_of_a_command_is_that_of_its_function(run):
    for command, words in (
        ("purge", "waiting deliveries are kept"),
        ("backup", "the key file is not in the copy"),
    ):
        assert words in " ".join(run(command, "--help").out.split())
    assert "Delete old events and their deliveries." in run("--help").out


# Red when the list of commands hides what a function says beyond its first line.
def test_each_help_has_all_that_its_function_says(run):
    found = 0
    for name, *_ in COMMANDS:
        table = command_table(name)
        parts = sorted(part for part in table[name] if not part.startswith("-"))
        for words in [(name, part) for part in parts] or [(name,)]:
            function = (table[name][words[1]] if parts else table[name]).default_command
            doc = str(inspect.getdoc(function)).partition("\n\nArgs:")[0].replace("`", "")
            shown = " ".join(run(*words, "--help").out.split())
            for paragraph in doc.split("\n\n")[1:]:
                found += 1
                assert " ".join(paragraph.split()) in shown, words
    assert found > 8


# Red when it is taken for the working folder: "cannot read : not a regular file".
@pytest.mark.parametrize(
    "command",
    [
        ("restore", ""), ("backup", ""), ("keys", "new", ""), ("emit", "job.failed", ""),
        ("emit", "--many", ""), ("move", "--to", "@"), ("listen", "--secret", "@"),
    ],
)  # fmt: skip
def test_an_empty_name_of_a_file_is_reported_as_empty(run, command):
    result = run(*command)
    assert result.code == 2
    assert "name of the file is empty" in result.err
