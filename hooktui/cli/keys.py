"""``hooktui keys``: the keys that encrypt the secrets in the database."""

from __future__ import annotations

from dataclasses import asdict, replace

from cyclopts import App

from hooktui.cli.context import Context, file_path
from hooktui.cli.exit_codes import UsageError
from hooktui.cli.output import Styled, fields_without
from hooktui.client import calls
from hooktui.domain.paths import RESTART_SERVICE
from hooktui.domain.text import counted
from hooktui.domain.wire.server import KeyUse

app = App(name="keys", help="List and rotate the keys that encrypt secrets.")


@app.command(name="list")
def list_keys(*, context: Context) -> None:
    """List keys by id with the number of values that each encrypts; no key is shown."""
    listed = context.client.call(calls.list_keys())
    if context.json:
        context.out.json([asdict(key) for key in listed.keys])
        return
    for key in listed.keys:
        context.out.line(Styled(key.id, "bold"), f"  {key.values:>8,} values  {_state(key)}")
    context.out.note(f"source: {listed.place}")


def _state(key: KeyUse) -> str:
    if not key.present:
        return "is missing: restore it, or these values are lost"
    if key.seals:
        return "encrypts"
    return "decrypts its values" if key.values else "is not used"


@app.command
def rotate(*, keep_old: bool = False, yes: bool = False, context: Context) -> None:
    """Encrypt all secrets with a new key while the server is running, then remove the old one.

    An interrupted rotation is finished by the next one. Older backups need the old key: keep its
    file beside the backup, or keep the key with --keep-old. In a terminal, it asks first.

    Args:
        keep_old: keep old keys in the key file.
        yes: do not ask.
    """
    if not keep_old and context.can_ask:
        context.confirm(
            "Remove the old key after the rotation? Backups from before it cannot be restored"
            " without that key.",
            yes=yes,
        )
    context.in_parts(0, "value")
    done = context.client.call(calls.rotate_keys(keep_old=keep_old))
    while done.left:
        context.in_parts(done.sealed, "value")
        context.out.progress(f"encrypted {counted(done.sealed, 'value')}, {done.left:,} left")
        next_part = context.client.call(calls.rotate_keys(keep_old=keep_old))
        done = replace(next_part, made=done.made, sealed=done.sealed + next_part.sealed)
    if context.json:
        context.out.json(fields_without("left", done))
        return
    what = "a new key" if done.made else "a key that existed already"
    context.out.line(f"encrypted {counted(done.sealed, 'value')} with {done.key}, {what}")
    if done.dropped:
        context.out.note(
            f"removed {', '.join(done.dropped)} from {done.place}; backups from before need it"
        )
    if done.kept:
        context.out.note(f"nothing uses {', '.join(done.kept)} in {done.place}")
    context.out.note("copy the key file to a place apart from the backups, and to the other"
                     " servers of this database")  # fmt: skip


@app.command
def new(file: str | None = None, /, *, context: Context) -> None:
    """Make a key, for an installation whose key file systemd passes to the server.

    Other installations need only `hooktui keys rotate`. The server reads the key at its next
    start; `keys rotate` then encrypts everything with it.

    Args:
        file: a key file (created with mode 600 if missing); without it the key is printed.
    """
    from hooktui.installation import find_paths
    from hooktui.offline.installation import KeyProblem, add_key, key_line, new_key
    from hooktui.offline.service_user import act_as_owner

    if file is None:
        line = key_line(new_key()).rstrip()
        if context.json:
            identity, _, value = line.partition(" ")
            context.out.json({"id": identity, "key": value})
        else:
            context.out.line(line)
        return
    where = find_paths(context.environ)
    target = file_path(file)
    if target.parent == where.home:
        act_as_owner(where, ["keys", "new", file])
    try:
        key = add_key(target)
    except KeyProblem as error:
        raise UsageError(error.detail) from error
    if context.json:
        context.out.json({"id": key, "file": str(target)})
    context.out.note(f"{file}: key {key} is on top")
    if where.service:
        context.out.note(f"next: {RESTART_SERVICE}, then: hooktui keys rotate")
