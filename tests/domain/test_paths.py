"""Where things lie: the look-up order of the contract, and what an environment may lack."""

from __future__ import annotations

from pathlib import Path

import pytest

from hooktui.domain.errors import Refused
from hooktui.domain.paths import SYSTEM, paths_of, with_absolute_paths
from hooktui.server.settings import PREFIX, Settings


def test_a_home_puts_everything_into_one_folder():
    found = paths_of({"HOOKTUI_HOME": "/h", "HOME": "/people/ann", "XDG_STATE_HOME": "/x"})
    assert {path.parent for path in (found.database, found.socket, found.key_file)} == {Path("/h")}
    assert {path.parent for path in (found.lock, found.config, found.log)} == {Path("/h")}
    assert [p.name for p in (found.database, found.socket, found.key_file)] == [
        "hooktui.db",
        "hooktui.sock",
        "hooktui.key",
    ]
    assert [p.name for p in (found.lock, found.config, found.log)] == [
        "hooktui.lock",
        "config.toml",
        "server.log",
    ]


@pytest.mark.parametrize(
    ("environ", "system_installed", "socket"),
    [
        ({"HOOKTUI_SOCKET": "/s/x.sock", "HOOKTUI_HOME": "/h"}, True, "/s/x.sock"),
        ({"HOOKTUI_SOCKET": "/s/x.sock", "HOME": "/people/ann"}, False, "/s/x.sock"),
        ({"HOOKTUI_HOME": "/h", "HOME": "/people/ann"}, True, "/h/hooktui.sock"),
        ({"HOME": "/people/ann"}, True, str(SYSTEM.socket)),
        ({"HOME": "/people/ann"}, False, "/people/ann/.local/state/hooktui/hooktui.sock"),
        ({"XDG_STATE_HOME": "/x", "XDG_CONFIG_HOME": "/c"}, False, "/x/hooktui/hooktui.sock"),
        ({"XDG_STATE_HOME": "x", "HOME": "/a"}, False, "/a/.local/state/hooktui/hooktui.sock"),
        ({"HOOKTUI_HOME": "", "HOOKTUI_SOCKET": "", "HOME": "/"}, True, str(SYSTEM.socket)),
    ],
)
def test_the_socket_is_looked_up_in_the_order_of_the_contract(environ, system_installed, socket):
    assert paths_of(environ, system_installed=system_installed).socket == Path(socket)


def test_the_system_service_keeps_its_database_apart_from_its_socket():
    found = paths_of({"HOME": "/people/ann"}, system_installed=True)
    assert found.database == Path("/var/lib/hooktui/hooktui.db")
    assert found.config == Path("/etc/hooktui/config.toml")


def test_a_users_configuration_lies_in_the_xdg_configuration_folder():
    assert paths_of({"HOME": "/a"}).config == Path("/a/.config/hooktui/config.toml")
    assert paths_of({"HOME": "/a", "XDG_CONFIG_HOME": "/c"}).config == Path(
        "/c/hooktui/config.toml"
    )


def test_without_any_folder_the_message_says_what_to_set():
    with pytest.raises(Refused, match="HOOKTUI_HOME"):
        paths_of({})


def test_paths_of_an_environment_mean_the_same_in_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environ = {
        "HOME": "/a", "HOOKTUI_HOME": "hooks", "HOOKTUI_SOCKET": "../s.sock",
        "HOOKTUI_DATABASE_URL": "sqlite:///data/x.db", "HOOKTUI_CATALOGUE": "types.toml",
        "HOOKTUI_TLS_CERT": "tls/c.pem", "HOOKTUI_TLS_KEY": "tls/k.pem",
    }  # fmt: skip
    fixed = with_absolute_paths(environ)
    assert fixed == {
        "HOME": "/a", "HOOKTUI_HOME": f"{tmp_path}/hooks",
        "HOOKTUI_SOCKET": f"{tmp_path}/../s.sock",
        "HOOKTUI_DATABASE_URL": f"sqlite:///{tmp_path}/data/x.db",
        "HOOKTUI_CATALOGUE": f"{tmp_path}/types.toml",
        "HOOKTUI_TLS_CERT": f"{tmp_path}/tls/c.pem", "HOOKTUI_TLS_KEY": f"{tmp_path}/tls/k.pem",
    }  # fmt: skip
    assert with_absolute_paths(fixed) is fixed


def test_every_setting_that_is_a_path_is_one_of_them():
    fields = {name for name, field in Settings.model_fields.items() if "Path" in str(field)}
    given = {f"{PREFIX}{name.upper()}": "x" for name in fields}
    assert with_absolute_paths(given) == {name: str(Path("x").absolute()) for name in given}
    assert len(fields) == 3


@pytest.mark.parametrize("url", ["", "sqlite:///", "sqlite:////x.db", "postgresql://a/sqlite:///b"])
def test_other_values_of_an_environment_stay(url):
    environ = {"HOOKTUI_HOME": "", "HOOKTUI_SOCKET": "/s", "HOOKTUI_DATABASE_URL": url}
    assert with_absolute_paths(environ) is environ
