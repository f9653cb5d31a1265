"""A rotation of keys that is killed, and one that concerns several servers."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hooktui.domain.errors import Conflict, Unavailable
from hooktui.domain.ids import HookId
from hooktui.failpoints import KEY_POINTS
from hooktui.store import changes
from hooktui.store.key_ring import find_keys
from hooktui.store.key_rotation import count_by_key, rotate_keys
from hooktui.store.postgres.connections import Raw
from hooktui.store.vault import KeyProblem, _draft, create_keys, new_key, replace_keys
from tests.store.conftest import run_python
from tests.store.servers import connected
from tests.support.postgres import database, open_store
from tests.support.stores import ADA, DEFAULT, SECRET, make_hook, open_in

ROTATE = """
import asyncio, os, sys
from pathlib import Path
from hooktui import failpoints
from hooktui.store import key_rotation
from hooktui.store.key_rotation import rotate_keys
from tests.support.stores import ADA
from tests.support.postgres import open_store
from tests.support.stores import open_in

URL, POINT = {url!r}, {point!r}

async def main():
    home = Path(sys.argv[1])
    store = await (open_store(URL, home) if URL else open_in(home))
    key_rotation._AT_ONCE = 3
    failpoints.arm(POINT)
    await rotate_keys(store, home / "hooktui.key", ADA, keep_old=False, within_s=30)

