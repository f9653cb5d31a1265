"""Runs commands that change the files of a home as the owner of the home.

Root becomes that user permanently: the server could not use files of root, and the user may have
placed traps in the home. Files that only the caller can read are opened before: a backup, the
credential that holds the keys.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy

import hooktui
from hooktui.domain import paths as known
from hooktui.domain.errors import HooktuiError, NotAllowed
from hooktui.domain.paths import InstallPaths
from hooktui.domain.roles import Actor
from hooktui.homes import refuse_unsafe
from hooktui.offline.installation import this_user, user_name
from hooktui.store.key_ring import CREDENTIAL, hold_credential

_DECRYPT_S = 60.0
_LOAD: Final = {"LoadCredential": False, "LoadCredentialEncrypted": True}
"""Settings of a unit (systemd.exec(5)), and whether their credential is encrypted."""


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """The source of a systemd credential.

    Attributes:
        path: absolute, or a name in one of the credential stores.
        encrypted: whether `systemd-creds` decrypts it.
    """

    path: str
    encrypted: bool


@dataclass(frozen=True, slots=True)
class ServiceUnit:
    """The user of the service, None if the unit names none, and the sources of its keys."""

    user: str | None = None
    keys: tuple[CredentialSource, ...] = ()


class CannotBecome(HooktuiError):
    """Root could not become the user of the installation; nothing was done."""

    title = "Cannot change the user"


def act_as_owner(where: InstallPaths, command: Sequence[str], *, check_home: bool = True) -> Actor:
    """Become the user of an installation, or check that this is it; return the caller.

    Args:
        where: the installation; root creates the service's folder if it is missing.
        command: the command to suggest to other callers, without ``hooktui``.
        check_home: whether a home is refused that others can write.

    Raises:
        NotAllowed: the caller is neither that user nor root.
        UnsafeHome: others could change the files.
        CannotBecome: the system refused the change.
        KeyProblem: the credential of the service cannot be used.
    """
    actor, me = this_user(), os.geteuid()
    unit = _service_unit() if where.service else ServiceUnit()
    owner = _owner(where, unit)
    if owner is None or owner == me:
        if check_home:
            refuse_unsafe(where)
        return actor
    if me != 0:
        raise NotAllowed(_instead(where, owner, command))
    if check_home:
        if where.service:
            _make_service_home(where.home, owner)
        refuse_unsafe(where, owner)
    for source in unit.keys:
        if _hold(source):
            break
    become(owner, where.home)
    return actor


def _owner(where: InstallPaths, unit: ServiceUnit) -> int | None:
    """Return the owner of the installation; None: it does not exist, so it is the caller's."""
    if unit.user is not None:
        try:
            return int(unit.user) if unit.user.isdigit() else pwd.getpwnam(unit.user).pw_uid
        except KeyError:
            raise CannotBecome(
                f"the unit of the service names the user {unit.user}, which is missing; create it"
                " with: useradd --system --home-dir /var/lib/hooktui --shell /usr/sbin/nologin"
                f" {unit.user}"
            ) from None
    for folder in (where.database.parent, where.home):
        try:
            return folder.stat().st_uid
        except FileNotFoundError:
            continue
        except OSError as error:
            raise NotAllowed(f"you may not access {folder}: {error.strerror}") from None
    return None


def _instead(where: InstallPaths, owner: int, command: Sequence[str]) -> str:
    words = shlex.join(["hooktui", *command])
    if where.service:
        return (
            f"{where.home} belongs to the hooktui service (user {user_name(owner)}); run this as"
            f" root: sudo {words}"
        )
    name, home = user_name(owner), shlex.quote(f"HOOKTUI_HOME={where.home}")
    return (
        f"{where.home} belongs to the user {name}; run this as that user: sudo -u {name} {home}"
        f" {words}"
    )


def _make_service_home(home: Path, owner: int) -> None:
    """Create the folder of a service that never started, as systemd would."""
    try:
        home.mkdir(mode=0o750)
    except FileExistsError:
        return
    except OSError as error:
        raise CannotBecome(f"cannot create {home}: {error.strerror}") from None
    os.chown(home, owner, _account(owner, home)[0])


def _service_unit() -> ServiceUnit:
    """Read the unit of the service and its drop-ins; earlier folders hide names of later ones."""
    files = [unit for unit in known.SYSTEM.units if unit.is_file()][:1]
    drop_ins: dict[str, Path] = {}
    for unit in reversed(known.SYSTEM.units):
        folder = unit.with_name(f"{unit.name}.d")
        drop_ins |= {file.name: file for file in folder.glob("*.conf")}
    files += [drop_ins[name] for name in sorted(drop_ins)]
    try:
        return read_unit([file.read_text("utf-8", "replace") for file in files])
    except OSError as error:
        raise NotAllowed(f"cannot read {error.filename}: {error.strerror}") from None


