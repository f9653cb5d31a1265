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


LONG = "y" * 5000
_OF_WEBHOOK = [
    "verify",
    "--secret",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "--webhook-signature=s",
]
_CREATE = ["hooks", "create", "--url", "https://e.example/", "--events", "job"]
_LONG_VALUES = [
    [LONG], ["hooks", LONG], ["status", LONG], ["status", f"--{LONG}"], ["emit", f"-{LONG}"],
    ["--role", LONG], ["--account", LONG], ["--connect", f"http://{LONG}"],
    ["--connect", f"https://h/{LONG}", "status"], ["hooks", "show", LONG],
    ["hooks", "list", "--limit", LONG], ["hooks", "secret", "1", "--rotate", "--overlap", LONG],
    *([*_CREATE, option, LONG] for option in (
        "--header", "--retry-schedule", "--rate", "--max-in-flight", "--timeout", "--type",
        "--signature-hash",
    )),
    ["replay", "run", "--since", LONG], ["replay", "rate", "rpl_0000000000000", LONG],
    ["alerts", "snooze", "alr_0000000000000", "--for", LONG],
    ["alerts", "snooze", "alr_0000000000000", "--for", "0" * 5000 + "1s"],
    ["undelivered", "list", "--limit", LONG], ["purge", "--older-than", LONG],
    ["tokens", "create", "t", "--role", "viewer", "--expires", LONG], ["demo", "--for", LONG],
    ["listen", "--delay", LONG], ["listen", "--status", LONG], ["listen", "--port", "9" * 4000],
    ["listen", "--secret", "s", "--tolerance", LONG], [*_OF_WEBHOOK, "--id=1", "--timestamp", LONG],
    ["bench", "--case", LONG], ["bench", "--rounds", LONG], ["bench", "--events", "9" * 4000],
    ["selftest", "--kill", "--rounds", "9" * 4000], ["completion", LONG],
    ["serve", "--listen", LONG], ["serve", "--database", LONG],
]  # fmt: skip


# Red when a message repeats a wrong value to its end: what to do scrolls away.
@pytest.mark.parametrize("arguments", _LONG_VALUES, ids=lambda given: " ".join(given)[:40])
def test_a_long_value_is_cut_in_the_message(run, arguments):
    result = run(*arguments)
    assert result.code in (2, 5, 6), result.err
    assert 20 < len(result.err) < 500


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


# Red when the output of a command that failed is a value: `--header K=-` removed the header.
@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize(
    "command",
    [
        *(
            ("hooks", *hook, *option)
            for hook in (("create", "--url", "https://x.test", "--events", "job"), ("edit", "1"))
            for option in (
                ("--header", "K={}"), ("--basic-auth", "{}"), ("--basic-auth", "me:{}"),
            )
        ),
        ("hooks", "create", "--url", "https://x.test", "--events", "job", "--secret", "{}"),
        ("hooks", "secret", "1", "--rotate", "--secret", "{}"), ("listen", "--secret", "{}"),
        ("verify", "--signature", "00", "--secret", "{}"), ("move", "--to", "{}"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_empty_file_or_stdin_is_not_a_value(run, server, tmp_path, command, content):
    file = tmp_path / "empty"
    file.write_bytes(content)
    for source, name in ((f"@{file}", f"@{file}"), ("-", "stdin")):
        result = run(*(part.format(source) for part in command), stdin=content)
        assert result.code == 2
        assert f"{name} is empty" in result.err
    assert server.asked == []
