"""Child processes of a measurement end with the block that runs them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from hooktui.bench.processes import child_process

HOLDS_THE_PIPE = """
import subprocess, sys
print(subprocess.Popen(["sleep", "60"]).pid, flush=True)
sys.stdin.read()
"""


# Red when the end of the block reads to the end of the output, which a grandchild holds open.
def test_the_end_does_not_wait_for_who_else_holds_the_output(tmp_path: Path) -> None:
    (tmp_path / "holds_the_pipe.py").write_text(HOLDS_THE_PIPE)
    with child_process({**os.environ, "PYTHONPATH": str(tmp_path)}, "holds_the_pipe") as process:
        assert process.stdout is not None
        grandchild = int(process.stdout.readline())
    assert process.returncode == -signal.SIGKILL
    try:
        state = Path(f"/proc/{grandchild}/stat").read_text().split()[2]
        assert state not in "XZ"  # it has not ended: it sleeps, or is about to
    finally:
        os.kill(grandchild, signal.SIGKILL)
