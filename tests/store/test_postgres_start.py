"""The start of a server on PostgreSQL: its number, its key, its schema, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import AsyncMock

import asyncpg
import pytest

from hooktui.domain.errors import Conflict, HooktuiError, Refused, Unavailable
from hooktui.store.migrations import SchemaTooNew
from hooktui.store.postgres import connections, locks
from hooktui.store.postgres import store as postgres
from hooktui.store.postgres.connections import parse_database_url
from hooktui.store.vault import KeyProblem, load_keys
from tests.store.servers import Servers, connected
from tests.support.postgres import PostgresServer, database, open_store, transaction_pooler
from tests.support.stores import always, make_hook, offer, result_of
from tests.support.waiting import until

_DEAD = {
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


async def test_servers_have_numbers_of_their_own_and_give_them_back(servers: Servers) -> None:
    some = [await servers.another() for _ in range(4)]
    assert sorted(store.number for store in some) == [0, 1, 2, 3]
    await some[1].close()
    assert (await servers.another()).number == 1


async def test_a_server_knows_which_others_work_on_the_database(servers: Servers) -> None:
    one, two = await servers.another(), await servers.another()
    (other,) = await one.others()
    assert (other.number, other.pid, other.name) == (1, os.getpid(), socket.gethostname()[:20])
    assert [seen.number for seen in await two.others()] == [0]
    await two.close()
    assert await one.others() == []


async def test_one_home_has_one_server(servers: Servers) -> None:
    await servers.another()
    with pytest.raises(Conflict, match="another server"):
        await open_store(servers.url, servers.folder / "home0")


# Red when the lock of the home alone proves that its lease may be taken: a copied home has another.
async def test_the_copy_of_a_home_takes_no_delivery_of_a_running_server(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(postgres, "_ENDS_WITHIN_S", 0.2)
    one = await servers.another()
    await make_hook(one)
    _, claims = await one.accept([offer()], always)
    home, copy = servers.folder / "home0", servers.folder / "copy"
    shutil.copytree(home, copy)
    two = await open_store(servers.url, copy, servers.clock.now_ms)
    assert "copy of another home" in caplog.text
    # Red without it: after a power cut the log asked for a copy that nobody had made.
    assert "After a power cut or a cut network" in caplog.text
    results = [result_of(claim, servers.clock) for claim in claims]
    assert await one.record(results) == [True]
    await two.close()
    caplog.clear()
    third = await open_store(servers.url, copy, servers.clock.now_ms)
    assert "copy of another home" not in caplog.text
    await third.close()


# Red when anything else than ASCII in the file ends the start: its leases end by themselves.
async def test_a_damaged_lease_of_a_home_does_not_prevent_a_start(url: str, tmp_path: Path) -> None:
    (tmp_path / "hooktui.lease").write_bytes(b"12\xff\n")
    store = await open_store(url, tmp_path)
    await store.close()


async def test_a_server_with_another_key_file_is_refused_and_told_what_to_do(
    servers: Servers, tmp_path: Path
) -> None:
    await servers.another()
    home = tmp_path / "stranger"
    home.mkdir()
    with pytest.raises(KeyProblem, match="all servers of a database share one key file"):
        await open_store(servers.url, home)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    load_keys(elsewhere / "hooktui.key", database_is_new=True)
    (home / "hooktui.key").write_bytes((elsewhere / "hooktui.key").read_bytes())
    (home / "hooktui.key").chmod(0o600)
    with pytest.raises(KeyProblem, match="does not decrypt"):
        await open_store(servers.url, home)


async def refusal(url: str, home: Path) -> str:
    with pytest.raises(HooktuiError) as refused:
        await open_store(url, home)
    line = str(refused.value)
    assert "\n" not in line
    assert "p4ss" not in line
    return line


async def test_what_is_wrong_with_an_address_is_said_in_one_line(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    wrong = await refusal(postgres.tcp_url(password="p4ssno"), tmp_path)
    assert "password authentication failed" in wrong
    assert "check user and password" in wrong
    assert "create it first" in await refusal(postgres.tcp_url("nothere"), tmp_path)
    gone = postgres.tcp_url().replace(str(postgres.port), "9")
    assert "cannot reach postgresql://127.0.0.1:9/postgres: Connection refused" in await refusal(
        gone, tmp_path
    )
    assert "write the address" in await refusal("postgresql://host", tmp_path)
    unread = await refusal(f"{postgres.tcp_url()}?sslmode=verify-full&sslrootcert=/no/ca", tmp_path)
    assert "cannot read /no/ca: No such file or directory" in unread


# Red when the texts of the driver are shown: "unexpected connection_lost() call".
@pytest.mark.parametrize(
    ("says", "mode"),
    [([], "disable"), ([b"N"], "disable"), ([b"S"], "require"), ([b"R\0\0"], "disable"),
     ([b"N", b"R"], "prefer")],
)  # fmt: skip
async def test_a_host_that_closes_the_connection_is_said_so(says: list[bytes], mode: str) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for said in says:
            await reader.read(8)
            writer.write(said)
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        target = parse_database_url(f"postgresql://u:p@127.0.0.1:{port}/x?sslmode={mode}")
        with pytest.raises(Unavailable) as refused:
            await connections.connect(target)
        assert refused.value.detail == f"cannot reach {target.shown}: it closed the connection"


@pytest.mark.parametrize(
    ("url", "hosts", "shown"),
    [
        ("u:p4ss@a:1,b:2/x", [("a", 1), ("b", 2)], "a:1,b:2"),
        ("u:p4ss@[::1]:1,b/x?port=3", [("::1", 1), ("b", 3)], "[::1]:1,b:3"),
        ("/x?host=a:1,b", [("a", 1), ("b", None)], "a:1,b"),
        ("/x?host=/run/Pg,c&port=5,6", [("/run/Pg", 5), ("c", 6)], "/run/Pg:5,c:6"),
        ("/x", [("", None)], ""),
    ],
)
def test_an_address_may_name_several_hosts(url: str, hosts: object, shown: str) -> None:
    target = parse_database_url(f"postgresql://{url}")
    assert (target.hosts, target.shown) == (hosts, f"postgresql://{shown}/x")


# Red when the system takes the last 16 bits of a port, and when the driver fails at an empty host.
@pytest.mark.parametrize(
    "url",
    ["h:0/x", "h:65536/x", "h:x/x", "/x?host=/run&port=65536", "a:1,b:99999/x", ",/x", "a,:1/x"],
)
def test_an_address_with_a_bad_host_or_port_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="ports are 1 to 65535"):
        parse_database_url(f"postgresql://{url}")


async def test_a_host_that_is_not_found_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the number of a look-up's error is taken for one of the system."""
    missing = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    monkeypatch.setattr(connections.asyncpg, "connect", AsyncMock(side_effect=missing))
    with pytest.raises(Unavailable, match="cannot reach postgresql://h/x: Name or service not"):
        await connections.connect(parse_database_url("postgresql://h/x"))


