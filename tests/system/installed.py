"""A machine with the system service, below a folder of the test: real processes, any user.

`paths.SYSTEM` is replaced before the program begins, in the process of the command alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hooktui.client.address import ServerAddress
from hooktui.client.start import responds
from hooktui.domain.paths import SystemPaths, system_paths
from tests.support.waiting import wait_for
from tests.system.machine_commands import run_command
from tests.system.opened import opened

OTHER_UID = 54321
"""A user of nobody's: only root can become it."""

_LAUNCH = """
import os, sys
from pathlib import Path
root, uid = sys.argv[1:3]
del sys.argv[1:3]
if int(uid) != os.geteuid():
    os.setgroups([])
    os.setresgid(int(uid), int(uid), int(uid))
    os.setresuid(int(uid), int(uid), int(uid))
from hooktui.domain import paths
paths.SYSTEM = paths.system_paths(Path(root))
from hooktui.cli.main import main
sys.exit(main())
"""


@dataclass
class Machine:
    """A root folder, and a user's home beside it."""

    root: Path
    home: Path

    @property
    def system(self) -> SystemPaths:
        return system_paths(self.root)

    @property
    def environ(self) -> dict[str, str]:
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("HOOKTUI_", "XDG_"))}
        return {**keep, "HOME": str(self.home), "NO_COLOR": "1"}

    def command(self, *arguments: str, uid: int | None = None) -> list[str]:
        user = os.geteuid() if uid is None else uid
        return opened([sys.executable, "-c", _LAUNCH, str(self.root), str(user), *arguments])

    def run(
        self, *arguments: str, uid: int | None = None, folder: Path = Path("/"), **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end in a working folder."""
        user = os.geteuid() if uid is None else uid
        result = run_command(self.root, user, self.environ | environ, list(arguments), folder)
        assert "Traceback" not in result.stderr, result.stderr
        return result

    def start_service(self, log: Path, uid: int | None = None) -> subprocess.Popen[bytes]:
        """Start the server as systemd does, and wait until it answers."""
        for folder in (self.system.home, self.system.socket.parent):
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            if uid is not None:
                os.chown(folder, uid, uid)
        with log.open("ab") as out:
            process = subprocess.Popen(
                self.command("serve", uid=uid),
                env=self.environ | {"STATE_DIRECTORY": str(self.system.home)},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            return responds(ServerAddress(socket=self.system.socket))

        wait_for(answers, 60, "the service answers")
        return process

    def end_service(self, process: subprocess.Popen[bytes]) -> None:
        """End it as systemd does: the runtime folder goes with it."""
        process.terminate()
        process.wait(30)
        self.system.socket.parent.rmdir()
