"""A backup is written with the rights of its caller, also where others may rename its files."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from hooktui.client.download import Download
from hooktui.offline.backup import CannotWrite, Draft, draft_for, save

SECRET = b"whsec_precious"


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    """A small database of two tables."""
    file = tmp_path / "database"
    with closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("CREATE TABLE event (id INTEGER)")
        raw.execute("CREATE TABLE delivery (secret TEXT)")
        raw.execute("INSERT INTO delivery VALUES (?)", (SECRET.decode(),))
    return file.read_bytes()


@dataclass
class Interrupted:
    """Sends a file in two pieces; between them somebody does something."""

    content: bytes
    between: Callable[[], object]

    def __post_init__(self) -> None:
        self._pieces = self._send()

    def _send(self) -> Iterator[bytes]:
        half = len(self.content) // 2
        yield self.content[:half]
        self.between()
        yield self.content[half:]

    def download(self) -> Download:
        digest = hashlib.sha256(self.content).digest()
        return Download(len(self.content), digest, lambda _: next(self._pieces))


def put_a_link(draft: Draft, victim: Path) -> None:
    draft.path.unlink()
    draft.path.symlink_to(victim)


def put_a_file(draft: Draft, victim: Path) -> None:
    draft.path.unlink()
    draft.path.hardlink_to(victim)


def take_away(draft: Draft, _: Path) -> None:
    draft.path.unlink()


# Red when the draft is opened again by its name: root overwrote what a link led to.
@pytest.mark.parametrize("act", [put_a_link, put_a_file, take_away])
@pytest.mark.parametrize("early", [True, False], ids=["before the first byte", "between"])
def test_a_draft_that_somebody_replaced_is_not_written(
    tmp_path: Path, content: bytes, act: Callable[[Draft, Path], None], early: bool
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    victim, target = tmp_path / "victim", folder / "copy.db"
    victim.write_bytes(b"precious")
    with draft_for(target) as draft:
        if early:
            act(draft, victim)
        sent = Interrupted(content, lambda: None if early else act(draft, victim))
        with pytest.raises(CannotWrite):
            save(sent.download(), draft, target, replace=False, progress=lambda _: None)
    assert victim.read_bytes() == b"precious"
    assert not target.exists()
    assert list(folder.iterdir()) == []


# Red when the name is not looked at again: an old copy of somebody else had it.
def test_a_file_that_is_not_the_backup_is_not_taken_for_it(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "copy.db"
    other = tmp_path / "other"
    other.write_bytes(content)
    monkeypatch.setattr("hooktui.offline.backup._name", lambda *_, **__: other.rename(target))
    sent = Interrupted(content, lambda: None).download()
    with draft_for(target) as draft, pytest.raises(CannotWrite, match="replaced"):
        save(sent, draft, target, replace=False, progress=lambda _: None)


def test_an_undisturbed_backup_is_the_callers_alone(tmp_path: Path, content: bytes) -> None:
    target = tmp_path / "copy.db"
    with draft_for(target) as draft:
        sent = Interrupted(content, lambda: None)
        made = save(sent.download(), draft, target, replace=False, progress=lambda _: None)
    assert (made.events, made.deliveries) == (0, 1)
    assert target.read_bytes() == content
    assert target.stat().st_mode & 0o777 == 0o600
