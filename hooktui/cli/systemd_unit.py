"""The systemd unit that ``hooktui serve --print-unit`` prints."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_UNIT: Final = """\
# hooktui as a system service; printed by: hooktui serve --print-unit
#
#   useradd --system --home-dir /var/lib/hooktui --shell /usr/sbin/nologin hooktui
#   install -d -m 755 /etc/hooktui
#   hooktui serve --print-unit > /etc/systemd/system/hooktui.service
#   systemctl daemon-reload && systemctl enable --now hooktui
#
# Admins join the group (usermod -aG hooktui ADA) and get a role in /etc/hooktui/config.toml.

[Unit]
Description=hooktui, the sender of webhooks
Wants=network-online.target
After=network-online.target postgresql.service
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
User=hooktui
Group=hooktui

# Restarted when it dies, or when loop, writer or dispatcher make no progress for a minute: nothing
# that was accepted is lost by it. 2 is a configuration that cannot be used.
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2
# The server ignores SIGHUP, but for the moment before it can; systemd would count that as a stop.
RestartForceExitStatus=SIGHUP
WatchdogSec=60
TimeoutStartSec=15min
TimeoutStopSec=45
# What a wedged server was doing goes to the journal; memory, which holds secrets, to no file.
Environment=PYTHONFAULTHANDLER=1
LimitCORE=0
LimitNOFILE=65536
# The priority of lines without one: why it did not start, and the stacks of a wedged server.
SyslogLevel=err

# /var/lib/hooktui, and /run/hooktui (where the group finds the socket)
StateDirectory=hooktui
StateDirectoryMode=0750
RuntimeDirectory=hooktui
RuntimeDirectoryMode=0750
UMask=0077
# The settings are root's: a service that was taken over must not open private networks to itself.
ReadOnlyPaths=-/etc/hooktui

# The keys of the database, from /etc/credstore/hooktui.key; where there is none, hooktui keeps
# them in /var/lib/hooktui/hooktui.key.
LoadCredential=hooktui.key

# Not among these: PrivateUsers and ProtectProc, which would hide who calls on the socket.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""

_PLAIN: Final = re.compile(r"[A-Za-z0-9@/._:=+,-]+")
_HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - as systemd hides


def unit(options: Sequence[str]) -> str:
    """Return the unit that starts this program with options of ``serve``."""
    started, *prefix = program()
    # systemd.service(5): variables are put into arguments, and not into the program's path.
    arguments = [_quoted(word).replace("$", "$$") for word in (*prefix, "serve", *options)]
    return _UNIT.format(command=" ".join([_quoted(started), *arguments]))


def _quoted(word: str) -> str:
    """Quote by systemd.syntax(7), whose rules for backslashes and ``%`` differ from a shell's."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return word if _PLAIN.fullmatch(word) else f'"{escaped}"'


def program() -> list[str]:
    """Return the command that starts hooktui, with an absolute path."""
    started = Path(sys.argv[0])
    if started.name == "hooktui" and started.is_file():
        return [str(started.absolute())]
    return [sys.executable, "-m", "hooktui"]


def hidden_place() -> str | None:
    """Return a folder of this program or of its Python that the service cannot see."""
    files = (program()[0], __file__, sys.executable, os.path.realpath(sys.executable))
    folders = [Path(file).parent for file in files]
    return next((str(folder) for folder in folders if _is_hidden(folder)), None)


def _is_hidden(folder: Path) -> bool:
    return any(folder.is_relative_to(hidden) for hidden in _HIDDEN)
