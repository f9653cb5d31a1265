"""Settings: three sources in order, and errors that name the place."""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from pathlib import Path

import pytest

from hooktui.domain.roles import Role
from hooktui.server.settings import BadSettings, Settings, load, split_listen, unknown_variables


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith("HOOKTUI_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path) -> Path:
    return tmp_path / "config.toml"


def test_nothing_set_gives_the_defaults(config):
    settings = load(config, os.environ)
    assert settings.listen is None
    assert settings.allow_networks == ()
    assert settings.users == {}
    assert not settings.api_docs
    assert settings.auto_in_flight_max == 256


@pytest.mark.parametrize("value", ["0", "1001", "auto"])
def test_the_largest_adaptive_limit_is_1_to_1000(config, monkeypatch, value):
    monkeypatch.setenv("HOOKTUI_AUTO_IN_FLIGHT_MAX", value)
    with pytest.raises(BadSettings, match="HOOKTUI_AUTO_IN_FLIGHT_MAX"):
        load(config, os.environ)


# Red when they depend on the working folder: a server in the background has another one.
def test_relative_paths_of_the_file_are_relative_to_its_folder(config, monkeypatch):
    lines = ('catalogue = "types.toml"', 'tls_cert = "tls/c.pem"', 'tls_key = "/etc/k.pem"')
    config.write_text("\n".join((*lines, 'database_url = "sqlite:///data/hooks.db"')))
    monkeypatch.chdir("/")
    settings = load(config, os.environ)
    folder = config.parent
    assert settings.catalogue == folder / "types.toml"
    assert settings.tls_files == (folder / "tls/c.pem", Path("/etc/k.pem"))
    assert settings.database_url == f"sqlite:///{folder}/data/hooks.db"
    config.write_text('database_url = "postgresql://u@h/n"')
    assert load(config, os.environ).database_url == "postgresql://u@h/n"
    monkeypatch.setenv("HOOKTUI_CATALOGUE", "types.toml")
    assert load(config, os.environ).catalogue == Path("types.toml")


def test_options_go_before_the_environment_and_that_before_the_file(config, monkeypatch):
    config.write_text('listen = "127.0.0.1:1"\nhosts = ["a.example"]\napi_docs = true\n')
    assert load(config, os.environ).listen == "127.0.0.1:1"
    monkeypatch.setenv("HOOKTUI_LISTEN", "127.0.0.1:2")
    assert load(config, os.environ).listen == "127.0.0.1:2"
    assert load(config, os.environ, {"listen": "127.0.0.1:3"}).listen == "127.0.0.1:3"
    settings = load(config, os.environ, {"listen": None})
    assert settings.listen == "127.0.0.1:2"
    assert settings.hosts == ("a.example",)
    assert settings.api_docs


def test_lists_and_tables_can_be_written_in_variables(config, monkeypatch):
    monkeypatch.setenv("HOOKTUI_ALLOW_NETWORKS", "127.0.0.0/8, ::1/128")
    monkeypatch.setenv("HOOKTUI_HOSTS", "a.example, b.example")
    monkeypatch.setenv("HOOKTUI_USERS", "ann=admin, bob=viewer")
    settings = load(config, os.environ)
    assert settings.allow_networks == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert settings.hosts == ("a.example", "b.example")
    assert settings.users == {"ann": Role.ADMIN, "bob": Role.VIEWER}


@pytest.mark.parametrize("host", ["a.example:8443", "https://a.example", "", "a b", "[::1]:80"])
def test_a_host_that_no_request_can_name_is_refused(config, host):
    config.write_text(f'hosts = ["b.example", "[::1]", "10.0.0.1", "{host}"]')
    with pytest.raises(BadSettings, match="is not a host name"):
        load(config, os.environ)


def test_tables_of_the_file_map_users_and_groups_to_roles(config):
    config.write_text(
        'allow_networks = ["10.0.0.0/8"]\n[users]\nann = "operator"\n[groups]\nops = "admin"\n'
    )
    settings = load(config, os.environ)
    assert settings.users == {"ann": Role.OPERATOR}
    assert settings.groups == {"ops": Role.ADMIN}
    assert settings.allow_networks == (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("listen = ", "config.toml"),
        ("listen = " + "[" * 5000, "cannot read"),
        ("keep_days = " + "1" * 5000, "cannot read"),
        ('listn = "x"', "unknown setting 'listn'"),
        ('listen = "8080"', "config.toml: listen: '8080' is not HOST:PORT"),
        ("listen = 8080", "config.toml: listen"),
        ('[users]\nann = "boss"', "config.toml: users.ann must be 'viewer', "),
        ('allow_networks = "10.0.0.1/8"', "config.toml: allow_networks: '10.0.0.1/8' is not"),
        ('tls_cert = "c.pem"', "tls_cert and tls_key must both be set"),
        ("keep_days = -1", "config.toml: keep_days must be at least 0, not -1"),
        ("keep_days = true", "config.toml: keep_days must be a number, not true or false"),
        ('reserve_mb = "1_0"', "config.toml: reserve_mb must be a whole number, not '1_0'"),
        ("catalogue = 5", "config.toml: catalogue must be a path, not 5"),
        ("users = 5", "config.toml: users must be a table, not 5"),
        ("hosts = 5", "config.toml: hosts must be a list, not 5"),
        ("database_url = 5", "config.toml: database_url must be text"),
    ],
)
def test_an_error_of_the_file_names_file_and_key(config, text, message):
    config.write_text(text)
    with pytest.raises(BadSettings) as caught:
        load(config, os.environ)
    assert message in caught.value.detail
    assert "\n" not in caught.value.detail


