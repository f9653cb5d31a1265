"""``python -m hooktui`` is ``hooktui``."""

from __future__ import annotations

import sys

from hooktui.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