def read_unit(texts: Iterable[str]) -> ServiceUnit:
    """Read a unit and its drop-ins, in the order in which systemd applies them."""
    user: str | None = None
    keys: dict[bool, list[CredentialSource]] = {False: [], True: []}
    for name, value in _settings(texts):
        if name == "User":
            user = value or None
        elif name in _LOAD:
            encrypted = _LOAD[name]
            if not value:  # an empty assignment resets the list
                keys[encrypted].clear()
                continue
            credential, _, path = value.partition(":")
            if credential == CREDENTIAL:
                keys[encrypted].append(CredentialSource(path or CREDENTIAL, encrypted))
    return ServiceUnit(user, (*keys[False], *keys[True]))


def _settings(texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Yield the settings of all ``[Service]`` sections."""
    for text in texts:
        section = ""
        for line in text.replace("\\\n", "").splitlines():
            line = line.strip()
            if line.startswith("[") and line.endswith("]"):
                section = line
            elif section == "[Service]" and line[:1] not in ("#", ";") and "=" in line:
                name, _, value = line.partition("=")
                yield name.strip(), value.strip()


def _hold(source: CredentialSource) -> bool:
    """Load the keys of a credential, if it exists: the service's user may not read it."""
    stores = known.SYSTEM.encrypted_credentials if source.encrypted else known.SYSTEM.credentials
    for store in stores:
        file = store / source.path  # an absolute path stays as it is
        try:
            content = _decrypted(file) if source.encrypted else file.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise CannotBecome(f"cannot read the credential {file}: {error.strerror}") from None
        hold_credential(content.decode("ascii", "replace"), str(file))
        return True
    return False


def _decrypted(file: Path) -> bytes:
    """Return the content of an encrypted credential.

    Raises:
        OSError: it does not exist, or cannot be read.
        CannotBecome: it cannot be decrypted here.
    """
    with file.open("rb"):
        pass
    program = shutil.which("systemd-creds")
    if program is None:
        raise CannotBecome(f"{file} is encrypted, and systemd-creds is not installed")
    command = [program, "decrypt", f"--name={CREDENTIAL}", str(file), "-"]
    try:
        done = subprocess.run(  # noqa: S603 - a program of systemd, no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_DECRYPT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBecome(f"cannot decrypt {file}: {error}") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[:300]
        raise CannotBecome(f"systemd-creds cannot decrypt {file}: {said}")
    return done.stdout


def become(uid: int, home: Path) -> None:
    """Change from root to another user permanently; new files are readable by that user only.

    ``HOME`` becomes that user's, as in the service: the driver of PostgreSQL looks for certificates
    there, and fails if it may not, as in root's.

    Raises:
        CannotBecome: it was refused or reversible, or that user cannot run the program.
    """
    try:
        gid, groups, own_home = _account(uid, home)
        # In this order: without root groups cannot be changed.
        os.setgroups(groups)
        _check_program(uid, gid)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        raise CannotBecome(f"cannot become the user {user_name(uid)}: {error.strerror}") from None
    _check_for_good(uid)
    os.umask(0o077)
    os.chdir("/")
    os.environ["HOME"] = own_home


def _check_program(uid: int, gid: int) -> None:
    """Check that the user can read all later imports, while root can still report it."""
    needed = [Path(file).parent for file in (hooktui.__file__, sqlalchemy.__file__, os.__file__)]
    os.setegid(gid)
    os.seteuid(uid)
    try:
        closed = [folder for folder in needed if not os.access(folder, os.R_OK, effective_ids=True)]
    finally:
        os.seteuid(0)
        os.setegid(0)
    if closed:
        raise CannotBecome(
            f"the user {user_name(uid)} cannot read this program in {closed[0]}; install hooktui"
            " where all can read it, such as into /opt/hooktui"
        )


def _check_for_good(uid: int) -> None:
    if os.getresuid() != (uid, uid, uid):
        raise CannotBecome(f"cannot become the user {user_name(uid)}")
    try:
        os.setresuid(-1, 0, -1)
    except PermissionError:
        return
    raise CannotBecome("root could be regained; nothing was done")


def _account(uid: int, home: Path) -> tuple[int, list[int], str]:
    """Return the group of a user, all its groups, and its home; without an account the folder's."""
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        gid = home.stat().st_gid
        return gid, [gid], str(home)
    return user.pw_gid, os.getgrouplist(user.pw_name, user.pw_gid), user.pw_dir