asyncio.run(main())
"""


POINTS = [*(f"{point}:kill" for point in KEY_POINTS), "after_reseal_commit:kill@3"]
DATABASE_POINTS = ("before_key_switch_commit:kill", "after_reseal_commit:kill@3")
"""Where the database may make a difference; the rest of them is run on PostgreSQL as a soak."""


@pytest.fixture
async def url(request, store_kind: str) -> AsyncIterator[str | None]:
    if store_kind == "sqlite":
        yield None
    else:
        async with database(request.getfixturevalue("postgres")) as found:
            yield found


def drafts_in(home: Path) -> list[Path]:
    return list(home.glob(".hooktui.key.*"))


async def open_at(url: str | None, home: Path):
    return await (open_store(url, home) if url else open_in(home))


async def rotate(store, home: Path):
    return await rotate_keys(store, home / "hooktui.key", ADA, keep_old=False, within_s=30)


async def secret_of(store, hook) -> str:
    shown = await store.write(changes.reveal_secrets, ADA, DEFAULT, HookId(hook.id))
    return shown.secret


# Red when all names that begin like a draft are deleted: a person kept the key of old backups.
def test_only_drafts_are_deleted_beside_a_key_file(tmp_path: Path) -> None:
    file = tmp_path / "hooktui.key"
    replace_keys(file, [new_key()])
    draft = _draft(file, [new_key()])
    kept = [tmp_path / f".hooktui.key.{end}" for end in ("2026-11", "20261130", "old", "new")]
    kept += [tmp_path / f"x.hooktui.key.{'a' * 8}.new", tmp_path / f".hooktui.key.{'a' * 8}.new~"]
    for one in kept:
        one.write_text("precious")
    (tmp_path / ".hooktui.key.folder").mkdir()
    replace_keys(file, [new_key()])
    assert not draft.exists()
    assert {one.read_text() for one in kept} == {"precious"}


@pytest.mark.parametrize(
    ("store_kind", "point"),
    [
        *(("sqlite", point) for point in POINTS),
        *(
            pytest.param(
                "postgres", point, marks=() if point in DATABASE_POINTS else pytest.mark.soak
            )
            for point in POINTS
        ),
    ],
)
async def test_a_rotation_that_is_killed_loses_nothing_and_is_ended_by_the_next(
    tmp_path: Path, url: str | None, point: str
) -> None:
    """Red when the new key seals before its file is on disk, or the old one goes too early."""
    store = await open_at(url, tmp_path)
    hooks = [await make_hook(store) for _ in range(8)]
    await store.close()
    script = ROTATE.format(url=url, point=point)
    code, complaint = await run_python(script, tmp_path)
    assert code == -9, complaint

    store = await open_at(url, tmp_path)
    assert {await secret_of(store, hook) for hook in hooks} == {SECRET}
    hooks.append(await make_hook(store))
    done = await rotate(store, tmp_path)
    assert done.left == 0
    assert set(await store.read(count_by_key)) == {bytes.fromhex(done.key)}
    assert {await secret_of(store, hook) for hook in hooks} == {SECRET}
    await store.close()
    assert [key.id.hex() for key in find_keys(tmp_path / "hooktui.key").keys] == [done.key]
    assert not drafts_in(tmp_path)
    await (await open_at(url, tmp_path)).close()


async def test_another_server_is_never_shut_out(tmp_path: Path, postgres) -> None:
    """Red when a rotation does not look which keys the servers at work have."""
    one_home, other_home = tmp_path / "one", tmp_path / "other"
    for home in (one_home, other_home):
        home.mkdir()
    async with database(postgres) as url:
        one = await open_store(url, one_home)
        copy_keys(one_home, other_home)
        other = await open_store(url, other_home)
        hook = await make_hook(one)
        with pytest.raises(Conflict, match=f"missing on server {other.number}: copy"):
            await rotate(one, one_home)
        assert await secret_of(other, hook) == SECRET
        hidden = await make_hook(other)  # still sealed with what both have
        assert await secret_of(one, hidden) == SECRET

        await other.close()
        copy_keys(one_home, other_home)
        other = await open_store(url, other_home)
        assert len(other.vault.ids) == 2
        done = await rotate(one, one_home)
        assert not done.made  # the key that was made before the refusal
        made = [await make_hook(other), await make_hook(one)]
        assert set(await one.read(count_by_key)) == {bytes.fromhex(done.key)}
        for store in (one, other):
            for each in (hook, hidden, *made):
                assert await secret_of(store, each) == SECRET

        # One that comes with yesterday's keys is told so, and changes nothing.
        late = tmp_path / "late"
        late.mkdir()
        (late / "hooktui.key").touch(0o600)
        (late / "hooktui.key").write_text((other_home / "hooktui.key").read_text().splitlines()[-1])
        with pytest.raises(KeyProblem, match="all servers of a database share one key file"):
            await open_store(url, late)
        await asyncio.gather(one.close(), other.close())


async def test_a_server_that_was_cut_off_during_a_rotation_is_not_ready(
    tmp_path: Path, postgres, monkeypatch
) -> None:
    """Red with an internal error for its producers: they would not try another server."""
    one_home, other_home = tmp_path / "one", tmp_path / "other"
    for home in (one_home, other_home):
        home.mkdir()
    async with database(postgres) as url:
        one = await open_store(url, one_home)
        copy_keys(one_home, other_home)
        other = await open_store(url, other_home)
        hook = await make_hook(one)
        (writer, *_), back = other._writers, asyncio.Event()
        connect = writer._connect

        async def connect_when_back() -> Raw:
            await back.wait()
            return await connect()

        monkeypatch.setattr(writer, "_connect", connect_when_back)
        async with connected(url) as raw:
            await raw.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                f" WHERE starts_with(application_name, 'hooktui server {other.number} ')"
            )
        await rotate(one, one_home)
        back.set()
        with pytest.raises(Unavailable, match="restart this one"):
            await make_hook(other)
        assert isinstance(other.write_failure, Unavailable)
        other.vault.add_keys(find_keys(one_home / "hooktui.key").keys)
        await make_hook(other)
        assert other.write_failure is None  # red when it is not ready for good
        await asyncio.gather(one.close(), other.close())

        copy_keys(one_home, other_home)
        other = await open_store(url, other_home)
        assert other.write_failure is None
        assert await secret_of(other, hook) == SECRET
        await other.close()


def copy_keys(source: Path, target: Path) -> None:
    target = target / "hooktui.key"
    target.touch(0o600)
    target.write_bytes((source / "hooktui.key").read_bytes())


# Red when only a complete draft is looked after: a part of a key stayed in a hidden file.
def test_a_key_file_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (create_keys, replace_keys):
        with pytest.raises(KeyProblem, match="No space left"):
            write(tmp_path / "hooktui.key", [new_key()])
    assert list(tmp_path.iterdir()) == []
