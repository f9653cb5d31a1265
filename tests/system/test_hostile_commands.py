"""Hostile text from everywhere in every command: as text in a pseudo-terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import pytest
from cyclopts import App

from hooktui.cli.main import COMMANDS
from tests.support.hostile_texts import BYTES, TEXTS
from tests.support.installation import Installation
from tests.system.hostile_names import hostile_urls
from tests.system.hostile_plant import Plant, planting
from tests.system.hostile_server import (
    NO_ANSWERS,
    hostile_server,
    refusing,
    senseless_server,
    twisted,
)
from tests.system.many_commands import as_json, in_terminal
from tests.system.sequences import foreign

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with planting(tmp_path_factory.mktemp("hostile") / "home") as plant:
        yield plant


def reading(plant: Plant, deliveries: int | None = None) -> list[list[str]]:
    """Return the commands that show what is stored; of the deliveries so many, or all."""
    return [
        ["hooks", "list", "--all"],
        ["hooks", "list", "evil"],
        ["hooks", "show", str(plant.hook)],
        ["hooks", "secret", str(plant.hook)],
        ["hooks", "enable", str(plant.hook)],
        ["hooks", "ping", str(plant.hook)],
        ["hooks", "diagnose", str(plant.hook)],
        ["events", "list"],
        ["events", "types"],
        *(["events", "show", one] for one in plant.events[:2]),
        ["deliveries", "list", "--all"],
        *(["deliveries", "show", one] for one in plant.deliveries[:deliveries]),
        ["deliveries", "resend", plant.deliveries[0]],
        ["deliveries", "cancel", plant.deliveries[0]],
        ["undelivered", "list"],
        ["undelivered", "acknowledge", str(plant.hook), "http_5xx"],
        ["replay", "plan", "--hook", str(plant.hook)],
        ["replay", "list"],
        ["alerts", "list"],
        ["log"],
        ["status"],
        ["keys", "list"],
        ["accounts", "list", "--all"],
        ["tokens", "list", "--all"],
        ["audit", "list", "--all"],
        ["audit", "verify"],
        ["doctor"],
    ]


def all_commands() -> Iterator[tuple[str, ...]]:
    """Yield the names of each command, such as ("hooks", "list")."""
    for name, target, _ in COMMANDS:
        module, _, attribute = target.partition(":")
        command = getattr(import_module(f"hooktui.cli.{module}"), attribute)
        if isinstance(command, App):
            yield from ((name, command) for command in command if not command.startswith("-"))
        else:
            yield (name,)


def asking(text: str) -> list[list[str]]:
    """Return commands that get a text in every place of the command line."""
    return [
        [text],
        ["hooks", text],
        ["hooks", "list", f"--{text}"],
        ["hooks", "list", text],
        ["hooks", "show", text],
        ["hooks", "create", "--url", text, "--events", "evil"],
        ["hooks", "create", "--url", f"https://{text}/", "--events", text],
        ["hooks", "create", "--url", "http://127.0.0.1:9/", "--events", text, "--type", text],
        ["hooks", "create", "--url", "http://127.0.0.1:9/", "--events", "evil", "--inactive",
         "--name", text],
        ["hooks", "create", "--url", "http://127.0.0.1:9/", "--events", "evil", "--inactive",
         "--header", f"{text}={text}", "--secret", text, "--filter", text,
         "--signature-hash", text],
        ["hooks", "edit", "1", "--timeout", text],
        ["hooks", "edit", "1", "--retry-schedule", text],
        ["hooks", "edit", "1", "--rate", text],
        ["hooks", "edit", "1", "--header", text],
        ["hooks", "edit", "1", "--filter", f"data.x:{text}"],
        ["hooks", "disable", text],
        ["hooks", "delete", text, "--yes"],
        ["hooks", "secret", "1", "--rotate", "--overlap", text],
        ["hooks", "create", "--url", "http://127.0.0.1:9/", "--events", "evil", "--secret",
         f"@{text}"],
        ["emit", text, "-"],
        ["emit", "evil.t1", f"/nowhere/{text}"],
        ["events", "show", text],
        ["events", "list", text],
        ["deliveries", "show", text],
        ["deliveries", "resend", text, text],
        ["deliveries", "list", f"status:{text}"],
        ["deliveries", "cancel", "--filter", text, "--yes"],
        ["undelivered", "list", "--state", text],
        ["undelivered", "acknowledge", "1", text],
        ["undelivered", "snooze", "1", "dns", "--for", text],
        ["undelivered", "give-up", "1", text, "--yes"],
        ["replay", "plan", "--hook", "1", "--filter", text, "--cause", text],
        ["replay", "run", "--all-hooks", "--mode", text, "--since", text, "--yes"],
        ["replay", "show", text],
        ["replay", "pause", text],
        ["replay", "resume", text],
        ["replay", "rate", text, text],
        ["replay", "abort", text, "--yes"],
        ["alerts", "list", "--state", text],
        ["alerts", "show", text],
        ["alerts", "acknowledge", text],
        ["alerts", "snooze", text, "--for", text],
        ["log", f"since:{text}"],
        ["audit", "list", "--user", text, "--since", "7d"],
        ["audit", "list", "--until", text],
        ["audit", "verify", "--known", text],
        ["tokens", "create", text, "--role", text],
        ["tokens", "create", "x", "--role", "viewer", "--expires", text],
        ["tokens", "revoke", text, "--yes"],
        ["accounts", "create", "x" + text[:40]],
        ["backup", f"/nowhere/{text}"],
        ["restore", f"/nowhere/{text}"],
        ["purge", "--older-than", text, "--yes"],
        ["verify", "--secret", text, "--signature", text, "--hash", text],
        ["listen", "--port", text],
        ["listen", "--secret", f"@{text}"],
        ["completion", text],
        ["serve", "--listen", text],
        ["serve", "--listen", "127.0.0.1:0", "--tls-cert", text, "--tls-key", text],
        ["move", "--to", text],
        ["status", "--connect", text],
        ["status", "--connect", f"https://{text}"],
        ["status", "--connect", f"http://127.0.0.1:9/{text}"],
        ["status", "--connect", f"unix:/nowhere/{text}"],
        ["status", "--role", text],
        ["status", "--account", text],
        ["demo", "--for", text],
        ["bench", text],
        ["selftest", "--rounds", text],
        ["keys", "rotate", text],
        ["keys", "new", f"/nowhere/{text}"],
        ["accounts", text],
        ["tokens", "revoke", text],
        ["deliveries", "cancel", text],
        ["hooks", "enable", text],
        ["hooks", "ping", text],
        ["stop", text],
        ["pause", text],
        ["resume", text],
    ]  # fmt: skip


def test_every_command_is_among_them(planted: Plant):
    # Red when a command is added that no line above tries.
    used = {tuple(command[:n]) for command in reading(planted) + asking("x") for n in (1, 2)}
    assert set(all_commands()) <= used


def test_no_command_lets_stored_text_act(planted: Plant, tmp_path: Path):
    codes = in_terminal(planted.home, tmp_path, reading(planted))
    assert codes.count(0) >= len(codes) - 2  # the ping gets what comes; what is over stays


def test_no_word_of_a_name_server_acts(planted: Plant, tmp_path: Path):
    # Red when what a look-up says is quoted as it came, in a warning, a result or an error.
    commands = [["log"], ["hooks", "list", "--all"], ["status"]]
    for url, hook, delivery in zip(hostile_urls(), planted.lost, planted.looked_up, strict=True):
        commands += [
            ["hooks", "create", "--url", url, "--events", "quiet", "--inactive"],
            ["hooks", "edit", str(hook), "--url", f"{url}/new"],
            ["hooks", "show", str(hook)],
            ["hooks", "ping", str(hook)],
            ["hooks", "diagnose", str(hook)],
            ["deliveries", "show", delivery],
            ["status", "--connect", url],
        ]
    codes = in_terminal(planted.home, tmp_path, commands)
    assert codes.count(0) == 3 + 4 * len(planted.lost)
    as_json(planted.home, tmp_path, [[*command, "--quiet"] for command in commands])
    for delivery in planted.looked_up:
        assert "[31;1mred" in planted.home.ok("deliveries", "show", delivery)


def test_json_of_stored_text_is_plain_ascii(planted: Plant, tmp_path: Path):
    as_json(planted.home, tmp_path, reading(planted))


def test_nothing_of_the_command_line_comes_back_as_it_was(planted: Plant, tmp_path: Path):
    text = "".join(TEXTS.values())
    commands = asking(text)
    codes = in_terminal(planted.home, tmp_path, commands)
    as_json(planted.home, tmp_path, [c for c in commands if c[0] != text])
    assert codes.count(0) <= 6


def test_no_file_name_and_no_file_acts(planted: Plant, tmp_path: Path):
    name = "\x1b]0;owned\x07\u202e[b]%s{0}\x9b31m"
    garbage = tmp_path / f"garbage{name}"
    texts = (text.encode("utf-8", "replace") for text in TEXTS.values())
    garbage.write_bytes(b"\n".join([*BYTES.values(), *texts]))
    folder = tmp_path / name
    folder.mkdir()
    good, backup = tmp_path / "good.db", str(tmp_path / f"backup{name}.db")
    planted.home.ok("backup", str(good))
    good.rename(backup)
    commands = [
        ["emit", "evil.t1", str(garbage)],
        ["emit", "--many", str(garbage)],
        ["emit", "evil.t1", str(folder)],
        ["hooks", "secret", "1", "--rotate", "--secret", f"@{garbage}"],
        ["verify", "--secret", f"@{garbage}", "--signature", "ab"],
        ["backup", str(garbage)],
        ["backup", str(folder / "missing" / "new.db")],
        ["restore", backup],
        ["restore", str(garbage), "--yes"],
        ["restore", str(folder)],
    ]
    codes = in_terminal(planted.home, tmp_path, commands, typed="n\n")
    assert 0 not in codes
    as_json(planted.home, tmp_path, commands)
    # The file is the caller's own, whatever its name.
    assert in_terminal(planted.home, tmp_path, [["backup", str(folder / "new.db")]]) == [0]


@pytest.mark.parametrize("place", ["name", "value", "no toml", "catalogue", "variable"])
def test_no_error_of_the_configuration_acts(tmp_path: Path, place: str):
    home = Installation(tmp_path / "home\x1b]0;owned\x07\u202e")
    home.home.mkdir(mode=0o700)
    text = "".join(TEXTS.values()).replace("\0", "")
    quoted = json.dumps(text[:900].encode("ascii", "ignore").decode()).replace("\x7f", "")
    catalogue = home.home / "catalogue\x1b[31m.toml"
    catalogue.write_text(f'[[group]]\nid = {quoted}\nname = "x"\ntype = []\n')
    written = {
        "name": f"{quoted} = 1",
        "value": f"listen = {quoted}\nkeep_days = {quoted}\nallow_networks = [{quoted}]",
        "no toml": text,
        "catalogue": f"catalogue = {json.dumps(str(catalogue))}",
        "variable": "",
    }
    (home.home / "config.toml").write_bytes(written[place].encode("utf-8", "replace"))
    environ = {"HOOKTUI_LISTEN": json.loads(quoted)} if place == "variable" else {}
    assert in_terminal(home, tmp_path, [["serve"]], **environ) == [2]
    as_json(home, tmp_path, [["serve"]], **environ)


@pytest.mark.parametrize("say", [twisted, refusing])
def test_no_hostile_server_acts_through_a_command(planted: Plant, tmp_path: Path, say):
    with hostile_server(planted.home.home, say) as url:
        commands = [[*command, "--connect", url] for command in reading(planted, 2)]
        commands += [
            ["tokens", "create", "x", "--role", "viewer", "--connect", url],
            ["hooks", "create", "--url", "http://127.0.0.1:9/", "--events", "evil", "--inactive",
             "--connect", url],
        ]  # fmt: skip
        in_terminal(planted.home, tmp_path, commands)
        as_json(planted.home, tmp_path, commands)


def test_no_answer_of_something_else_acts_through_a_command(planted: Plant, tmp_path: Path):
    with ExitStack() as stack:
        urls = [stack.enter_context(senseless_server(said)) for said in NO_ANSWERS.values()]
        commands = [[name, "--connect", url] for url in urls for name in ("status", "log")]
        assert set(in_terminal(planted.home, tmp_path, commands)) == {5}
        as_json(planted.home, tmp_path, commands)


def test_the_servers_log_is_harmless(planted: Plant):
    planted.home.run("hooks", "list")
    assert foreign(planted.home.log.read_bytes(), {"\n"}) == []