# Red when a link without a target counts as no file: the server starts with another database.
@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_broken_link_is_not_taken_for_no_settings(tmp_path, linked):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "not mounted")
    with pytest.raises(BadSettings, match=r"link is a symbolic link to .*not mounted, which does"):
        load(link if linked == "file" else link / "config.toml", {})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("HOOKTUI_ALLOW_NETWORKS", "ten", "HOOKTUI_ALLOW_NETWORKS: 'ten' is not a network"),
        ("HOOKTUI_LISTEN", "localhost", "HOOKTUI_LISTEN: 'localhost' is not HOST:PORT"),
        ("HOOKTUI_USERS", "ann", "HOOKTUI_USERS: write it as name=role"),
        ("HOOKTUI_USERS", "a=viewer, a=admin", "HOOKTUI_USERS: 'a' is there twice; write it once"),
        ("HOOKTUI_USERS", "ann=king", "HOOKTUI_USERS.ann must be 'viewer', "),
        ("HOOKTUI_KEEP_DAYS", "1_0", "HOOKTUI_KEEP_DAYS must be a number, not '1_0'"),
        ("HOOKTUI_KEEP_DAYS", "3e1", "HOOKTUI_KEEP_DAYS must be a number, not '3e1'"),
        ("HOOKTUI_RESERVE_MB", "1_0", "HOOKTUI_RESERVE_MB must be a whole number, not '1_0'"),
        ("HOOKTUI_API_DOCS", "perhaps", "HOOKTUI_API_DOCS must be true or false, not 'perhaps'"),
    ],
)
def test_an_error_of_the_environment_names_the_variable(config, monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings) as caught:
        load(config, os.environ)
    assert message in caught.value.detail


NUMBERS = {
    name
    for name, schema in Settings.model_json_schema()["properties"].items()
    if {one.get("type") for one in schema.get("anyOf", [schema])} & {"integer", "number"}
}


# Red when a setting leaves the number to Python: it reads 1_0 as 10.
@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_each_number_is_written_in_digits(config, name):
    assert {"keep_days", "max_outbound"} <= NUMBERS
    with pytest.raises(BadSettings, match=r"must be a (whole )?number, not '1_0'"):
        load(config, {f"HOOKTUI_{name.upper()}": "1_0"})


# Red when the text of the error has a number of the system and a second copy of the name.
def test_a_configuration_that_cannot_be_read_is_named_once(tmp_path):
    with pytest.raises(BadSettings) as caught:
        load(tmp_path, {})
    assert caught.value.detail == f"cannot read {tmp_path}: Is a directory"


def test_an_error_of_an_option_names_the_option(config):
    with pytest.raises(BadSettings, match="--listen: 'x'"):
        load(config, os.environ, {"listen": "x"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:80", ("::1", 80)),
        ("host.example:65535", ("host.example", 65535)),
    ],
)
def test_an_address_to_listen_on_is_host_and_port(text, expected):
    assert split_listen(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", ":80", "host", "host:", "host:x", "host:65536", "::1:80", "host:-1", "host:٣",
        "a..b:80", f"{'x' * 64}:80",
    ],
)  # fmt: skip
def test_other_forms_of_an_address_are_refused(text):
    with pytest.raises(ValueError, match="HOST:PORT"):
        split_listen(text)


def test_a_variable_that_is_none_of_ours_is_named():
    environ = {"HOOKTUI_LISTN": "", "HOOKTUI_QQQ\x1b[1m": "", "HOME": "/", "HOOKTUI_HOME": "/"}
    typo, other = unknown_variables(environ | {"HOOKTUI_LISTEN": "", "HOOKTUI_TOKEN": "t"})
    assert typo.endswith("unknown environment variable HOOKTUI_LISTN; did you mean HOOKTUI_LISTEN?")
    assert "HOOKTUI_QQQ" in other
    assert "\x1b" not in other


# Red when a new variable is read and not known here: each start would warn of it.
def test_each_variable_that_the_code_reads_is_known():
    code = "\n".join(path.read_text() for path in Path("hooktui").rglob("*.py"))
    named = re.findall(r'"(HOOKTUI_[A-Z_]+)"', code)
    assert len(named) > 10
    assert unknown_variables(dict.fromkeys(named, "")) == []