@contextlib.contextmanager
def silent_host() -> Iterator[int]:
    """Listen on a port, and respond to nothing: as a machine that is off, or behind a firewall."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


# Red when all hosts share the driver's deadline: a primary that lost its power uses it up, and no
# server reaches the promoted standby.
async def test_a_silent_host_leaves_time_to_the_next_and_then_comes_last(
    postgres: PostgresServer,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", connections.__name__)
    name = url.partition("?")[0].rpartition("/")[2]
    with silent_host() as silent:
        one = postgres.tcp_url(name)
        monkeypatch.setattr(connections, "CONNECT_S", 2.0)
        target = parse_database_url(one.replace("@", f"@127.0.0.1:{silent},"))
        await (await connections.connect(target)).close()
        assert [port for _, port in target.hosts] == [postgres.port, silent]
        await (await connections.connect(target)).close()
    # Red when nothing names the host: after a failover the log showed only the list of them.
    used = f"using 127.0.0.1:{postgres.port} as the primary of {target.shown}"
    assert caplog.messages == [used]


# Red when connections to both stay open: events go to one primary, and their results to the other.
async def test_of_two_primaries_only_one_is_used_at_a_time(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = ("127.0.0.1", postgres.port), ("localhost", postgres.port)
    url = postgres.tcp_url().replace("@127.0.0.1", f"@127.0.0.1:{postgres.port},localhost")
    target = parse_database_url(url)
    assert target.hosts == [one, two]
    first = await connections.connect(target)
    connect = asyncpg.connect

    async def unreachable(*arguments: Any, host: str, **options: Any) -> Any:
        if host == one[0]:
            raise ConnectionRefusedError
        return await connect(*arguments, host=host, **options)

    monkeypatch.setattr(asyncpg, "connect", unreachable)
    second = await connections.connect(target)
    assert (first.is_closed(), second.is_closed(), target.hosts) == (True, False, [two, one])
    # Red when doctor in a server begins with the first host, and ends the server's connections.
    await (await connections.connect(parse_database_url(url))).close()
    assert not second.is_closed()
    opened = []

    async def overtaken(*arguments: Any, **options: Any) -> Any:
        opened.append(await connect(*arguments, **options))
        if len(opened) == 1:
            target.hosts.reverse()  # another connection was refused there, and went on
        return opened[-1]

    monkeypatch.setattr(asyncpg, "connect", overtaken)
    third = await connections.connect(target)
    assert [raw.is_closed() for raw in opened] == [True, False]
    assert (third, target.hosts) == (opened[1], [one, two])
    await second.close()
    await third.close()


async def test_of_several_hosts_the_one_that_accepts_writes_is_used(
    postgres: PostgresServer,
) -> None:
    async with database(postgres, empty=True) as fresh, connected(fresh) as admin:
        name = fresh.partition("?")[0].rpartition("/")[2]
        await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        target = parse_database_url(postgres.tcp_url(name).replace("@", "@127.0.0.1:9,"))
        with pytest.raises(Unavailable) as refused:
            await connections.connect(target)
    assert str(refused.value) == (
        f"cannot reach {target.shown}: 127.0.0.1:9: Connection refused;"
        f" 127.0.0.1:{postgres.port}: a standby, or read-only"
    )


# Red when the limits of the database apply: the session that holds the number of a server ends, and
# migrations of large tables do.
async def test_limits_of_the_database_do_not_end_our_sessions(url: str) -> None:
    name = url.partition("?")[0].rpartition("/")[2]
    limits = ("idle_session_timeout", "transaction_timeout", "statement_timeout")
    async with connected(url) as admin:
        known = await admin.fetch("SELECT name FROM pg_settings WHERE name = ANY($1)", limits)
        names = [row["name"] for row in known]
        for limit in names:
            await admin.execute(f"ALTER DATABASE {name} SET {limit} = '1s'")
    raw = await connections.connect(parse_database_url(url), **connections.MIGRATION)
    found = {limit: await raw.fetchval("SELECT current_setting($1)", limit) for limit in names}
    await raw.close()
    assert found == dict.fromkeys(names, "0")


# Red without them: the session of a machine that lost its power keeps its locks for 15 minutes.
async def test_the_database_ends_sessions_whose_clients_are_gone(postgres: PostgresServer) -> None:
    raw = await connections.connect(parse_database_url(postgres.tcp_url()))
    timeouts = {name: await raw.fetchval("SELECT current_setting($1)", name) for name in _DEAD}
    await raw.close()
    assert timeouts == _DEAD


# Red when only the first event with such a character is refused, and its producer repeats it.
async def test_a_database_that_cannot_store_all_characters_is_refused(
    postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    async with connected(url) as admin:
        await admin.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        try:
            line = await refusal(postgres.tcp_url("latin"), tmp_path)
        finally:
            await admin.execute("DROP DATABASE latin")
    assert "has the encoding LATIN1: hooktui needs a database with UTF8" in line


async def test_a_database_without_the_schema_of_its_user_is_refused(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with database(postgres, empty=True) as fresh, connected(fresh) as admin:
        name = fresh.partition("?")[0].rpartition("/")[2]
        await admin.execute(f"ALTER DATABASE {name} SET search_path = missing")
        assert "create the schema that search_path names" in await refusal(fresh, tmp_path)


# Red when the error of SQLAlchemy is not explained: an internal error that quotes the statement.
async def test_a_user_without_a_right_is_told_which(
    postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    stranger = postgres.tcp_url().partition("@")[2].rpartition("/")[0]
    async with database(postgres, empty=True) as fresh, connected(fresh) as admin:
        await admin.execute("CREATE ROLE stranger LOGIN PASSWORD 'p4ss'")
        try:
            name = fresh.partition("?")[0].rpartition("/")[2]
            line = await refusal(f"postgresql://stranger:p4ss@{stranger}/{name}", tmp_path)
            assert "permission denied for schema public; this user needs CREATE" in line
            name = url.partition("?")[0].rpartition("/")[2]
            line = await refusal(f"postgresql://stranger:p4ss@{stranger}/{name}", tmp_path)
            assert "permission denied for table alembic_version; this user" in line
            await admin.execute("ALTER ROLE stranger CONNECTION LIMIT 0")
            line = await refusal(f"postgresql://stranger:p4ss@{stranger}/{name}", tmp_path)
            assert 'for role "stranger"; raise this limit of PostgreSQL, or close other' in line
        finally:
            await admin.execute("DROP ROLE stranger")


# Red when the number of an error of TLS is read as one of the system: "Operation not permitted".
async def test_an_untrusted_certificate_is_named(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def untrusted(*_: object, **__: object) -> NoReturn:
        raise ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")

    monkeypatch.setattr(asyncpg, "connect", untrusted)
    assert "verify failed: self-signed" in await refusal(postgres.tcp_url(), tmp_path)


# Red without the check: all seven connections of a server share one session with its locks.
async def test_a_pooler_in_transaction_mode_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = parse_database_url(url)
    async with transaction_pooler(url, monkeypatch):
        first = await connections.connect(target)
        with pytest.raises(HooktuiError, match="pooler in transaction mode"):
            await connections.connect(target)
        await first.close()
        await (await connections.connect(target)).close()


# PgBouncer refuses a connection that begins with any other setting.
async def test_a_connection_begins_with_no_setting_that_a_pooler_refuses(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, begun_with = asyncpg.connect, set[str]()

    async def noted(address: str, **options: Any) -> asyncpg.Connection:
        begun_with.update(options.get("server_settings", {}))
        return await connect(address, **options)

    monkeypatch.setattr(asyncpg, "connect", noted)
    raw = await connections.connect(parse_database_url(url), statement_timeout="77")
    try:
        assert begun_with == {"application_name"}
        assert await raw.fetchval("SHOW statement_timeout") == "77ms"
        assert await raw.fetchval("SHOW idle_in_transaction_session_timeout") == "4s"
        assert await raw.fetchval("SHOW timezone") == "UTC"
    finally:
        await raw.close()


async def test_a_database_of_a_newer_version_is_refused(url: str, tmp_path: Path) -> None:
    async with connected(url) as raw:
        await raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNew, match="upgrade hooktui"):
        await open_store(url, tmp_path)


async def test_a_backup_is_left_to_the_program_that_is_there_for_it(servers: Servers) -> None:
    store = await servers.another()
    with pytest.raises(Refused, match="pg_dump"):
        store.backup(lambda: False)


# Red when the connection that holds the number stays open: the number is taken until it is noticed.
async def test_a_start_that_fails_gives_its_number_back(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> NoReturn:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("hooktui.store.postgres.store.session_name", broken)
    with pytest.raises(OSError, match="Input/output error") as failed:
        await open_store(url, tmp_path)
    async with connected(url) as raw:

        async def is_free() -> bool:
            return not await raw.fetchval(locks.SERVERS_AT_WORK)

        await until(is_free)
    assert failed.value.errno == 5
